//! All about one neuron.

use image::RgbImage;
use maud::{Markup, html};

use super::{
    neurons::Blame,
    parts::{bar, percent, pixels, thumbnail, value},
};
use crate::{
    ContextResponse, DebugSummary, IllusionPictures, NeuronPictures, RankedNeuron, Result, Sample,
    Visualization,
    picture::{Upscale, data_uri, fit},
};

/// Longer side of an embedded visualization, in pixels: twice its size on the page.
const ILLUSION: u32 = 448;
/// How many real images stand in a strip.
const STRIP: usize = 6;

/// The card of a neuron.
pub(super) fn card(summary: &DebugSummary, pictures: &NeuronPictures) -> Result<Markup> {
    let NeuronPictures {
        neuron,
        class,
        illusion,
        top_of_class,
        top_overall,
    } = pictures;
    let name = summary.name(*class);
    let of_class = format!("Real images of \u{201c}{name}\u{201d} that activate it most");
    let overall = "Real images of any class that activate it most";
    let visualization = visualization(summary, pictures);
    let objective = visualization
        .and_then(|visualization| visualization.objective.as_deref())
        .unwrap_or("the visualization");
    let caption = match visualization {
        Some(&Visualization {
            steps,
            steps_planned,
            ..
        }) if steps < steps_planned => {
            format!("{objective}, stopped at step {steps} of {steps_planned}")
        }
        _ => objective.to_owned(),
    };
    let illusion = match illusion {
        Some(illusion) => {
            let of = format!("neuron {neuron} for {name}");
            Some(figures(illusion, &caption, &of)?)
        }
        None => None,
    };
    let edit = summary.edit.as_ref();
    Ok(html! {
        article class="card" id={ "neuron-" (neuron) "-" (class) } {
            header {
                h3 { "Neuron " (neuron) }
                @for (blame, _) in roles(summary, pictures) {
                    span class={ "badge " (blame.word()) } { (blame.word()) }
                }
                @if edit.is_some_and(|edit| edit.neurons.contains(neuron)) {
                    span class="badge edited" { "edited" }
                }
                @if *class != summary.class {
                    span class="soft" { "pictured within \u{201c}" (name) "\u{201d}" }
                }
            }
            div class={ "sight" @if illusion.is_none() { " blind" } } {
                @if let Some(illusion) = &illusion { (illusion) }
                (facts(summary, pictures))
            }
            @if !top_of_class.is_empty() || !top_overall.is_empty() {
                div class="strips" {
                    (strip(summary, &of_class, top_of_class)?)
                    (strip(summary, overall, top_overall)?)
                }
            }
        }
    })
}

/// Where a neuron stands in the ranking; both lists may hold it.
fn roles<'a>(
    summary: &'a DebugSummary,
    pictures: &NeuronPictures,
) -> impl Iterator<Item = (Blame, &'a RankedNeuron)> {
    let ranking = &summary.ranking;
    let insufficient = ranking.insufficient.iter();
    let excessive = ranking.excessive.iter();
    insufficient
        .map(|ranked| (Blame::Insufficient, ranked))
        .chain(excessive.map(|ranked| (Blame::Excessive, ranked)))
        .filter(move |(_, ranked)| ranked.neuron == pictures.neuron)
}

/// What the summary says of a neuron's picture.
fn visualization<'a>(
    summary: &'a DebugSummary,
    pictures: &NeuronPictures,
) -> Option<&'a Visualization> {
    let key = (pictures.neuron, pictures.class);
    let mut visualizations = summary.visualizations.iter();
    visualizations.find(|picture| (picture.neuron, picture.class) == key)
}

fn facts(summary: &DebugSummary, pictures: &NeuronPictures) -> Markup {
    let ranked = roles(summary, pictures).next().map(|(_, ranked)| ranked);
    html! {
        dl class="facts" {
            @for (blame, ranked) in roles(summary, pictures) {
                div {
                    dt { "prec@5, " (blame.word()) b { (percent(ranked.prec_at_5)) } }
                    dd { (bar(ranked.prec_at_5, blame.word())) }
                }
            }
            @if let Some(ranked) = ranked {
                div {
                    dt { "importance" b { (value(ranked.importance)) } }
                    dd {
                        small {
                            "probability of \u{201c}" (summary.class_name)
                            "\u{201d} over the same with the neuron silenced"
                        }
                    }
                }
            }
            @if let Some(visualization) = visualization(summary, pictures) {
                (scores(visualization))
            }
            @if let Some(response) = ranked.and_then(|ranked| ranked.context_response.as_ref()) {
                (context(response))
            }
        }
    }
}

fn scores(visualization: &Visualization) -> Markup {
    let activation = f64::from(visualization.activation);
    html! {
        div {
            dt { "activation on its picture" b { (value(activation)) } }
            @if let Some(real) = visualization.top_real_activation.map(f64::from) {
                dd {
                    (bars(activation, real))
                    small { (value(real)) " on the strongest real image" }
                }
            }
        }
        @if let Some(similarity) = visualization.clip_similarity {
            div { dt { "CLIP similarity" b { (format!("{similarity:.3}")) } } }
        }
        @if let Some(relevance) = visualization.core_relevance {
            div { dt { "core relevance (a hint)" b { (format!("{relevance:.3}")) } } }
        }
    }
}

fn context(response: &ContextResponse) -> Markup {
    let (present, absent) = (f64::from(response.present), f64::from(response.absent));
    html! {
        div {
            dt { "mean activation with " (response.context) b { (value(present)) } }
            dd {
                (bars(present, absent))
                small { (value(absent)) " in the same scenes without it" }
            }
        }
    }
}

/// Two activations against the larger of them; one below zero has no length.
fn bars(first: f64, second: f64) -> Markup {
    let longest = first.max(second);
    let share = |value: f64| if longest > 0.0 { value / longest } else { 0.0 };
    html! { (bar(share(first), "plain")) (bar(share(second), "faint")) }
}

fn strip(summary: &DebugSummary, title: &str, samples: &[Sample]) -> Result<Markup> {
    let samples = samples.iter().take(STRIP);
    let thumbnails: Vec<_> = samples
        .map(|sample| thumbnail(summary, sample))
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

fn figures(pictures: &IllusionPictures, caption: &str, of: &str) -> Result<Markup> {
    let alt = format!("visualization of {of}");
    let alt_masked = format!("visualization of {of}, dimmed where the neuron is not active");
    Ok(html! {
        (figure(&pictures.image, caption, &alt)?)
        (figure(&pictures.masked_image, "where the neuron is active", &alt_masked)?)
    })
}

fn figure(picture: &RgbImage, caption: &str, alt: &str) -> Result<Markup> {
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
