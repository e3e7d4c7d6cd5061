//! All neurons, found by word or class.

use axum::{extract::State, response::Html};
use maud::{Markup, html};
use neuroinspect::{
    core::{ClassId, FeatureTable, NeuronId},
    illusion::classes_of_neuron,
};
use serde::Deserialize;

use crate::{
    address::Query,
    layout::{Page, page},
    refusal::Refusal,
    studio::{App, Studio, apart},
};

/// Neurons of a page.
const SHOWN: usize = 60;
/// Classes named for a neuron.
const CLASSES: usize = 3;

/// Which neurons are listed.
#[derive(Deserialize)]
pub(super) struct Asked {
    /// Part of a word or of a class's name, or a neuron's number; empty for all.
    #[serde(default)]
    q: String,
    /// The first of those found that is listed.
    #[serde(default)]
    from: usize,
}

pub(super) async fn list(
    State(studio): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, Refusal> {
    let content = apart(&studio, move |studio| content(studio, &asked)).await?;
    let of_page = Page {
        path: "/neuron",
        title: "Neurons",
        scripts: &["pictures.js"],
    };
    Ok(page(&studio, &of_page, &content))
}

fn content(studio: &Studio, asked: &Asked) -> Result<Markup, Refusal> {
    let session = studio.session()?;
    let layer = &session.layer;
    let labels = studio.labels.get(studio, session);
    let words = |neuron: NeuronId| -> Vec<&str> {
        labels.iter().flat_map(|labels| labels.of(neuron)).collect()
    };
    let looked_for = asked.q.trim().to_lowercase();
    let classes = |neuron| classes_of_neuron(layer, neuron, CLASSES);
    let mut found = Vec::new();
    for neuron in (0..layer.neurons()).map(NeuronId) {
        let has = |text: &str| text.to_lowercase().contains(&looked_for);
        let of_class = |class: &ClassId| has(studio.class_name(*class));
        let is_found = looked_for.is_empty()
            || neuron.to_string() == looked_for
            || words(neuron).into_iter().any(has)
            || classes(neuron)?.iter().any(of_class);
        if is_found {
            found.push(neuron);
        }
    }
    let shown = found.iter().skip(asked.from).take(SHOWN);
    let shown: Vec<NeuronId> = shown.copied().collect();
    let most_active = most_active(&session.table, &shown)?;
    let shown: Vec<_> = (shown.into_iter().zip(most_active))
        .map(|(neuron, row)| Ok((neuron, classes(neuron)?, row)))
        .collect::<Result<_, Refusal>>()?;
    let (from, to) = (asked.from, asked.from + shown.len());
    Ok(html! {
        p class="about" {
            "What the decision layer reads: " (layer.neurons()) " neurons. Each with the image that activates it most, "
            @if labels.is_some() { "its words, " }
            "and the classes that it speaks for most."
        }
        form class="inline find" method="get" role="search" {
            label for="q" { "Number, word or class " }
            input id="q" type="search" name="q" value=(asked.q);
            " " button { "Find" }
        }
        @if shown.is_empty() { p { "None is found." } }
        @else if shown.len() < found.len() { p class="soft" { (from + 1) " to " (to) " of " (found.len()) ":" } }
        ul class="thumbnails gallery" {
            @for (neuron, classes, row) in &shown {
                li {
                    a href={ "/neuron/" (neuron) } {
                        figure {
                            @if let Some(row) = row {
                                img loading="lazy" src={ "/thumbnail/" (row) "?" (session.key) }
                                    alt={ "The image that activates neuron " (neuron) " most" };
                            }
                            figcaption {
                                b { "neuron " (neuron) }
                                @if labels.is_some() { span { (words(*neuron).join(", ")) } }
                                span class="soft" {
                                    @for (place, class) in classes.iter().enumerate() {
                                        @if place > 0 { ", " }
                                        (studio.class_name(*class))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        nav class="steps" aria-label="Parts of the list" {
            @if from > 0 { (step(asked, from.saturating_sub(SHOWN), "prev", "\u{2190} those before")) }
            @if to < found.len() { (step(asked, to, "next", "those after \u{2192}")) }
        }
    })
}

/// For each of some neurons the row that activates it most, in one pass through the table.
fn most_active(
    table: &FeatureTable,
    neurons: &[NeuronId],
) -> neuroinspect::core::Result<Vec<Option<usize>>> {
    let mut highest: Vec<Option<(usize, f32)>> = vec![None; neurons.len()];
    table.activations().visit(0..table.len(), |row, features| {
        for (neuron, highest) in neurons.iter().zip(&mut highest) {
            let value = features[neuron.0];
            if highest.is_none_or(|(_, known)| value > known) {
                *highest = Some((row, value));
            }
        }
    })?;
    Ok(highest
        .into_iter()
        .map(|it| it.map(|(row, _)| row))
        .collect())
}

fn step(asked: &Asked, from: usize, rel: &str, name: &str) -> Markup {
    html! {
        form method="get" {
            input type="hidden" name="q" value=(asked.q);
            input type="hidden" name="from" value=(from);
            button data-step=(rel) { (name) }
        }
    }
}
