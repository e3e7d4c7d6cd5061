//! Pictures, JSON and HTML reports out of neuroinspect's results.
//!
//! A [`Report`] is a [`DebugSummary`] (ids, names and numbers) with the pictures that go with it.
//! [`Report::write`] turns it into a folder:
//!
//! | file | for |
//! | --- | --- |
//! | `report.html` | people: one file, no scripts, nothing loaded from anywhere; light, dark or on paper |
//! | `summary.json` | programs: the [`DebugSummary`] as it is |
//! | `neurons/*.png` | the pictures the summary names |
//! | `neurons.png` | a contact sheet: real images, visualization, the same masked, a row per neuron |
//!
//! `evaluate` writes an [`EvaluationSummary`] alone. [`to_rgb_image`], [`save_png`]
//! and [`contact_sheet`] serve on their own, too.
//!
//! This crate does not know how results came to be: it has its own words for them, those of the
//! files, and depends on no crate that computes anything. Files are written whole or not at all.
//! What came from the user, such as names of classes and paths, is escaped in the HTML.
//!
//! # Example
//!
//! ```
//! use ndarray::Array3;
//! use neuroinspect_core::{ClassId, Metrics, NeuronId, Seed};
//! use neuroinspect_report::{
//!     DebugSummary, RankedNeuron, Ranking, Report, Run, Sample, to_rgb_image,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Two cats and a dog, and one of the cats was taken for a dog.
//! let labels = [0, 0, 1].map(ClassId);
//! let predictions = [0, 1, 1].map(ClassId);
//! let summary = DebugSummary {
//!     class: ClassId(0),
//!     class_name: "cat".into(),
//!     class_names: vec!["cat".into(), "dog".into()],
//!     group_names: vec![],
//!     samples: 2,
//!     mistakes: 1,
//!     confusions: vec![],
//!     unflipped: 0,
//!     metrics: Metrics::new(&labels, &predictions, 2, None)?,
//!     ranking: Ranking {
//!         insufficient: vec![RankedNeuron {
//!             neuron: NeuronId(3),
//!             prec_at_5: 1.0,
//!             importance: 1.25,
//!             context_response: None,
//!         }],
//!         excessive: vec![],
//!     },
//!     visualizations: vec![],
//!     edit: None,
//!     interrupted: false,
//!     failures: vec![],
//!     run: Run::new("toy", "three images", "flex", Seed(0)),
//! };
//! let mistake = Sample {
//!     id: "cat/2.png".into(),
//!     label: labels[1],
//!     prediction: predictions[1],
//!     activation: None,
//!     image: to_rgb_image(Array3::from_elem((3, 32, 32), 0.5).view())?,
//! };
//! let report = Report { summary, mistakes: vec![mistake], neurons: vec![] };
//!
//! let folder = tempfile::tempdir()?;
//! report.write(&folder)?;
//! let html = std::fs::read_to_string(folder.path().join(Report::HTML_FILE))?;
//! assert!(html.contains("1 of 2 samples of \u{201c}cat\u{201d} wrong"));
//! # Ok(())
//! # }
//! ```

mod error;
mod html;
mod picture;
mod report;
mod summary;
mod validate;

pub use error::{Error, Result};
pub use picture::{contact_sheet, save_png, to_rgb_image};
pub use report::{IllusionPictures, NeuronPictures, Report, Sample};
pub use summary::{
    Confusion, ContextResponse, DebugSummary, Edit, EvaluationSummary, RankedNeuron, Ranking, Run,
    SkippedImage, StageFailure, Timing, Visualization,
};
