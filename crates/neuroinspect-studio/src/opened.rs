//! What the studio is opened on.

use std::{fmt, path::PathBuf};

use neuroinspect::{
    ClassTexts, DebugConfig, Extraction, FeatureRequest, PictureOrigin, RunFolder,
    burn::tensor::Device,
    core::{Classifier, DeviceName, MemoryLimit, Precision, Seed},
    datasets::{ImageDataset, LoaderConfig},
    demo::Demo,
    models::{
        clip::Clip,
        prompts::{PromptTemplates, class_text},
    },
    quoted,
    report::Run,
};

use crate::Result;

/// Where the demo's weights lie in its folder, for commands that are to be typed.
const DEMO_WEIGHTS: &str = "scenes_classifier.safetensors";

/// The demo's last layer, for the same.
const DEMO_LAYER: &str = "scenes_decision_layer.safetensors";

/// Where features lie in the folder, as other commands have them.
pub(crate) const FEATURES: &str = "features.safetensors";
pub(crate) const TRAIN_FEATURES: &str = "train-features.safetensors";

/// What the studio is opened on: a classifier, the images it is looked at on, and the folder of a run, which is
/// held as long as the studio lives.
pub struct Opened {
    /// Where features and pictures are taken from and kept.
    pub folder: RunFolder,
    /// The classifier. It is not changed.
    pub classifier: Box<dyn Classifier>,
    /// Its weights, and where it computes.
    pub origin: PictureOrigin,
    /// The number format that networks compute in.
    pub precision: Precision,
    /// How images are loaded.
    pub loader: LoaderConfig,
    /// How much of a table of features may be in memory.
    pub memory: MemoryLimit,
    /// The images whose mistakes are looked at.
    pub dataset: Box<dyn ImageDataset>,
    /// The images that an edit is trained on; without them, half of the others.
    pub training: Option<Box<dyn ImageDataset>>,
    /// What guides pictures, if anything does.
    pub encoder: Option<Encoder>,
    /// Options of the stages, to begin with.
    pub config: DebugConfig,
    /// How results are made: what other commands are told by.
    pub run: Run,
    /// What `apply` of the command line is to be told of the model: `--model resnet50 --weights resnet50.pth`.
    pub model_arguments: String,
    /// What `edit` is to be told of model and data: the same and `--data photos/test --train photos/train`.
    pub source_arguments: String,
    /// What `visualize` is to be told of model and data; `None` where it cannot be told.
    pub picture_arguments: Option<String>,
    /// What it is to be told of the encoder, with a space before; empty without one.
    pub encoder_arguments: String,
}

/// An image-text encoder, and what it is asked with.
pub struct Encoder {
    /// The encoder.
    pub clip: Clip,
    /// The prompts a class's text is put into.
    pub templates: PromptTemplates,
    /// A text for each class.
    pub texts: Vec<String>,
}

impl Opened {
    /// The embedded demo.
    ///
    /// # Errors
    ///
    /// When the device fails, or the demo's weights cannot be written into the folder.
    pub fn demo(folder: RunFolder, device: DeviceName, seed: Seed) -> Result<Self> {
        let opened = device.open().map_err(neuroinspect::Error::from)?;
        let demo = Demo::load(&opened)?;
        let weights = folder.join(DEMO_WEIGHTS);
        let layer_file = folder.join(DEMO_LAYER);
        let save = || -> neuroinspect::Result<()> {
            demo.classifier.save(&weights)?;
            Ok(demo.classifier.decision_layer()?.save(&layer_file)?)
        };
        save()?;
        let data = "synthetic scenes, test split";
        let mut run = Run::new(demo.classifier.name(), data, device.to_string(), seed);
        run.weights_sha256 = Some(demo.weights_sha256.clone());
        let names = demo.test.class_names().iter();
        let texts = names.map(|name| class_text(None, name)).collect();
        Ok(Self {
            origin: PictureOrigin {
                classifier_sha256: demo.weights_sha256,
                // It is a part of the program, of which the folder takes account.
                encoder_sha256: None,
                encoder_config_sha256: None,
                device,
                complete: true,
            },
            classifier: demo.classifier,
            precision: Precision::F32,
            loader: LoaderConfig::default(),
            memory: MemoryLimit::default(),
            dataset: Box::new(demo.test),
            training: Some(Box::new(demo.train)),
            encoder: Some(Encoder {
                clip: demo.clip,
                templates: PromptTemplates::parts32(),
                texts,
            }),
            config: Demo::config().with_seed(seed),
            run,
            model_arguments: format!("--model cifar_resnet20 --weights {}", quoted(&weights)),
            // There are no files of images: features are as good.
            source_arguments: format!(
                "--table {} --train {} --layer-file {}",
                quoted(folder.join(FEATURES)),
                quoted(folder.join(TRAIN_FEATURES)),
                quoted(layer_file),
            ),
            // Its CLIP is in the program alone.
            picture_arguments: None,
            encoder_arguments: String::new(),
            folder,
        })
    }

    /// The device that is computed on.
    pub(crate) fn device(&self) -> Device {
        self.classifier.device()
    }

    /// What is computed on images.
    pub(crate) fn extraction<'a>(&'a self, dataset: &'a dyn ImageDataset) -> Extraction<'a> {
        Extraction::new(self.classifier.as_ref(), dataset)
            .with_weights_sha256(&self.origin.classifier_sha256)
            .with_precision(self.precision)
            .with_memory(self.memory)
            .with_loader(self.loader.clone())
    }

    /// What is kept in a file of the folder.
    pub(crate) fn kept_in(&self, file: &str) -> FeatureRequest {
        FeatureRequest {
            file: file.to_owned(),
            device: self.origin.device,
            complete: self.origin.complete,
        }
    }

    /// The texts that guide pictures.
    pub(crate) fn texts(&self) -> Option<ClassTexts<'_>> {
        let Encoder {
            clip,
            templates,
            texts,
        } = self.encoder.as_ref()?;
        Some(ClassTexts {
            encoder: clip,
            templates,
            texts: texts.clone(),
        })
    }

    /// What classes are called.
    pub(crate) fn class_names(&self) -> &[String] {
        self.dataset.class_names()
    }

    /// Where the studio keeps what is its own.
    pub(crate) fn own_folder(&self) -> PathBuf {
        self.folder.join("studio")
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("classifier", &self.classifier.name())
            .field("dataset", &self.dataset.name())
            .field("folder", &self.folder.path())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("texts", &self.texts.len())
            .finish_non_exhaustive()
    }
}
