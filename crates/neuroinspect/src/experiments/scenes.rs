//! The scenes that stand in for published data.

use std::sync::Arc;

use neuroinspect_core::{Observer, Seed};
use neuroinspect_datasets::scenes::{Part, Planted, Scenes, ScenesConfig};
use neuroinspect_editing::EditData;

use super::{MeasuredOn, Source};
use crate::{Result, demo::Demo};

/// Scenes with a false correlation, as the demo's backbone sees them.
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

    /// The scenes of a seed. None of the demo's own is among them.
    pub(super) fn data(
        &self,
        demo: &Demo,
        seed: Seed,
        observer: &mut dyn Observer,
    ) -> Result<EditData> {
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
        Ok(EditData::of_parts(train, validation, measured)?)
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
