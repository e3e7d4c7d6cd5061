//! The file with another decision layer.

use std::path::Path;

use neuroinspect_core::{DecisionLayer, io::write_atomically};
use prost::{Message as _, bytes::Bytes};

use super::{
    OnnxModel,
    proto::{AttributeProto, GraphProto, NodeProto, TensorProto},
    tensors::Beside,
};
use crate::{Error, Result};

/// onnx.proto's `TensorProto.DataType.FLOAT`.
const FLOAT: i32 = 1;

/// Most bytes of a protobuf message.
const MOST_BYTES: usize = i32::MAX as usize;

impl OnnxModel {
    /// Writes the file with another decision layer, and otherwise as it is. Weights that were in files beside
    /// it are within the new one.
    ///
    /// # Errors
    ///
    /// [`neuroinspect_core::Error::Shape`] for a layer of another size, [`Error::Onnx`] when the layer's
    /// weights are in another number format than `f32`, or all weights together are too large for one file,
    /// and [`neuroinspect_core::Error::Write`].
    pub fn save(&self, path: impl AsRef<Path>, layer: &DecisionLayer) -> Result<()> {
        let shape = self.graph.shape(self.head.layer);
        let expected = [shape[1], self.graph.shape(self.head.features)[1]];
        let found = [layer.classes(), layer.neurons()];
        if expected != found {
            let what = "decision layer, [classes, neurons]";
            return Err(neuroinspect_core::Error::shape(what, expected, found).into());
        }
        let refused = |reason: String| Error::Onnx {
            file: self.path.display().to_string(),
            reason,
        };
        let mut proto = self.proto.clone();
        let graph = proto.graph.get_or_insert_default();
        self.replace(graph, layer).map_err(refused)?;
        let mut beside = Beside::of(&self.path);
        for tensor in &mut graph.initializer {
            if let Some(bytes) = beside.bytes(tensor).map_err(refused)? {
                tensor.raw_data = Some(bytes);
                tensor.external_data.clear();
                tensor.data_location = None;
            }
        }
        let length = proto.encoded_len();
        if length > MOST_BYTES {
            return Err(refused(format!(
                "with its weights in one file it has {length} bytes, and an ONNX file at most {MOST_BYTES}"
            )));
        }
        let bytes = proto.encode_to_vec();
        Ok(write_atomically(path, |out| out.write_all(&bytes))?)
    }

    /// Puts the layer's weights in place of those of the nodes that it is in the file.
    fn replace(&self, graph: &mut GraphProto, layer: &DecisionLayer) -> Result<(), String> {
        let [classes, neurons] = [layer.classes(), layer.neurons()].map(|size| size as i64);
        let node = node(graph, self.source.product)?;
        let (operator, as_in_pytorch) = match node.operator() {
            "Gemm" => ("Gemm", is_set(&node.attribute, "transB")),
            "Conv" => ("Conv", true),
            _ => ("MatMul", false),
        };
        let (dims, values): (Vec<i64>, Vec<f32>) = match as_in_pytorch {
            true => (
                vec![classes, neurons],
                layer.weight().iter().copied().collect(),
            ),
            false => (
                vec![neurons, classes],
                layer.weight().t().iter().copied().collect(),
            ),
        };
        let dims = match operator {
            "Conv" => [dims, vec![1, 1]].concat(),
            _ => dims,
        };
        set(graph, self.source.product, 1, tensor(dims, &values))?;
        let values: Vec<f32> = layer.bias().iter().copied().collect();
        let bias = tensor(vec![classes], &values);
        match (operator, self.source.sum) {
            (_, Some(sum)) => {
                let product = graph.node[self.source.product].output.first().cloned();
                let inputs = &node_mut(graph, sum)?.input;
                let place = inputs
                    .iter()
                    .position(|input| Some(input) != product.as_ref());
                set(graph, sum, place.ok_or("the bias is not found")?, bias)
            }
            ("MatMul", None) if values.iter().all(|value| *value == 0.0) => Ok(()),
            ("MatMul", None) => add(graph, self.source.product, bias),
            _ => {
                let inputs = &node_mut(graph, self.source.product)?.input;
                let has_bias = inputs.get(2).is_some_and(|name| !name.is_empty());
                match has_bias || values.iter().any(|value| *value != 0.0) {
                    true => set(graph, self.source.product, 2, bias),
                    false => Ok(()),
                }
            }
        }
    }
}

fn node(graph: &GraphProto, place: usize) -> Result<&NodeProto, String> {
    let node = graph.node.get(place);
    node.ok_or_else(|| "the decision layer's node is gone".to_owned())
}

fn node_mut(graph: &mut GraphProto, place: usize) -> Result<&mut NodeProto, String> {
    let node = graph.node.get_mut(place);
    node.ok_or_else(|| "the decision layer's node is gone".to_owned())
}

fn is_set(attributes: &[AttributeProto], name: &str) -> bool {
    let mut attributes = attributes.iter();
    let attribute = attributes.find(|it| it.name.as_deref() == Some(name));
    attribute
        .and_then(|it| it.i)
        .is_some_and(|value| value != 0)
}

fn tensor(dims: Vec<i64>, values: &[f32]) -> TensorProto {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    TensorProto {
        dims,
        data_type: Some(FLOAT),
        raw_data: Some(Bytes::from(bytes)),
        ..TensorProto::default()
    }
}

/// Puts a tensor in place of what a node reads: under the name it has where nothing else reads that,
/// and otherwise under one of its own.
fn set(
    graph: &mut GraphProto,
    place: usize,
    input: usize,
    tensor: TensorProto,
) -> Result<(), String> {
    let inputs = &mut node_mut(graph, place)?.input;
    if inputs.len() <= input {
        inputs.resize(input + 1, String::new());
    }
    let old = inputs[input].clone();
    let reads = graph.node.iter().flat_map(|node| &node.input);
    let once = reads.filter(|name| **name == old).count() == 1;
    let mut initializers = graph.initializer.iter_mut();
    let there = initializers.find(|it| it.name.as_ref() == Some(&old) && !old.is_empty());
    if let Some(there) = there {
        if there.data_type != Some(FLOAT) {
            return Err(format!(
                "expected the decision layer's '{old}' in the number format f32, found the data type {:?} of onnx.proto",
                there.data_type.unwrap_or_default()
            ));
        }
        if once {
            let name = there.name.take();
            *there = TensorProto { name, ..tensor };
            return Ok(());
        }
    }
    let name = free_name(graph, input);
    node_mut(graph, place)?.input[input].clone_from(&name);
    graph.initializer.push(TensorProto {
        name: Some(name),
        ..tensor
    });
    Ok(())
}

/// A name that no value has.
fn free_name(graph: &GraphProto, input: usize) -> String {
    let part = if input == 1 { "weight" } else { "bias" };
    let mut name = format!("decision_layer.{part}");
    let taken = |name: &String| {
        let values = graph.node.iter().flat_map(|node| &node.output);
        let weights = graph.initializer.iter().filter_map(|it| it.name.as_ref());
        values.chain(weights).any(|other| other == name)
    };
    while taken(&name) {
        name.push('_');
    }
    name
}

/// Adds a bias to the value of a node, which other nodes read under the same name as before.
fn add(graph: &mut GraphProto, place: usize, bias: TensorProto) -> Result<(), String> {
    let name = free_name(graph, 2);
    let node = node_mut(graph, place)?;
    let output = node
        .output
        .first_mut()
        .ok_or("the decision layer has no value")?;
    let product = format!("{name}.product");
    let sum = std::mem::replace(output, product.clone());
    graph.node.insert(
        place + 1,
        NodeProto {
            input: vec![product, name.clone()],
            output: vec![sum],
            name: Some(format!("{name}.Add")),
            op_type: Some("Add".to_owned()),
            ..NodeProto::default()
        },
    );
    graph.initializer.push(TensorProto {
        name: Some(name),
        ..bias
    });
    Ok(())
}
