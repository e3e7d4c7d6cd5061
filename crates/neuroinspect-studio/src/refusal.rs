//! Why a request is not answered as it was asked.

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use maud::{DOCTYPE, html};
use neuroinspect::core::with_causes;

use crate::{jobs, layout::connection};

/// Why a request is not answered as it was asked.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is no such page, class, neuron or sample.
    NotFound(String),
    /// What is asked for cannot be done, for this reason.
    Bad(String),
    /// The features are not there yet.
    NotReady,
    /// The features are not there and nobody computes them, for this reason.
    NoFeatures(String),
    /// The work failed.
    Failed(String),
}

impl Refusal {
    pub(crate) fn failed(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Failed(with_causes(error))
    }
}

/// What the library refuses is as a rule what was asked for: a neuron out of range, an option that is none. What it reads and
/// writes fails for other reasons.
impl<E: Into<neuroinspect::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        use neuroinspect::Error;
        let error = error.into();
        let reason = with_causes(&error);
        match error {
            Error::Datasets(_) | Error::Models(_) | Error::Folder { .. } | Error::Remove { .. } => {
                Self::Failed(reason)
            }
            _ => Self::Bad(reason),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let to_be_asked_for = matches!(self, Self::NoFeatures(_));
        let (status, title, reason) = match self {
            Self::NotFound(what) => (StatusCode::NOT_FOUND, "Not found", what),
            Self::Bad(reason) => (StatusCode::BAD_REQUEST, "That cannot be done", reason),
            Self::NotReady => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not yet",
                "the features of the images are being computed".to_owned(),
            ),
            Self::NoFeatures(reason) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "There are no features",
                reason,
            ),
            Self::Failed(reason) => (StatusCode::INTERNAL_SERVER_ERROR, "That failed", reason),
        };
        let waits = status == StatusCode::SERVICE_UNAVAILABLE;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { "neuroinspect studio: " (title) }
                    link rel="stylesheet" href="/assets/report.css";
                    link rel="stylesheet" href="/assets/studio.css";
                    @if waits {
                        script type="module" src="/assets/jobs.js" {}
                        script type="module" src="/assets/waiting.js" {}
                    }
                }
                body {
                    main {
                        h1 { (title) }
                        p role="alert" { (reason) }
                        @if to_be_asked_for { p { button type="button" id="features" { "Compute them" } } }
                        @if !waits { p { a href="/" { "To the overview" } } }
                    }
                    @if waits { (jobs::panel()) (connection()) }
                }
            }
        };
        (status, Html(page.into_string())).into_response()
    }
}
