//! Classifiers out of ONNX files.
//!
//! [`OnnxModel::read`] follows the operators of a file onto a [`Graph`], for images of one size. Three lines
//! of PyTorch write such a file:
//!
//! ```python
//! model.eval()
//! images = torch.zeros(1, 3, 224, 224)
//! torch.onnx.export(model, (images,), "net.onnx")
//! ```
//!
//! Both exporters of PyTorch are followed, with weights inside the file or in files beside it. Where
//! the export fixed the number of images, it is free again; where it left their size free,
//! [`OnnxConfig::with_size`] says which.
//!
//! The decision layer is the linear layer whose value is the output; between the two may be another shape and
//! a softmax. Its features are what it reads. The map is what the pooling before the features reads, or, where
//! they are a class token or the mean of tokens, the tokens of the patches beside it. Each is named by
//! [`head`](OnnxModel::head), and [`OnnxConfig`] chooses others. Layers are called as the nodes of the file
//! are.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use neuroinspect_core::Classifier;
//! use neuroinspect_models::{LoadConfig, onnx::{OnnxConfig, OnnxModel}};
//!
//! # fn main() -> neuroinspect_models::Result<()> {
//! # let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/onnx/test_resnet.torchscript.onnx");
//! let model = OnnxModel::read(file, &OnnxConfig::default())?;
//! assert_eq!(model.head().decision_layer, "/fc/Gemm");
//! let classifier = model.classifier(&LoadConfig::default(), &Device::flex())?;
//! let images = Tensor::zeros([1, 3, 64, 64], &Device::flex());
//! let layer = classifier.decision_layer()?;
//! assert_eq!(classifier.activations(images).features.dims(), [1, layer.neurons()]);
//! # Ok(())
//! # }
//! ```
//!
//! An [edited decision layer](OnnxModel::save) goes back into a file that other programs run.
//!
//! A file is checked before anything of it is run: unknown operators are named together with the nodes
//! that use them, and what else cannot be followed by the node and what was expected of it. Nothing
//! outside the file's folder is read.
//!
//! Neither the protobuf messages nor the operators come from `onnx-ir`: it names nodes and weights anew, so
//! that an edit would not find its way back, fails on some exports before they can be looked at, and
//! leaves the arithmetic of shapes to be done for the size of images all the same.

mod apart;
mod head;
mod host;
mod import;
mod proto;
mod save;
mod tensors;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    io::Read as _,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, TensorData};
use derive_setters::Setters;
use neuroinspect_core::{InputSpec, Precision, ResizeRule, io::open_regular, io::sha256_of_bytes};
use prost::{Message as _, bytes::Bytes};
use serde::{Deserialize, Serialize};

use crate::{
    Error, GraphClassifier, LoadConfig, LoadReport, LoadedClassifier, Result,
    classifier::Head,
    graph::{Graph, Network},
};
use import::{Failure, Images, LinearSource, import};
use proto::{GraphProto, ModelProto, ValueInfo};
use tensors::Beside;

/// How an ONNX file is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_", strip_option)]
pub struct OnnxConfig {
    /// Side of the images in pixels, for a file that leaves it free.
    pub size: Option<usize>,
    /// Name of the decision layer's node, if not that of the linear layer before the output.
    #[setters(into)]
    pub decision_layer: Option<String>,
    /// Name of a node whose value is the map, `[N, C, h, w]`, `[N, h, w, C]` or the tokens `[N, T, C]`, of as
    /// many channels as there are features, if not that of what the pooling before the features reads.
    #[setters(into)]
    pub map: Option<String>,
}

impl OnnxConfig {
    /// Checks the options.
    ///
    /// # Errors
    ///
    /// [`neuroinspect_core::Error::InvalidOption`] for a size that is zero or above
    /// [`InputSpec::MAX_SIZE`].
    pub fn validate(&self) -> Result<()> {
        match self.size {
            Some(size) => Ok(InputSpec::new(size).validate()?),
            None => Ok(()),
        }
    }
}

/// Names of the nodes that a classifier's head is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OnnxHead {
    /// The linear layer that decides.
    pub decision_layer: String,
    /// What makes its features.
    pub features: String,
    /// What makes the map; none where nothing before the features was recognised.
    pub map: Option<String>,
}

/// A classifier as an ONNX file has it.
#[derive(Clone, Debug)]
pub struct OnnxModel {
    path: PathBuf,
    proto: ModelProto,
    sha256: String,
    size: usize,
    /// The number of images that the export fixed.
    fixed: Option<usize>,
    graph: Graph,
    weights: std::collections::BTreeMap<String, TensorData>,
    head: Head,
    source: LinearSource,
}

impl OnnxModel {
    /// Reads a file, and what of its weights is beside it.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] when it cannot be read, [`Error::Onnx`] for one that is damaged or of no
    /// classifier of images, [`Error::OnnxOperators`] naming all operators that are not known and
    /// [`Error::OnnxNode`] a node that cannot be followed, and as [`OnnxConfig::validate`].
    pub fn read(path: impl AsRef<Path>, config: &OnnxConfig) -> Result<Self> {
        config.validate()?;
        let path = path.as_ref();
        let refused = |reason: String| Error::Onnx {
            file: path.display().to_string(),
            reason,
        };
        let bytes = read_regular(path).map_err(|source| neuroinspect_core::Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let damaged = |error| refused(format!("it is damaged, or no ONNX file: {error}"));
        let proto = ModelProto::decode(bytes.clone()).map_err(damaged)?;
        let graph = proto.graph.as_ref();
        let graph =
            graph.ok_or_else(|| refused("it is no ONNX file: it has no graph".to_owned()))?;
        let opset = version(&proto).map_err(refused)?;
        let (input, size, fixed) = images(graph, config.size).map_err(refused)?;
        let output = match (&config.decision_layer, &graph.output[..]) {
            (Some(node), _) => output_of(graph, node).map_err(refused)?,
            (None, [output]) => output.name.as_deref().unwrap_or_default(),
            (None, outputs) => {
                let names: Vec<_> = outputs.iter().filter_map(|it| it.name.as_deref()).collect();
                return Err(refused(format!(
                    "expected one output, the logits, found {names:?}; name the node of the decision layer (--decision-layer NODE of the program, OnnxConfig::with_decision_layer in code)"
                )));
            }
        };
        let mut beside = Beside::of(path);
        let mut follow = |exact: bool| -> Result<_> {
            let given = Images {
                input,
                size,
                fixed,
                exact,
            };
            let imported = import(graph, opset, given, output, &mut beside);
            let mut imported = imported.map_err(|failure| failed(path, failure))?;
            let plain = Graph::new(imported.nodes.clone(), imported.specs.clone())?;
            let decision_layer = config.decision_layer.as_deref();
            let found = head::find(&mut imported, &plain, decision_layer, config.map.as_deref());
            Ok((imported, found.map_err(refused)?))
        };
        let (imported, found) = match follow(true) {
            Err(first) if fixed.is_some() => follow(false).map_err(|_| first)?,
            followed => followed?,
        };
        let mut content = bytes.to_vec();
        beside
            .contents()
            .for_each(|bytes| content.extend_from_slice(bytes));
        // Another head gives other features.
        for chosen in [&config.decision_layer, &config.map].into_iter().flatten() {
            content.extend_from_slice(chosen.as_bytes());
        }
        let weights = imported.weights.into_iter();
        Ok(Self {
            path: path.to_owned(),
            sha256: sha256_of_bytes(&content),
            size,
            fixed,
            graph: Graph::new(imported.nodes, imported.specs)?,
            weights: weights
                .map(|(name, weight)| (name, TensorData::new(weight.values, weight.shape)))
                .collect(),
            head: found.head,
            source: found.source,
            proto,
        })
    }

    /// The operations.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Side of the images, in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Which nodes the head is made of.
    pub fn head(&self) -> OnnxHead {
        let name = |id| self.graph.node(id).name.clone();
        OnnxHead {
            decision_layer: name(self.head.layer),
            features: name(self.head.features),
            map: self.head.map.map(name),
        }
    }

    /// The classifier, named as the file is without its ending.
    ///
    /// A file says nothing of how its images are prepared. Unless [`LoadConfig::input`] does, they are
    /// as for most weights of ImageNet: the shorter side resized to 8/7 of the size, bilinear, the centre
    /// cropped, normalised by ImageNet's mean and standard deviation.
    ///
    /// # Errors
    ///
    /// [`Error::Onnx`] for an input of another size than the file's, or where the export fixed the number of images so that
    /// they cannot be told apart, which is tried on two, and
    /// [`Error::ClassCount`] for another number of classes than [`LoadConfig::classes`]; and as
    /// [`LoadConfig::validate`].
    pub fn classifier(&self, config: &LoadConfig, device: &Device) -> Result<GraphClassifier> {
        config.validate()?;
        config.precision.check(device)?;
        let input = config.input.clone().unwrap_or_else(|| {
            let to = self.size * 8 / 7;
            InputSpec::imagenet(self.size).with_resize(ResizeRule::ShorterSide { to })
        });
        let refused = |reason: String| Error::Onnx {
            file: self.path.display().to_string(),
            reason,
        };
        if input.size != self.size {
            return Err(refused(format!(
                "expected an input of {0} x {0} pixels, for which it was read, found one of {1} x {1}",
                self.size, input.size
            )));
        }
        let head = self.graph.node(self.head.layer);
        let found = self.graph.shape(self.head.layer)[1];
        if let Some(expected) = config.classes.filter(|expected| *expected != found) {
            return Err(Error::ClassCount {
                file: self.path.display().to_string(),
                tensor: head.parameters.first().cloned().unwrap_or_default(),
                expected,
                found,
            });
        }
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let network = Network::with_weights(self.graph.clone(), &self.weights, device)?;
        let model = GraphClassifier::of_network(name, network, input, self.head)?;
        if let Some(images) = self.fixed
            && !apart::images_are_apart(&model)?
        {
            return Err(refused(format!(
                "the export fixed the number of images to {images}, and it cannot be told where they are in its shapes: what \
                 comes out for an image would depend on the images beside it; export with a free number (dynamic_shapes of \
                 torch.onnx.export)"
            )));
        }
        Ok(match config.precision {
            Precision::F32 => model,
            precision => precision.copy_of(&model, device)?,
        })
    }

    /// The classifier as one that is loaded by name.
    ///
    /// # Errors
    ///
    /// As [`classifier`](Self::classifier).
    pub fn load(&self, config: &LoadConfig, device: &Device) -> Result<LoadedClassifier> {
        let applied = self.weights.keys().cloned().collect();
        Ok(LoadedClassifier {
            model: Box::new(self.classifier(config, device)?),
            report: LoadReport {
                applied,
                ..LoadReport::default()
            },
            weights_sha256: self.sha256.clone(),
        })
    }
}

/// A regular file as bytes.
fn read_regular(path: &Path) -> std::io::Result<Bytes> {
    let file = open_regular(path).map_err(std::io::Error::other);
    let mut bytes = Vec::new();
    file?.read_to_end(&mut bytes)?;
    Ok(Bytes::from(bytes))
}

fn failed(path: &Path, failure: Failure) -> Error {
    let file = path.display().to_string();
    match failure {
        Failure::Operators(unknown) => Error::OnnxOperators {
            file,
            operators: unknown
                .into_iter()
                .map(|(operator, nodes)| format!("{operator} ({})", nodes.join(", ")))
                .collect::<Vec<_>>()
                .join("; "),
        },
        Failure::Node {
            node,
            operator,
            reason,
        } => Error::OnnxNode {
            file,
            node,
            operator,
            reason,
        },
        Failure::Other(reason) => Error::Onnx { file, reason },
    }
}

/// The earliest version of the operators whose shapes go together as they do today.
const FIRST_OPSET: i64 = 7;

fn version(proto: &ModelProto) -> Result<i64, String> {
    let mut sets = proto.opset_import.iter();
    let set = sets.find(|set| matches!(set.domain.as_deref(), None | Some("" | "ai.onnx")));
    match set.and_then(|set| set.version) {
        Some(version) if version >= FIRST_OPSET => Ok(version),
        Some(version) => Err(format!(
            "expected operators of version {FIRST_OPSET} (opset_version) or later, found {version}"
        )),
        None => Err("it does not say the version of its operators (opset_import)".to_owned()),
    }
}

/// The input that takes images: its name, their side, and their number where the export fixed it.
fn images(graph: &GraphProto, size: Option<usize>) -> Result<(&str, usize, Option<usize>), String> {
    let weights = graph.initializer.iter().filter_map(|it| it.name.as_deref());
    let weights: BTreeSet<&str> = weights.collect();
    let name = |input: &'_ ValueInfo| input.name.clone().unwrap_or_default();
    let mut inputs = graph.input.iter();
    let mut inputs: Vec<_> = inputs
        .by_ref()
        .filter(|input| !weights.contains(&name(input)[..]))
        .collect();
    let (Some(input), true) = (inputs.pop(), inputs.is_empty()) else {
        let names: Vec<_> = graph.input.iter().map(name).collect();
        return Err(format!("expected one input, the images, found {names:?}"));
    };
    let shape = input.kind.as_ref().and_then(|kind| kind.tensor.as_ref());
    let format = shape.and_then(|tensor| tensor.elem_type);
    if !matches!(format, None | Some(0 | 1 | 10 | 11 | 16)) {
        return Err(format!(
            "expected images of floats as its input '{}', found the data type {} of onnx.proto; export \
             the network without its own preparation of pixels",
            name(input),
            format.unwrap_or_default()
        ));
    }
    let dims = shape.and_then(|tensor| tensor.shape.as_ref());
    let dims = dims.map(|shape| &shape.dim[..]).unwrap_or_default();
    let shown: Vec<String> = dims
        .iter()
        .map(|dim| match (dim.value, &dim.parameter) {
            (Some(value), _) => value.to_string(),
            (None, name) => name.clone().unwrap_or_else(|| "?".to_owned()),
        })
        .collect();
    let wrong = || {
        format!(
            "expected images [N, 3, S, S] as its input '{}', found {shown:?}",
            name(input)
        )
    };
    let [images, channels, height, width] = dims else {
        return Err(wrong());
    };
    let at_least_one = |value: i64| usize::try_from(value).ok().filter(|value| *value > 0);
    let known = |value: Option<i64>| match value {
        Some(value) => at_least_one(value).map(Some).ok_or_else(wrong),
        None => Ok(None),
    };
    if !matches!(channels.value, None | Some(3)) {
        return Err(wrong());
    }
    let side = match (known(height.value)?, known(width.value)?) {
        (Some(height), Some(width)) if height != width => return Err(wrong()),
        (height, width) => height.or(width),
    };
    let side = match (side, size) {
        (Some(side), Some(size)) if side != size => {
            return Err(format!(
                "expected images of the {side} x {side} pixels that the file fixes, found a size of {size}"
            ));
        }
        (side, size) => side.or(size),
    };
    let side = side.ok_or_else(|| {
        "it leaves the size of its images free; say which (--input FILE of the program, OnnxConfig::with_size in code)".to_owned()
    })?;
    InputSpec::new(side)
        .validate()
        .map_err(|error| error.to_string())?;
    let name = input.name.as_deref().unwrap_or_default();
    Ok((name, side, known(images.value)?))
}

/// The first output of a node by its name.
fn output_of<'a>(graph: &'a GraphProto, name: &str) -> Result<&'a str, String> {
    let mut nodes = graph.node.iter();
    let node = nodes.find(|node| node.called() == name);
    let output = node.and_then(|node| node.output.first());
    if let (Some(node), Some(output)) = (node, output)
        && matches!(node.operator(), "MatMul" | "Gemm")
        && node.input.get(2).is_none_or(String::is_empty)
    {
        let is_weight = |name: &String| {
            let mut weights = graph.initializer.iter();
            weights.any(|it| it.name.as_ref() == Some(name))
        };
        let mut adds = graph
            .node
            .iter()
            .filter(|it| it.operator() == "Add" && it.input.contains(output));
        if let Some(sum) = adds.find(|it| it.input.iter().any(is_weight)) {
            return Err(format!(
                "the bias of '{name}' is added by '{}': name that node",
                sum.called()
            ));
        }
    }
    output.map(String::as_str).ok_or_else(|| {
        let known = graph.node.iter().map(|node| node.called());
        let meant = neuroinspect_core::nearest_name(name, known);
        let hint = meant.map_or_else(String::new, |meant| format!("; did you mean '{meant}'?"));
        format!("it has no node '{name}'{hint}")
    })
}
