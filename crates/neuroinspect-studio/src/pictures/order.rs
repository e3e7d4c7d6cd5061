//! What is to be pictured.

use std::{fmt, sync::OnceLock, time::SystemTime};

use neuroinspect::{
    core::{ClassId, NeuronId, Seed, Unit, io::sha256_of_bytes},
    illusion::{Pair, Recipe, Request},
};
use serde::{Deserialize, Serialize};

use crate::{Opened, refusal::Refusal, studio::Studio};

/// Seeds of one order, at most.
const MOST_SEEDS: usize = 16;
/// Classes of one order, at most.
const MOST_CLASSES: usize = 32;
/// Steps and pixels a side of a picture, at most: what takes longer is for the command line.
const MOST_STEPS: usize = 5000;
const MOST_PIXELS: usize = 512;

/// Raised when the same picture comes to be made otherwise.
const VERSION: u32 = 1;

/// What is pictured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// A neuron: what the decision layer reads.
    Neuron(NeuronId),
    /// A unit of any layer.
    Unit(Unit),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Neuron(neuron) => write!(f, "neuron {neuron}"),
            Self::Unit(unit) => write!(f, "{unit}"),
        }
    }
}

/// Pictures to be made of one subject: one for each class and each seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PictureOrder {
    pub(crate) subject: Subject,
    /// The classes to picture it within; none where the objective asks for none.
    pub(crate) classes: Vec<ClassId>,
    /// What decides the pictures, but for the seed.
    pub(crate) recipe: Recipe,
    pub(crate) seeds: Vec<Seed>,
}

/// One picture: what it is of, and what decides it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Picture {
    pub(crate) subject: Subject,
    /// The class that it is within, where the objective asks for one.
    pub(crate) class: Option<ClassId>,
    pub(crate) recipe: Recipe,
}

impl PictureOrder {
    /// An order that can be carried out, as far as that is known before the networks are asked.
    ///
    /// Without an image-text encoder, what needs one is left out of the objective.
    pub(crate) fn new(
        opened: &Opened,
        subject: Subject,
        classes: Vec<ClassId>,
        recipe: Recipe,
        seeds: Vec<Seed>,
    ) -> Result<Self, Refusal> {
        let bad = |reason: &str| Err(Refusal::Bad(reason.to_owned()));
        let mut order = Self {
            subject,
            classes,
            recipe,
            seeds,
        };
        let objective = &order.recipe.objective;
        if opened.encoder.is_none() && objective.needs_guide() {
            let Some(objective) = objective.without_guide() else {
                return bad("this objective needs CLIP: start the studio with --clip-weights FILE");
            };
            order.recipe.objective = objective;
        }
        order.recipe.validate()?;
        if order.recipe.steps > MOST_STEPS || order.recipe.size.is_some_and(|it| it > MOST_PIXELS) {
            return Err(Refusal::Bad(format!(
                "pictures have at most {MOST_STEPS} steps and {MOST_PIXELS} pixels a side here; \
                 `neuroinspect visualize` makes others"
            )));
        }
        let needs_class = order.recipe.objective.needs_class();
        if !needs_class {
            order.classes.clear();
        } else if order.classes.is_empty() {
            return bad("this objective is within a class: choose at least one");
        }
        let layer = opened.classifier.decision_layer()?;
        for &class in &order.classes {
            layer.check_class(class)?;
        }
        order.check_subject(opened)?;
        order.seeds.sort_unstable_by_key(|seed| seed.0);
        order.seeds.dedup();
        order.classes.sort_unstable();
        order.classes.dedup();
        if order.seeds.is_empty() || order.seeds.len() > MOST_SEEDS {
            return Err(Refusal::Bad(format!("give 1 to {MOST_SEEDS} seeds")));
        }
        if order.classes.len() > MOST_CLASSES {
            return Err(Refusal::Bad(format!(
                "choose at most {MOST_CLASSES} classes"
            )));
        }
        Ok(order)
    }

    /// Whether there is such a neuron, or such a layer with such a channel; positions and directions are looked at
    /// when the picture is made.
    fn check_subject(&self, opened: &Opened) -> Result<(), Refusal> {
        let unit = match &self.subject {
            Subject::Neuron(neuron) => {
                return Ok(opened.classifier.decision_layer()?.check_neuron(*neuron)?);
            }
            Subject::Unit(unit) => unit,
        };
        let layers = opened.classifier.layers()?;
        let Some(layer) = layers.iter().find(|layer| layer.name == unit.layer) else {
            let names = layers.iter().map(|layer| layer.name.as_str());
            let model = opened.classifier.name();
            return Err(neuroinspect::core::unknown_layer(model, &unit.layer, names).into());
        };
        match unit.kind.channel() < layer.channels {
            true => Ok(()),
            false => Err(Refusal::Bad(format!(
                "layer '{}' has {} channels, counted from 0",
                layer.name, layer.channels
            ))),
        }
    }

    /// All pictures of it, seed by seed.
    pub(crate) fn pictures(&self) -> Vec<Picture> {
        let of_seed = |seed: &Seed| {
            let recipe = self.recipe.clone().with_seed(*seed);
            let classes = self.classes.iter().copied().map(Some);
            let classes: Vec<_> = match self.classes.is_empty() {
                true => vec![None],
                false => classes.collect(),
            };
            classes.into_iter().map(move |class| Picture {
                subject: self.subject.clone(),
                class,
                recipe: recipe.clone(),
            })
        };
        self.seeds.iter().flat_map(of_seed).collect()
    }
}

impl Picture {
    /// Names the picture: SHA-256 of all that decides it, in hexadecimal.
    pub(crate) fn key(&self, studio: &Studio) -> neuroinspect::Result<String> {
        let opened = &studio.opened;
        // Weights drawn at random are none that another process has.
        static THIS_PROCESS: OnceLock<SystemTime> = OnceLock::new();
        let process = (!opened.origin.complete)
            .then(|| format!("{:?}", THIS_PROCESS.get_or_init(SystemTime::now)));
        let guide = opened.encoder.as_ref().zip(self.class);
        let guide = guide.filter(|_| self.recipe.objective.needs_guide());
        let text = guide.map(|(encoder, class)| (&encoder.templates, encoder.texts.get(class.0)));
        let decides = (
            (VERSION, env!("CARGO_PKG_VERSION"), process),
            self,
            self.recipe.sha256()?,
            &opened.origin,
            &studio.network,
            text,
        );
        let json = serde_json::to_vec(&decides);
        let json = json.map_err(|source| neuroinspect::report::Error::Json {
            schema: "the name of a picture",
            source,
        })?;
        Ok(sha256_of_bytes(&json))
    }

    /// The request for pictures of one recipe, and the classes they are within.
    pub(super) fn request(pictures: &[&Self], recipe: &Recipe) -> Request {
        let pair = |picture: &&Self| Pair {
            neuron: match &picture.subject {
                Subject::Neuron(neuron) => *neuron,
                Subject::Unit(unit) => NeuronId(unit.kind.channel()),
            },
            // Without one in the objective, the class is no matter.
            class: picture.class.unwrap_or_default(),
        };
        let units = pictures
            .iter()
            .filter_map(|picture| match &picture.subject {
                Subject::Unit(unit) => Some(unit.clone()),
                Subject::Neuron(_) => None,
            });
        let pairs: Vec<Pair> = pictures.iter().map(pair).collect();
        Request {
            units: units.collect(),
            ..Request::new(pairs, recipe.clone())
        }
    }
}
