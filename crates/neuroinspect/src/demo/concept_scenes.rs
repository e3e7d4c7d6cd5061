//! Concepts learned from the scenes.

use neuroinspect_core::{ActivationTable, ClassId, Observer};
#[cfg(feature = "experiments")]
use neuroinspect_datasets::scenes::Colour;
use neuroinspect_datasets::scenes::{Context, Object, Scene, Scenes, ScenesConfig};
use neuroinspect_editing::Concept;

#[cfg(feature = "experiments")]
use crate::concepts::{ConceptBank, ConceptSamples, LearningConfig, learn_bank};
use crate::{Extraction, Result, demo::Demo, extract_activations};

/// Scenes of every object on every background alike, none of which is in another part.
pub(crate) struct ConceptScenes {
    table: ActivationTable,
    scenes: Vec<Scene>,
}

impl ConceptScenes {
    pub(crate) fn extract(
        demo: &Demo,
        samples: usize,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let config = ScenesConfig::captioned()
            .with_classes(Object::ALL.to_vec())
            .with_samples(samples);
        let scenes = Scenes::new(config)?;
        let extraction = Extraction::new(demo.classifier.as_ref(), &scenes)
            .with_weights_sha256(&demo.weights_sha256);
        let layer = demo.classifier.penultimate();
        let shown = (0..samples).map(|index| scenes.scene(index));
        Ok(Self {
            table: extract_activations(&extraction, layer, observer)?.table,
            scenes: shown.collect::<Result<_, _>>()?,
        })
    }

    /// A concept for each object, colour and background. Of equal weights the first concepts come first: the
    /// backgrounds are last, so that no attribute is among the first by its place.
    #[cfg(feature = "experiments")]
    pub(crate) fn bank(&self, observer: &mut dyn Observer) -> Result<ConceptBank> {
        let concept = |name: String, shows: &dyn Fn(&Scene) -> bool| {
            let (positives, negatives) =
                (0..self.scenes.len()).partition(|&index| shows(&self.scenes[index]));
            ConceptSamples {
                name,
                positives,
                negatives,
            }
        };
        let objects =
            Object::ALL.map(|object| concept(object.to_string(), &|scene| scene.object == object));
        let colours =
            Colour::ALL.map(|colour| concept(colour.to_string(), &|scene| scene.colour == colour));
        let contexts = Context::ALL
            .map(|context| concept(context.to_string(), &|scene| scene.context == context));
        let concepts: Vec<_> = objects.into_iter().chain(colours).chain(contexts).collect();
        learn_bank(&self.table, &concepts, &LearningConfig::default(), observer)
    }

    /// The backgrounds as concepts that may stand for any class: the mean features of scenes of each.
    pub(super) fn backgrounds(&self, classes: usize) -> Result<Vec<Concept>> {
        let mut concepts = Vec::new();
        for context in Context::ALL {
            let scenes = self.scenes.iter().enumerate();
            let of_context = scenes.filter(|(_, scene)| scene.context == context);
            let features = self
                .table
                .mean_of(of_context.map(|(index, _)| index))?
                .to_vec();
            concepts.extend((0..classes).map(|class| Concept {
                class: ClassId(class),
                features: features.clone(),
            }));
        }
        Ok(concepts)
    }
}
