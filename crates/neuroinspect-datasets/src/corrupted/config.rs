//! Which samples are corrupted how.

use derive_setters::Setters;
use neuroinspect_core::{Seed, check_option};
use serde::{Deserialize, Serialize};

use crate::Result;

/// Makes a [`Corrupted`](super::Corrupted) data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct CorruptedConfig {
    /// Share of every class's samples with the corruption of another class: 0.02. Nam et al. train at
    /// 0.005, 0.01, 0.02 and 0.05, and measure at 0.9, where with ten classes all corruptions are
    /// equally frequent.
    pub conflicting: f64,
    /// What the groups tell apart: [`Aligned`](CorruptionGroups::Aligned).
    pub groups: CorruptionGroups,
    /// Where all randomness comes from: 0.
    pub seed: Seed,
}

/// What the groups of a [`Corrupted`](super::Corrupted) data set tell apart, within each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorruptionGroups {
    /// Whether the corruption is the class's own: two groups a class, `"cat aligned"` and
    /// `"cat conflicting"`. At 0.5 % of CIFAR-10 the second has 25 samples, enough to go by.
    #[default]
    Aligned,
    /// Which corruption it is: ten groups a class, such as `"cat snow"`. Balanced over these, training
    /// samples are as unbiased test samples are; but at 0.5 % of CIFAR-10 a group has three samples, and
    /// the worst of a hundred is mostly the unluckiest.
    Corruption,
}

impl Default for CorruptedConfig {
    fn default() -> Self {
        Self {
            conflicting: 0.02,
            groups: CorruptionGroups::default(),
            seed: Seed::default(),
        }
    }
}

impl CorruptedConfig {
    /// Checks the options.
    ///
    /// # Errors
    ///
    /// When `conflicting` is no share.
    pub fn validate(&self) -> Result<()> {
        let share = self.conflicting;
        let allowed = (0.0..=1.0).contains(&share);
        let expected = "a share between 0 and 1";
        Ok(check_option("conflicting", share, allowed, expected)?)
    }
}
