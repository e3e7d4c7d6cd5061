//! The jobs over HTTP: their events, as they happen, and what can be asked of them.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Sse,
        sse::{Event as SentEvent, KeepAlive},
    },
    routing::{get, post},
};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::watch;

use super::{Event, EventId, Jobs};
use crate::{
    address::{Path, Query},
    refusal::Refusal,
    studio::{App, Studio, apart},
    work,
};

/// After how long a browser asks again when the server has gone.
const AGAIN: Duration = Duration::from_secs(1);

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/jobs/events", get(events))
        .route("/jobs/{id}/cancel", post(cancel))
        .route("/jobs/forget", post(forget))
        .route("/features", post(features))
}

#[derive(Deserialize)]
struct Seen {
    /// The last event that was seen, where the browser does not send it by itself.
    after: Option<String>,
}

async fn events(
    State(studio): State<App>,
    Query(seen): Query<Seen>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let header = headers.get("last-event-id");
    let header = header.and_then(|id| id.to_str().ok()).map(str::to_owned);
    // What is no id of ours is of no event that we know: the whole list is sent.
    let seen = header.or(seen.after).and_then(|id| id.parse().ok());
    let listener = Listener::new(studio.jobs.clone(), seen);
    let events = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        let sent = SentEvent::default().id(event.id.to_string());
        let sent = sent.event(event.name).data(event.data).retry(AGAIN);
        Some((Ok::<_, Infallible>(sent), listener))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// Hears of events, one after the other.
pub(super) struct Listener {
    jobs: Jobs,
    /// The last event that was handed over.
    pub(super) seen: Option<EventId>,
    news: watch::Receiver<u64>,
    waiting: VecDeque<Event>,
}

impl Listener {
    pub(super) fn new(jobs: Jobs, seen: Option<EventId>) -> Self {
        Self {
            news: jobs.news(),
            jobs,
            seen,
            waiting: VecDeque::new(),
        }
    }

    /// The next event, waiting for it; `None` when there will be no more.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.seen = Some(event.id);
                return Some(event);
            }
            // Before anything is looked at, so that nothing between the two is slept through.
            self.news.mark_unchanged();
            if self.jobs.are_ending() {
                return None;
            }
            self.waiting = self.jobs.events_after(self.seen).ok()?.into();
            if self.waiting.is_empty() {
                self.news.changed().await.ok()?;
            }
        }
    }
}

async fn cancel(State(studio): State<App>, Path(id): Path<u64>) -> Result<StatusCode, Refusal> {
    let job = changed(&studio, move |studio| studio.jobs.cancel(id)).await?;
    match job {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(Refusal::NotFound(format!("there is no job {id}"))),
    }
}

async fn forget(State(studio): State<App>) -> Result<StatusCode, Refusal> {
    changed(&studio, |studio| studio.jobs.forget_ended()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has the features computed after that came to no end.
async fn features(State(studio): State<App>) -> Result<StatusCode, Refusal> {
    changed(&studio, work::queue_features).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes the list of jobs, which is written to the disk, where that holds up no other request.
async fn changed<T: Send + 'static>(
    studio: &App,
    change: impl FnOnce(&Studio) -> neuroinspect::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let change = |studio: &Studio| change(studio).map_err(|error| Refusal::failed(&error));
    apart(studio, change).await
}
