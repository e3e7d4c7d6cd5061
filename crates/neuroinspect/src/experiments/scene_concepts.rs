//! Concepts learned from the scenes.

use neuroinspect_core::Observer;
use neuroinspect_datasets::scenes::{Colour, Context, Object, Scene, Scenes, ScenesConfig};

use crate::{
    Extraction, Result,
    concepts::{ConceptBank, ConceptSamples, LearningConfig, learn_bank},
    demo::Demo,
    extract_activations,
};

/// A concept for each background, object and colour, learned from `samples` scenes of every object on every
/// background, none of which is in another part.
pub(super) fn scene_concepts(
    demo: &Demo,
    samples: usize,
    observer: &mut dyn Observer,
) -> Result<ConceptBank> {
    let config = ScenesConfig::captioned()
        .with_classes(Object::ALL.to_vec())
        .with_samples(samples);
    let scenes = Scenes::new(config)?;
    let extraction = Extraction::new(demo.classifier.as_ref(), &scenes)
        .with_weights_sha256(&demo.weights_sha256);
    let layer = demo.classifier.penultimate();
    let table = extract_activations(&extraction, layer, observer)?.table;
    let shown: Vec<Scene> = (0..samples)
        .map(|index| scenes.scene(index))
        .collect::<Result<_, _>>()?;
    let concept = |name: String, shows: &dyn Fn(&Scene) -> bool| {
        let (positives, negatives) = (0..samples).partition(|&index| shows(&shown[index]));
        ConceptSamples {
            name,
            positives,
            negatives,
        }
    };
    let contexts =
        Context::ALL.map(|context| concept(context.to_string(), &|scene| scene.context == context));
    let objects =
        Object::ALL.map(|object| concept(object.to_string(), &|scene| scene.object == object));
    let colours =
        Colour::ALL.map(|colour| concept(colour.to_string(), &|scene| scene.colour == colour));
    let concepts: Vec<_> = contexts.into_iter().chain(objects).chain(colours).collect();
    learn_bank(&table, &concepts, &LearningConfig::default(), observer)
}
