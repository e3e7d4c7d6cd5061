//! What is pictured within which classes.

use neuroinspect::{
    ClassTexts, Extraction,
    atlas::{Atlas, AtlasConfig, AtlasInputs, AtlasWork, MergeRequest, Plan},
    burn::tensor::Device,
    core::{ClassId, Classifier as _, DecisionLayer, Seed, Silent},
    datasets::{ImageDataset as _, ImageFolder, ImageFolderConfig},
    extract_activations,
    illusion::{Objective, classes_of_neuron},
    models::{
        Checkpoint, PretrainedClassifier as _, Strictness, checkpoint, init_classifier, prompts,
    },
    report::Run,
};
use neuroinspect_testing::{
    files::{Folder, gradient, safetensors_of},
    fill::made_up_weights,
    networks::{TinyClassifier, TinyEncoder},
};

use super::making::{Bench, SIDE, STEPS, alone, config, flex, names, origin};

#[test]
fn every_neuron_is_pictured_within_its_top_classes() {
    let (bench, _) = alone(1);
    let layer = bench.classifier.decision_layer().unwrap();
    let index = bench.merge().unwrap();
    assert_eq!(index.entries.len(), 2 * TinyClassifier::NEURONS);
    for (entry, place) in index.entries.iter().zip(0..) {
        let neuron = neuroinspect::core::NeuronId(place / 2);
        let classes = classes_of_neuron(&layer, neuron, 2).unwrap();
        assert_eq!(
            entry.found.unit.to_string(),
            format!("neuron {neuron} of layer features")
        );
        assert_eq!(entry.found.class, Some(classes[place % 2]));
        let picture = entry.found.picture.as_ref().unwrap();
        let name = format!("pictures/unit-{}-features-neuron-{neuron}", place + 1);
        assert_eq!(picture.file, format!("{name}.png"));
        // Neurons of the last layer have masks.
        assert_eq!(picture.masked_file, Some(format!("{name}-masked.png")));
        assert_eq!(picture.steps, STEPS);
        assert!(bench.path().join(&picture.file).exists());
    }
    let files = bench.files();
    assert!(
        !files.keys().any(|name| name.starts_with("shards")),
        "they are gone"
    );
    let page = String::from_utf8(files["index.html"].clone()).unwrap();
    assert!(page.contains("pictures/unit-12-features-neuron-5.png"));
}

#[test]
fn pictures_that_diverge_are_finished_without_one() {
    let mut bench = Bench::new();
    let layer = bench.classifier.decision_layer().unwrap();
    let mut weight = layer.weight().to_owned();
    weight.row_mut(0).fill(1e35);
    let layer = DecisionLayer::new(weight, layer.bias().to_owned()).unwrap();
    bench.classifier.set_decision_layer(&layer).unwrap();
    bench.config.recipe.objective = Objective::without_clip(1e15);
    let atlas = bench.plan(None).unwrap();
    let made = bench.made(None);
    let of_class_0 = |plan: &Plan| {
        let entries = plan.entries.iter();
        entries.filter(|it| it.class == Some(ClassId(0))).count()
    };
    let diverged = of_class_0(atlas.planned());
    assert_eq!(diverged, 6, "every neuron speaks for class 0");
    assert_eq!(
        (made.pictures, made.failures.len()),
        (12 - diverged, diverged)
    );
    assert_eq!(atlas.status().unwrap().diverged, diverged);
    let index = bench.merge().unwrap();
    let without = index.entries.iter().filter(|it| it.found.picture.is_none());
    assert!(
        without
            .map(|it| it.found.class)
            .all(|class| class == Some(ClassId(0)))
    );

    // Be it all of a batch, or all that there are.
    let root = tempfile::tempdir().unwrap();
    let bench = Bench {
        config: bench.config.clone().with_classes(1),
        root,
        ..bench
    };
    bench.plan(None).unwrap();
    let made = bench.made(None);
    assert_eq!((made.pictures, made.failures.len()), (0, 6));
    assert_eq!(bench.merge().unwrap().entries.len(), 6);
}

/// A text belongs to its class: with another, that class's pictures are others.
#[test]
fn pictures_are_guided_by_the_texts_of_their_classes() {
    let bench = Bench::new();
    let encoder = TinyEncoder::new(SIDE, &Device::flex());
    let templates = prompts::PromptTemplates::parts32();
    let mut config = bench.config.clone();
    config.recipe.objective = Objective::default();
    let plan = |texts: Vec<String>| {
        let texts = ClassTexts {
            encoder: &encoder,
            templates: &templates,
            texts,
        };
        let inputs = AtlasInputs {
            guide: Some(&texts),
            ..bench.inputs()
        };
        let root = tempfile::tempdir().unwrap();
        let atlas = Atlas::plan(&root, &inputs, &config, None, &mut Silent).unwrap();
        let work = AtlasWork {
            inputs: &inputs,
            config: &config,
            devices: &[flex()],
            shard: None,
            command: None,
        };
        assert_eq!(atlas.make(&work, &mut Silent).unwrap().pictures, 12);
        let index = atlas.merge(&MergeRequest::default(), &mut Silent).unwrap();
        (atlas.planned().clone(), index)
    };
    let (first, index) = plan(names(4));
    let mut other = names(4);
    other[2] = "something else".to_owned();
    let (second, index_of_other) = plan(other);
    let pictures = index.entries.iter().zip(&index_of_other.entries);
    let entries = first.entries.iter().zip(&second.entries);
    let mut of_class = 0;
    for ((one, other), (entry, with_other)) in entries.zip(pictures) {
        let same = one.class != Some(ClassId(2));
        of_class += usize::from(!same);
        assert_eq!(one.sha256 == other.sha256, same);
        let similarity = |entry: &neuroinspect::report::AtlasEntry| {
            entry
                .found
                .picture
                .as_ref()
                .unwrap()
                .clip_similarity
                .unwrap()
        };
        assert_eq!(similarity(entry) == similarity(with_other), same);
    }
    assert!(of_class > 0);
}

/// Of a layer before the last, the classes are those whose images activate a channel most.
#[test]
fn channels_are_pictured_within_the_classes_whose_images_activate_them() {
    const LAYER: &str = "layer1.0.conv1";
    let folder = Folder::new();
    for class in 0..3 {
        for index in 0..4 {
            let name = format!("images/{class}/{index}.png");
            folder.image(&name, &gradient(class, index, 32));
        }
    }
    let images = ImageFolder::open(folder.path("images"), &ImageFolderConfig::default()).unwrap();
    let mut model = init_classifier("cifar_resnet20", 3, &Device::flex()).unwrap();
    let weights = safetensors_of(&made_up_weights(checkpoint::parameter_shapes(&model)));
    let weights = Checkpoint::from_bytes("made-up weights", weights).unwrap();
    model.load(&weights, Strictness::Strict).unwrap();
    let extraction = Extraction::new(&model, &images);
    let (origin, run) = (origin(), Run::new("resnet", "images", "", Seed(0)));
    let class_names = names(3);
    let inputs = AtlasInputs {
        classifier: &model,
        guide: None,
        judge: None,
        images: Some(&extraction),
        class_names: &class_names,
        origin: &origin,
        run: &run,
    };
    let root = tempfile::tempdir().unwrap();
    let config = config().with_layer(LAYER.to_owned());
    let atlas = Atlas::plan(&root, &inputs, &config, None, &mut Silent).unwrap();
    let seen = extract_activations(&extraction, LAYER, &mut Silent).unwrap();
    let labels = seen
        .indices
        .iter()
        .map(|&index| images.samples()[index].label.0);
    let labels: Vec<usize> = labels.collect();
    let activations = seen.table.values().unwrap();
    let mut place = 0;
    for channel in 0..16 {
        let mean = |class: usize| {
            let rows = (0..labels.len()).filter(|&row| labels[row] == class);
            rows.map(|row| f64::from(activations[[row, channel]]))
                .sum::<f64>()
                / 4.0
        };
        let mut classes = [0, 1, 2];
        classes.sort_by(|&one, &other| mean(other).total_cmp(&mean(one)));
        for class in &classes[..2] {
            let entry = &atlas.planned().entries[place];
            assert_eq!(entry.unit.kind.channel(), channel);
            assert_eq!(entry.class, Some(ClassId(*class)), "channel {channel}");
            place += 1;
        }
    }
    assert_eq!(place, atlas.planned().entries.len());

    let root = tempfile::tempdir().unwrap();
    let plan = |inputs: &AtlasInputs<'_>, config: &AtlasConfig| {
        Atlas::plan(&root, inputs, config, None, &mut Silent)
    };
    let without = AtlasInputs {
        images: None,
        ..inputs
    };
    let error = plan(&without, &config).unwrap_err().to_string();
    assert!(
        error.contains("needs images") && error.contains(LAYER),
        "{error}"
    );
    // By themselves they need none.
    let mut config = config.with_classes(0);
    config.recipe.objective = Objective::Neuron;
    let atlas = plan(&without, &config).unwrap();
    assert_eq!(atlas.planned().entries.len(), 16);
    assert!(atlas.planned().entries.iter().all(|it| it.class.is_none()));
    let strange = config.with_layer("layer9".to_owned());
    let error = plan(&without, &strange).unwrap_err().to_string();
    assert!(error.contains("layer9"), "{error}");
}

/// What an encoder sees of a picture decides it, too.
#[test]
fn an_encoder_of_another_input_guides_another_atlas() {
    let bench = Bench::new();
    let templates = prompts::PromptTemplates::parts32();
    let mut config = bench.config.clone();
    config.recipe.objective = Objective::default();
    let root = tempfile::tempdir().unwrap();
    let plan = |size: usize| {
        let encoder = TinyEncoder::new(size, &Device::flex());
        let texts = ClassTexts {
            encoder: &encoder,
            templates: &templates,
            texts: names(TinyClassifier::CLASSES),
        };
        let inputs = AtlasInputs {
            guide: Some(&texts),
            ..bench.inputs()
        };
        Atlas::plan(&root, &inputs, &config, None, &mut Silent)
    };
    plan(SIDE).unwrap();
    plan(SIDE).unwrap();
    let error = plan(2 * SIDE).unwrap_err().to_string();
    let expected = "of which the encoder or its prompts is not";
    assert!(error.contains(expected), "{error}");
}
