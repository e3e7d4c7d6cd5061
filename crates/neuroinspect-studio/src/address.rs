//! Addresses, read so that a person is told what is wrong with one.

use std::error::Error;

use axum::{
    extract::{FromRequestParts, Path as AnyPath, Query as AnyQuery},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;

/// How the standard library says that a text is no number, and what it would have to be.
const NO_NUMBER: [(&str, &str); 4] = [
    (
        ": invalid digit found in string",
        "a whole number, 0 or more",
    ),
    (
        ": cannot parse integer from empty string",
        "a whole number, 0 or more",
    ),
    (": invalid float literal", "a number"),
    (": cannot parse float from empty string", "a number"),
];

/// What follows the question mark of an address.
pub(crate) struct Query<T>(pub(crate) T);

/// The parts of an address that say which class, neuron, image or edit is meant.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let read = AnyQuery::try_from_uri(&parts.uri);
        let AnyQuery(query) = read.map_err(|error| {
            let reason = cause(&error);
            let mut said = NO_NUMBER.iter();
            let no_number = said.find_map(|(end, what)| Some((reason.strip_suffix(end)?, what)));
            Refusal::Bad(match no_number {
                Some((option, what)) => format!("'{option}' of this address is to be {what}"),
                None => format!("this address asks for what cannot be read: {reason}"),
            })
        })?;
        Ok(Self(query))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let read = AnyPath::from_request_parts(parts, state).await;
        match read {
            Ok(AnyPath(path)) => Ok(Self(path)),
            Err(_) => Err(Refusal::NotFound(
                "there is no such page: classes, neurons and images go by their numbers".to_owned(),
            )),
        }
    }
}

/// What an error comes from: it names the option and what is wrong with it.
fn cause(error: &dyn Error) -> String {
    let mut first = error;
    while let Some(source) = first.source() {
        first = source;
    }
    first.to_string()
}
