//! What an atlas is to hold, settled before the first picture.

use std::path::Path;

use neuroinspect_core::{
    ClassId, Error as CoreError, NeuronId, Observer, Unit, check_option, io::sha256_of_bytes,
};
use neuroinspect_illusion::{Pair, Recipe, Work};
use neuroinspect_report::{Error as ReportError, Run, SkippedImage};
use serde::{Deserialize, Serialize};

use super::{AtlasConfig, AtlasInputs, top_classes::top_classes};
use crate::{Error, Result, units_of_layer};

/// What an atlas is to hold: `atlas.json` in its folder.
///
/// Entries are made in batches of [`batch_size`](Self::batch_size), in their order, and each batch belongs to
/// a shard by the rank of its hash among those of all batches. Neither depends on who makes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The layer.
    pub layer: String,
    /// How many classes each unit is to be pictured within; 0 where each is by itself.
    pub classes: usize,
    /// Names of all classes of the model.
    pub class_names: Vec<String>,
    /// Number of shards.
    pub shards: usize,
    /// Entries of a batch.
    pub batch_size: usize,
    /// What else decides the pictures.
    pub made_with: MadeWith,
    /// The units, each once for each of its classes.
    pub entries: Vec<Planned>,
    /// How it is made.
    pub run: Run,
}

/// What decides an atlas's pictures beside units and classes, as SHA-256 of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeWith {
    /// Version of neuroinspect.
    pub version: String,
    /// Of the [recipe](neuroinspect_illusion::Recipe).
    pub recipe: String,
    /// Of the classifier's name, input and weights.
    pub classifier: String,
    /// Of the encoder and the prompts, where pictures are guided.
    pub guide: Option<String>,
    /// Of what decides how far a picture is trusted: the judge, by its name, input and last layer, and how many pictures are
    /// made from other seeds. Empty in plans of earlier builds, which any goes with.
    #[serde(default)]
    pub trust: String,
}

/// A unit that is to be pictured within a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The unit.
    pub unit: Unit,
    /// The class; `None` where the unit is pictured by itself.
    pub class: Option<ClassId>,
    /// SHA-256 of all that decides the picture ([`Work`]).
    pub sha256: String,
}

/// A batch of a plan.
pub(super) struct Batch<'a> {
    /// Its number, in the order of the entries.
    pub(super) number: usize,
    /// Place of its first entry.
    pub(super) first: usize,
    pub(super) entries: &'a [Planned],
    /// Of its entries' hashes.
    pub(super) sha256: String,
    pub(super) shard: usize,
}

impl Planned {
    pub(super) fn pair(&self) -> Pair {
        pair(&self.unit, self.class)
    }
}

/// Without a class in the objective, the class is no matter.
fn pair(unit: &Unit, class: Option<ClassId>) -> Pair {
    Pair {
        neuron: NeuronId(unit.kind.channel()),
        class: class.unwrap_or(ClassId(0)),
    }
}

impl Plan {
    /// Plans an atlas. The units' classes are those of a plan that is there, where one is: what images say
    /// may differ in the last bits from one device to another.
    pub(super) fn new(
        inputs: &AtlasInputs<'_>,
        config: &AtlasConfig,
        there: Option<&Self>,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        config.validate()?;
        if !inputs.origin.complete {
            let what =
                "weights that are all in the checkpoint: none may be drawn at random".to_owned();
            return Err(Error::AtlasNeeds { what });
        }
        let classifier = inputs.classifier;
        let decision = classifier.decision_layer()?;
        check_option(
            "class_names",
            inputs.class_names.len(),
            inputs.class_names.len() == decision.classes(),
            "a name for each of the model's classes",
        )?;
        let penultimate = classifier.penultimate();
        let layer = config.layer.as_deref().unwrap_or(penultimate);
        let units = units_of_layer(layer, classifier)?;
        let there = there.filter(|there| there.layer == layer && there.classes == config.classes);
        let mut run = inputs.run.clone();
        let chosen: Vec<(Unit, Option<ClassId>)> = match (there, config.classes) {
            (Some(there), _) => {
                let entries = there.entries.iter();
                entries.map(|it| (it.unit.clone(), it.class)).collect()
            }
            (None, 0) => units.into_iter().map(|unit| (unit, None)).collect(),
            (None, count) => {
                let (classes, skipped) = top_classes(inputs, layer, count, observer)?;
                run.skipped_images
                    .extend(skipped.into_iter().map(|image| SkippedImage {
                        path: image.id,
                        reason: image.reason,
                    }));
                if classes.len() != units.len() {
                    let what = "units with classes of the layer";
                    return Err(CoreError::length(what, units.len(), classes.len()).into());
                }
                let units = units.into_iter().zip(classes);
                let within = units.flat_map(|(unit, classes)| {
                    let classes = classes.into_iter();
                    classes.map(move |class| (unit.clone(), Some(class)))
                });
                within.collect()
            }
        };
        let hashing = Hashing::new(inputs, layer, config)?;
        let entries = chosen.into_iter().map(|(unit, class)| {
            Ok(Planned {
                sha256: hashing.entry(&unit, class)?,
                unit,
                class,
            })
        });
        Ok(Self {
            layer: layer.to_owned(),
            classes: config.classes,
            class_names: inputs.class_names.to_vec(),
            // As many as its folder is divided into.
            shards: 1,
            batch_size: config.execution.batch_size,
            entries: entries.collect::<Result<_>>()?,
            made_with: hashing.made_with,
            run,
        })
    }

    /// Each shard that is made or merged is an open file.
    const MOST_SHARDS: usize = 200;

    /// Checks the numbers that divide it.
    pub(super) fn validate(&self) -> Result<()> {
        let (shards, size) = (self.shards, self.batch_size);
        let allowed = (1..=Self::MOST_SHARDS).contains(&shards);
        check_option("shards", shards, allowed, "1 to 200")?;
        Ok(check_option("batch_size", size, size > 0, "at least 1")?)
    }

    /// Refuses this one where a folder holds another.
    pub(super) fn refuse_other(&self, there: &Self, path: &Path) -> Result<()> {
        match &*self.changed(there) {
            [] => Ok(()),
            changed => Err(Error::OtherAtlas {
                path: path.to_owned(),
                changed: changed.join(", "),
            }),
        }
    }

    /// What is not as it is in another plan.
    pub(super) fn changed(&self, other: &Self) -> Vec<&'static str> {
        let (ours, theirs) = (&self.made_with, &other.made_with);
        let parts = [
            (
                "the version of neuroinspect",
                ours.version == theirs.version,
            ),
            ("the layer", self.layer == other.layer),
            ("the number of classes", self.classes == other.classes),
            (
                "the names of the classes",
                self.class_names == other.class_names,
            ),
            ("the number of shards", self.shards == other.shards),
            ("the batch size", self.batch_size == other.batch_size),
            ("the recipe", ours.recipe == theirs.recipe),
            ("the classifier", ours.classifier == theirs.classifier),
            ("the encoder or its prompts", ours.guide == theirs.guide),
            (
                "the judge or the other seeds",
                theirs.trust.is_empty() || ours.trust == theirs.trust,
            ),
            ("the images", self.run.data == other.run.data),
        ];
        let changed = parts.into_iter().filter(|(_, same)| !same);
        let changed: Vec<_> = changed.map(|(what, _)| what).collect();
        match changed.is_empty() && self.entries != other.entries {
            true => vec!["the units or their classes"],
            false => changed,
        }
    }

    /// The batches, in the order of the entries.
    pub(super) fn batches(&self) -> Vec<Batch<'_>> {
        let chunks = self.entries.chunks(self.batch_size).enumerate();
        let mut batches: Vec<_> = chunks
            .map(|(number, entries)| {
                let hashes: Vec<&str> = entries.iter().map(|entry| &*entry.sha256).collect();
                Batch {
                    number,
                    first: number * self.batch_size,
                    entries,
                    sha256: sha256_of_bytes(hashes.concat().as_bytes()),
                    shard: 0,
                }
            })
            .collect();
        // By rank, so that shards are alike in size.
        let mut order: Vec<usize> = (0..batches.len()).collect();
        order.sort_by(|&one, &other| batches[one].sha256.cmp(&batches[other].sha256));
        for (rank, number) in order.into_iter().enumerate() {
            batches[number].shard = rank % self.shards;
        }
        batches
    }
}

/// What the hashes of entries have in common.
struct Hashing<'a> {
    recipe: &'a Recipe,
    /// Whether neurons are pictured, and not units of another layer.
    neurons: bool,
    /// Where pictures are guided, the classes' texts.
    texts: Option<&'a [String]>,
    made_with: MadeWith,
}

impl<'a> Hashing<'a> {
    fn new(inputs: &AtlasInputs<'a>, layer: &str, config: &'a AtlasConfig) -> Result<Self> {
        let AtlasConfig {
            recipe, execution, ..
        } = config;
        let AtlasInputs {
            classifier, origin, ..
        } = inputs;
        let guide = inputs.guide.filter(|_| recipe.objective.needs_guide());
        let of_classifier = (
            classifier.name(),
            classifier.input(),
            &origin.classifier_sha256,
            classifier.decision_layer()?.sha256(),
            classifier.map_layer(),
        );
        let of_guide = guide.map(|texts| {
            sha256(&(
                texts.encoder.name(),
                texts.encoder.input(),
                &origin.encoder_sha256,
                &origin.encoder_config_sha256,
                texts.templates,
            ))
        });
        let of_judge = inputs.judge.map(|judge| -> Result<_> {
            Ok((
                judge.name(),
                judge.input(),
                judge.decision_layer()?.sha256(),
            ))
        });
        let of_trust = (
            of_judge.transpose()?,
            execution.other_seeds,
            execution.other_seed_part,
        );
        Ok(Self {
            recipe,
            neurons: layer == classifier.penultimate(),
            texts: guide.map(|guide| guide.texts.as_slice()),
            made_with: MadeWith {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                recipe: recipe.sha256()?,
                classifier: sha256(&of_classifier)?,
                guide: of_guide.transpose()?,
                trust: sha256(&of_trust)?,
            },
        })
    }

    fn entry(&self, unit: &Unit, class: Option<ClassId>) -> Result<String> {
        let pair = pair(unit, class);
        let text = match self.texts {
            Some(texts) => {
                pair.class.check(texts.len())?;
                Some(&texts[pair.class.0])
            }
            None => None,
        };
        let guide = self.made_with.guide.as_ref().zip(text);
        let guide = guide.map(|(guide, text)| format!("{guide} {text}"));
        let work = Work {
            recipe: self.recipe,
            pair,
            unit: (!self.neurons).then_some(unit),
            classifier: &self.made_with.classifier,
            guide: guide.as_deref(),
            initial: None,
        };
        Ok(work.sha256()?)
    }
}

fn sha256(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(value).map_err(|source| ReportError::Json {
        schema: "the plan of an atlas",
        source,
    })?;
    Ok(sha256_of_bytes(&json))
}
