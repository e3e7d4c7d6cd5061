//! What can go wrong with models and their weights.

use crate::checkpoint::LoadReport;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a model, its name or its weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of the shared vocabulary: files, decision layers, devices.
    #[error(transparent)]
    Core(#[from] neuroinspect_core::Error),
    /// No model has this name.
    #[error(
        "no model is named '{name}';{} `neuroinspect models`, or classifiers() in code, lists all",
        meant(.nearest)
    )]
    UnknownModel {
        /// The name given.
        name: String,
        /// The registered name most like it, if one is like enough to be meant.
        nearest: Option<String>,
    },
    /// A model is known, and weights of it with this tag of timm's are not.
    #[error(
        "no input is known for weights '{tag}' of '{model}', and that of others may be wrong for them; known tags: {known}; load them as '{model}' with an input of your own (--input FILE of the program, LoadConfig::with_input in code)"
    )]
    UnknownTag {
        /// The name without the tag.
        model: &'static str,
        /// The tag given.
        tag: String,
        /// The model's tags that are known.
        known: String,
    },
    /// timm's configurations of published weights, which the crate carries, are damaged or lack those that
    /// a row of the registry's table names.
    #[error(
        "timm's configurations of published weights (families/pretrained_cfg.json, made by tools/golden_pretrained.py): {reason}"
    )]
    PretrainedConfig {
        /// What was expected and found.
        reason: String,
    },
    /// A node of a graph that cannot be, or cannot take its inputs.
    #[error("node '{node}': {reason}")]
    Node {
        /// The node, or the parameter.
        node: String,
        /// What was expected and found.
        reason: String,
    },
    /// A graph that cannot be what it is taken for.
    #[error("the graph: {reason}")]
    Graph {
        /// What was expected and found.
        reason: String,
    },
    /// A node that a graph does not have.
    #[error("the graph has no node '{node}';{} its nodes() lists all", meant(.nearest))]
    UnknownNode {
        /// The name given.
        node: String,
        /// The node's name most like it, if one is like enough to be meant.
        nearest: Option<String>,
    },
    /// A network whose weights a pass has replaced or dropped, to be trained, loaded or saved.
    #[error(
        "the network was rewritten for evaluation (fold, graph::passes), and its weights are no longer those that are trained, loaded and saved; use the network it was made of"
    )]
    Rewritten,
    /// An ONNX file that is damaged, or of no classifier of images.
    #[cfg(feature = "onnx")]
    #[error("'{file}' is no ONNX file of a classifier that can be read: {reason}")]
    Onnx {
        /// The file.
        file: String,
        /// What was expected and found.
        reason: String,
    },
    /// A node of an ONNX file that cannot be followed.
    #[cfg(feature = "onnx")]
    #[error("'{file}': node '{node}' ({operator}): {reason}")]
    OnnxNode {
        /// The file.
        file: String,
        /// The node's name, or that of its first output.
        node: String,
        /// The operator.
        operator: String,
        /// What was expected and found.
        reason: String,
    },
    /// Operators of an ONNX file that are not known.
    #[cfg(feature = "onnx")]
    #[error("'{file}' has operators that are not known, with the nodes that use them: {operators}")]
    OnnxOperators {
        /// The file.
        file: String,
        /// Each with its nodes.
        operators: String,
    },
    /// What is wrong with a model on the hub, or with the way to it.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(#[from] crate::hub::HubError),
    /// A file that holds no weights, or is damaged.
    #[error("'{file}' is not a checkpoint that can be read: {reason}")]
    NotACheckpoint {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor is there but its values cannot be read.
    #[error("'{file}': tensor '{tensor}' cannot be read: {reason}")]
    UnreadableTensor {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A weight is NaN, infinite, or too large for the number format.
    #[error(
        "'{file}': tensor '{tensor}' holds {value} at index {index}; the weights are damaged, their training diverged, or the file's number format is too narrow for them"
    )]
    NotFinite {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Position in row-major order.
        index: usize,
        /// The value.
        value: f32,
    },
    /// The weights are not those of the model.
    #[error(
        "'{file}' does not fit {model}{}: {report}{}",
        likely(.looks_like),
        positions(.report)
    )]
    WeightsDoNotFit {
        /// The file.
        file: String,
        /// The model they were meant for.
        model: String,
        /// The registered models that they do fit.
        looks_like: Vec<&'static str>,
        /// Tensor by tensor.
        report: Box<LoadReport>,
    },
    /// The checkpoint's decision layer has another number of classes than expected.
    #[error(
        "'{file}' has {found} classes (rows of '{tensor}') where {expected} were expected; leave the class count out to take the checkpoint's"
    )]
    ClassCount {
        /// The file.
        file: String,
        /// The decision layer's weight.
        tensor: String,
        /// The number of classes asked for.
        expected: usize,
        /// The number of classes in the file.
        found: usize,
    },
    /// Weights without a decision layer, which nothing says the number of classes of.
    #[error(
        "'{file}' and the weights that '{model}' stands for are without a decision layer; say of how many classes one is to be drawn (LoadConfig::with_classes, and Strictness::Partial)"
    )]
    NoDecisionLayer {
        /// The file.
        file: String,
        /// The model.
        model: &'static str,
    },
    /// A file says how its network's images are prepared, and not in a way that can be followed.
    #[error(
        "the input in the metadata of '{file}' cannot be followed: {reason}; give an input (--input FILE of the program, LoadConfig::with_input in code)"
    )]
    SavedInput {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A JSON text that is not the config of a CLIP with a vision transformer.
    #[error("{origin} is not the config of a CLIP this can build: {reason}")]
    ClipConfig {
        /// Where the JSON came from.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A CLIP's weights without its config.
    #[error(
        "'{file}' does not say which CLIP it holds (no 'config' in its metadata); give a preset ({known}) or a config file"
    )]
    NoClipConfig {
        /// The file.
        file: String,
        /// The presets there are.
        known: String,
    },
    /// A CLIP preset that does not exist.
    #[error("no CLIP preset is named '{name}'; expected one of {known}, or a config file")]
    UnknownClipPreset {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A SigLIP's tokenizer that cannot be read or does not go with it.
    #[error("'{file}': {reason}")]
    Tokenizer {
        /// The file.
        file: String,
        /// What was expected and found.
        reason: String,
    },
    /// Texts for a SigLIP that was given no tokenizer.
    #[error(
        "'{model}' is a SigLIP without its tokenizer: put tokenizer.json and tokenizer_config.json of '{repository}' beside its weights (Clip::with_tokenizer in code)"
    )]
    NoTokenizer {
        /// The model.
        model: String,
        /// Where on the hub the tokenizer is.
        repository: String,
    },
    /// A prompt template that cannot be filled in.
    #[error("template {line} of {origin}, '{template}': expected '{{}}' where the class goes")]
    Template {
        /// Where the templates came from.
        origin: String,
        /// Which one, counted from 1; in a file, the line.
        line: usize,
        /// The template.
        template: String,
    },
    /// A list of prompt templates without any.
    #[error("{origin} holds no prompt template; write one per line, with '{{}}' for the class")]
    NoTemplates {
        /// Where the templates came from.
        origin: String,
    },
}

impl Error {
    pub(crate) fn node(node: &str, reason: impl Into<String>) -> Self {
        Self::Node {
            node: node.to_owned(),
            reason: reason.into(),
        }
    }

    /// The error as one of the shared vocabulary.
    pub(crate) fn of_model(self, model: &str) -> neuroinspect_core::Error {
        match self {
            Self::Core(error) => error,
            other => neuroinspect_core::Error::Model {
                model: model.to_owned(),
                reason: other.to_string(),
            },
        }
    }
}

fn meant(nearest: &Option<String>) -> String {
    let hint = |name| format!(" did you mean '{name}'?");
    nearest.as_ref().map_or_else(String::new, hint)
}

/// What to do where all that does not fit are the positions of a vision transformer's patches.
fn positions(report: &LoadReport) -> &'static str {
    let rest = report.missing.is_empty() && report.unused.is_empty();
    let is_position = |name: &str| name.rsplit('.').next() == Some("pos_embed");
    let mut others = report.mismatched.iter().filter(|it| !is_position(&it.name));
    match rest && !report.mismatched.is_empty() && others.next().is_none() {
        true => {
            "; its positions are of images of another size: leave the model's input as it is, or train \
             weights for that size"
        }
        false => "",
    }
}

fn likely(looks_like: &[&'static str]) -> String {
    const SHOWN: usize = 3;
    let shown = &looks_like[..looks_like.len().min(SHOWN)];
    let more = match looks_like.len() - shown.len() {
        0 => String::new(),
        more => format!(" or one of {more} more"),
    };
    match shown {
        [] => String::new(),
        names => format!(" but looks like {}{more}", names.join(" or ")),
    }
}
