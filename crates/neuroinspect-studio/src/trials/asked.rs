//! What is asked of an edit: the same words in an address, in a file and on the command line.

use std::fmt::{Display, Write};

use neuroinspect::{
    core::{ClassId, NeuronId, class_argument},
    editing::{
        DecisionMethod, Disc, EditConfig, EditScope, Keep, METHODS, Mend, MethodArguments,
        RatioEdit, RatioForm, Target, method_named,
    },
    quoted,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

use crate::{Opened, refusal::Refusal};

/// Methods that take no more than is asked here: not the choice among several, which takes minutes, and not the one
/// that needs a bank of concepts.
pub(crate) fn offered() -> impl Iterator<Item = &'static str> {
    let left_out = [Mend::NAME, Disc::NAME];
    METHODS
        .iter()
        .copied()
        .filter(move |name| !left_out.contains(name))
}

/// An edit as it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    /// The class to be helped; all alike where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) class: Option<usize>,
    /// The neurons to be corrected: `3,14,15`.
    #[serde(serialize_with = "join", deserialize_with = "split")]
    pub(crate) neurons: Vec<usize>,
    pub(crate) method: String,
    /// Weight of the ratio.
    pub(crate) lambda: f64,
    /// The ratio aimed at; automatic where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<f64>,
    pub(crate) form: RatioForm,
    pub(crate) epochs: usize,
    pub(crate) rate: f64,
}

impl Default for Asked {
    fn default() -> Self {
        Self::of_config(&EditConfig::default())
    }
}

impl Asked {
    /// With these options.
    pub(crate) fn of_config(config: &EditConfig) -> Self {
        Self {
            class: None,
            neurons: Vec::new(),
            method: RatioEdit::NAME.to_owned(),
            lambda: config.lambda3,
            target: match config.target {
                Target::Fixed(target) => Some(target),
                _ => None,
            },
            form: config.ratio_form,
            epochs: config.training.epochs,
            rate: config.training.learning_rate,
        }
    }

    pub(crate) fn class(&self) -> Option<ClassId> {
        self.class.map(ClassId)
    }

    pub(crate) fn neurons(&self) -> Vec<NeuronId> {
        self.neurons.iter().copied().map(NeuronId).collect()
    }

    pub(crate) fn is_by_ratio(&self) -> bool {
        self.method == RatioEdit::NAME
    }

    /// What decides the edit: of options that the method does not have, those of `base`.
    pub(crate) fn settled(self, base: &EditConfig) -> Self {
        if self.is_by_ratio() {
            return self;
        }
        let usual = Self::of_config(base);
        let asked = Self {
            lambda: usual.lambda,
            target: usual.target,
            form: usual.form,
            ..self
        };
        match asked.method(base) {
            Ok(method) if method.training().is_none() => Self {
                epochs: usual.epochs,
                rate: usual.rate,
                ..asked
            },
            _ => asked,
        }
    }

    /// Checks that its method is one that is offered.
    pub(crate) fn check_method(&self) -> Result<(), Refusal> {
        match offered().any(|name| name == self.method) {
            true => Ok(()),
            false => Err(Refusal::Bad(format!(
                "'{}' is not a method that is offered here",
                self.method
            ))),
        }
    }

    /// The method; all that is not asked is as in `base`.
    pub(crate) fn method(&self, base: &EditConfig) -> Result<Box<dyn DecisionMethod>, Refusal> {
        let mut config = base.clone();
        config.training = config.training.with_learning_rate(self.rate);
        config.training.epochs = self.epochs;
        if self.is_by_ratio() {
            config.ratio_form = self.form;
            let target = self.target.map_or(Target::Auto, Target::Fixed);
            let config = config.with_target(target).with_lambda3(self.lambda);
            let edit = RatioEdit::new(self.neurons(), EditScope::of(self.class()));
            return Ok(Box::new(edit.with_config(config)));
        }
        self.check_method()?;
        let arguments = MethodArguments {
            class: self.class(),
            neurons: self.neurons(),
            training: config.training,
            ..MethodArguments::default()
        };
        Ok(method_named(&self.method, &arguments, &Map::new())?)
    }

    /// As it stands in an address, whole: class and target are there also where they are left open.
    pub(crate) fn query(&self) -> String {
        let mut query = String::new();
        let mut add = |name: &str, value: &dyn Display| {
            let and = if query.is_empty() { "" } else { "&" };
            // Writing into a text does not fail.
            let _ = write!(query, "{and}{name}={value}");
        };
        match self.class {
            Some(class) => add("class", &class),
            None => add("class", &""),
        }
        let neurons: Vec<_> = self.neurons.iter().map(ToString::to_string).collect();
        add("neurons", &neurons.join(","));
        add("method", &self.method);
        add("lambda", &self.lambda);
        match self.target {
            Some(target) => add("target", &target),
            None => add("target", &""),
        }
        add("form", &choice_name(&self.form));
        add("epochs", &self.epochs);
        add("rate", &self.rate);
        query
    }

    /// The command line that makes the same edit.
    pub(crate) fn command(&self, opened: &Opened) -> String {
        let mut words = vec![format!("neuroinspect edit {}", opened.source_arguments)];
        if let Some(class) = self.class() {
            let class = class_argument(opened.class_names(), class);
            words.push(format!("--class={}", quoted(class)));
        }
        if !self.neurons.is_empty() {
            let neurons: Vec<_> = self.neurons.iter().map(ToString::to_string).collect();
            words.push(format!("--neurons {}", neurons.join(",")));
        }
        words.push(format!("--method {}", self.method));
        if self.is_by_ratio() {
            let target = self
                .target
                .map_or("auto".to_owned(), |target| target.to_string());
            let form = choice_name(&self.form).replace('_', "-");
            words.push(format!(
                "--target {target} --ratio {form} --lambda {}",
                self.lambda
            ));
        }
        let method = self.method(&opened.config.editing).ok();
        if let Some(training) = method.as_ref().and_then(|method| method.training()) {
            let keep = choice_name(&training.keep).replace('_', "-");
            words.push(format!(
                "--epochs {} --learning-rate {} --keep {keep}",
                self.epochs, self.rate
            ));
            // Where the last epoch is kept, it does nothing, and is refused.
            let patience = training.patience.filter(|_| training.keep != Keep::Last);
            words.extend(patience.map(|epochs| format!("--patience {epochs}")));
        }
        words.push(format!("--seed {} --out mended", opened.run.seed.0));
        words.join(" ")
    }
}

/// How a choice is written.
pub(crate) fn choice_name(choice: &impl Serialize) -> String {
    match serde_json::to_value(choice) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

fn join<S: Serializer>(neurons: &[usize], serializer: S) -> Result<S::Ok, S::Error> {
    let neurons: Vec<_> = neurons.iter().map(ToString::to_string).collect();
    serializer.serialize_str(&neurons.join(","))
}

pub(super) fn split<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let number = |word: &str| {
        let number = word.parse();
        number.map_err(|_| D::Error::custom(format!("'{word}' is no number")))
    };
    words.map(number).collect()
}

#[cfg(test)]
mod tests {
    use neuroinspect::editing::TrainingConfig;

    use super::{super::Given, *};

    /// The control that is trained before anybody asks is that of what is asked first.
    #[test]
    fn what_is_not_asked_is_trained_as_the_options_say() {
        let training = TrainingConfig::default().with_epochs(7, Some(3));
        let training = training.with_learning_rate(0.03);
        let base = EditConfig::default()
            .with_training(training)
            .with_lambda3(4.0);
        for name in ["probability_ratio", "con", "focal"] {
            let asked = Asked {
                neurons: vec![1],
                method: name.to_owned(),
                ..Given::default().over(&base, ClassId(0))
            };
            let method = asked.method(&base).unwrap();
            assert_eq!(method.training(), Some(&base.training), "{name}");
        }
    }

    #[test]
    fn a_method_is_what_was_asked_for() {
        let base = EditConfig::default();
        let mut untrained = 0;
        for name in offered() {
            let asked = Asked {
                class: Some(0),
                neurons: vec![1],
                method: name.to_owned(),
                ..Asked::default()
            };
            let method = asked.method(&base).unwrap();
            assert_eq!(method.name(), name);
            // What does not train has no epochs and no rate, whatever is asked.
            let other = Asked {
                epochs: 3,
                rate: 0.5,
                ..asked.clone()
            };
            let is_same = other.settled(&base) == asked.settled(&base);
            assert_eq!(is_same, method.training().is_none(), "{name}");
            untrained += usize::from(is_same);
        }
        assert!(untrained > 0);
        for name in [Mend::NAME, Disc::NAME, "none"] {
            let method = name.to_owned();
            assert!(
                Asked {
                    method,
                    ..Asked::default()
                }
                .method(&EditConfig::default())
                .is_err(),
                "{name}"
            );
        }
    }
}
