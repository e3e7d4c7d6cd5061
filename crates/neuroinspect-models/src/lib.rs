//! Image classifiers and CLIP as Burn modules, with their weights and preprocessing.
//!
//! # Classifiers
//!
//! [`load_classifier`] builds a network by name and fills it from a checkpoint. What it returns is
//! a [`Classifier`](neuroinspect_core::Classifier) and can be saved again, with another decision
//! layer if it was given one ([`PretrainedClassifier`]).
//!
//! | names | network | neurons | input | computes and reads the same as |
//! | --- | --- | --- | --- | --- |
//! | `cifar_resnet20`, `32`, `44`, `56` | [`CifarResNet`] | 64: channels of `layer3` | 32 | akamaster/pytorch_resnet_cifar10 |
//! | `resnet18`, `resnet34` | [`ResNet`] | 512: channels of `layer4` | 224 of 256, bilinear | torchvision, timm |
//! | `resnet50`, `101`, `152` | [`ResNet`] | 2048: channels of `layer4` | 224 of 256, bilinear | torchvision, timm |
//! | `tf_efficientnet_lite0` | [`EfficientNetLite0`] | 1280: channels of `conv_head` | 224 of 256, bicubic | timm |
//!
//! Other weights want other inputs. timm's tagged names bring theirs: `resnet50.tv2_in1k` for what
//! torchvision loads by default, `resnet50.a1_in1k` for timm's own ([`ModelInfo::tags`] lists those known);
//! [`LoadConfig::with_input`] sets any. What is saved here keeps its input.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use neuroinspect_core::Classifier;
//! use neuroinspect_models::{
//!     CifarResNetConfig, LoadConfig, PretrainedClassifier, load_classifier,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("pets.safetensors");
//! let device = Device::flex();
//! // A network, here an untrained one, saved and loaded by its name.
//! CifarResNetConfig::new(20, 2).init(&device)?.save(&path)?;
//! let loaded = load_classifier("cifar_resnet20", &path, &LoadConfig::default(), &device)?;
//! assert!(loaded.report.is_complete());
//!
//! let model = loaded.model;
//! let images = model.input().normalize(Tensor::zeros([4, 3, 32, 32], &device));
//! assert_eq!(model.activations(images).features.dims(), [4, 64]);
//! assert_eq!(model.decision_layer()?.classes(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! # Checkpoints
//!
//! [`checkpoint`] reads safetensors and PyTorch files into any Burn module whose fields are named
//! as in PyTorch, and writes safetensors. A network of your own that implements
//! [`Classifier`](neuroinspect_core::Classifier) is loaded and saved as those above are.
//!
//! # CLIP
//!
//! [`clip`] holds image-text encoders in open_clip's architecture and names, [`prompts`] the
//! templates that turn class names into texts for them.

pub mod checkpoint;
mod cifar_resnet;
mod efficientnet;
mod error;
pub mod graph;
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
    LoadConfig, LoadedClassifier, ModelInfo, ModelTag, classifiers, load_classifier,
    load_classifier_from_bytes,
};
pub use resnet::{ResNet, ResNetDepth};
