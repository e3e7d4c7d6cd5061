//! All about one neuron.

use image::RgbImage;
use maud::{Markup, html};
use neuroinspect_counterfactual::RankedNeuron;
use neuroinspect_editing::percent;
use neuroinspect_illusion::{Objective, Pair};

use super::{
    labels::labels,
    neurons::Blame,
    parts::{bar, file_name, pixels, thumbnail, thumbnail_of, trust, value},
};
use crate::{
    ContextEffect, Findings, NeuronImages, NeuronPicture, RealImage, Result,
    picture::{Upscale, data_uri, fit},
    report::Shown,
};

/// Longer side of an embedded visualization, in pixels: twice its size on the page.
const ILLUSION: u32 = 448;
/// How many real images stand in a strip.
const STRIP: usize = 6;

/// The card of a neuron.
pub(super) fn card(findings: &Findings, images: &NeuronImages) -> Result<Markup> {
    let NeuronImages {
        pair: Pair { neuron, class },
        top_of_class,
        top_overall,
    } = images;
    let name = findings.name_of(*class);
    let of_class = format!("Real images of \u{201c}{name}\u{201d} that activate it most");
    let overall = "Real images of any class that activate it most";
    let figures = match findings.picture(images.pair) {
        Some(picture) => {
            let of = format!("neuron {neuron} for {name}");
            Some(figures(picture, &caption(findings, picture), &of)?)
        }
        None => None,
    };
    let edit = findings.edit.as_ref();
    Ok(html! {
        article class="card" id={ "neuron-" (neuron) "-" (class) } {
            header {
                h3 { "Neuron " (neuron) }
                @for (blame, _) in roles(findings, images) {
                    span class={ "badge " (blame.word()) } { (blame.word()) }
                }
                @if edit.is_some_and(|edit| edit.neurons.contains(neuron)) {
                    span class="badge edited" { "edited" }
                }
                @if *class != findings.class {
                    span class="soft" { "pictured within \u{201c}" (name) "\u{201d}" }
                }
            }
            div class={ "sight" @if figures.is_none() { " blind" } } {
                @if let Some(figures) = &figures { (figures) }
                (facts(findings, images))
            }
            @if !top_of_class.is_empty() || !top_overall.is_empty() {
                div class="strips" {
                    (strip(findings, &of_class, top_of_class)?)
                    (strip(findings, overall, top_overall)?)
                    (crops(top_of_class.iter().chain(top_overall))?)
                }
            }
        }
    })
}

/// What a picture was optimised for, and how far.
fn caption(findings: &Findings, picture: &NeuronPicture) -> String {
    let objective = objective_name(&findings.recipe.objective);
    let (steps, planned) = (picture.illusion.steps, findings.recipe.steps);
    match steps < planned {
        true => format!("{objective}, stopped at step {steps} of {planned}"),
        false => objective,
    }
}

/// What pictures optimised for an objective are called; an unusual one by itself.
fn objective_name(objective: &Objective) -> String {
    let is = |other: &Objective| objective == other;
    match objective {
        Objective::Neuron => "feature visualization".to_owned(),
        Objective::Product(factors) => match factors.as_slice() {
            [Objective::Sum(guided), rest]
                if matches!(
                    guided.as_slice(),
                    [Objective::Similarity, Objective::Constant(_)]
                ) && is_conditional(rest) =>
            {
                "CLIP-Illusion".to_owned()
            }
            _ => objective.to_string(),
        },
        _ if is(&Objective::feature_visualization(0.1)) => "feature visualization".to_owned(),
        _ if is_conditional(objective) => "neuron and class, without CLIP".to_owned(),
        _ => objective.to_string(),
    }
}

/// Whether an objective is the neuron and, with some weight, its class.
fn is_conditional(objective: &Objective) -> bool {
    let Objective::Sum(terms) = objective else {
        return false;
    };
    let [Objective::Neuron, Objective::Scale(_, of)] = terms.as_slice() else {
        return false;
    };
    matches!(**of, Objective::ClassLogit)
}

/// Where a neuron stands in the ranking; both lists may hold it.
fn roles<'a>(
    findings: &'a Findings,
    images: &NeuronImages,
) -> impl Iterator<Item = (Blame, &'a RankedNeuron)> {
    let ranking = &findings.ranking;
    let insufficient = ranking.insufficient.iter();
    let excessive = ranking.excessive.iter();
    let neuron = images.pair.neuron;
    insufficient
        .map(|ranked| (Blame::Insufficient, ranked))
        .chain(excessive.map(|ranked| (Blame::Excessive, ranked)))
        .filter(move |(_, ranked)| ranked.neuron == neuron)
}

fn facts(findings: &Findings, images: &NeuronImages) -> Markup {
    let ranked = roles(findings, images).next().map(|(_, ranked)| ranked);
    html! {
        dl class="facts" {
            @for (blame, ranked) in roles(findings, images) {
                div {
                    dt {
                        "prec@" (findings.ranking.top) ", " (blame.word())
                        b { (percent(ranked.prec_at_k)) }
                    }
                    dd { (bar(ranked.prec_at_k, blame.word())) }
                }
            }
            @if let Some(ranked) = ranked {
                div {
                    dt { "importance" b { (value(ranked.importance)) } }
                    dd {
                        small {
                            "probability of \u{201c}" (findings.class_name())
                            "\u{201d} over the same with the neuron silenced"
                        }
                    }
                }
            }
            (labels(findings, images.pair.neuron))
            @if let Some(picture) = findings.picture(images.pair) {
                (scores(picture))
            }
            @if let Some(effect) = findings.context_effects.get(images.pair.neuron.0) {
                (context(effect))
            }
        }
    }
}

fn scores(picture: &NeuronPicture) -> Markup {
    let activation = f64::from(picture.illusion.activation);
    html! {
        div {
            dt { "activation on its picture" b { (value(activation)) } }
            @if let Some(real) = picture.top_real_activation.map(f64::from) {
                dd {
                    (bars(activation, real))
                    small { (value(real)) " on the strongest real image" }
                }
            }
        }
        (trust(picture.trust.as_ref(), picture.illusion.unmoved.as_ref()))
        @if let Some(similarity) = picture.illusion.clip_similarity {
            div { dt { "CLIP similarity" b { (format!("{similarity:.3}")) } } }
        }
        @if let Some(relevance) = picture.core_relevance {
            div { dt { "core relevance (a hint)" b { (format!("{relevance:.3}")) } } }
        }
    }
}

fn context(effect: &ContextEffect) -> Markup {
    let (present, absent) = (f64::from(effect.present), f64::from(effect.absent));
    html! {
        div {
            dt { "mean activation with " (effect.context) b { (value(present)) } }
            dd {
                (bars(present, absent))
                small { (value(absent)) " in the same scenes without it" }
            }
        }
    }
}

/// Two activations against the larger of them; one below zero has no length.
pub(super) fn bars(first: f64, second: f64) -> Markup {
    let longest = first.max(second);
    let share = |value: f64| if longest > 0.0 { value / longest } else { 0.0 };
    html! { (bar(share(first), "plain")) (bar(share(second), "faint")) }
}

fn strip(findings: &Findings, title: &str, samples: &[RealImage]) -> Result<Markup> {
    let samples = samples.iter().take(STRIP);
    let thumbnails: Vec<_> = samples
        .map(|sample| thumbnail(findings, sample))
        .collect::<Result<_>>()?;
    Ok(html! {
        @if !thumbnails.is_empty() {
            div {
                h4 { (title) }
                ul class="strip" { @for thumbnail in &thumbnails { li { (thumbnail) } } }
            }
        }
    })
}

/// Where a neuron is most active in real images, each of which may stand in several strips.
fn crops<'a>(samples: impl Iterator<Item = &'a RealImage>) -> Result<Markup> {
    let mut shown: Vec<&str> = Vec::new();
    let mut crops = Vec::new();
    for sample in samples {
        let Some(crop) = &sample.crop else { continue };
        if shown.len() < STRIP && !shown.contains(&sample.id.as_str()) {
            shown.push(&sample.id);
            let caption = html! {
                span class="id" title=(sample.id) { (file_name(&sample.id)) }
            };
            let alt = "the part of a real image where the neuron is most active";
            crops.push(thumbnail_of(crop, &sample.id, alt, &caption)?);
        }
    }
    Ok(html! {
        @if !crops.is_empty() {
            div {
                h4 { "Where in them it is most active" }
                ul class="strip" { @for crop in &crops { li { (crop) } } }
            }
        }
    })
}

fn figures(picture: &NeuronPicture, caption: &str, of: &str) -> Result<Markup> {
    let shown = Shown::new(picture)?;
    let alt = format!("visualization of {of}");
    let alt_masked = format!("visualization of {of}, dimmed where the neuron is not active");
    let masked = shown
        .masked_image
        .map(|masked| figure(&masked, "where the neuron is active", &alt_masked))
        .transpose()?;
    Ok(html! {
        (figure(&shown.image, caption, &alt)?)
        @if let Some(masked) = masked { (masked) }
    })
}

pub(super) fn figure(picture: &RgbImage, caption: &str, alt: &str) -> Result<Markup> {
    let picture = fit(picture, ILLUSION, Upscale::No);
    let uri = data_uri(alt, &picture)?;
    Ok(html! {
        figure {
            img class=[pixels(&picture)]
                src=(uri) alt=(alt) width=(picture.width()) height=(picture.height());
            figcaption class="soft" { (caption) }
        }
    })
}
