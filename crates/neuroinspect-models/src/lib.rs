//! Image classifiers and CLIP as graphs, with their weights and preprocessing.
//!
//! # Classifiers
//!
//! [`load_classifier`] builds a network by name and fills it from a checkpoint. What it returns is
//! a [`Classifier`](neuroinspect_core::Classifier) and can be saved again, with another decision
//! layer if it was given one ([`PretrainedClassifier`]). [`classifiers`] lists them all.
//!
//! | names, as timm's | neurons: channels of |
//! | --- | --- |
//! | `resnet18`, `26`, `34`, `50`, `101`, `152` and their `d`, `resnet200d`; `resnext50_32x4d` (`50d`), `resnext101_32x4d`, `32x8d`, `32x16d`, `32x32d`, `64x4d`; `wide_resnet50_2`, `101_2` | 512 or 2048: `layer4` |
//! | `vgg11`, `13`, `16`, `19` and their `_bn` | 4096: `pre_logits` |
//! | `efficientnet_b0` to `b8`, `l2` and `lite0` to `4`, and their `tf_` | 1280 to 5504: `conv_head` |
//! | `convnext_tiny`, `small`, `base`, `large`, `xlarge`; `test_convnext` | 768 to 2048, 64: `stages`, normalised |
//! | `vit_*_patch*_224` and `384` (tiny to huge), `vit_*_gap_*`, `flexivit_*`, `deit_*`, `deit3_*`, `vit_*_patch14_dinov2` and `reg4_dinov2` | 192 to 1408: the class token or the patches' mean |
//! | `cifar_resnet20`, `32`, `44`, `56`: akamaster/pytorch_resnet_cifar10's; `stl_resnet14`: the same with a stride in the first convolution, for 96 px | 64: `layer3` |
//!
//! Each computes what its implementation does, timm's ([`ModelInfo::source`]), and reads its checkpoints.
//! ResNets' are torchvision's, too.
//!
//! Where in the image a neuron is active is told by the map that its decision layer's spatial mean reads. A
//! vision transformer's is its coordinate over the patches' tokens of the last block but one, or of another
//! layer ([`LoadConfig::map`]); weights of DINO and the like have no decision layer, and get one of so many
//! classes as [`LoadConfig::classes`] says.
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
//! registry's table (`registry/table.rs`: name, family, arguments); `tools/golden_pretrained.py` and
//! `tools/golden_classifiers.py` read the names there, and write timm's configurations of its weights
//! (`families/pretrained_cfg.json`) and the golden values. A new family is that file and its rows. An
//! operation that is missing is a structure in `graph/ops/` and a line in [`Op`](graph::Op)'s list.
//!
//! # Checkpoints
//!
//! [`checkpoint`] reads safetensors and PyTorch files into any Burn module whose fields are named
//! as in PyTorch, and writes safetensors. A network of your own that implements
//! [`Classifier`](neuroinspect_core::Classifier) is loaded and saved as those above are.
//!
//! # ONNX
//!
//! With the feature `onnx`, `onnx` follows any classifier that PyTorch exports onto a graph.
//!
//! # The hub
//!
//! With the feature `hub`, `hub` finds classifiers and CLIPs by their names on the Hugging Face hub, and
//! downloads them into its cache.
//!
//! # CLIP
//!
//! [`clip`] holds image-text encoders in open_clip's architectures and names, SigLIP's texts with the feature
//! `siglip`, [`prompts`] the
//! templates that turn class names into texts for them.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod checkpoint;
mod classifier;
mod error;
mod families;
pub mod graph;
#[cfg(feature = "hub")]
pub mod hub;
mod layers;
#[cfg(feature = "onnx")]
pub mod onnx;
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
