//! A neuron: what it means within classes, and which images activate it.

mod histogram;
mod list;
mod real;

use std::collections::BTreeSet;

use axum::{
    Json, Router,
    extract::State,
    response::{Html, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use neuroinspect::{
    core::{ClassId, NeuronId, Seed},
    illusion::classes_of_neuron,
};
use serde::Deserialize;

use super::pictures::{self, Shown};
use crate::{
    address::{Path, Query},
    jobs::{Job, Order},
    layout::{Page, page},
    pictures::{PictureOrder, Subject},
    refusal::Refusal,
    session::Session,
    studio::{App, Studio, apart},
    work::Work,
};

/// Classes that are suggested to picture a neuron within.
const SUGGESTED: usize = 3;
/// Classes that each have a line of their own; of more, those that the neuron speaks for or against most.
const CLASSES_SHOWN: usize = 12;
/// Words of a list, at most.
const MOST_WORDS: usize = 5000;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/neuron", get(list::list))
        .route("/neuron/{neuron}", get(neuron))
        .route("/neuron/{neuron}/pictures", get(of_neuron).post(order))
        .route("/neuron/{neuron}/words", get(of_words))
        .route("/neuron/{neuron}/place/{row}", get(whole))
        .route("/neuron/{neuron}/place/{row}/part", get(part))
        .route("/labels", post(label))
}

/// What of a neuron is shown.
#[derive(Deserialize)]
struct View {
    /// The class whose images are shown beside those of all.
    class: Option<usize>,
}

async fn neuron(
    State(studio): State<App>,
    Path(neuron): Path<usize>,
    Query(view): Query<View>,
) -> Result<Html<String>, Refusal> {
    let neuron = studio.neuron(neuron)?;
    let class = view.class.map(|class| studio.class(class));
    let class = class.transpose()?.map(|(class, _)| class);
    let content = apart(&studio, move |studio| content(studio, neuron, class)).await?;
    let of_page = Page {
        path: &format!("/neuron/{neuron}"),
        title: &format!("Neuron {neuron}"),
        scripts: &["pictures.js"],
    };
    Ok(page(&studio, &of_page, &content))
}

fn content(studio: &Studio, neuron: NeuronId, class: Option<ClassId>) -> Result<Markup, Refusal> {
    let session = studio.session()?;
    let layer = &session.layer;
    let suggested = classes_of_neuron(layer, neuron, SUGGESTED)?;
    let shown = match class.or(suggested.first().copied()) {
        Some(class) => class,
        None => return Err(Refusal::NotFound("there are no classes".to_owned())),
    };
    let last = layer.neurons() - 1;
    let at = |neuron: usize| format!("/neuron/{neuron}");
    // Words say at once what it is; to be asked for, they come last.
    let has_words = studio.labels.get(studio, session).is_some();
    Ok(html! {
        nav class="steps" aria-label="Neurons" {
            @if neuron.0 > 0 { a rel="prev" href=(at(neuron.0 - 1)) { "\u{2190} neuron " (neuron.0 - 1) } }
            @if neuron.0 < last { a rel="next" href=(at(neuron.0 + 1)) { "neuron " (neuron.0 + 1) " \u{2192}" } }
            a href="/neuron" { "all " (layer.neurons()) " neurons" }
            a href={ "/mend?class=" (shown) "&neurons=" (neuron) } { "try an edit of it for " (studio.class_name(shown)) }
        }
        @if has_words { (words(studio, session, neuron)) }
        (real::section(studio, session, neuron, shown)?)
        section aria-labelledby="pictures-title" {
            h2 id="pictures-title" { "Pictures of what it looks for, within classes" }
            p class="about" {
                "A picture is optimised so that it maximises " code { (studio.objective(&studio.opened.config.recipe.objective)) }
                " for the neuron and a class. Where the classifier says where its neurons are active, the second of each "
                "is dimmed where this one is not."
            }
            (order_form(studio, neuron, &suggested))
            div
                id="pictures"
                data-fragment={ (at(neuron.0)) "/pictures" }
                // The picture lab and earlier runs make pictures of neurons, too.
                data-page="*"
                data-seen=(studio.jobs.last_event())
            {
                (pictures_of(studio, neuron)?)
            }
        }
        (histogram::section(session, neuron, &classes_shown(session, neuron, class))?)
        @if !has_words { (words(studio, session, neuron)) }
    })
}

/// The classes that have a line of their own: all, or those whose logits the neuron moves most, and the one asked
/// for.
fn classes_shown(session: &Session, neuron: NeuronId, class: Option<ClassId>) -> Vec<ClassId> {
    let weights = session.layer.weight();
    let weights = weights.column(neuron.0);
    let mut classes: Vec<ClassId> = (0..session.layer.classes()).map(ClassId).collect();
    if classes.len() > CLASSES_SHOWN {
        classes.sort_by(|a, b| weights[b.0].abs().total_cmp(&weights[a.0].abs()));
        classes.truncate(CLASSES_SHOWN);
        if let Some(class) = class.filter(|class| !classes.contains(class)) {
            classes.pop();
            classes.push(class);
        }
    }
    classes.sort_by(|a, b| weights[b.0].total_cmp(&weights[a.0]));
    classes
}

/// The words that go with the neuron, and a way to come by some.
fn words(studio: &Studio, session: &Session, neuron: NeuronId) -> Markup {
    let labels = studio.labels.get(studio, session);
    let names = studio.opened.class_names().join("\n");
    html! {
        section aria-labelledby="words-title" {
            h2 id="words-title" { "In words" }
            div
                data-fragment={ "/neuron/" (neuron) "/words" }
                data-page="/neuron"
                data-seen=(studio.jobs.last_event())
            {
                (words_of(studio, session, neuron))
            }
            @if studio.opened.encoder.is_some() {
                details {
                    summary { @if labels.is_some() { "Choose from other words" } @else { "Give all neurons words, by CLIP" } }
                    form data-post="/labels" {
                        label for="words" { "Words to choose from, one a line" }
                        textarea id="words" name="words" rows="6" spellcheck="false" {
                            (labels.as_ref().map_or(names, |labels| labels.words.join("\n")))
                        }
                        p { button { "Label all neurons" } }
                        p class="failure" role="alert" hidden {}
                    }
                }
            } @else if labels.is_none() {
                p class="about" { "Words need CLIP: start the studio with --clip-weights FILE." }
            }
        }
    }
}

fn words_of(studio: &Studio, session: &Session, neuron: NeuronId) -> Markup {
    html! {
        @if let Some(labels) = studio.labels.get(studio, session) {
            ul class="chips" { @for word in labels.of(neuron) { li { (word) } } }
            p class="about" {
                "Of " (labels.words.len()) " words, those that CLIP sees in the images that activate it most."
            }
        }
    }
}

async fn of_words(
    State(studio): State<App>,
    Path(neuron): Path<usize>,
) -> Result<Html<String>, Refusal> {
    let neuron = studio.neuron(neuron)?;
    let words = words_of(&studio, studio.session()?, neuron);
    Ok(Html(words.into_string()))
}

fn order_form(studio: &Studio, neuron: NeuronId, suggested: &[ClassId]) -> Markup {
    let names = studio.opened.class_names();
    let is_suggested = |class: usize| suggested.contains(&ClassId(class));
    let first = suggested.iter().map(|class| class.0);
    let others = (0..names.len()).filter(|class| !is_suggested(*class));
    html! {
        form class="order" data-post={ "/neuron/" (neuron) "/pictures" } {
            fieldset {
                legend { "Classes" }
                div class="choices" {
                    @for class in first.chain(others) {
                        label {
                            input type="checkbox" name="classes" value=(class) data-number
                                checked[is_suggested(class)];
                            " " (names[class])
                        }
                    }
                }
            }
            p {
                label { "Seed " input type="text" name="seed" inputmode="numeric" pattern="[0-9]+" autocomplete="off"
                    value=(studio.opened.config.recipe.seed.0); }
                " "
                label { "Steps " input type="number" name="steps" min="1" step="1" data-number
                    value=(studio.opened.config.recipe.steps); }
                " "
                button { "Make the pictures" }
            }
            p class="failure" role="alert" hidden {}
        }
    }
}

async fn of_neuron(
    State(studio): State<App>,
    Path(neuron): Path<usize>,
) -> Result<Html<String>, Refusal> {
    let neuron = studio.neuron(neuron)?;
    let pictures = apart(&studio, move |studio| pictures_of(studio, neuron)).await?;
    Ok(Html(pictures.into_string()))
}

fn pictures_of(studio: &Studio, neuron: NeuronId) -> Result<Markup, Refusal> {
    let subject = Subject::Neuron(neuron);
    let shown = Shown::of(studio, |picture| picture.subject == subject)?;
    let table = &studio.session()?.table;
    let real = table
        .activations()
        .column(neuron)?
        .into_iter()
        .reduce(f32::max);
    Ok(html! {
        (pictures::under_way(&shown))
        div class="album gallery" {
            @for kept in &shown.there { (pictures::card(studio, kept, real)) }
            @for ordered in &shown.ordered { (pictures::waiting(studio, ordered)) }
        }
        @if shown.there.is_empty() && shown.ordered.is_empty() {
            p class="soft" { "There are none yet." }
        }
    })
}

/// A whole number, as text where JavaScript, which rounds large ones, is not to see it as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u64),
    Text(String),
}

impl Number {
    fn seed(&self) -> Result<Seed, Refusal> {
        match self {
            Self::Number(number) => Ok(Seed(*number)),
            Self::Text(text) => text.trim().parse().map(Seed).map_err(|_| {
                Refusal::Bad(format!("'{text}' is no seed: give a whole number from 0"))
            }),
        }
    }
}

/// What pictures of a neuron are ordered by.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ordered {
    #[serde(default)]
    classes: Vec<usize>,
    seed: Number,
    steps: usize,
}

async fn order(
    State(studio): State<App>,
    Path(neuron): Path<usize>,
    Json(ordered): Json<Ordered>,
) -> Result<Json<Job>, Refusal> {
    let neuron = studio.neuron(neuron)?;
    apart(&studio, move |studio| {
        let recipe = studio.opened.config.recipe.clone();
        let classes: Vec<ClassId> = ordered.classes.into_iter().map(ClassId).collect();
        let title = match classes[..] {
            [class] => format!("neuron {neuron} within {}", studio.class_name(class)),
            _ => format!("neuron {neuron} within {} classes", classes.len()),
        };
        let order = PictureOrder::new(
            &studio.opened,
            Subject::Neuron(neuron),
            classes,
            recipe.with_steps(ordered.steps),
            vec![ordered.seed.seed()?],
        )?;
        let work = Work::Pictures(Box::new(order));
        queue(studio, title, format!("/neuron/{neuron}"), work)
    })
    .await
}

/// Queues work, to be shown on a page.
pub(super) fn queue(
    studio: &Studio,
    title: String,
    page: String,
    work: Work,
) -> Result<Json<Job>, Refusal> {
    let job = studio.jobs.queue(Order { title, page, work });
    Ok(Json(job.map_err(|error| Refusal::failed(&error))?))
}

/// A list of words, one a line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WordList {
    words: String,
}

async fn label(
    State(studio): State<App>,
    Json(list): Json<WordList>,
) -> Result<Json<Job>, Refusal> {
    let mut known = BTreeSet::new();
    let lines = list.words.lines().map(str::trim);
    let words = lines.filter(|word| !word.is_empty() && known.insert(*word));
    let words: Vec<String> = words.map(str::to_owned).collect();
    if words.is_empty() || words.len() > MOST_WORDS {
        return Err(Refusal::Bad(format!(
            "give 1 to {MOST_WORDS} words, one a line"
        )));
    }
    if studio.opened.encoder.is_none() {
        let reason = "words need CLIP: start the studio with --clip-weights FILE";
        return Err(Refusal::Bad(reason.to_owned()));
    }
    let title = format!("words for all neurons, out of {}", words.len());
    let work = Work::Labels { words };
    apart(&studio, |studio| {
        queue(studio, title, "/neuron".to_owned(), work)
    })
    .await
}

async fn whole(studio: State<App>, place: Path<(usize, usize)>) -> Result<Response, Refusal> {
    real::place(studio, place, false).await
}

async fn part(studio: State<App>, place: Path<(usize, usize)>) -> Result<Response, Refusal> {
    real::place(studio, place, true).await
}
