//! An atlas comes out the same whoever makes it, in whatever parts, and however often they are stopped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use neuroinspect::{
    ClassTexts, Error, Extraction, PictureOrigin, RunFolder,
    atlas::{
        Atlas, AtlasConfig, AtlasDevice, AtlasInputs, AtlasMade, AtlasWork, MergeRequest, Plan,
    },
    burn::tensor::{Device, Tensor},
    core::{
        Activations, ClassId, Classifier, CopyClassifier, DecisionLayer, DeviceName, InputSpec,
        Observer, Precision, Progress, Result, Seed, Silent,
    },
    datasets::{ImageDataset, ImageFolder, ImageFolderConfig},
    extract_activations,
    illusion::{Execution, Objective, Recipe, classes_of_neuron},
    models::{Checkpoint, PretrainedClassifier, Strictness, checkpoint, init_classifier, prompts},
    report::{AtlasIndex, Run},
};
use neuroinspect_testing::{
    files::{Folder, gradient, safetensors_of},
    fill::made_up_weights,
    networks::{TinyClassifier, TinyEncoder},
};

const SIDE: usize = 16;
const STEPS: usize = 4;
/// 6 neurons within 2 classes each, 2 at once.
const BATCHES: usize = 6;
/// Forward passes by which a network is tried when it is prepared.
const TRIED: usize = 3;

/// A tiny classifier that counts its forward passes, over all copies, and panics from one on, so often.
struct Watched {
    network: Box<dyn Classifier>,
    passes: Arc<AtomicUsize>,
    fails: std::ops::Range<usize>,
}

impl Watched {
    fn new(fails: std::ops::Range<usize>) -> Self {
        Self {
            network: Box::new(TinyClassifier::new(SIDE, &Device::flex())),
            passes: Arc::default(),
            fails,
        }
    }

    fn passes(&self) -> usize {
        self.passes.load(Ordering::SeqCst)
    }
}

impl CopyClassifier for Watched {
    fn evaluation_copy(
        &self,
        device: &Device,
        precision: Precision,
    ) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(Self {
            network: self.network.evaluation_copy(device, precision)?,
            passes: Arc::clone(&self.passes),
            fails: self.fails.clone(),
        }))
    }
}

impl Classifier for Watched {
    fn name(&self) -> &str {
        self.network.name()
    }
    fn input(&self) -> &InputSpec {
        self.network.input()
    }
    fn activations(&self, images: Tensor<4>) -> Activations {
        let pass = self.passes.fetch_add(1, Ordering::SeqCst);
        assert!(!self.fails.contains(&pass), "out of memory, says the test");
        self.network.activations(images)
    }
    fn decision_layer(&self) -> Result<DecisionLayer> {
        self.network.decision_layer()
    }
    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()> {
        self.network.set_decision_layer(layer)
    }
    fn device(&self) -> Device {
        self.network.device()
    }
}

fn flex() -> AtlasDevice {
    let name: DeviceName = "flex".parse().unwrap();
    AtlasDevice {
        name,
        device: name.open().unwrap(),
    }
}

fn origin() -> PictureOrigin {
    PictureOrigin {
        classifier_sha256: "weights".to_owned(),
        encoder_sha256: None,
        encoder_config_sha256: None,
        device: flex().name,
        complete: true,
    }
}

fn config() -> AtlasConfig {
    AtlasConfig::default()
        .with_classes(2)
        .with_recipe(
            Recipe::default()
                .with_objective(Objective::without_clip(0.5))
                .with_steps(STEPS),
        )
        .with_execution(Execution::default().with_batch_size(2))
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|class| format!("class {class}")).collect()
}

/// An atlas that is being made.
struct Bench {
    root: tempfile::TempDir,
    classifier: Watched,
    config: AtlasConfig,
    origin: PictureOrigin,
    names: Vec<String>,
    run: Run,
}

impl Bench {
    fn new() -> Self {
        Self::failing(0..0)
    }

    fn failing(fails: std::ops::Range<usize>) -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            classifier: Watched::new(fails),
            config: config(),
            origin: origin(),
            names: names(TinyClassifier::CLASSES),
            run: Run::new("tiny", "no images", "", Seed(0)),
        }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn inputs(&self) -> AtlasInputs<'_> {
        AtlasInputs {
            classifier: &self.classifier,
            guide: None,
            images: None,
            class_names: &self.names,
            origin: &self.origin,
            run: &self.run,
        }
    }

    fn plan(&self, shards: Option<usize>) -> neuroinspect::Result<Atlas> {
        let inputs = self.inputs();
        Atlas::plan(self.path(), &inputs, &self.config, shards, &mut Silent)
    }

    fn make(
        &self,
        shard: Option<usize>,
        devices: &[AtlasDevice],
        observer: &mut dyn Observer,
    ) -> neuroinspect::Result<AtlasMade> {
        let work = AtlasWork {
            inputs: &self.inputs(),
            config: &self.config,
            devices,
            shard,
            command: Some("a test".to_owned()),
        };
        self.plan(None).unwrap().make(&work, observer)
    }

    /// Makes a shard, or all, on one device.
    fn made(&self, shard: Option<usize>) -> AtlasMade {
        self.make(shard, &[flex()], &mut Silent).unwrap()
    }

    fn merge(&self) -> neuroinspect::Result<AtlasIndex> {
        let atlas = Atlas::open(self.path()).unwrap();
        atlas.merge(&MergeRequest::default(), &mut Silent)
    }

    /// All files, by their paths.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for file in fs::read_dir(folder).unwrap() {
                let path = file.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let name = path.strip_prefix(self.path()).unwrap();
                        let name = name.to_str().unwrap().to_owned();
                        files.insert(name, fs::read(&path).unwrap());
                    }
                }
            }
        }
        files
    }
}

/// The atlas of one process, and how many forward passes its pictures take.
fn alone(shards: usize) -> (Bench, usize) {
    let bench = Bench::new();
    bench.plan(Some(shards)).unwrap();
    let before = bench.classifier.passes();
    let made = bench.made(None);
    assert_eq!((made.pictures, made.found), (12, 0));
    let passes = bench.classifier.passes() - before;
    bench.merge().unwrap();
    (bench, passes)
}

#[track_caller]
fn assert_same(bench: &Bench, alone: &Bench) {
    let (files, expected) = (bench.files(), alone.files());
    assert!(files.keys().eq(expected.keys()), "{:?}", files.keys());
    for (name, bytes) in expected {
        assert!(files[&name] == bytes, "{name} differs");
    }
}

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
fn shards_made_apart_are_the_atlas_of_one_process() {
    let (alone, _) = alone(4);
    let bench = Bench::new();
    let planned = bench.plan(Some(4)).unwrap();
    let mut pictures = 0;
    for shard in [2, 0, 3, 1] {
        let made = bench.made(Some(shard));
        assert_eq!(made.found, 0);
        pictures += made.pictures;
        // One batch of each shard at least, and two at most.
        assert!((2..=4).contains(&made.pictures), "{}", made.pictures);
    }
    assert_eq!((pictures, planned.status().finished), (12, 12));
    bench.merge().unwrap();
    assert_same(&bench, &alone);
    // What is finished is not made again.
    let passes = bench.classifier.passes();
    let made = bench.made(None);
    assert_eq!((made.pictures, made.found), (0, 12));
    assert_eq!(bench.classifier.passes(), passes);
}

#[test]
fn several_devices_make_the_atlas_of_one() {
    let (alone, _) = alone(2);
    let bench = Bench::new();
    bench.plan(Some(2)).unwrap();
    let devices = [flex(), flex(), flex()];
    let made = bench.make(None, &devices, &mut Silent).unwrap();
    assert_eq!((made.pictures, made.failures.len()), (12, 0));
    bench.merge().unwrap();
    assert_same(&bench, &alone);
}

/// Stopped after every so many steps, which the observer hears of on another thread than they are taken
/// on, the work goes on until it is done, and takes no step twice.
#[test]
fn work_that_is_stopped_again_and_again_takes_no_step_twice() {
    let (alone, passes_alone) = alone(2);
    for after in [1, 3, 5] {
        let bench = Bench::new();
        bench.plan(Some(2)).unwrap();
        let mut before = bench.classifier.passes();
        let (mut passes, mut pictures, mut runs) = (0, 0, 0);
        loop {
            let mut stopping = |progress: Progress<'_>| match progress.done >= after {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            let made = bench.make(None, &[flex()], &mut stopping).unwrap();
            passes += bench.classifier.passes() - before;
            before = bench.classifier.passes();
            (pictures, runs) = (pictures + made.pictures, runs + 1);
            if !made.interrupted {
                break;
            }
        }
        assert!(runs > 1, "it is stopped");
        assert_eq!(pictures, 12);
        // Beside steps there are the passes by which a run tries its networks, and those by which a
        // batch looks at what came out, be it that it was stopped.
        let looking = (passes_alone - TRIED) / BATCHES - STEPS;
        let without_steps = (runs - 1) * (TRIED + looking);
        assert!(
            passes <= passes_alone + without_steps,
            "{passes}, {runs} runs"
        );
        bench.merge().unwrap();
        assert_same(&bench, &alone);
    }
}

/// Of three devices one fails, and the others make its batch, too.
#[test]
fn the_batch_of_a_device_that_fails_is_made_by_another() {
    let (alone, passes) = alone(2);
    for fails_at in [0, 1, passes / 2, passes + 3] {
        let bench = Bench::failing(fails_at..fails_at + 1);
        bench.plan(Some(2)).unwrap();
        let devices = [flex(), flex(), flex()];
        let made = bench.make(None, &devices, &mut Silent).unwrap();
        assert_eq!(made.pictures, 12, "pass {fails_at}");
        assert_eq!(
            made.failures.len(),
            1,
            "pass {fails_at}: {:?}",
            made.failures
        );
        assert!(
            made.failures[0]
                .reason
                .contains("out of memory, says the test")
        );
        bench.merge().unwrap();
        assert_same(&bench, &alone);
    }
    let bench = Bench::failing(passes - TRIED..usize::MAX);
    bench.plan(Some(2)).unwrap();
    let error = bench
        .make(None, &[flex(), flex()], &mut Silent)
        .unwrap_err();
    assert!(matches!(error, Error::DeviceFailed { .. }), "{error}");
    // What was finished before stays.
    let finished = Atlas::open(bench.path()).unwrap().status().finished;
    assert!((1..12).contains(&finished), "{finished}");
}

#[test]
fn what_is_not_the_atlas_that_is_planned_is_refused() {
    let mut bench = Bench::new();
    bench.plan(Some(2)).unwrap();
    let mut refused = |change: &dyn Fn(&mut Bench), what: &str| {
        let (config, names, origin) = (
            bench.config.clone(),
            bench.names.clone(),
            bench.origin.clone(),
        );
        change(&mut bench);
        let error = bench.plan(None).unwrap_err();
        let expected = format!("holds another atlas, of which {what} is not as it is here");
        assert!(error.to_string().contains(&expected), "{error}");
        (bench.config, bench.names, bench.origin) = (config, names, origin);
    };
    refused(&|it| it.config.recipe.steps += 1, "the recipe");
    refused(&|it| it.config.classes = 1, "the number of classes");
    refused(&|it| it.config.execution.batch_size = 3, "the batch size");
    refused(&|it| it.names[0].push('x'), "the names of the classes");
    refused(
        &|it| it.origin.classifier_sha256.push('x'),
        "the classifier",
    );
    let error = bench.plan(Some(3)).unwrap_err().to_string();
    assert!(
        error.contains("of which the number of shards is not"),
        "{error}"
    );
    // How it is computed is each worker's own matter.
    bench.config.execution.checkpoint_every = 7;
    bench.plan(Some(2)).unwrap();

    bench.origin.complete = false;
    let error = bench.plan(None).unwrap_err();
    assert!(matches!(error, Error::AtlasNeeds { .. }), "{error}");
    bench.config.recipe.objective = Objective::default();
    bench.config.classes = 0;
    let error = bench.plan(None).unwrap_err().to_string();
    assert!(
        error.contains("classes = 0: expected at least 1"),
        "{error}"
    );
}

#[test]
fn a_shard_is_made_by_one_process_at_a_time() {
    let bench = Bench::new();
    bench.plan(Some(3)).unwrap();
    let held = RunFolder::open(bench.path().join("shards/1-of-3"), Some("other".into())).unwrap();
    let error = bench.make(Some(1), &[flex()], &mut Silent).unwrap_err();
    assert!(matches!(error, Error::FolderHeld { .. }), "{error}");
    let made = bench.made(None);
    assert_eq!(made.held, [1]);
    let status = Atlas::open(bench.path()).unwrap().status();
    assert_eq!(status.array(), "1");
    let error = bench.merge().unwrap_err();
    assert!(matches!(error, Error::FolderHeld { .. }), "{error}");
    drop(held);
    let error = bench.merge().unwrap_err().to_string();
    let expected = format!("{} pictures of the atlas", 12 - made.pictures);
    assert!(
        error.contains(&expected) && error.contains("of the shards 1;"),
        "{error}"
    );
    assert_eq!(bench.made(Some(1)).found, 0);
    bench.merge().unwrap();
    assert!(
        bench.make(Some(3), &[flex()], &mut Silent).is_err(),
        "there is none"
    );
}

/// What is damaged is found, and made again.
#[test]
fn merging_verifies_every_picture_and_joins_folders() {
    let (alone, _) = alone(2);
    let benches = [Bench::new(), Bench::new()];
    for (shard, bench) in benches.iter().enumerate() {
        bench.plan(Some(2)).unwrap();
        assert_eq!(bench.made(Some(shard)).found, 0);
    }
    let [bench, other] = &benches;
    let atlas = Atlas::open(bench.path()).unwrap();
    let request = MergeRequest {
        from: vec![other.path().to_owned()],
        ..MergeRequest::default()
    };
    atlas.merge(&request, &mut Silent).unwrap();
    assert_same(bench, &alone);

    let damaged = bench
        .path()
        .join("pictures/unit-7-features-neuron-3-masked.png");
    let mut bytes = fs::read(&damaged).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&damaged, &bytes).unwrap();
    assert_eq!(atlas.status().finished, 12);
    let error = bench.merge().unwrap_err();
    assert!(
        matches!(error, Error::AtlasIncomplete { missing: 2, .. }),
        "{error}"
    );
    assert_eq!(atlas.status().finished, 10);
    assert_eq!(bench.made(None).pictures, 2);
    bench.merge().unwrap();
    assert_same(bench, &alone);

    let strange = Bench::new();
    let config = bench.config.clone().with_classes(1);
    let strange = Bench { config, ..strange };
    strange.plan(None).unwrap();
    let request = MergeRequest {
        from: vec![strange.path().to_owned()],
        ..MergeRequest::default()
    };
    let error = atlas.merge(&request, &mut Silent).unwrap_err();
    assert!(matches!(error, Error::OtherAtlas { .. }), "{error}");
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
    assert_eq!(atlas.status().diverged, diverged);
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
    let activations = seen.table.values();
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

#[test]
fn batches_are_divided_evenly() {
    let bench = Bench::new();
    let atlas = bench.plan(Some(4)).unwrap();
    let missing = atlas.status().missing;
    let pictures: Vec<usize> = missing.iter().map(|it| it.pictures).collect();
    assert_eq!(pictures.iter().sum::<usize>(), 2 * BATCHES);
    assert!(
        pictures.iter().all(|&it| it == 2 || it == 4),
        "{pictures:?}"
    );
}
