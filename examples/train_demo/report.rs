//! What trained networks know.

use burn::tensor::{Device, Tensor, TensorData};
use neuroinspect::{
    Extraction,
    core::{Classifier, ImageTextEncoder, InputSpec, Silent},
    datasets::{
        ImageDataset, preprocess,
        scenes::{Context, Scene, Scenes, ScenesConfig},
    },
    demo::Demo,
    extract_features,
    models::{
        GraphClassifier,
        clip::Clip,
        prompts::{ClassEmbeddingConfig, PromptTemplates, class_embeddings, zero_shot},
    },
};

use crate::Result;

/// All images of a data set, normalised for a model: `[N, 3, S, S]`.
fn pixels(scenes: &Scenes, input: &InputSpec, device: &Device) -> Result<Tensor<4>> {
    let mut values = Vec::new();
    for index in 0..scenes.samples().len() {
        values.extend(preprocess(&scenes.image(index)?, input)?);
    }
    let shape = [scenes.samples().len(), 3, input.size, input.size];
    let images = Tensor::from_data(TensorData::new(values, shape), device);
    Ok(input.normalize(images))
}

/// How many scenes the classifier names right, and of each group.
pub(crate) fn report_classifier(classifier: &GraphClassifier) -> Result<()> {
    let layer = classifier.decision_layer()?;
    for config in [
        ScenesConfig::captioned(),
        Demo::training_scenes(),
        ScenesConfig::test(),
    ] {
        let scenes = Scenes::new(config)?;
        let seen = extract_features(&Extraction::new(classifier, &scenes), &mut Silent)?;
        let metrics = seen.table.predicted_by(&layer)?.metrics()?;
        println!("{}: accuracy {:.3}", scenes.name(), metrics.accuracy);
        for (name, accuracy) in scenes
            .group_names()
            .iter()
            .zip(metrics.group_accuracy.iter().flatten())
        {
            println!("  {name}: {:.3}", accuracy.unwrap_or(f64::NAN));
        }
    }
    Ok(())
}

/// How many test scenes' object and context the nearest text names right.
pub(crate) fn report_clip(clip: &Clip) -> Result<()> {
    let dataset = Scenes::new(ScenesConfig::test())?;
    let images = clip.encode_images(pixels(&dataset, clip.input(), &clip.device())?);
    let scenes = (0..dataset.samples().len())
        .map(|index| dataset.scene(index))
        .collect::<Result<Vec<_>, _>>()?;
    let objects = dataset.class_names().to_vec();
    let contexts: Vec<_> = Context::ALL.iter().map(ToString::to_string).collect();
    let is = |names: &[String],
              truth: &dyn Fn(&Scene) -> String,
              templates: &PromptTemplates|
     -> Result<f64> {
        let texts = class_embeddings(clip, templates, names, &ClassEmbeddingConfig::default())?;
        let said = zero_shot(images.clone(), texts)?;
        let right = said
            .iter()
            .zip(&scenes)
            .filter(|(said, scene)| names[said.0] == truth(scene));
        Ok(right.count() as f64 / scenes.len() as f64)
    };
    for (name, templates) in [
        (
            "a photo of a {}.",
            PromptTemplates::new(["a photo of a {}."])?,
        ),
        ("parts32", PromptTemplates::parts32()),
    ] {
        let object = is(&objects, &|scene| scene.object.to_string(), &templates)?;
        let context = is(&contexts, &|scene| scene.context.to_string(), &templates)?;
        println!("clip, '{name}': object {object:.3}, context {context:.3}");
    }
    Ok(())
}
