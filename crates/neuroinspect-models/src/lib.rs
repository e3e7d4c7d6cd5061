//! Image classifiers and CLIP as Burn modules, with their weights and preprocessing.

pub mod checkpoint;
mod cifar_resnet;
mod efficientnet;
mod error;
mod layers;
mod pretrained;
mod registry;
mod resnet;

pub mod clip;
pub mod prompts;

pub use checkpoint::{Checkpoint, LoadReport, Strictness};
pub use cifar_resnet::{CifarResNet, CifarResNetConfig};
pub use efficientnet::EfficientNetLite0;
pub use error::{Error, Result};
pub use pretrained::PretrainedClassifier;
pub use registry::{
    LoadConfig, LoadedClassifier, ModelInfo, classifiers, load_classifier,
    load_classifier_from_bytes,
};
pub use resnet::{ResNet, ResNetDepth};
