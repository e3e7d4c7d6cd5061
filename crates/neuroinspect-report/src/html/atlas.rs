//! The page of an atlas: thousands of units, searched and shown by a script in the page itself.

use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use super::{parts::count, run};
use crate::{AtlasEntry, AtlasIndex, Error, Result};

const SCRIPT: &str = include_str!("atlas.js");
/// What the page has beside the style of all pages.
const ATLAS_STYLE: &str = include_str!("atlas.css");
/// Nothing is loaded but the pictures that lie beside the page.
const POLICY: &str = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'; \
                      script-src 'unsafe-inline'";

/// What the script reads.
#[derive(Serialize)]
struct Data<'a> {
    classes: &'a [String],
    units: Vec<Unit<'a>>,
}

#[derive(Serialize)]
struct Unit<'a> {
    /// Its address in the page.
    id: String,
    name: String,
    labels: &'a [String],
    pictures: Vec<Picture<'a>>,
}

/// A picture that diverged has no file.
#[derive(Serialize)]
struct Picture<'a> {
    class: Option<usize>,
    activation: Option<f32>,
    probability: Option<f32>,
    similarity: Option<f32>,
    /// That no step moved the unit, and why.
    unmoved: Option<String>,
    /// How far it can be trusted: a word, and in a sentence.
    verdict: Option<String>,
    trust: Option<String>,
    file: Option<&'a str>,
    masked: Option<&'a str>,
}

impl<'a> Picture<'a> {
    fn of(entry: &'a AtlasEntry) -> Self {
        let picture = entry.found.picture.as_ref();
        Self {
            class: entry.found.class.map(|class| class.0),
            activation: picture.map(|it| it.activation),
            probability: picture.and_then(|it| it.probability),
            similarity: picture.and_then(|it| it.clip_similarity),
            verdict: picture.and_then(|it| Some(it.trust.as_ref()?.verdict.to_string())),
            trust: picture.and_then(|it| Some(it.trust.as_ref()?.to_string())),
            unmoved: picture.and_then(|it| Some(it.unmoved.as_ref()?.to_string())),
            file: picture.map(|it| it.file.as_str()),
            masked: picture.and_then(|it| it.masked_file.as_deref()),
        }
    }
}

/// The page, whose pictures lie beside it.
pub(crate) fn page(index: &AtlasIndex) -> Result<Markup> {
    let AtlasIndex {
        layer,
        class_names,
        entries,
        run,
    } = index;
    let units = entries.chunk_by(|one, other| one.found.unit == other.found.unit);
    let units: Vec<Unit<'_>> = units
        .map(|entries| Unit {
            id: format!("unit-{}", entries[0].found.unit.kind.channel()),
            name: entries[0].found.unit.kind.to_string(),
            labels: &entries[0].labels,
            pictures: entries.iter().map(Picture::of).collect(),
        })
        .collect();
    let number = units.len();
    let pictures = entries
        .iter()
        .filter(|entry| entry.found.picture.is_some())
        .count();
    let within = entries.iter().any(|entry| entry.found.class.is_some());
    let data = Data {
        classes: class_names,
        units,
    };
    let data = serde_json::to_string(&data).map_err(|source| Error::Json {
        schema: "the page of an atlas",
        source,
    })?;
    // No text of it ends the element that it stands in.
    let data = data.replace('<', "\\u003c");
    let body = html! {
        header {
            p class="overline" { "neuroinspect \u{b7} " (run.model) " on " (run.data) }
            h1 { "The units of " code { (layer) } }
            p class="lede" {
                (count(number, "unit")) ", " (count(pictures, "picture"))
                ", each made to activate the unit most"
                @if within { " within a class" }
                "."
            }
        }
        main {
            noscript { p { "This page needs scripts, which are in it; index.json lists the same." } }
            form id="search" {
                input type="search" name="words" placeholder="Class, label or unit" aria-label="Search";
                select name="class" aria-label="Class" { option value="" { "all classes" } }
                output {}
            }
            div id="units" {}
            div id="unit" hidden {}
            div id="run" { (run::section(run, &run::Edited::default())?) }
        }
        script type="application/json" id="atlas" { (PreEscaped(data)) }
        script { (PreEscaped(SCRIPT)) }
    };
    let title = format!("atlas of {layer} of {}", run.model);
    Ok(super::document_under(POLICY, ATLAS_STYLE, &title, &body))
}
