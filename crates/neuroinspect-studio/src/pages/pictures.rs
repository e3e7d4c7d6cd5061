//! Pictures on a page: those there are, those under way, and their files.

use std::sync::Arc;

use axum::{Router, extract::State, response::Response, routing::get};
use maud::{Markup, html};
use neuroinspect::editing::percent;

use super::images::picture;
use crate::{
    address::Path,
    jobs::{Job, JobState},
    pictures::{KeptPicture, Picture},
    refusal::Refusal,
    studio::{App, Studio, apart},
    work::Work,
};

/// Up to this side pictures are magnified with their pixels visible, as in a report.
const SMALL: usize = 64;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/visualization/{key}", get(whole))
        .route("/visualization/{key}/masked", get(masked))
}

async fn whole(studio: State<App>, Path(key): Path<String>) -> Result<Response, Refusal> {
    file(studio, key, false).await
}

async fn masked(studio: State<App>, Path(key): Path<String>) -> Result<Response, Refusal> {
    file(studio, key, true).await
}

/// A picture by its name, which never changes what it stands for.
async fn file(State(studio): State<App>, key: String, masked: bool) -> Result<Response, Refusal> {
    let read = move |studio: &Studio| {
        let kept = studio.pictures.get(&key);
        let kept = kept.filter(|kept| kept.masked || !masked);
        let kept = kept.ok_or_else(|| Refusal::NotFound("there is no such picture".to_owned()))?;
        let png = studio.pictures.png(&kept, masked);
        png.map_err(|error| Refusal::failed(&error))
    };
    Ok(picture(apart(&studio, read).await?.into()))
}

/// The style sheet's class for an image so small that its pixels are shown as squares.
pub(super) fn pixels(side: usize) -> Option<&'static str> {
    (side <= SMALL).then_some("pixels")
}

/// What a page shows: pictures that are there, and those that have been ordered.
pub(super) struct Shown {
    pub(super) there: Vec<Arc<KeptPicture>>,
    pub(super) ordered: Vec<Ordered>,
}

/// A picture that is to come, and the job that makes it.
pub(super) struct Ordered {
    pub(super) picture: Picture,
    job: Job,
}

impl Shown {
    /// The pictures of what a condition holds for.
    pub(super) fn of(studio: &Studio, is: impl Fn(&Picture) -> bool) -> Result<Self, Refusal> {
        let mut ordered = Vec::new();
        for job in studio.jobs.list() {
            let Work::Pictures(order) = &job.order.work else {
                continue;
            };
            if job.has_ended() {
                continue;
            }
            for picture in order.pictures().into_iter().filter(&is) {
                let key = picture.key(studio)?;
                if studio.pictures.get(&key).is_none() {
                    let job = job.clone();
                    ordered.push(Ordered { picture, job });
                }
            }
        }
        let mut there = studio.pictures.all(is);
        // The folder may have those of another network, or of another build.
        let mut failed = None;
        there.retain(|kept| match kept.picture.key(studio) {
            Ok(key) => key == kept.key,
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(Self { there, ordered }),
        }
    }
}

/// Below this share of what the most active real image comes to, a picture shows little of what its unit looks for.
const WEAK: f32 = 0.5;

/// A picture, masked beside it where there is a mask, over what the networks see in it.
pub(super) fn card(studio: &Studio, kept: &KeptPicture, real: Option<f32>) -> Markup {
    let Picture {
        subject,
        class,
        recipe,
    } = &kept.picture;
    let class = class.map(|class| studio.class_name(class));
    let within = class.map_or_else(String::new, |class| format!(" within {class}"));
    let of = format!("{subject}{within}, activation {:.2}", kept.activation);
    let address = format!("/visualization/{}", kept.key);
    html! {
        figure class="picture" data-key=(kept.key) tabindex="0" {
            div class="sides" {
                img class=[pixels(kept.side)] src=(address) loading="lazy"
                    width=(kept.side) height=(kept.side) alt={ "Picture of " (of) };
                @if kept.masked {
                    img class=[pixels(kept.side)] src={ (address) "/masked" } loading="lazy"
                        width=(kept.side) height=(kept.side)
                        alt={ "The same, dimmed where " (subject) " is not active" };
                }
            }
            figcaption {
                b { @match class { Some(class) => (class), None => "by itself" } }
                span {
                    "activation " (format!("{:.2}", kept.activation))
                    @if let Some(real) = real { " (real images: up to " (format!("{real:.2}")) ")" }
                }
                @if real.is_some_and(|real| kept.activation < WEAK * real) {
                    span class="down" { "Real images activate it more than twice as much: more steps may help." }
                } @else if kept.activation <= 0.0 {
                    span class="down" { "It is not active on this picture: more steps or another seed may help." }
                }
                @if let Some(probability) = kept.probability {
                    span { "probability of the class " (percent(f64::from(probability))) }
                }
                @if let Some(similarity) = kept.clip_similarity {
                    span { "similarity to its text " (format!("{similarity:.3}")) }
                }
                span class="soft" { "seed " (recipe.seed.0) ", " (recipe.steps) " steps, " code { (studio.objective(&recipe.objective)) } }
            }
        }
    }
}

/// The place of a picture that is to come.
pub(super) fn waiting(studio: &Studio, ordered: &Ordered) -> Markup {
    let Ordered { picture, job } = ordered;
    let class = picture.class.map(|class| studio.class_name(class));
    let state = match job.state {
        JobState::Queued => "queued",
        JobState::Stopping => "stopping",
        _ => "under way",
    };
    html! {
        figure class="picture waiting" {
            div class="sides" { div class="blank" { (state) } }
            figcaption {
                b { @match class { Some(class) => (class), None => "by itself" } }
                span class="soft" { "seed " (picture.recipe.seed.0) }
            }
        }
    }
}

/// How far the jobs are that a page waits for, each with its button to cancel it.
pub(super) fn under_way(shown: &Shown) -> Markup {
    let mut jobs: Vec<&Job> = Vec::new();
    for Ordered { job, .. } in &shown.ordered {
        if jobs.iter().all(|known| known.id != job.id) {
            jobs.push(job);
        }
    }
    html! {
        @for job in jobs {
            p class="under-way" {
                label {
                    (job.order.title) " "
                    progress data-job=(job.id) value=(job.done) max=(job.total.max(1)) {}
                }
                " "
                button type="button" data-cancel=(job.id) { "Cancel" }
            }
        }
    }
}
