//! Training of classifiers: a whole network, or its decision layer alone.
//!
//! ```no_run
//! use neuroinspect::{
//!     ImageSource, RunFolder,
//!     burn::tensor::Device,
//!     core::{DeviceName, Silent},
//!     datasets::{ImageDataset, ImageFolder, ImageFolderConfig},
//!     models::init_classifier,
//!     training::{TrainConfig, Training},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = ImageFolder::open("cifar10/train", &ImageFolderConfig::default())?;
//! let (train, validation): (Vec<_>, Vec<_>) = (0..folder.samples().len()).partition(|i| i % 10 > 0);
//! let device = Device::flex();
//! device.seed(0);
//! let training = Training {
//!     model: init_classifier("cifar_resnet20", folder.class_names().len(), &device)?,
//!     train: ImageSource { dataset: &folder, indices: &train },
//!     validation: ImageSource { dataset: &folder, indices: &validation },
//!     config: TrainConfig::default(),
//! };
//! let run = RunFolder::open("out", None)?;
//! let trained = run.train(training, DeviceName::default(), &mut |_| (), &mut Silent)?;
//! println!("accuracy {:.3}", trained.epochs[trained.kept - 1].validation.accuracy);
//! # Ok(())
//! # }
//! ```

mod config;
mod images;
mod learner;
mod run;
mod state;

use burn::{module::Module, nn::LinearConfig};
use neuroinspect_core::{
    Classifier, DecisionLayer, DeviceName, Metrics, Observer, check_same_classes,
};
use neuroinspect_editing::Keep;
use neuroinspect_models::GraphClassifier;
use serde::{Deserialize, Serialize};

pub use config::{Optimizer, RateSchedule, TrainConfig, TrainedPart, TrainingAugmentation};

use self::{
    learner::{OfFeatures, OfImages},
    run::Loop,
    state::{Origin, StateFolder},
};
use crate::{Error, ImageSource, Result, RunFolder, extract::check_classes};

/// What is trained, and on what.
#[derive(Debug)]
pub struct Training<'a> {
    /// The network, with the weights to start from.
    pub model: GraphClassifier,
    /// The images to learn from.
    pub train: ImageSource<'a>,
    /// The images to measure on after each epoch. They choose the epoch that is kept, where
    /// [`TrainConfig::keep`] says so, and decide nothing else.
    pub validation: ImageSource<'a>,
    /// How.
    pub config: TrainConfig,
}

/// What an epoch came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: usize,
    /// Mean cross-entropy of the training images, each as it was met, in nats.
    pub loss: f64,
    /// What the network was worth on the validation images after it, by running statistics.
    pub validation: Metrics,
}

/// A trained network.
#[derive(Clone, Debug)]
pub struct Trained {
    /// It, on its device without differentiation.
    pub model: GraphClassifier,
    /// What each epoch came to.
    pub epochs: Vec<Epoch>,
    /// The epoch whose weights these are, from 1.
    pub kept: usize,
    /// The step, of all epochs, at which an earlier run was taken up; `None` where there was none.
    pub resumed_at: Option<usize>,
}

impl Training<'_> {
    /// Trains, and keeps nothing on the way: what is stopped is lost.
    ///
    /// `on_epoch` hears of every epoch after it.
    ///
    /// # Errors
    ///
    /// When an option is out of range, the data sets' classes are not the model's or a group is missing,
    /// the worst group is to choose the epoch and there are no groups, an image cannot be read, the loss
    /// is no longer finite, or the observer asks to stop.
    pub fn run(
        self,
        on_epoch: &mut dyn FnMut(&Epoch),
        observer: &mut dyn Observer,
    ) -> Result<Trained> {
        self.run_in(None, on_epoch, observer)
    }

    fn check(&self) -> Result<()> {
        self.config.validate()?;
        let classes = self.model.decision_layer()?.classes();
        let parts = [
            (self.train, "trained on"),
            (self.validation, "validated on"),
        ];
        for (ImageSource { dataset, indices }, part) in parts {
            check_classes(&self.model, dataset, classes)?;
            if indices.is_empty() {
                let dataset = dataset.name().to_owned();
                return Err(Error::NoneToTrainOn { dataset, part });
            }
        }
        let [train, validation] = [self.train.dataset, self.validation.dataset];
        check_same_classes(train.class_names(), validation.class_names())?;
        let groups = validation.groups_of(self.validation.indices)?;
        if groups.is_none() && self.config.keep == Keep::WorstGroup {
            return Err(neuroinspect_core::Error::InvalidOption {
                option: "keep",
                value: "worst_group".to_owned(),
                expected: "another epoch, as the validation images have no groups",
            }
            .into());
        }
        Ok(())
    }

    fn run_in(
        self,
        folder: Option<StateFolder>,
        on_epoch: &mut dyn FnMut(&Epoch),
        observer: &mut dyn Observer,
    ) -> Result<Trained> {
        self.check()?;
        let Self {
            model,
            train,
            validation,
            config,
        } = self;
        // On the device that differentiates, whichever it was on.
        let model = model.valid().train();
        let sources = [train, validation];
        let samples = train.indices.len();
        let progress = run::Heard { on_epoch, observer };
        match config.part {
            TrainedPart::Network => {
                let learner = OfImages::new(&model, sources, &config);
                let trained = Loop::new(&learner, &config, samples, folder).run(model, progress)?;
                Ok(trained.map(|model| model.valid()))
            }
            TrainedPart::DecisionLayer => {
                let learner = OfFeatures::new(&model, sources, &config, progress.observer)?;
                let start = model.decision_layer()?;
                let layer = LinearConfig::new(start.neurons(), start.classes());
                let mut layer = layer.init(&model.device());
                start.replace(&mut layer)?;
                let trained = Loop::new(&learner, &config, samples, folder).run(layer, progress)?;
                let layer = DecisionLayer::from_linear(&trained.model)?;
                let mut model = model.valid();
                model.set_decision_layer(&layer)?;
                Ok(trained.map(|_| model))
            }
        }
    }
}

impl RunFolder {
    /// Trains, and keeps after every epoch, and every 500 steps within one, where the training stands:
    /// the same training stopped or killed goes on there, and comes on a CPU to the same bits as one
    /// left alone. Of images whose state cannot be told nothing is kept.
    ///
    /// `device` is the model's. `on_epoch` hears of every epoch after it, of those that an earlier run
    /// came through as well.
    ///
    /// # Errors
    ///
    /// As [`Training::run`]; [`Error::OtherTraining`] when the folder holds another training, ended or not;
    /// and when files cannot be written. Where the observer asked to stop, the training is kept.
    pub fn train(
        &self,
        training: Training<'_>,
        device: DeviceName,
        on_epoch: &mut dyn FnMut(&Epoch),
        observer: &mut dyn Observer,
    ) -> Result<Trained> {
        let origin = Origin::of(&training, device)?;
        let folder = origin.map(|origin| StateFolder::new(self.join(Self::TRAINING), &origin));
        let folder = folder.transpose()?;
        if let Some(folder) = &folder {
            folder.check()?;
        }
        training.run_in(folder, on_epoch, observer)
    }
}
