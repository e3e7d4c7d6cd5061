//! How the report was made, and how its edit is applied.

use maud::{Markup, html};

use super::parts::count;
use crate::{Error, Findings, Result};

pub(super) fn section(findings: &Findings) -> Result<Markup> {
    let run = &findings.run;
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
                    @if let Some(file) = &findings.edit_file {
                        dt { "Edit file" } dd { code { (file.path) } }
                    }
                    @if let Some(edit) = &findings.edit {
                        dt { "Layer edited, SHA-256" } dd { code { (edit.layer_sha256) } }
                    }
                }
                @if let Some(command) = &run.command {
                    (listing("Command", command))
                }
                @if let Some(how) = findings.edit_file.as_ref().and_then(|file| file.how_to_apply.as_ref()) {
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

fn listing(title: &str, text: &str) -> Markup {
    html! {
        div class="listing" { h4 { (title) } pre { code { (text) } } }
    }
}
