//! What neuroinspect found, as data, JSON, pictures and HTML.
//!
//! [`Findings`] are the results of the three stages on one class, as they are: rankings, edits and
//! pictures are the types of the crates that make them. A [`Report`] is findings with the real images
//! that go with them. [`Report::write`] turns it into a folder:
//!
//! | file | for |
//! | --- | --- |
//! | `report.html` | people: one file, no scripts, nothing loaded from anywhere; light, dark or on paper |
//! | `summary.json` | programs: the [`Findings`] but for arrays, with a [`Schema`] |
//! | `neurons/*.png` | the pictures the findings name |
//! | `neurons.png` | a contact sheet: real images, picture, the same masked, a row per neuron |
//! | `report-units/*.png` | the pictures of units of layers, written as they are [taken](Findings::add_unit) |
//!
//! A `CheckReport` is what a guard of a classifier found, for people, for programs and as JUnit's XML.
//!
//! A `UnitReport` is units of layers by themselves, an `AtlasIndex` all units of a layer.
//!
//! [`Run`] says how a result was made, [`Evaluation`] what a classifier is worth; [`to_json`] writes
//! any result with the version of its schema. [`to_rgb_image`], [`save_png`] and [`contact_sheet`]
//! serve on their own, too, and [`Accuracies`] are the tables of an edit for a page of one's own.
//!
//! Files are written whole or not at all. What came from the user, such as names of classes and
//! paths, is escaped in the HTML.
//!
//! # Feature flags
//!
//! - `html` (default): pages and pictures. Without it there is the data and its JSON.
//! - `parquet`: the index of an atlas as a table, too; brings `html` with it.
//! - `schema`: JSON Schemas of what is written as JSON (`json_schema`); results implement `schemars::JsonSchema`.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "html")]
mod atlas;
#[cfg(feature = "html")]
mod check;
mod error;
mod evaluation;
mod findings;
#[cfg(feature = "html")]
mod html;
mod json;
#[cfg(feature = "schema")]
mod json_schema;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "html")]
mod picture;
#[cfg(feature = "html")]
mod report;
mod run;
#[cfg(feature = "html")]
mod unit_report;
mod units;
mod validate;

#[cfg(feature = "html")]
pub use atlas::{AtlasEntry, AtlasIndex};
#[cfg(feature = "html")]
pub use check::{ChangeOf, Check, CheckReport, ClassCheck, NeuronChange, Reliance};
pub use error::{Error, Result};
pub use evaluation::Evaluation;
pub use findings::{ContextEffect, EditFile, Findings, NeuronPicture};
#[cfg(feature = "html")]
pub use html::{Accuracies, IntervalChart, IntervalRow, STYLE};
pub use json::{Schema, read_json, to_json, write_json};
#[cfg(feature = "schema")]
pub use json_schema::json_schema;
#[cfg(feature = "html")]
pub use picture::{contact_sheet, save_animation, save_png, to_rgb_image};
#[cfg(feature = "html")]
pub use report::{
    NeuronImages, RealImage, RealImages, Report, recommendation_html, recommendation_svg,
};
pub use run::{Run, SkippedImage, StageFailure, Timing};
#[cfg(feature = "html")]
pub use unit_report::UnitReport;
pub use units::{Crop, TopImage, TopImages, UnitFindings, UnitPicture};
