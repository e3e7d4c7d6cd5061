//! The graph as far as it is there.

use std::collections::{BTreeMap, BTreeSet};

use super::{Constant, Images, Imported, LinearSource, Value, Weight};
use crate::{
    families::IMAGES,
    graph::{Input, Node, Op, ParameterSpec, ParameterValue, Reshape, ValueId},
    onnx::host::Size,
};

/// The numbers of images that shapes are inferred for.
const IMAGE_COUNTS: [usize; 2] = [2, 3];

/// Most elements of a value for two images: 4 GB.
const MOST_ELEMENTS: usize = 1 << 30;

/// Most axes of a value of a graph.
const MOST_RANK: usize = 6;

/// Most axes of a weight.
const MOST_AXES: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Importer {
    /// The number of images that the export fixed.
    pub(super) fixed: Option<usize>,
    /// As [`Images::exact`].
    pub(super) exact: bool,
    pub(super) nodes: Vec<Node>,
    /// Shapes of the values for each of the [`IMAGE_COUNTS`].
    shapes: Vec<[Vec<usize>; 2]>,
    /// How many numbers lie before the images' in the axis of each value that runs over them, as where `[T, N]` became one
    /// axis; 1 where the images come first in it.
    pub(super) within: Vec<i64>,
    specs: Vec<ParameterSpec>,
    weights: BTreeMap<String, Weight>,
    names: BTreeSet<String>,
    /// Weights that are values of nodes, by their names.
    constants: BTreeMap<String, ValueId>,
    pub(super) linears: BTreeMap<usize, LinearSource>,
    /// Values that the file has under more than one name, which no node may change.
    pub(super) shared: BTreeSet<usize>,
    /// Name of the node of the file that is followed.
    node: String,
    /// How many nodes there were before it.
    start: usize,
}

/// The size of the axis that runs over the images, for the fewer of the [`IMAGE_COUNTS`].
fn of_images([few, many]: &[Vec<usize>; 2]) -> Option<usize> {
    let sizes = few.iter().zip(many);
    sizes
        .filter(|(few, many)| few != many)
        .map(|it| *it.0)
        .next()
}

impl Importer {
    /// A graph of the images alone.
    pub(super) fn new(images: Images<'_>) -> Result<(Self, ValueId), String> {
        let mut importer = Self {
            fixed: images.fixed,
            exact: images.exact,
            ..Self::default()
        };
        let shape = vec![3, images.size, images.size];
        let shapes = IMAGE_COUNTS.map(|count| [&[count], &shape[..]].concat());
        importer.names.insert(IMAGES.to_owned());
        let op = Op::Input(Input { shape });
        let id = importer.push(IMAGES.to_owned(), op, &[], Vec::new(), shapes)?;
        Ok((importer, id))
    }

    /// Begins with another node of the file.
    pub(super) fn begin(&mut self, node: &str) {
        node.clone_into(&mut self.node);
        self.start = self.nodes.len();
    }

    /// The name of the node that is followed.
    pub(super) fn called(&self) -> &str {
        &self.node
    }

    /// Gives what came out of the node the node's name, and further outputs their own.
    pub(super) fn name_outputs(&mut self, names: &[String], outputs: &[Value]) {
        for (index, (name, output)) in names.iter().zip(outputs).enumerate() {
            if let Value::Graph(id) = *output
                && id.0 < self.start
            {
                self.shared.insert(id.0);
            }
            if let Value::Graph(id) = *output
                && id.0 >= self.start
                && !matches!(self.nodes[id.0].op, Op::ParameterValue(_))
                && !self.nodes[id.0].module
            {
                let name = match index {
                    0 => self.node.clone(),
                    _ => name.clone(),
                };
                self.rename(id, &name);
            }
        }
    }

    /// Makes a node stand for one of the file.
    fn rename(&mut self, id: ValueId, name: &str) {
        let free = self.free_name(name);
        self.names.remove(&self.nodes[id.0].name);
        self.names.insert(free.clone());
        self.nodes[id.0].name = free;
        self.nodes[id.0].module = true;
    }

    /// Gives the node that is followed to a node that is there already.
    pub(super) fn take_over(&mut self, id: ValueId) {
        let name = self.node.clone();
        self.rename(id, &name);
    }

    /// The name, or with a number where there is one like it.
    fn free_name(&self, name: &str) -> String {
        let mut free = name.to_owned();
        let mut count = 0;
        while free.is_empty() || self.names.contains(&free) {
            count += 1;
            free = format!("{name}.{count}");
        }
        free
    }

    /// A node with parameters, by the names of weights in the file.
    pub(super) fn layer(
        &mut self,
        op: impl Into<Op>,
        inputs: &[ValueId],
        weights: Vec<(String, Weight)>,
    ) -> Result<ValueId, String> {
        let op = op.into();
        let [few, many] = [0, 1].map(|which| self.shapes_of(inputs, which));
        let slots = op.parameters(&few)?;
        let shapes = [op.shape(&few)?, op.shape(&many)?];
        if slots.len() != weights.len() {
            let (expected, found) = (slots.len(), weights.len());
            return Err(format!("expected {expected} weights, found {found}"));
        }
        let mut parameters = Vec::with_capacity(weights.len());
        for (slot, (name, weight)) in slots.into_iter().zip(weights) {
            if slot.shape != weight.shape {
                return Err(format!(
                    "expected '{name}' of shape {:?}, found {:?}",
                    slot.shape, weight.shape
                ));
            }
            parameters.push(self.weight(name, weight, slot.initial));
        }
        let name = match &op {
            Op::ParameterValue(_) => parameters.first().cloned().unwrap_or_default(),
            _ => format!("{}.{}", self.node, op.kind()),
        };
        let name = self.free_name(&name);
        self.names.insert(name.clone());
        self.push(name, op, inputs, parameters, shapes)
    }

    /// A node without parameters.
    pub(super) fn step(
        &mut self,
        op: impl Into<Op>,
        inputs: &[ValueId],
    ) -> Result<ValueId, String> {
        self.layer(op, inputs, Vec::new())
    }

    fn shapes_of(&self, inputs: &[ValueId], which: usize) -> Vec<&[usize]> {
        let inputs = inputs.iter();
        inputs
            .map(|input| &self.shapes[input.0][which][..])
            .collect()
    }

    fn push(
        &mut self,
        name: String,
        op: Op,
        inputs: &[ValueId],
        parameters: Vec<String>,
        shapes: [Vec<usize>; 2],
    ) -> Result<ValueId, String> {
        let [shape, _] = &shapes;
        if shape.len() > MOST_RANK {
            return Err(format!(
                "expected a value of at most {MOST_RANK} axes, found one of shape {shape:?}"
            ));
        }
        let elements = shape
            .iter()
            .try_fold(1usize, |all, &size| all.checked_mul(size));
        if !elements.is_some_and(|elements| (1..=MOST_ELEMENTS).contains(&elements)) {
            return Err(format!(
                "expected a value of 1 to {MOST_ELEMENTS} elements for two images, found one of shape {shape:?}"
            ));
        }
        // An operation that leaves the axis as it is leaves the images where they are in it.
        let of_images = of_images(&shapes);
        let inherited = inputs
            .iter()
            .filter(|input| self::of_images(&self.shapes[input.0]) == of_images);
        let mut inherited = inherited.map(|input| self.within[input.0]);
        let within = inherited.next().unwrap_or(1);
        if self.fixed.is_some() && of_images.is_some() && inherited.any(|other| other != within) {
            return Err("it puts together values whose images are in other places; export with a free number of images (dynamic_shapes of torch.onnx.export)".to_owned());
        }
        self.within.push(within);
        self.shapes.push(shapes);
        self.nodes.push(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            parameters,
            module: false,
        });
        Ok(ValueId(self.nodes.len() - 1))
    }

    /// A parameter with these values: that of the name if it is the same, or a new one.
    fn weight(
        &mut self,
        name: String,
        weight: Weight,
        initial: crate::graph::InitialValues,
    ) -> String {
        let mut free = name.clone();
        let mut count = 0;
        while let Some(there) = self.weights.get(&free) {
            let mut specs = self.specs.iter();
            let alike = specs.any(|spec| spec.name == free && spec.initial == initial);
            if alike && *there == weight {
                return free;
            }
            count += 1;
            free = format!("{name}.{count}");
        }
        self.specs.push(ParameterSpec {
            name: free.clone(),
            shape: weight.shape.clone(),
            initial,
        });
        self.weights.insert(free.clone(), weight);
        free
    }

    /// Gives a linear layer without a bias one.
    pub(super) fn add_bias(&mut self, id: ValueId, name: &str, bias: Weight) {
        let initial = crate::graph::InitialValues::zeros();
        let name = self.weight(name.to_owned(), bias, initial);
        let node = &mut self.nodes[id.0];
        if let Op::Linear(linear) = &mut node.op {
            linear.bias = true;
            node.parameters.push(name);
        }
    }

    /// A value as one of the graph.
    pub(super) fn value(&mut self, value: &Value) -> Result<ValueId, String> {
        match value {
            Value::Graph(id) => Ok(*id),
            Value::Host(constant) => self.constant(constant),
        }
    }

    /// A known tensor as a value of the graph.
    pub(super) fn constant(&mut self, constant: &Constant) -> Result<ValueId, String> {
        let floats = constant.tensor.floats()?;
        let shape = match floats.shape() {
            [] => vec![1],
            shape => shape.to_vec(),
        };
        let values: Vec<f32> = floats.iter().copied().collect();
        if let Some(&id) = self.constants.get(&constant.name)
            && self.shapes[id.0][0] == shape
            && self.is_constant(id, &values)
        {
            return Ok(id);
        }
        // A weight has four axes at most.
        let stored = match shape.len() > MOST_AXES {
            true => vec![values.len()],
            false => shape.clone(),
        };
        let weight = Weight {
            shape: stored.clone(),
            values,
        };
        let weights = vec![(constant.name.clone(), weight)];
        let mut id = self.layer(ParameterValue::new(stored.clone()), &[], weights)?;
        if stored != shape {
            let shape = shape.iter().map(|&size| size as i64).collect();
            id = self.step(Reshape { shape }, &[id])?;
        }
        self.constants.insert(constant.name.clone(), id);
        Ok(id)
    }

    /// Whether a value of the graph is these numbers.
    fn is_constant(&self, id: ValueId, values: &[f32]) -> bool {
        let node = &self.nodes[id.0];
        let stored = match (&node.op, &node.inputs[..]) {
            (Op::Reshape(_), [stored]) => &self.nodes[stored.0],
            _ => node,
        };
        let weight = stored
            .parameters
            .first()
            .and_then(|name| self.weights.get(name));
        weight.is_some_and(|weight| weight.values == values)
    }

    /// Sizes of a value of the graph.
    pub(super) fn dims(&self, id: ValueId) -> Result<Vec<Size>, String> {
        let [first, second] = &self.shapes[id.0];
        let sizes = first.iter().zip(second).map(|(&first, &second)| {
            let per_image = first != second;
            let [few, many] = IMAGE_COUNTS;
            if per_image && (first % few != 0 || first / few * many != second) {
                return Err(format!(
                    "expected sizes proportional to the number of images, found {:?} for {few} and {:?} for {many}",
                    self.shapes[id.0][0], self.shapes[id.0][1]
                ));
            }
            let count = if per_image { first / few } else { first };
            let count = i64::try_from(count).map_err(|error| error.to_string())?;
            Ok(Size { count, per_image })
        });
        sizes.collect()
    }

    /// Number of axes of a value of the graph.
    pub(super) fn rank(&self, id: ValueId) -> usize {
        self.shapes[id.0][0].len()
    }

    /// A size of a value of the graph that is the same for any number of images.
    pub(super) fn size(&self, id: ValueId, axis: usize) -> Result<usize, String> {
        let dims = self.dims(id)?;
        let size = dims
            .get(axis)
            .ok_or_else(|| format!("there is no axis {axis}"))?;
        match size.per_image {
            false => usize::try_from(size.count).map_err(|error| error.to_string()),
            true => Err(format!(
                "axis {axis} runs over the images, each of which is by itself"
            )),
        }
    }

    pub(super) fn op(&self, id: ValueId) -> &Op {
        &self.nodes[id.0].op
    }

    /// The graph with a value that is the file's output.
    pub(super) fn finish(self, output: ValueId) -> Imported {
        Imported {
            nodes: self.nodes,
            specs: self.specs,
            weights: self.weights,
            output,
            linears: self.linears,
        }
    }
}
