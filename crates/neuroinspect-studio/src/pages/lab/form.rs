//! What is set of the pictures that are asked for.

use maud::{Markup, html};
use serde::Deserialize;

use crate::{expression::written, refusal::Refusal, studio::Studio};

/// Objectives to begin with; the first needs CLIP.
const PRESETS: &[(&str, &str)] = &[
    (
        "(similarity + 0.05) * (neuron + 0.5 * logit)",
        "CLIP-Illusion",
    ),
    ("neuron + 0.5 * logit", "within the class, without CLIP"),
    ("neuron", "by itself"),
    ("neuron - 0.5 * total_variation", "by itself, smoother"),
];
/// Seeds to begin with.
const SEEDS: &str = "0, 1, 2";

/// What the form's fields hold to begin with: an address says it, so that it can be sent.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Filled {
    layer: Option<String>,
    channel: String,
    row: String,
    column: String,
    class: Option<usize>,
    objective: Option<String>,
    seeds: String,
    steps: Option<usize>,
    size: Option<String>,
}

impl Default for Filled {
    fn default() -> Self {
        Self {
            layer: None,
            channel: "0".to_owned(),
            row: String::new(),
            column: String::new(),
            class: None,
            objective: None,
            seeds: SEEDS.to_owned(),
            steps: None,
            size: None,
        }
    }
}

pub(super) fn form(studio: &Studio, filled: &Filled) -> Result<Markup, Refusal> {
    let opened = &studio.opened;
    let recipe = &opened.config.recipe;
    let layers = opened.classifier.layers()?;
    let size = recipe.size.map_or(String::new(), |size| size.to_string());
    let objective = written(&recipe.objective, opened.class_names());
    let presets = match opened.encoder {
        Some(_) => PRESETS,
        None => &PRESETS[1..],
    };
    Ok(html! {
        form class="order lab" data-post="/lab/pictures" data-address {
            div class="fields" {
                label { "Layer "
                    input name="layer" list="layers" required value=(filled.layer.as_deref().unwrap_or(opened.classifier.penultimate()))
                        autocomplete="off" spellcheck="false"; }
                datalist id="layers" {
                    @for layer in &layers {
                        option value=(layer.name) { (layer.channels) " channels, " (layer.kind) }
                    }
                }
                label { "Channel or neuron "
                    input type="number" name="channel" min="0" step="1" required value=(filled.channel) data-number; }
                label { "One position: row "
                    input type="number" name="row" min="0" step="1" value=(filled.row) placeholder="all" data-number; }
                label { "and column "
                    input type="number" name="column" min="0" step="1" value=(filled.column) placeholder="all" data-number; }
                label { "Class "
                    select name="class" data-number {
                        @for (index, name) in opened.class_names().iter().enumerate() {
                            option value=(index) selected[filled.class == Some(index)] { (name) }
                        }
                    } }
                label { "Seeds " input name="seeds" value=(filled.seeds) inputmode="numeric"; }
                label { "Steps " input type="number" name="steps" min="1" step="1" value=(filled.steps.unwrap_or(recipe.steps)) data-number; }
                label { "Side in pixels "
                    input type="number" name="size" min="2" step="2" value=(filled.size.as_ref().unwrap_or(&size)) placeholder="as the classifier" data-number; }
            }
            p {
                label { "Objective: what is maximised "
                    input class="wide" name="objective" list="objectives" required value=(filled.objective.as_deref().or(objective.as_deref()).unwrap_or(presets[0].0))
                        autocomplete="off" spellcheck="false"; }
                datalist id="objectives" { @for (text, what) in presets { option value=(text) { (what) } } }
            }
            p class="buttons" {
                span class="soft" { "Usual ones:" }
                @for (text, what) in presets {
                    button type="button" class="small" data-fill="objective" value=(text) title=(text) { (what) }
                }
            }
            p class="about" {
                code { "neuron" } " is the activation of what is pictured, " code { "logit" } " and "
                code { "similarity" } " (CLIP\u{2019}s) are those of the class; " code { "total_variation" } ", "
                code { "logit(CLASS)" } ", " code { "channel(LAYER, N)" } " and "
                code { "clamp(EXPRESSION, LEAST, MOST)" } ", joined by " code { "+ - * ( )" } " and numbers."
            }
            p { button class="primary" { "Make the pictures" } }
            p class="failure" role="alert" hidden {}
        }
    })
}
