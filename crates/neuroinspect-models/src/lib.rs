//! Image classifiers and CLIP as graphs, with their weights and preprocessing.
//!
//! # Classifiers
//!
//! [`load_classifier`] builds a network by name and fills it from a checkpoint. What it returns is
//! a [`Classifier`](neuroinspect_core::Classifier) and can be saved again, with another decision
//! layer if it was given one ([`PretrainedClassifier`]). [`classifiers`] lists them all.
//!
//! | names | neurons | input | computes and reads the same as |
//! | --- | --- | --- | --- |
//! | `cifar_resnet20`, `32`, `44`, `56` | 64: channels of `layer3` | 32 | akamaster/pytorch_resnet_cifar10 |
//! | `resnet18`, `resnet34` | 512: channels of `layer4` | 224 of 256, bilinear | torchvision, timm |
//! | `resnet50`, `101`, `152`, wide ones, ResNeXts | 2048: channels of `layer4` | 224 of 256, bilinear | torchvision, timm |
//! | `tf_efficientnet_lite0` | 1280: channels of `conv_head` | 224 of 256, bicubic | timm |
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use neuroinspect_core::Classifier;
//! use neuroinspect_models::{LoadConfig, PretrainedClassifier, init_classifier, load_classifier};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("pets.safetensors");
//! let device = Device::flex();
//! // A network, here an untrained one, saved and loaded by its name.
//! init_classifier("cifar_resnet20", 2, &device)?.save(&path)?;
//! let loaded = load_classifier("cifar_resnet20", &path, &LoadConfig::default(), &device)?;
//! assert!(loaded.report.is_complete());
//!
//! let model = loaded.model;
//! let images = model.input().normalize(Tensor::zeros([4, 3, 32, 32], &device));
//! assert_eq!(model.activations(images.clone()).features.dims(), [4, 64]);
//! assert_eq!(model.decision_layer()?.classes(), 2);
//! // Any module is a layer that can be looked at.
//! let values = model.activations_at(images, &["layer2.0.conv1"])?;
//! assert_eq!(values[0].channels(), 32);
//! # Ok(())
//! # }
//! ```
//!
//! # What weights want to see
//!
//! Other weights of the same network want other inputs. timm's tagged names bring theirs:
//! `resnet50.tv2_in1k` for what torchvision loads by default, `resnet50.a1_in1k` for timm's own
//! ([`ModelInfo::tags`] lists all). One rule decides what a tag's input is, for all of them: *the
//! configuration that timm itself tests the weights with*. Of timm's `pretrained_cfg` it takes
//! `test_input_size` and `test_crop_pct` where there are any, each by itself, and otherwise
//! `input_size` and `crop_pct`; the shorter side is resized to `floor(size / crop_pct)` and the centre
//! cropped. The configurations are a dump of timm's by `tools/golden_pretrained.py`. A name without a tag
//! stands for torchvision's first weights (`tv_in1k`) where there are several.
//! [`LoadConfig::with_input`] sets any input, and what is saved here keeps its own.
//!
//! # Networks as graphs
//!
//! Every network is a [`graph`]: a list of named operations, and the weights by the names they have in
//! checkpoints. [`GraphClassifier`] is a graph that classifies, and a Burn module, which can be
//! trained. Its layers, the parameters in its checkpoints and what one probes go by the same strings,
//! timm's module paths.
//!
//! A family is one file of `families/` that emits a graph. A new member of a family is a row in the
//! registry's table (`registry/table.rs`: name, family, arguments, which weights the name stands for), an
//! entry of timm's configurations where these weights are timm's (its name in
//! `tools/golden_pretrained.py`, which writes `families/pretrained_cfg.json`) and one of golden values (its
//! name in `tools/golden_classifiers.py`); a new family is that file, its rows and their entries. An operation that is missing is a structure in `graph/ops/` and a line in
//! [`Op`](graph::Op)'s list.
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
mod classifier;
mod error;
mod families;
pub mod graph;
mod layers;
mod pretrained;
mod registry;

pub mod clip;
pub mod prompts;

pub use checkpoint::{Checkpoint, LoadReport, Strictness};
pub use classifier::GraphClassifier;
pub use error::{Error, Result};
pub use families::CifarResNetConfig;
pub use pretrained::PretrainedClassifier;
pub use registry::{
    LoadConfig, LoadedClassifier, ModelInfo, ModelTag, classifiers, init_classifier,
    load_classifier, load_classifier_from_bytes,
};
