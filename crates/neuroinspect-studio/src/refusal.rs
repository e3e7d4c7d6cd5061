//! Why a request is not answered as it was asked.

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use maud::html;
use neuroinspect::core::{is_cancellation, with_causes};

use crate::layout::{Page, around};

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
    /// The work was given up before its end.
    Stopped,
}

impl Refusal {
    pub(crate) fn failed(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Failed(with_causes(error))
    }

    pub(crate) fn reason(self) -> String {
        match self {
            Self::NotFound(reason)
            | Self::Bad(reason)
            | Self::NoFeatures(reason)
            | Self::Failed(reason) => reason,
            Self::NotReady => "The classifier is looking at the images: what it makes of each is computed once and kept. This \
                               page goes on by itself."
                .to_owned(),
            Self::Stopped => "it was stopped before its end".to_owned(),
        }
    }
}

/// What the library refuses is as a rule what was asked for: a neuron out of range, an option that is none. What it reads and
/// writes, and what fails by the machine, fails for other reasons.
impl<E: Into<neuroinspect::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        use neuroinspect::Error;
        let error = error.into();
        if is_cancellation(&error) {
            return Self::Stopped;
        }
        let reason = with_causes(&error);
        let first: &dyn std::error::Error = &error;
        let mut causes = std::iter::successors(Some(first), |error| error.source());
        let of_files = matches!(error, Error::Datasets(_) | Error::Models(_));
        match of_files || causes.any(|error| error.is::<std::io::Error>()) {
            true => Self::Failed(reason),
            false => Self::Bad(reason),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let to_be_asked_for = matches!(self, Self::NoFeatures(_));
        let under_way = matches!(self, Self::NotReady);
        let (status, title) = match self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "Not found"),
            Self::Bad(_) => (StatusCode::BAD_REQUEST, "That cannot be done"),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "Looking at the images"),
            Self::NoFeatures(_) => (StatusCode::SERVICE_UNAVAILABLE, "There are no features"),
            Self::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "That failed"),
            Self::Stopped => (StatusCode::CONFLICT, "That was stopped"),
        };
        let waits = status == StatusCode::SERVICE_UNAVAILABLE;
        let content = html! {
            p role="alert" { (self.reason()) }
            // Filled by what the server tells of the job.
            @if under_way {
                p class="under-way" { label { span id="stage" class="soft" { "begins" } " " progress id="features-made" max="1" value="0" {} } }
            }
            @if to_be_asked_for { p { button type="button" id="features" { "Compute them" } } }
        };
        let page = Page {
            path: "",
            title,
            scripts: if waits { &["waiting.js"] } else { &[] },
        };
        let page = around(None, &page, &content);
        (status, Html(page.into_string())).into_response()
    }
}

#[cfg(test)]
mod tests {
    use neuroinspect::{core::Error as CoreError, editing::LayerPatch};

    use super::*;

    #[test]
    fn what_cannot_be_written_is_no_fault_of_who_asks() {
        let nowhere = LayerPatch::load("/nowhere/edit.safetensors").unwrap_err();
        assert!(matches!(Refusal::from(nowhere), Refusal::Failed(_)));
        let asked = CoreError::empty("samples");
        assert!(matches!(Refusal::from(asked), Refusal::Bad(_)));
    }
}
