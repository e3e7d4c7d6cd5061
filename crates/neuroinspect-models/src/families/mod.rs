//! The families of networks, one file each: a function of the family's arguments that emits a graph.
//!
//! A family's names are those of the implementation whose checkpoints it reads. Its members are rows of
//! the [registry](crate::classifiers).

mod cifar_resnet;
mod efficientnet;
mod pretrained;
mod resnet;
pub(crate) mod transformer;

pub use cifar_resnet::CifarResNetConfig;
pub(crate) use cifar_resnet::cifar_resnet;
pub(crate) use efficientnet::efficientnet_lite0;
pub(crate) use pretrained::pretrained;
pub(crate) use resnet::{BlockKind, ResNetConfig};

use crate::Result;

/// What a family is told besides its own arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Number of classes, at least 1.
    pub(crate) classes: usize,
    /// Side of the images that shapes are checked with.
    pub(crate) image: usize,
}

/// Name of what goes into a classifier's graph.
pub(crate) const IMAGES: &str = "images";

/// Checks that there is a class.
pub(crate) fn check_classes(classes: usize) -> Result<()> {
    if classes == 0 {
        return Err(neuroinspect_core::Error::InvalidOption {
            option: "classes",
            value: "0".into(),
            expected: "at least 1",
        }
        .into());
    }
    Ok(())
}
