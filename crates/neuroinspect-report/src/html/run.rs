//! How the report was made, and how its edit is applied.

use maud::{Markup, html};

use super::parts::count;
use crate::{EditFile, Error, Result, Run};

/// What there is to say of an edit.
#[derive(Default)]
pub(super) struct Edited<'a> {
    pub(super) file: Option<&'a EditFile>,
    pub(super) layer_sha256: Option<&'a str>,
}

pub(super) fn section(run: &Run, edited: &Edited<'_>) -> Result<Markup> {
    let configs: Vec<_> = run
        .configs
        .iter()
        .map(|(stage, config)| {
            let config = serde_json::to_string_pretty(config).map_err(|source| Error::Json {
                schema: "options of a stage",
                source,
            })?;
            Ok((stage, config))
        })
        .collect::<Result<_>>()?;
    Ok(html! {
        section {
            h2 { "How it was made" }
            p class="about" { "By NeuroInspect, arXiv 2310.07184. What it takes to make it again:" }
            div class="panel" {
                dl class="made" {
                    dt { "Model" } dd { (run.model) }
                    @if let Some(hash) = &run.weights_sha256 {
                        dt { "Weights, SHA-256" } dd { code { (hash) } }
                    }
                    dt { "Data" } dd { (run.data) }
                    dt { "Device" } dd { (run.device) }
                    dt { "Seed" } dd { (run.seed.0) }
                    dt { "neuroinspect" } dd { (run.version) }
                    @if !run.timings.is_empty() {
                        dt { "Time" }
                        dd id="timings" {
                            @for (index, timing) in run.timings.iter().enumerate() {
                                @if index > 0 { ", " }
                                (timing.stage) " " (format!("{:.1} s", timing.seconds))
                            }
                        }
                    }
                    @if let Some(file) = edited.file {
                        dt { "Edit file" } dd { code { (file.path) } }
                    }
                    @if let Some(count) = edits_looked_at(run).filter(|count| *count > 1) {
                        dt { "Edits tried" }
                        dd id="edits-tried" {
                            (count) " were looked at on the same samples. The best of many looks better than it is: measure it on others."
                        }
                    }
                    @if let Some(hash) = edited.layer_sha256 {
                        dt { "Layer edited, SHA-256" } dd { code { (hash) } }
                    }
                }
                @if let Some(command) = &run.command {
                    (listing("Command", command))
                }
                @if let Some(how) = edited.file.and_then(|file| file.how_to_apply.as_ref()) {
                    (listing("To apply the edit", how))
                }
                @for (stage, config) in &configs {
                    details { summary { "Options of " (stage) } pre { (config) } }
                }
                @if !run.skipped_images.is_empty() {
                    details {
                        summary { (count(run.skipped_images.len(), "image")) " skipped" }
                        ul {
                            @for image in &run.skipped_images {
                                li { code { (image.path) } ": " (image.reason) }
                            }
                        }
                    }
                }
            }
        }
    })
}

/// How many edits somebody looked at before this one was taken, as the studio records it.
fn edits_looked_at(run: &Run) -> Option<u64> {
    run.configs.get("studio")?.get("edits_looked_at")?.as_u64()
}

fn listing(title: &str, text: &str) -> Markup {
    html! {
        div class="listing" { h4 { (title) } pre { code { (text) } } }
    }
}
