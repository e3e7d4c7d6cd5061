//! The real images that activate a neuron most, and where in them it is active.

use axum::{extract::State, response::Response};
use maud::{Markup, html};
use neuroinspect::core::{ClassId, NeuronId, io::sha256_of_bytes};

use super::super::{images::picture, pictures::pixels};
use crate::{
    address::Path,
    refusal::Refusal,
    session::Session,
    studio::{App, Studio, apart},
};

/// Images shown, of all and of a class.
const SHOWN: usize = 8;

pub(super) fn section(
    studio: &Studio,
    session: &Session,
    neuron: NeuronId,
    class: ClassId,
) -> Result<Markup, Refusal> {
    let table = &session.table;
    let [of_all, of_class] = {
        let asked = [(neuron, None), (neuron, Some(class))];
        let mut found = table.top_activating_each(&asked, SHOWN)?.into_iter();
        [(); 2].map(|()| found.next().unwrap_or_default())
    };
    let recipe = &studio.opened.config.recipe;
    let decides = format!(
        "{} {} {} {}",
        session.key, studio.network, recipe.mask_threshold, recipe.mask_reduction
    );
    let key: String = sha256_of_bytes(decides.as_bytes())
        .chars()
        .take(16)
        .collect();
    let strip = Strip {
        key: &key,
        studio,
        session,
        neuron,
        places: studio.places.are_told(&studio.opened)?,
    };
    Ok(html! {
        section aria-labelledby="real-title" {
            h2 id="real-title" { "The images that activate it most" }
            p class="about" {
                "Each image beside its activation."
                @if strip.places {
                    " Below it the part where the neuron is most active."
                }
            }
            h3 { "Of all classes" }
            (strip.of(&of_all)?)
            h3 { "Of " (studio.class_name(class)) }
            form class="inline" method="get" autocomplete="off" {
                label for="class" { "Another class " }
                select id="class" name="class" {
                    @for (index, name) in studio.opened.class_names().iter().enumerate() {
                        option value=(index) selected[index == class.0] { (name) }
                    }
                }
                " " button { "Show" }
            }
            (strip.of(&of_class)?)
        }
    })
}

struct Strip<'a> {
    studio: &'a Studio,
    session: &'a Session,
    neuron: NeuronId,
    /// Whether it is known where in an image the neuron is active.
    places: bool,
    /// What tells these images and this network from others in addresses that a browser keeps the answers of.
    key: &'a str,
}

impl Strip<'_> {
    fn of(&self, rows: &[usize]) -> Result<Markup, Refusal> {
        let (session, neuron) = (self.session, self.neuron);
        let table = &session.table;
        Ok(html! {
            @if rows.is_empty() { p class="soft" { "There are no images of it." } }
            ul class="strip real gallery" {
                @for &row in rows {
                    @let activation = table.feature(row)?[neuron.0];
                    @let label = self.studio.class_name(table.labels()[row]);
                    @let prediction = self.studio.class_name(session.predictions[row]);
                    @let wrong = table.labels()[row] != session.predictions[row];
                    li {
                        a href={ "/image/" (row) } {
                            (self.image(row, &format!("An image of {label}, activation {activation:.2}")))
                        }
                        @if self.places {
                            img class="part" loading="lazy" src={ "/neuron/" (neuron) "/place/" (row) "/part?" (self.key) }
                                alt={ "The part where neuron " (neuron) " is most active" };
                        }
                        span { b { (format!("{activation:.2}")) } " " (label) }
                        @if wrong { span class="down" { "taken for " (prediction) } }
                    }
                }
            }
        })
    }

    fn image(&self, row: usize, alt: &str) -> Markup {
        let side = self.studio.opened.classifier.input().size;
        match self.places {
            true => html! {
                img class=[pixels(side)] loading="lazy" src={ "/neuron/" (self.neuron) "/place/" (row) "?" (self.key) }
                    alt={ (alt) "; dimmed where the neuron is not active" };
            },
            false => {
                html! { img loading="lazy" src={ "/thumbnail/" (row) "?" (self.session.key) } alt=(alt); }
            }
        }
    }
}

/// An image dimmed where the neuron is not active, or the part where it is most active.
pub(super) async fn place(
    State(studio): State<App>,
    Path((neuron, row)): Path<(usize, usize)>,
    part: bool,
) -> Result<Response, Refusal> {
    let neuron = studio.neuron(neuron)?;
    let look = move |studio: &Studio| {
        let place = studio
            .places
            .look(&studio.opened, studio.session()?, (row, neuron))?;
        let found = match part {
            true => place.part,
            false => Some(place.whole),
        };
        let missing = "no place of this image stands out for the neuron";
        found.ok_or_else(|| Refusal::NotFound(missing.to_owned()))
    };
    Ok(picture(apart(&studio, look).await?))
}
