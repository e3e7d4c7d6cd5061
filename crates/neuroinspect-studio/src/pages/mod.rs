//! One file a page: what it shows, and the requests of its script.

mod class;
mod export;
pub(crate) mod images;
mod lab;
mod mend;
mod neuron;
mod overview;
mod pictures;

use axum::Router;

use crate::{jobs, refusal::Refusal, studio::App};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .merge(jobs::routes())
        .merge(lab::routes())
        .merge(neuron::routes())
        .merge(overview::routes())
        .merge(images::routes())
        .merge(class::routes())
        .merge(mend::routes())
        .merge(export::routes())
        .merge(pictures::routes())
        .fallback(|| async { Refusal::NotFound("there is no such page".to_owned()) })
}
