//! What an address says of an edit, and what it leaves out.

use std::{fmt::Display, str::FromStr};

use neuroinspect::{
    core::ClassId,
    editing::{EditConfig, RatioForm},
};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::asked::{Asked, split};

/// What an address says of an edit. Each option by itself may be left out: it is as the studio was opened with, of epochs as
/// many as take some seconds at most, so that an address means the same to a page and to what the page asks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Given {
    class: Choice,
    #[serde(deserialize_with = "split")]
    neurons: Vec<usize>,
    method: Option<String>,
    lambda: Option<f64>,
    target: Choice<f64>,
    form: Option<RatioForm>,
    epochs: Option<usize>,
    rate: Option<f64>,
}

/// What may be left open on purpose, by an empty value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Choice<T = usize> {
    #[default]
    NotGiven,
    Open,
    Value(T),
}

impl<T> Choice<T> {
    fn or(self, usual: Option<T>) -> Option<T> {
        match self {
            Self::NotGiven => usual,
            Self::Open => None,
            Self::Value(value) => Some(value),
        }
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::Open);
        }
        text.parse().map(Self::Value).map_err(D::Error::custom)
    }
}

impl Given {
    /// All that decides the edit; without a class that of `class`.
    pub(crate) fn over(self, base: &EditConfig, class: ClassId) -> Asked {
        let usual = Asked::of_config(base);
        Asked {
            class: self.class.or(Some(class.0)),
            neurons: self.neurons,
            method: self.method.unwrap_or(usual.method),
            lambda: self.lambda.unwrap_or(usual.lambda),
            target: self.target.or(usual.target),
            form: self.form.unwrap_or(usual.form),
            epochs: self.epochs.unwrap_or(usual.epochs),
            rate: self.rate.unwrap_or(usual.rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;
    use neuroinspect::editing::Target;

    use super::*;

    fn read(query: &str, base: &EditConfig) -> Option<Asked> {
        let uri = format!("/mend?{query}").parse().unwrap();
        let given = Query::<Given>::try_from_uri(&uri).ok()?;
        Some(given.0.over(base, ClassId(4)))
    }

    #[test]
    fn an_address_says_all_that_is_asked() {
        let asked = Asked {
            class: Some(3),
            neurons: vec![17, 240],
            lambda: 0.3,
            target: Some(1.02),
            form: RatioForm::PerNeuron,
            epochs: 7,
            ..Asked::default()
        };
        // Whatever the studio was opened with.
        let other = EditConfig::default()
            .with_target(Target::Fixed(1.5))
            .with_lambda3(4.0);
        let open = Asked {
            class: None,
            target: None,
            ..asked.clone()
        };
        for asked in [asked, open] {
            assert_eq!(read(&asked.query(), &other).unwrap(), asked);
            let json = serde_json::to_string(&asked).unwrap();
            assert_eq!(serde_json::from_str::<Asked>(&json).unwrap(), asked);
        }
        assert!(read("neurons=1,x", &other).is_none() && read("class=-1", &other).is_none());
    }

    #[test]
    fn what_an_address_leaves_out_is_as_in_the_options() {
        let base = EditConfig::default()
            .with_target(Target::Fixed(1.5))
            .with_lambda3(4.0);
        let usual = Asked {
            class: Some(4),
            ..Asked::of_config(&base)
        };
        assert_eq!(read("", &base).unwrap(), usual);
        // One option takes no other with it.
        let of_epochs = Asked {
            epochs: 2500,
            ..usual.clone()
        };
        assert_eq!(read("epochs=2500", &base).unwrap(), of_epochs);
        let automatic = Asked {
            target: None,
            ..usual
        };
        assert_eq!(read("target=", &base).unwrap(), automatic);
    }
}
