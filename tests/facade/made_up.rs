//! Weights for the models of tests.

use neuroinspect::models::{
    Checkpoint, GraphClassifier, PretrainedClassifier, Strictness, checkpoint::parameter_shapes,
};
use neuroinspect_testing::{files::safetensors_of, fill::made_up_weights};

/// The same weights in every call, whatever other tests draw.
pub(crate) fn made_up(mut model: GraphClassifier) -> GraphClassifier {
    let weights = safetensors_of(&made_up_weights(parameter_shapes(&model)));
    let weights = Checkpoint::from_bytes("made-up weights", weights).unwrap();
    model.load(&weights, Strictness::Strict).unwrap();
    model
}
