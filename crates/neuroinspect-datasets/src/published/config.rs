//! What of a published data set is wanted.

use derive_setters::Setters;
use neuroinspect_core::{Error as CoreError, Seed};
use serde::{Deserialize, Serialize};

use super::PublishedInfo;
use crate::{Error, Result};

/// What of a published data set is wanted. An option that the data set does not have is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_", into, strip_option)]
pub struct PublishedConfig {
    /// The part whose samples are wanted, such as `test`; all samples by default.
    pub part: Option<String>,
    /// CelebA: the attribute that is the label, `Blond_Hair` by default. CIFAR-100: `fine`, the default, or
    /// `coarse`.
    pub label: Option<String>,
    /// What the groups tell apart beside the label. CelebA: an attribute, `Male` by default. FMoW: `region`,
    /// the default, or `year`.
    pub confounder: Option<String>,
    /// MetaShift: the classes, `bear`, `bird`, `cat`, `dog` and `elephant` by default.
    pub classes: Option<Vec<String>>,
    /// MetaShift: the subset that all training images of its class are from, such as `dog(chair)`; needed.
    pub context: Option<String>,
    /// SUN397: which of the ten published partitions, 1 by default.
    pub partition: Option<usize>,
    /// Seed of the parts that are drawn: Food-101's validation part, Lego's parts, MetaShift's.
    #[setters(strip_option = false)]
    pub seed: Seed,
}

impl PublishedConfig {
    /// Refuses options that the data set does not have.
    pub(super) fn check(&self, info: &PublishedInfo) -> Result<()> {
        let given = [
            ("label", self.label.is_some()),
            ("confounder", self.confounder.is_some()),
            ("classes", self.classes.is_some()),
            ("context", self.context.is_some()),
            ("partition", self.partition.is_some()),
        ];
        let unknown = given
            .into_iter()
            .find(|(option, given)| *given && !info.options.contains(option));
        match unknown {
            None => Ok(()),
            Some((option, _)) => Err(Error::DatasetOption {
                dataset: info.name,
                option,
                reason: match info.options {
                    [] => "it has no options".to_owned(),
                    options => format!("it has {}", options.join(" and ")),
                },
            }),
        }
    }

    /// An error about the value of an option.
    pub(super) fn wrong(option: &'static str, value: &str, expected: &'static str) -> Error {
        CoreError::InvalidOption {
            option,
            value: value.to_owned(),
            expected,
        }
        .into()
    }
}
