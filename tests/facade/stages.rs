//! The three stages chained: what one of them does not take from the others when it is stopped or
//! fails, and what is refused before the first begins.

use std::{
    cell::Cell,
    ops::ControlFlow,
    sync::atomic::{AtomicUsize, Ordering},
};

use burn::tensor::{Device, Tensor};
use ndarray::Array2;
use neuroinspect::{
    ClassTexts, DebugConfig, DebugInputs, Findings, GuideSource, NeuronChoice, burn,
    core::{
        ActivationTable, ClassId, Classifier, CopyEncoder, DecisionLayer, FeatureTable,
        ImageTextEncoder, InputSpec, NeuronId, Observer, Precision, Progress, Provenance,
        Result as CoreResult, Seed, Silent, is_cancellation,
    },
    debug, debug_each,
    editing::{Control, EditConfig, EditData, Target, TrainingConfig},
    illusion::{Augmentation, Execution, Networks, Objective, Pair, Recipe, Request, visualize},
    models::{CifarResNetConfig, GraphClassifier, init_classifier, prompts::PromptTemplates},
};
use rand::RngExt;

use super::made_up::made_up;

const EPOCHS: usize = 3;

/// A model of three classes that says class 0 whatever it sees.
fn model() -> GraphClassifier {
    let device = Device::flex();
    let mut model = made_up(CifarResNetConfig::new(8, 3).init(&device).unwrap());
    let layer = model.decision_layer().unwrap();
    let bias = [20.0, 0.0, 0.0].to_vec().into();
    let layer = DecisionLayer::new(layer.weight().to_owned(), bias).unwrap();
    model.set_decision_layer(&layer).unwrap();
    model
}

/// Features at random, for images of `labels`.
fn table(model: &GraphClassifier, labels: &[usize], seed: u64) -> FeatureTable {
    let layer = model.decision_layer().unwrap();
    let mut rng = Seed(seed).rng("features", &[]);
    let features = Array2::from_shape_fn((labels.len(), layer.neurons()), |_| rng.random());
    let provenance = Provenance::new(model.name(), model.input().clone());
    FeatureTable::new(
        ActivationTable::new(features, provenance).unwrap(),
        labels.iter().copied().map(ClassId).collect(),
        ["cat", "dog", "owl"].map(String::from).to_vec(),
    )
    .unwrap()
}

fn config() -> DebugConfig {
    let recipe = Recipe::default()
        .with_steps(2)
        .with_size(16)
        .with_augmentation(Augmentation::off());
    let training = TrainingConfig::default().with_epochs(EPOCHS, None);
    DebugConfig::default()
        .with_editing(EditConfig::default().with_training(training))
        .with_recipe(recipe)
}

/// Debugs "dog" on images of dogs and owls alone, editing on those of `train`.
fn debug_dogs(
    train: &[usize],
    config: &DebugConfig,
    observer: &mut dyn Observer,
) -> neuroinspect::Result<Findings> {
    debug_dogs_each(train, config, observer, &mut |_| {})
}

fn debug_dogs_each(
    train: &[usize],
    config: &DebugConfig,
    observer: &mut dyn Observer,
    keep: &mut dyn FnMut(&Findings),
) -> neuroinspect::Result<Findings> {
    let model = model();
    let table = table(&model, &[1, 2].repeat(12), 1);
    let training = self::table(&model, train, 2);
    let data = EditData::new(training, table.clone(), Seed(0)).unwrap();
    let inputs = DebugInputs::new(&model, &table).with_edit_data(&data);
    debug_each(&inputs, ClassId(1), config, observer, keep)
}

#[test]
fn findings_are_handed_over_as_they_grow() {
    let config = config()
        .with_neurons(NeuronChoice::Auto { count: 5 })
        .with_execution(Execution::default().with_batch_size(2));
    let mut seen = Vec::new();
    let mut keep = |findings: &Findings| {
        assert!(findings.interrupted, "the work is not done");
        let made = (findings.certified.is_some(), findings.edit.is_some());
        seen.push((made.0, made.1, findings.pictures.len()));
    };
    let labels = [1, 2].repeat(12);
    let findings = debug_dogs_each(&labels, &config, &mut Silent, &mut keep).unwrap();
    // After the ranking, the smallest changes, the edit, the recommendation, and each batch of pictures but the
    // last.
    let expected = [
        (false, false, 0),
        (true, false, 0),
        (true, true, 0),
        (true, true, 0),
        (true, true, 2),
        (true, true, 4),
    ];
    assert_eq!(seen, expected);
    // The last batch is what is returned.
    assert!(!findings.interrupted);
    assert_eq!(findings.pictures.len(), 5);
    assert!(
        findings
            .pictures
            .iter()
            .all(|it| it.top_real_activation.is_some())
    );
    let edit = findings.edit.unwrap();
    assert_eq!(edit.chosen_from, 12, "every dog measured is a mistake");
    assert!(edit.control_metrics().is_some());
    // The edit itself is there too, to be applied.
    let edited = findings
        .patch
        .unwrap()
        .apply(&model().decision_layer().unwrap());
    assert_eq!(edited.unwrap().sha256(), edit.layer_sha256);
}

/// Of more mistakes than are looked for between two looks at the observer.
#[test]
fn a_stop_at_the_smallest_changes_leaves_the_ranking() {
    let model = model();
    let table = table(&model, &[1; 140], 1);
    let inputs = DebugInputs::new(&model, &table);
    let mut observer = |progress: Progress<'_>| match progress.stage == "certifying" {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let mut kept = 0;
    let mut keep = |_: &Findings| kept += 1;
    let config = config().with_pictures(0);
    let findings = debug_each(&inputs, ClassId(1), &config, &mut observer, &mut keep).unwrap();
    assert!(findings.interrupted && findings.certified.is_none());
    assert_eq!((findings.ranking.mistakes, kept), (140, 1));
    assert_eq!(findings.failures, []);
}

#[test]
fn neurons_that_were_given_were_not_chosen_from_the_mistakes() {
    let config = config()
        .with_neurons(NeuronChoice::Given(vec![NeuronId(3)]))
        .with_pictures(0);
    let findings = debug_dogs(&[1, 2].repeat(12), &config, &mut Silent).unwrap();
    assert_eq!(findings.edit.unwrap().chosen_from, 0);
}

#[test]
fn no_pictures_need_no_texts() {
    let model = model();
    let table = table(&model, &[1, 2].repeat(12), 1);
    let encoder = Counting::default();
    let templates = PromptTemplates::parts32();
    let guide = texts(&encoder, &templates, 3);
    let inputs = DebugInputs::new(&model, &table).with_guide(&guide);
    let config = config().with_pictures(0);
    let findings = debug(&inputs, ClassId(1), &config, &mut Silent).unwrap();
    assert_eq!(findings.failures, []);
    assert!(!findings.interrupted && findings.pictures.is_empty());
    assert_eq!(encoder.texts.load(Ordering::Relaxed), 0);

    // What failed before stands first.
    let inputs = inputs.with_failure("editing", &std::fmt::Error);
    let findings = debug(&inputs, ClassId(1), &config, &mut Silent).unwrap();
    assert_eq!(findings.failures[0].stage, "editing");
}

#[test]
fn a_failed_edit_leaves_the_ranking_and_the_pictures() {
    let findings = debug_dogs(&[2; 12], &config(), &mut Silent).unwrap();
    assert!(findings.edit.is_none() && findings.patch.is_none());
    assert_eq!(findings.failures.len(), 1);
    let failure = &findings.failures[0];
    assert_eq!(failure.stage, "editing");
    assert!(failure.reason.contains("'dog'"), "{}", failure.reason);
    assert_eq!(findings.pictures.len(), findings.neurons.len());
    assert!(!findings.interrupted && !findings.neurons.is_empty());
}

/// Over the patches of a vision transformer, whose neurons are of its class token.
#[test]
fn pictures_of_a_vision_transformer_have_masks() {
    let device = Device::flex();
    let vit = made_up(init_classifier("vit_tiny_patch16_224", 3, &device).unwrap());
    let pair = Pair {
        neuron: NeuronId(7),
        class: ClassId(1),
    };
    let recipe = Recipe::default()
        .with_steps(2)
        .with_objective(Objective::without_clip(0.5));
    let networks = Networks::of(&vit, None).unwrap();
    let pictures = visualize(&networks, &Request::new([pair], recipe), &mut Silent).unwrap();
    let picture = &pictures.finished[0];
    let mask = picture.mask.as_ref().unwrap();
    assert_eq!(mask.dim(), (224, 224));
    // Some patches are above the threshold, and some are below.
    assert!(mask.iter().any(|&share| share == 1.0) && mask.iter().any(|&share| share < 1.0));
    assert_ne!(picture.masked_image().unwrap(), picture.image);
}

#[test]
fn a_class_without_samples_has_pictures_but_no_core_relevance() {
    // So many that excessive ones are among them.
    let config = config().with_neurons(NeuronChoice::Auto { count: 40 });
    let findings = debug_dogs(&[1, 2].repeat(12), &config, &mut Silent).unwrap();
    assert_eq!(findings.failures, []);
    let cats = findings
        .pairs
        .iter()
        .filter(|pair| pair.class == ClassId(0));
    assert!(
        cats.count() > 0,
        "some neuron pulls to 'cat', of which there are none"
    );
    let of_cat = findings.pictures.iter();
    for picture in of_cat.filter(|it| it.illusion.pair.class == ClassId(0)) {
        assert_eq!(picture.core_relevance, None);
    }
    // Some may be undefined among the others, but not all.
    assert!(
        findings
            .pictures
            .iter()
            .any(|it| it.core_relevance.is_some())
    );
}

#[test]
fn a_stopped_control_leaves_the_edit() {
    let mut epochs = 0;
    let mut observer = |progress: Progress<'_>| {
        epochs += usize::from(progress.stage == "editing");
        match progress.stage == "retraining" {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let findings = debug_dogs(&[1, 2].repeat(12), &config(), &mut observer).unwrap();
    assert!(findings.interrupted && findings.pictures.is_empty());
    assert_eq!(findings.failures, []);
    let edit = findings.edit.unwrap();
    assert_eq!((edit.epochs.len(), epochs), (EPOCHS, EPOCHS));
    assert_eq!(edit.control, Some(Control::Stopped));
}

#[test]
fn options_and_neurons_are_checked_before_anything_is_done() {
    let given = |neurons: &[usize]| {
        let neurons = neurons.iter().copied().map(NeuronId).collect();
        config().with_neurons(NeuronChoice::Given(neurons))
    };
    let editing = EditConfig::default().with_target(Target::Fixed(0.5));
    for (config, message) in [
        (given(&[3, 64]), "neuron 64 is out of range"),
        (given(&[3, 3]), "neuron 3 is named twice"),
        (given(&[]), "no neurons"),
        (
            config().with_neurons(NeuronChoice::Auto { count: 0 }),
            "no neurons",
        ),
        (config().with_editing(editing), "target = 0.5"),
        (
            config().with_recipe(Recipe::default().with_steps(0)),
            "steps = 0",
        ),
    ] {
        let mut untouched =
            |progress: Progress<'_>| -> ControlFlow<()> { panic!("{progress:?} began") };
        let error = debug_dogs(&[1, 2].repeat(12), &config, &mut untouched).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn tables_of_different_origin_are_not_mixed() {
    let model = model();
    let labels = [1, 2].repeat(4);
    let known = table(&model, &labels, 1);
    let like = |names: [&str; 3], provenance: Provenance| {
        let activations =
            ActivationTable::new(known.features().unwrap().into_owned(), provenance).unwrap();
        let names = names.map(String::from).to_vec();
        FeatureTable::new(activations, known.labels().to_vec(), names).unwrap()
    };
    let origin =
        || Provenance::new(model.name(), model.input().clone()).with_layer(model.penultimate());
    let names = ["cat", "dog", "owl"];
    let whole = like(names, origin());
    for (other, message) in [
        (
            like(["cat", "cow", "dog"], origin()),
            "name of class 1: 'dog' and 'cow'",
        ),
        (
            like(names, Provenance::new("net", model.input().clone())),
            "model: cifar_resnet8 and net",
        ),
        (
            like(names, origin().with_weights_sha256("ab")),
            "SHA-256 of the weights: unknown and ab",
        ),
        (
            like(names, Provenance::new(model.name(), InputSpec::new(64))),
            "model input",
        ),
        (
            like(names, origin().with_layer("layer2")),
            "layer: features and layer2",
        ),
        (
            like(names, origin().with_precision(Precision::Bf16)),
            "precision: f32 and bf16",
        ),
    ] {
        let data = EditData::of_parts(other.clone(), other.clone(), other).unwrap();
        let inputs = DebugInputs::new(&model, &whole).with_edit_data(&data);
        let mut untouched =
            |progress: Progress<'_>| -> ControlFlow<()> { panic!("{progress:?} began") };
        let error = debug(&inputs, ClassId(1), &config(), &mut untouched).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

/// Embeds a text as its length and 1, and counts texts.
struct Counting {
    input: InputSpec,
    texts: AtomicUsize,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            input: InputSpec::new(8),
            texts: AtomicUsize::new(0),
        }
    }
}

/// The texts "class 0", "class 1", ...
fn texts<'a>(
    encoder: &'a Counting,
    templates: &'a PromptTemplates,
    classes: usize,
) -> ClassTexts<'a> {
    ClassTexts {
        encoder,
        templates,
        texts: (0..classes).map(|class| format!("class {class}")).collect(),
    }
}

/// Is never asked for.
impl CopyEncoder for Counting {
    fn encoder_copy(&self, _: &Device, _: Precision) -> CoreResult<Box<dyn ImageTextEncoder>> {
        unreachable!("no picture is made")
    }
}

impl ImageTextEncoder for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn encode_images(&self, images: Tensor<4>) -> Tensor<2> {
        Tensor::zeros([images.dims()[0], 2], &images.device())
    }

    fn encode_texts(&self, texts: &[String]) -> CoreResult<Tensor<2>> {
        self.texts.fetch_add(texts.len(), Ordering::Relaxed);
        let rows = texts.iter().flat_map(|text| [text.len() as f32, 1.0]);
        let data = burn::tensor::TensorData::new(rows.collect::<Vec<_>>(), [texts.len(), 2]);
        Ok(Tensor::from_data(data, &self.device()))
    }

    fn device(&self) -> Device {
        Device::flex()
    }
}

#[test]
fn only_texts_of_pictured_classes_are_embedded() {
    let encoder = Counting::default();
    let templates = PromptTemplates::parts32();
    let texts = texts(&encoder, &templates, 1000);
    let heard = Cell::new(0);
    let mut observer = |progress: Progress<'_>| {
        heard.set(heard.get() + 1);
        assert_eq!((progress.done, progress.total), (heard.get(), 2));
        ControlFlow::Continue(())
    };
    let pictured = [7, 400, 7].map(ClassId);
    let guide = texts.guide(&pictured, &mut observer).unwrap();
    assert_eq!(heard.get(), 2);
    assert_eq!(
        encoder.texts.load(Ordering::Relaxed),
        2 * templates.as_slice().len(),
        "each class once"
    );
    let embedded: Vec<_> = guide.class_embeddings.classes().collect();
    assert_eq!(embedded, [7, 400].map(ClassId));
}

#[test]
fn embedding_texts_can_be_stopped_and_refuses_strangers() {
    let encoder = Counting::default();
    let templates = PromptTemplates::parts32();
    let texts = texts(&encoder, &templates, 2);
    let mut stop = |_: Progress<'_>| ControlFlow::Break(());
    let error = texts
        .guide(&[ClassId(0), ClassId(1)], &mut stop)
        .unwrap_err();
    assert!(is_cancellation(&error), "{error}");
    let error = texts.guide(&[ClassId(2)], &mut Silent).unwrap_err();
    assert!(
        error.to_string().contains("class 2 is out of range"),
        "{error}"
    );
}
