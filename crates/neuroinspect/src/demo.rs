//! The embedded demo: scenes with a planted false correlation, a classifier that fell for it, and
//! a small CLIP that knows the scenes by name.
//!
//! The classifier was made as many are: a decision layer trained on a backbone that somebody else
//! had trained. The backbone tells objects and backgrounds apart. In the scenes that the decision
//! layer was trained on every star floats on water, and nothing else does, so that water was as
//! good a reason to say "star" as the star itself; on test scenes, where anything is on anything,
//! the classifier is wrong about stars elsewhere. Because the cause is known, and can be switched
//! on and off in the same scene, the demo shows not only what the method says but that it is right.
//! Training the decision layer on, which an edit's control does, mends nothing: no training scene says
//! that water does not make a star.
//!
//! A third network, the judge, has no part in either: it says whether pictures that they made are understood.
//!
//! The networks were trained by `cargo run --release -p neuroinspect --example train_demo`; see
//! `assets/README.md` beside the sources.

pub(crate) mod concept_scenes;
mod staged;

use std::{fmt, path::Path, sync::Arc};

use burn::tensor::Device;
use ndarray::Axis;
use neuroinspect_core::{ClassId, FeatureTable, InputSpec, Observer, Seed, io::write_atomically};
use neuroinspect_datasets::{
    ImageDataset, preprocess,
    scenes::{Context, Part, Planted, Scenes, ScenesConfig},
    write_image_folder,
};
use neuroinspect_editing::{Concept, EditData};
use neuroinspect_illusion::{Magnitudes, Recipe};
use neuroinspect_models::{
    Checkpoint, CifarResNetConfig, GraphClassifier, LoadConfig, PretrainedClassifier, Strictness,
    clip::Clip,
    load_classifier_from_bytes,
    prompts::{PromptTemplates, class_text},
};
use neuroinspect_report::ContextEffect;

use self::{
    concept_scenes::ConceptScenes,
    staged::{Outlines, Staged},
};
use crate::{
    ClassTexts, DebugConfig, DebugInputs, Extracted, Extraction, NeuronChoice, Result,
    extract_features,
    leaderboard::{Repetition, editing_of_all_listed},
};

const CLASSIFIER: &[u8] = include_bytes!("../assets/scenes_classifier.safetensors");
const CLIP: &[u8] = include_bytes!("../assets/scenes_clip.safetensors");
const JUDGE: &[u8] = include_bytes!("../assets/scenes_judge.safetensors");

/// Scenes of which the context is switched on and off.
const TOGGLED_SCENES: usize = 200;

/// Scenes that are written by their contexts, or measured.
const SCENES_BY_CONTEXT: usize = 240;

/// The demo's networks and scenes.
pub struct Demo {
    /// The classifier that fell for the false correlation.
    pub classifier: Box<dyn PretrainedClassifier>,
    /// SHA-256 of its weights.
    pub weights_sha256: String,
    /// The image-text encoder.
    pub clip: Clip,
    /// A classifier of the same classes that had no part in the others, trained on other scenes without
    /// a correlation: it judges pictures.
    pub judge: GraphClassifier,
    /// What the classifier was trained on.
    pub train: Scenes,
    /// Scenes where object and context are independent.
    pub test: Scenes,
    templates: PromptTemplates,
}

impl fmt::Debug for Demo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.classifier.name();
        f.debug_struct("Demo")
            .field("classifier", &model)
            .finish_non_exhaustive()
    }
}

/// The demo's scenes as its classifier sees them, and all else that it is debugged with.
#[derive(Debug)]
pub struct DemoData<'a> {
    demo: &'a Demo,
    /// The test scenes.
    pub extracted: Extracted,
    /// The training scenes, and the test scenes to measure on.
    pub edit_data: EditData,
    /// How each of `D` neurons answers to the planted context.
    pub context_effects: Vec<ContextEffect>,
    texts: ClassTexts<'a>,
}

impl DemoData<'_> {
    /// What [`debug`](crate::debug()) works from.
    pub fn inputs(&self) -> DebugInputs<'_> {
        DebugInputs::new(self.demo.classifier.as_ref(), &self.extracted.table)
            .with_guide(&self.texts)
            .with_judge(&self.demo.judge)
            .with_edit_data(&self.edit_data)
            .with_images(&self.demo.test, &self.extracted.indices)
            .with_context_effects(&self.context_effects)
    }
}

impl Demo {
    /// Depth of the judge, a CIFAR ResNet.
    pub const JUDGE_DEPTH: usize = 8;

    /// Loads the embedded networks.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub fn load(device: &Device) -> Result<Self> {
        let loaded = load_classifier_from_bytes(
            "cifar_resnet20",
            CLASSIFIER,
            &LoadConfig::default(),
            device,
        )?;
        let classes = Self::training_scenes().classes.len();
        let mut judge = CifarResNetConfig::new(Self::JUDGE_DEPTH, classes).init(device)?;
        let weights = Checkpoint::from_bytes("scenes_judge.safetensors", JUDGE)?;
        judge.load(&weights, Strictness::Strict)?;
        Ok(Self {
            judge,
            classifier: loaded.model,
            weights_sha256: loaded.weights_sha256,
            clip: Clip::from_checkpoint(
                &Checkpoint::from_bytes("scenes_clip.safetensors", CLIP)?,
                None,
                device,
            )?,
            train: Scenes::new(Self::training_scenes())?,
            test: Scenes::new(ScenesConfig::test())?,
            templates: PromptTemplates::parts32(),
        })
    }

    /// The scenes the decision layer was trained on: every star, and nothing else, is on water, as
    /// in the paper's MetaShift scenarios all training images of a class carry one attribute.
    pub fn training_scenes() -> ScenesConfig {
        let planted = Planted {
            strength: 1.0,
            leak_rate: 0.0,
            ..Planted::default()
        };
        ScenesConfig::train().with_planted(planted)
    }

    /// The class whose context was planted.
    pub fn planted_class(&self) -> ClassId {
        self.train.planted_class()
    }

    /// The context that was planted.
    pub fn planted_context(&self) -> Context {
        self.train.config().planted.context
    }

    /// Magnitudes of the spectra of scenes, equally of all contexts, for pictures that have the same
    /// ([`Recipe::maco`]).
    ///
    /// # Errors
    ///
    /// When a scene cannot be drawn.
    pub fn magnitudes() -> Result<Magnitudes> {
        let config = ScenesConfig::captioned().with_samples(SCENES_BY_CONTEXT);
        let spec = InputSpec::new(config.size);
        let scenes = Scenes::new(config)?;
        let images = (0..SCENES_BY_CONTEXT).map(|index| preprocess(&scenes.image(index)?, &spec));
        let images = images.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Magnitudes::measure(images)?)
    }

    /// The options the demo runs with.
    ///
    /// All neurons that the ranking lists are edited, each by its own ratio: the backbone spreads
    /// the water over many of them, and those left out would take over. The first five are
    /// pictured, at a higher rate than the paper's: pictures of 32 pixels stay pale otherwise. The
    /// validation scenes have the false correlation too, so that accuracy on them says nothing about
    /// an edit: the last epoch is kept.
    pub fn config() -> DebugConfig {
        let recipe = Recipe::default().with_learning_rate(0.03).with_steps(400);
        DebugConfig::default()
            .with_neurons(NeuronChoice::Listed)
            .with_pictures(5)
            .with_editing(editing_of_all_listed())
            .with_recipe(recipe)
    }

    /// Computes what the three stages work from. `seed` decides which training scenes an edit is
    /// validated on.
    ///
    /// # Errors
    ///
    /// When the classifier fails, or the observer asks to stop.
    pub fn data(&self, seed: Seed, observer: &mut dyn Observer) -> Result<DemoData<'_>> {
        let extracted = self.extract(&self.test, observer)?;
        let train = self.extract(&self.train, observer)?.table;
        self.data_of(extracted, train, seed, observer)
    }

    /// The same with the [extracted](Self::extraction) features of the test scenes and of the training scenes, which
    /// a [run folder](crate::RunFolder::features) may have kept.
    ///
    /// # Errors
    ///
    /// When the features are of other classes or neurons, the classifier fails, or the observer asks to stop.
    pub fn data_of(
        &self,
        extracted: Extracted,
        train: FeatureTable,
        seed: Seed,
        observer: &mut dyn Observer,
    ) -> Result<DemoData<'_>> {
        let names = self.test.class_names().iter();
        Ok(DemoData {
            demo: self,
            edit_data: EditData::new(train, extracted.table.clone(), seed)?,
            context_effects: self.context_effects(observer)?,
            texts: ClassTexts {
                encoder: &self.clip,
                templates: &self.templates,
                texts: names.map(|name| class_text(None, name)).collect(),
            },
            extracted,
        })
    }

    /// What methods are compared on: scenes to learn from, and for each seed a thousand scenes to choose
    /// on and a thousand to measure on, in which object and context are independent. None of these is
    /// among the [test scenes](Self::test), which the demo's options were chosen on, as long as no seed
    /// is theirs, 0.
    ///
    /// With `planted`, the scenes to learn from and to choose on have that false correlation. Without,
    /// the former are the demo's own, and in the latter object and context are independent as well.
    ///
    /// # Errors
    ///
    /// When the classifier fails, or the observer asks to stop.
    pub fn repetitions(
        &self,
        planted: Option<&Planted>,
        seeds: impl IntoIterator<Item = Seed>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Repetition>> {
        let layer = self.classifier.decision_layer()?;
        let mut features = |part: Part, seed: Seed, planted: Option<&Planted>| -> Result<_> {
            let config = match part {
                Part::Train => Self::training_scenes(),
                _ => ScenesConfig::test().with_part(part).with_seed(seed),
            };
            let config = match planted {
                Some(planted) => config.with_planted(planted.clone()),
                None => config,
            };
            Ok(Arc::new(
                self.extract(&Scenes::new(config)?, observer)?.table,
            ))
        };
        let train = features(Part::Train, Seed::default(), planted)?;
        let repetition = |seed: Seed| -> Result<Repetition> {
            let validation = features(Part::Validation, seed, planted)?;
            let measured = features(Part::Test, seed, None)?;
            Ok(Repetition {
                data: EditData::of_parts(&train, validation, measured)?,
                layer: layer.clone(),
                seed,
            })
        };
        seeds.into_iter().map(repetition).collect()
    }

    /// The backgrounds as concepts that may stand for any class, which [DISC](neuroinspect_editing::Disc) is told
    /// of: the mean features of those of `samples` scenes that show each, scenes of every object on every
    /// background alike, none of which is in another part.
    ///
    /// # Errors
    ///
    /// When a background has no scene, the classifier fails, or the observer asks to stop.
    pub fn backgrounds(&self, samples: usize, observer: &mut dyn Observer) -> Result<Vec<Concept>> {
        let classes = self.classifier.decision_layer()?.classes();
        ConceptScenes::extract(self, samples, observer)?.backgrounds(classes)
    }

    /// How each neuron answers to the planted context, measured on pairs of scenes that are the
    /// same but for it.
    ///
    /// # Errors
    ///
    /// When the classifier fails, or the observer asks to stop.
    pub fn context_effects(&self, observer: &mut dyn Observer) -> Result<Vec<ContextEffect>> {
        let context = self.planted_context();
        let mut absent = Vec::new();
        for index in 0..self.test.samples().len() {
            let scene = self.test.scene(index)?;
            if scene.context != context && absent.len() < TOGGLED_SCENES {
                absent.push(scene);
            }
        }
        let present = absent
            .iter()
            .map(|scene| scene.with_context(context))
            .collect();
        // What the scenes are classified as is of no interest here, only their features are.
        let staged = |scenes| Staged::new(self.test.class_names(), scenes, |_| 0);
        let present = self.extract(&staged(present), observer)?.table;
        let absent = self.extract(&staged(absent), observer)?.table;
        let (present, absent) = (present.features()?, absent.features()?);
        let effect = |neuron: usize| {
            let (with, without) = (
                present.column(neuron).to_owned(),
                absent.column(neuron).to_owned(),
            );
            let (present, absent) = (with.mean().unwrap_or(0.0), without.mean().unwrap_or(0.0));
            let both = ndarray::concatenate![Axis(0), with, without];
            let spread = both.std(0.0);
            // A dead neuron has no spread, and answers to nothing.
            let effect = if spread > 0.0 {
                (present - absent) / spread
            } else {
                0.0
            };
            ContextEffect {
                context: context.to_string(),
                present,
                absent,
                effect,
            }
        };
        Ok((0..present.ncols()).map(effect).collect())
    }

    /// Writes scenes and networks as files, to try other commands on: folders of images `train`, `test` (by
    /// class, with groups) and `contexts` (by what is behind the objects); the outlines of the objects in `test`, as
    /// `test-outlines`; the networks, as
    /// `scenes_classifier.safetensors` and `scenes_clip.safetensors`; `classes.txt`, the classes in the
    /// classifier's order, and `words.txt`, what is to be seen in the scenes.
    ///
    /// # Errors
    ///
    /// When one of these folders exists, a file cannot be written, or the observer asks to stop.
    pub fn save(&self, folder: &Path, observer: &mut dyn Observer) -> Result<()> {
        let contexts = Context::ALL.map(|context| context.to_string()).to_vec();
        let others = Scenes::new(ScenesConfig::captioned().with_samples(SCENES_BY_CONTEXT))?;
        let scenes = (0..SCENES_BY_CONTEXT).map(|index| others.scene(index));
        let by_context = Staged::new(&contexts, scenes.collect::<Result<_, _>>()?, |scene| {
            let place = Context::ALL.iter().position(|it| *it == scene.context);
            place.unwrap_or(0)
        });
        let folders: [(&str, &dyn ImageDataset); 4] = [
            ("train", &self.train),
            ("test", &self.test),
            ("test-outlines", &Outlines(&self.test)),
            ("contexts", &by_context),
        ];
        for (name, scenes) in folders {
            write_image_folder(scenes, folder.join(name), observer)?;
        }
        let classes = self.test.class_names();
        let words = [&contexts[..], classes].concat();
        let lines = |lines: &[String]| lines.join("\n") + "\n";
        for (name, content) in [
            ("scenes_classifier.safetensors", CLASSIFIER),
            ("scenes_clip.safetensors", CLIP),
            ("classes.txt", lines(classes).as_bytes()),
            ("words.txt", lines(&words).as_bytes()),
        ] {
            write_atomically(folder.join(name), |out| out.write_all(content))?;
        }
        Ok(())
    }

    /// The extraction of scenes' features by the classifier.
    pub fn extraction<'a>(&'a self, scenes: &'a dyn ImageDataset) -> Extraction<'a> {
        Extraction::new(self.classifier.as_ref(), scenes).with_weights_sha256(&self.weights_sha256)
    }

    pub(crate) fn extract(
        &self,
        dataset: &dyn ImageDataset,
        observer: &mut dyn Observer,
    ) -> Result<Extracted> {
        extract_features(&self.extraction(dataset), observer)
    }
}
