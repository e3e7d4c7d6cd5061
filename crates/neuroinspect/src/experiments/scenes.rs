//! The scenes that stand in for published data.

use std::sync::Arc;

use neuroinspect_core::{Observer, Seed};
use neuroinspect_datasets::scenes::{Part, Planted, Scenes, ScenesConfig};
use neuroinspect_editing::{EditData, TrainingConfig};

use super::{MeasuredOn, Source, case::trained_layer};
use crate::{Result, demo::Demo, leaderboard::Repetition};

/// Scenes with a false correlation, and a decision layer that learnt it, on the demo's backbone.
#[derive(Clone, Debug)]
pub(super) struct SceneSetting {
    /// The correlation of the scenes to learn from.
    pub(super) train: Planted,
    /// Of those to choose on.
    pub(super) validation: Planted,
    /// Of those to measure on.
    pub(super) measured: Planted,
    /// How many of each.
    pub(super) samples: [usize; 3],
    /// How the layer is trained, from zeros.
    pub(super) training: TrainingConfig,
}

impl SceneSetting {
    /// What experiments say of these scenes, and of how the layer to begin with was trained.
    pub(super) fn source(&self, trained: &str) -> Source {
        let [train, validation, measured] = self.samples;
        Source {
            data: format!(
                "synthetic scenes of five classes on the demo's backbone, {train} to learn from, {validation} to \
                 choose on and {measured} measured on, others for every seed"
            ),
            published: false,
            paper: None,
            measured_on: MeasuredOn::Others,
            notes: vec![trained.to_owned()],
            fingerprint: Some("scenes".to_owned()),
        }
    }

    /// The scenes of a seed, and the layer that learnt from them. None of the demo's own scenes is among them.
    pub(super) fn repetition(
        &self,
        demo: &Demo,
        seed: Seed,
        observer: &mut dyn Observer,
    ) -> Result<Repetition> {
        // The demo's are those of seed 0.
        let scenes_seed = Seed(seed.0.wrapping_add(1));
        let [train, validation, measured] = self.samples;
        let mut features = |part: Part, planted: &Planted, samples: usize| -> Result<_> {
            let config = ScenesConfig::train()
                .with_part(part)
                .with_planted(planted.clone())
                .with_samples(samples)
                .with_seed(scenes_seed);
            let scenes = Scenes::new(config)?;
            Ok(Arc::new(demo.extract(&scenes, observer)?.table))
        };
        let train = features(Part::Train, &self.train, train)?;
        let validation = features(Part::Validation, &self.validation, validation)?;
        let measured = features(Part::Test, &self.measured, measured)?;
        let device = demo.classifier.device();
        let training = self.training.clone().with_seed(seed);
        Ok(Repetition {
            layer: trained_layer([&train, &validation], training, &device, observer)?,
            data: EditData::of_parts(train, validation, measured)?,
            seed,
        })
    }
}

/// Of the stars 95 % are on water, of the others a quarter of the rest: of all scenes on water as many are stars.
pub(super) fn mostly_planted() -> Planted {
    const SHARE: f64 = 0.95;
    Planted {
        strength: SHARE,
        leak_rate: (1.0 - SHARE) / 4.0,
        ..Planted::default()
    }
}
