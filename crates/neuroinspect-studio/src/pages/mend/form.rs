//! What is set of an edit, and the neurons that are offered to be ticked.

use axum::{extract::State, response::Html};
use maud::{Markup, html};
use neuroinspect::{
    NeuronChoice,
    core::{ClassId, NeuronId},
    counterfactual::Ranking,
    editing::{LabelsUsed, MethodArguments, RatioForm, about_method, method_named, percent},
};
use serde::Deserialize;
use serde_json::Map;

use super::super::class::TICKED;
use crate::{
    address::Query,
    refusal::Refusal,
    session::Session,
    studio::{App, Studio, apart},
    trials::{Asked, choice_name, offered},
};

/// Neurons of the ranking that are offered to be ticked.
pub(in crate::pages) const OFFERED: usize = 24;

/// A method as it is offered.
struct Method {
    name: &'static str,
    /// What it cannot do without: `class`, `neurons`.
    needs: Vec<&'static str>,
    about: String,
}

fn method(name: &'static str) -> Option<Method> {
    let all = MethodArguments {
        class: Some(ClassId(0)),
        neurons: vec![NeuronId(0)],
        ..MethodArguments::default()
    };
    let method = method_named(name, &all, &Map::new()).ok()?;
    let (mut classless, mut neuronless) = (all.clone(), all);
    classless.class = None;
    neuronless.neurons.clear();
    let without = [("class", classless), ("neurons", neuronless)];
    let needs: Vec<_> = without
        .into_iter()
        .filter(|(_, arguments)| method_named(name, arguments, &Map::new()).is_err())
        .map(|(need, _)| need)
        .collect();
    let labels = match method.labels() {
        LabelsUsed::None => "no labels",
        LabelsUsed::Class => "labels of classes",
        LabelsUsed::GroupsOfValidation | LabelsUsed::GroupsOfTraining => "labels of groups",
    };
    let neurons = match (needs.contains(&"neurons"), method.neurons().is_empty()) {
        (true, _) => "what is ticked",
        (false, false) => "what is ticked, if anything is,",
        (false, true) => "nothing that is ticked",
    };
    let paper = method
        .citation()
        .map_or_else(String::new, |paper| format!(" {}.", paper.text));
    let what = about_method(name).ok()?;
    let about = format!("{what} Uses {neurons} and {labels}.{paper}");
    Some(Method { name, needs, about })
}

pub(super) fn form(studio: &Studio, session: &Session, asked: &Asked) -> Markup {
    let number = |name: &str, title: &str, value: String, note: &str| {
        html! {
            label {
                span { (title) }
                input type="number" step="any" min="0" name=(name) value=(value) placeholder=(note);
            }
        }
    };
    let methods: Vec<_> = offered().filter_map(method).collect();
    html! {
        form id="mend" aria-label="The edit that is tried" autocomplete="off" {
            label {
                span { "Class to be helped" }
                select name="class" {
                    option value="" selected[asked.class.is_none()] { "all classes alike" }
                    @for (index, name) in studio.opened.class_names().iter().enumerate() {
                        option value=(index) selected[asked.class == Some(index)] { (name) }
                    }
                }
            }
            fieldset {
                legend { "Neurons" }
                p class="soft" { "Those behind the class\u{2019}s mistakes, each with the share of them that blames it." }
                div class="buttons" {
                    span class="soft" { "Tick" }
                    button type="button" class="small" data-tick=(TICKED) { "first " (TICKED) }
                    button type="button" class="small" data-tick=(OFFERED) { "all listed" }
                    button type="button" class="small" id="none" { "none" }
                }
                div id="neurons" { p class="soft" { "Looking for those behind the mistakes \u{2026}" } }
                label {
                    span { "Others, by number (of " (session.layer.neurons()) ")" }
                    input type="text" name="others" inputmode="numeric" autocomplete="off" placeholder="12, 40";
                }
            }
            label {
                span { "Method" }
                select name="method" {
                    @for (uses, title) in [(true, "of the ticked neurons"), (false, "of the whole layer")] {
                        optgroup label=(title) {
                            @for method in methods.iter().filter(|it| it.needs.contains(&"neurons") == uses) {
                                option value=(method.name) selected[asked.method == method.name] data-needs=(method.needs.join(" ")) {
                                    (method.name.replace('_', " "))
                                }
                            }
                        }
                    }
                }
            }
            div id="ratio-options" {
                label {
                    span { "Strength \u{3bb}" }
                    input type="number" step="any" min="0" name="lambda" value=(asked.lambda);
                }
                label {
                    span class="hidden" { "Strength, by a slider" }
                    // Its logarithm: strengths from a thousandth to ten are worth trying.
                    input type="range" id="strength" min="-3" max="1" step="0.1";
                }
            }
            @for method in &methods {
                p class="soft about-method" data-method=(method.name) hidden { (method.about) }
            }
            details {
                summary { "Ratio and training" }
                div class="of-ratio" {
                    (number("target", "Ratio aimed at", asked.target.map_or(String::new(), |it| it.to_string()), "automatic"))
                    label {
                        span { "Ratio of" }
                        select name="form" {
                            @for (form, text) in [(RatioForm::Joint, "all neurons together"), (RatioForm::PerNeuron, "each neuron")] {
                                option value=(choice_name(&form)) selected[asked.form == form] { (text) }
                            }
                        }
                    }
                }
                label {
                    span { "Epochs" }
                    input type="number" step="1" min="1" name="epochs" value=(asked.epochs);
                }
                (number("rate", "Learning rate", asked.rate.to_string(), ""))
            }
            div class="buttons last" {
                button type="button" id="undo" disabled { "Undo" }
                button type="button" id="sweep" title="The same edit at six strengths" { "Try six strengths" }
            }
        }
    }
}

/// Whose neurons are offered.
#[derive(Deserialize)]
pub(super) struct Offer {
    class: Option<usize>,
    /// Those that an edit is to be trained for.
    epochs: Option<usize>,
}

/// The neurons that a mend begins with: those that the options edit.
fn first(choice: &NeuronChoice, ranking: &Ranking) -> Vec<NeuronId> {
    match choice {
        NeuronChoice::Auto { count } => ranking.first(*count),
        NeuronChoice::Listed => ranking.first(usize::MAX),
        NeuronChoice::Given(neurons) => neurons.clone(),
        _ => ranking.first(TICKED),
    }
}

/// The neurons that a ranking offers.
pub(super) async fn neurons(
    State(studio): State<App>,
    Query(Offer { class, epochs }): Query<Offer>,
) -> Result<Html<String>, Refusal> {
    let Some(class) = class else {
        let text = html! { p class="soft" { "With a class, those behind its mistakes are offered here." } };
        return Ok(Html(text.into_string()));
    };
    let (class, _) = studio.class(class)?;
    let ranked = apart(&studio, move |studio| {
        let ranked = studio.session()?.ranked(&studio.opened, class);
        ranked.map_err(Refusal::Bad)
    })
    .await?;
    let ranking = &ranked.ranking;
    // A training that takes minutes is begun by nobody who only looks.
    let ticked = match studio.session()?.edits_take_seconds(epochs) {
        true => first(&studio.opened.config.neurons, ranking),
        false => Vec::new(),
    };
    let ticked: Vec<_> = ticked.iter().map(ToString::to_string).collect();
    let kind = |neuron| {
        let list = [
            ("too weak", &ranking.insufficient),
            ("too strong", &ranking.excessive),
        ];
        let found = list.into_iter().filter_map(|(kind, list)| {
            let line = list.iter().find(|line| line.neuron == neuron)?;
            Some((line.votes, kind))
        });
        found.max_by_key(|&(votes, _)| votes)
    };
    let listed = html! {
        ul class="ticks" data-ticked=(ticked.join(",")) {
            @for neuron in ranking.first(OFFERED) {
                @if let Some((votes, kind)) = kind(neuron) {
                    li {
                        label {
                            input type="checkbox" name="neuron" value=(neuron);
                            span { span class="hidden" { "neuron " } (neuron) }
                            span class="soft" {
                                (kind) " in " (percent(votes as f64 / ranking.mistakes.max(1) as f64))
                            }
                        }
                        a href={ "/neuron/" (neuron) "?class=" (class) } aria-label={ "See neuron " (neuron) } { "see" }
                    }
                }
            }
        }
    };
    Ok(Html(listed.into_string()))
}
