//! A small atlas that is being made.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use neuroinspect::{
    PictureOrigin,
    atlas::{Atlas, AtlasConfig, AtlasDevice, AtlasInputs, AtlasMade, AtlasWork, MergeRequest},
    burn::tensor::{Device, Tensor},
    core::{
        Activations, Classifier, CopyClassifier, DecisionLayer, DeviceName, InputSpec, Observer,
        Precision, Result, Seed, Silent,
    },
    illusion::{Execution, Objective, Recipe},
    report::{AtlasIndex, Run},
};
use neuroinspect_testing::networks::TinyClassifier;

pub(crate) const SIDE: usize = 16;
pub(crate) const STEPS: usize = 4;
/// 6 neurons within 2 classes each, 2 at once.
pub(crate) const BATCHES: usize = 6;
/// Forward passes by which a network is tried when it is prepared.
pub(crate) const TRIED: usize = 3;

/// A tiny classifier that counts its forward passes, over all copies, and panics from one on, so often.
///
/// In no words of a full memory, after which a step is taken by parts.
pub(crate) struct Watched {
    network: Box<dyn Classifier>,
    passes: Arc<AtomicUsize>,
    /// Where given, passes of so many images alone are counted.
    images: Option<usize>,
    fails: std::ops::Range<usize>,
}

impl Watched {
    pub(crate) fn new(fails: std::ops::Range<usize>) -> Self {
        Self {
            network: Box::new(TinyClassifier::new(SIDE, &Device::flex())),
            passes: Arc::default(),
            images: None,
            fails,
        }
    }

    /// One that is only watched while it sees so many images at once.
    pub(crate) fn seeing(images: usize, fails: std::ops::Range<usize>) -> Self {
        Self {
            images: Some(images),
            ..Self::new(fails)
        }
    }

    pub(crate) fn passes(&self) -> usize {
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
            images: self.images,
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
        let at_once = images.dims()[0];
        if self.images.is_none_or(|counted| counted == at_once) {
            let pass = self.passes.fetch_add(1, Ordering::SeqCst);
            assert!(
                !self.fails.contains(&pass),
                "the device is gone, says the test"
            );
        }
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

pub(crate) fn flex() -> AtlasDevice {
    let name: DeviceName = "flex".parse().unwrap();
    AtlasDevice {
        name,
        device: name.open().unwrap(),
    }
}

pub(crate) fn origin() -> PictureOrigin {
    PictureOrigin {
        classifier_sha256: "weights".to_owned(),
        encoder_sha256: None,
        encoder_config_sha256: None,
        device: flex().name,
        complete: true,
    }
}

pub(crate) fn config() -> AtlasConfig {
    AtlasConfig::default()
        .with_classes(2)
        .with_recipe(
            Recipe::default()
                .with_objective(Objective::without_clip(0.5))
                .with_steps(STEPS),
        )
        .with_execution(Execution::default().with_batch_size(2))
}

pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count).map(|class| format!("class {class}")).collect()
}

/// An atlas that is being made.
pub(crate) struct Bench {
    pub(crate) root: tempfile::TempDir,
    pub(crate) classifier: Watched,
    pub(crate) config: AtlasConfig,
    pub(crate) origin: PictureOrigin,
    pub(crate) names: Vec<String>,
    pub(crate) run: Run,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::failing(0..0)
    }

    pub(crate) fn failing(fails: std::ops::Range<usize>) -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            classifier: Watched::new(fails),
            config: config(),
            origin: origin(),
            names: names(TinyClassifier::CLASSES),
            run: Run::new("tiny", "no images", "", Seed(0)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn inputs(&self) -> AtlasInputs<'_> {
        AtlasInputs {
            classifier: &self.classifier,
            guide: None,
            judge: None,
            images: None,
            class_names: &self.names,
            origin: &self.origin,
            run: &self.run,
        }
    }

    pub(crate) fn plan(&self, shards: Option<usize>) -> neuroinspect::Result<Atlas> {
        let inputs = self.inputs();
        Atlas::plan(self.path(), &inputs, &self.config, shards, &mut Silent)
    }

    pub(crate) fn make(
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
    pub(crate) fn made(&self, shard: Option<usize>) -> AtlasMade {
        self.make(shard, &[flex()], &mut Silent).unwrap()
    }

    pub(crate) fn merge(&self) -> neuroinspect::Result<AtlasIndex> {
        let atlas = Atlas::open(self.path()).unwrap();
        atlas.merge(&MergeRequest::default(), &mut Silent)
    }

    /// All files, by their paths.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
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
pub(crate) fn alone(shards: usize) -> (Bench, usize) {
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
pub(crate) fn assert_same(bench: &Bench, alone: &Bench) {
    let (files, expected) = (bench.files(), alone.files());
    assert!(files.keys().eq(expected.keys()), "{:?}", files.keys());
    for (name, bytes) in expected {
        assert!(files[&name] == bytes, "{name} differs");
    }
}
