//! The families of networks, one file each: a function of the family's arguments that emits a graph.
//!
//! A family's names are those of the implementation whose checkpoints it reads. Its members are rows of
//! the [registry](crate::classifiers).

mod cifar_resnet;
mod convnext;
mod efficientnet;
mod pretrained;
mod resnet;
pub(crate) mod transformer;
mod vgg;
mod vit;

pub use cifar_resnet::CifarResNetConfig;
pub(crate) use cifar_resnet::{cifar_resnet, stl_resnet};
pub(crate) use convnext::ConvNextConfig;
pub(crate) use efficientnet::EfficientNetConfig;
#[cfg(feature = "hub")]
pub(crate) use pretrained::Pretrained;
pub(crate) use pretrained::{Architecture, pretrained};
pub(crate) use resnet::{BlockKind, ResNetConfig};
pub(crate) use vgg::vgg;
pub(crate) use vit::{Pool, VitConfig};

use neuroinspect_core::check_option;

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

/// Name of the map of a classifier's neurons, `[N, D, h, w]`, where it is not what the spatial mean before
/// the decision layer reads. No module has a name with a space.
pub(crate) const MAP: &str = "neuron map";

/// Checks that there is a class.
pub(crate) fn check_classes(classes: usize) -> Result<()> {
    Ok(check_option("classes", classes, classes > 0, "at least 1")?)
}
