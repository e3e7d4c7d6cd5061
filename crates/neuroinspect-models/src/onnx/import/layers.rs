//! Convolution, linear layers, products of matrices, normalisation.

use std::rc::Rc;

use super::{
    Call, Constant, Handler, Importer, LinearSource, Outputs, Value, Weight, call::axis_of, known,
};
use crate::{
    graph::{
        BatchNorm, Conv2d, GroupNorm, InstanceNorm, LayerNorm, Linear, MatMul, Op, Padding, Reduce,
        Reduction, Reshape, Softmax, ValueId,
    },
    onnx::{
        host::{Host, Pairwise, Size},
        proto::GraphProto,
    },
};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Conv", conv),
    ("Gemm", gemm),
    ("MatMul", matmul),
    ("BatchNormalization", batch_norm),
    ("LayerNormalization", layer_norm),
    ("InstanceNormalization", instance_norm),
    ("GroupNormalization", group_norm),
    ("Softmax", softmax),
    ("LogSoftmax", softmax),
    ("PRelu", prelu),
];

/// The place of the node whose value becomes the output by nothing but another shape or a softmax, and the places of the nodes
/// after it.
pub(super) fn gives_logits(graph: &GraphProto, output: &str) -> (Option<usize>, Vec<usize>) {
    let (mut name, mut after) = (output, Vec::new());
    // As many steps as there are nodes, if they lead in a circle.
    for _ in &graph.node {
        let made_here = |node: &super::NodeProto| node.output.iter().any(|made| made == name);
        let Some(place) = graph.node.iter().position(made_here) else {
            break;
        };
        let node = &graph.node[place];
        match (node.operator(), node.input.first()) {
            (
                "Flatten" | "Reshape" | "Squeeze" | "Identity" | "Softmax" | "LogSoftmax",
                Some(input),
            ) => {
                name = input;
                after.push(place);
            }
            _ => return (Some(place), after),
        }
    }
    (None, after)
}

impl Call<'_> {
    /// A weight that is an input, under its name.
    fn weight(&self, index: usize) -> Result<(String, Weight), String> {
        self.host(index)?;
        match self.input(index)? {
            Value::Host(constant) => weight_of(&constant, |host| Ok(host.clone())),
            Value::Graph(_) => Err(format!("its input {index} is no constant")),
        }
    }
}

/// The weight that a constant is once it is laid out as PyTorch does.
fn weight_of(
    constant: &Constant,
    laid_out: impl FnOnce(&Host) -> Result<Host, String>,
) -> Result<(String, Weight), String> {
    let tensor = laid_out(&constant.tensor)?;
    let floats = tensor.floats()?;
    let weight = Weight {
        shape: floats.shape().to_vec(),
        values: floats.iter().copied().collect(),
    };
    Ok((constant.name.clone(), weight))
}

fn conv(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let mut id = importer.value(&call.input(0)?)?;
    let Value::Host(kernel) = call.input(1)? else {
        return Err("its kernel depends on the images".to_owned());
    };
    let shape = kernel.tensor.shape().to_vec();
    let size = |axis: usize| shape.get(axis).copied().unwrap_or(0);
    let along_one_axis = shape.len() == 3;
    if along_one_axis {
        // Along one axis is along the second of two, of which the first has the size 1.
        let dims = importer.dims(id)?;
        let [images, channels, length] = dims[..] else {
            return Err("expected a value [N, C, L] for a kernel of three axes".to_owned());
        };
        let shape = [
            if images.per_image { -1 } else { images.count },
            channels.count,
            1,
            length.count,
        ];
        id = importer.step(
            Reshape {
                shape: shape.to_vec(),
            },
            &[id],
        )?;
    } else if shape.len() != 4 {
        return Err(format!("expected a kernel of 3 or 4 axes, found {shape:?}"));
    }
    let kernel_size = match along_one_axis {
        true => [1, size(2)],
        false => [size(2), size(3)],
    };
    let pair = |name: &str, default: usize| match along_one_axis {
        true => call.fixed::<1>(name, [default]).map(|[it]| [1, it]),
        false => call.fixed::<2>(name, [default; 2]),
    };
    let (stride, dilation) = (pair("strides", 1)?, pair("dilations", 1)?);
    let padding = match along_one_axis {
        true if is_explicit(call) => {
            let [before, after] = call.fixed::<2>("pads", [0; 2])?;
            Padding::Explicit([(0, 0), (before, after)])
        }
        _ => padding(call)?,
    };
    let groups = usize::try_from(call.int("group", 1)).map_err(|error| error.to_string())?;
    let bias = call.optional(2).is_some();
    let target = [size(0), size(1), kernel_size[0], kernel_size[1]];
    let dims = importer.dims(id)?;
    let of_one_pixel = dims.len() == 4
        && dims[2..].iter().all(|size| *size == Size::fixed(1))
        && target[2..] == [1, 1]
        && groups == 1
        && !along_one_axis;
    if call.gives_logits && of_one_pixel && padding == Padding::both(0) && stride == [1; 2] {
        // A decision layer by another name.
        let flat = importer.step(
            Reshape {
                shape: vec![-1, dims[1].count],
            },
            &[id],
        )?;
        let mut weights = vec![weight_of(&kernel, |host| host.reshaped(&target[..2]))?];
        if bias {
            weights.push(call.weight(2)?);
        }
        let linear = Linear::new(target[0]).with_bias(bias);
        let linear = importer.layer(linear, &[flat], weights)?;
        importer.take_over(linear);
        importer.linears.insert(
            linear.0,
            LinearSource {
                product: call.place,
                sum: None,
            },
        );
        let shape = vec![-1, target[0] as i64, 1, 1];
        return importer.only(Reshape { shape }, linear);
    }
    let op = Conv2d {
        channels: target[0],
        kernel: kernel_size,
        stride,
        padding,
        dilation,
        groups,
        bias,
    };
    let mut weights = vec![weight_of(&kernel, |host| host.reshaped(&target))?];
    if bias {
        weights.push(call.weight(2)?);
    }
    let mut id = importer.layer(op, &[id], weights)?;
    if along_one_axis {
        let dims = importer.dims(id)?;
        let shape = vec![-1, dims[1].count, dims[3].count];
        id = importer.step(Reshape { shape }, &[id])?;
    }
    Ok(vec![Value::Graph(id)])
}

/// Whether the padding is that of the attribute `pads`.
fn is_explicit(call: &Call<'_>) -> bool {
    matches!(call.word("auto_pad", "NOTSET"), "NOTSET" | "")
}

/// The zeros around a map.
pub(super) fn padding(call: &Call<'_>) -> Result<Padding, String> {
    if is_explicit(call) {
        let [top, left, bottom, right] = call.fixed::<4>("pads", [0; 4])?;
        return Ok(Padding::Explicit([(top, bottom), (left, right)]));
    }
    match call.word("auto_pad", "NOTSET") {
        "VALID" => Ok(Padding::both(0)),
        "SAME_UPPER" => Ok(Padding::Same),
        other => Err(format!("expected a padding that is known, found '{other}'")),
    }
}

fn gemm(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let factors = [call.float("alpha", 1.0), call.float("beta", 1.0)];
    if factors != [1.0; 2] {
        return Err(format!(
            "expected a product without factors, found alpha and beta {factors:?}"
        ));
    }
    if call.int("transA", 0) != 0 {
        return Err(
            "expected a first matrix as it is, found one that is transposed (transA)".to_owned(),
        );
    }
    let transposed = call.int("transB", 0) != 0;
    let (a, b) = (call.input(0)?, call.input(1)?);
    let id = importer.value(&a)?;
    let Value::Host(matrix) = b else {
        return Err("its second matrix depends on the images".to_owned());
    };
    let bias = match call.optional(2) {
        Some(Value::Host(bias)) => Some(Rc::clone(bias)),
        Some(Value::Graph(_)) => return Err("its third input depends on the images".to_owned()),
        None => None,
    };
    let id = importer.linear(id, &matrix, transposed, call.place)?;
    let biased = match &bias {
        Some(bias) => importer.with_bias(id, bias, call.place)?,
        None => Some(id),
    };
    match (biased, bias) {
        (Some(id), _) => Ok(vec![Value::Graph(id)]),
        (None, bias) => {
            let bias = bias.ok_or("its third input is missing")?;
            let sum = importer.combine(Pairwise::Add, &Value::Graph(id), &Value::Host(bias))?;
            Ok(vec![sum])
        }
    }
}

fn matmul(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let (a, b) = (call.input(0)?, call.input(1)?);
    if let (Value::Graph(id), Value::Host(matrix)) = (&a, &b)
        && matrix.tensor.shape().len() == 2
    {
        let id = importer.linear(*id, matrix, false, call.place)?;
        return Ok(vec![Value::Graph(id)]);
    }
    let inputs = [importer.value(&a)?, importer.value(&b)?];
    // A sum over the images would mix them.
    importer.size(inputs[0], importer.rank(inputs[0]).saturating_sub(1))?;
    let id = importer.step(MatMul {}, &inputs)?;
    Ok(vec![Value::Graph(id)])
}

impl Importer {
    /// A linear layer without a bias, by a matrix `[in, out]` or, transposed, `[out, in]`.
    fn linear(
        &mut self,
        id: ValueId,
        matrix: &Constant,
        transposed: bool,
        product: usize,
    ) -> Result<ValueId, String> {
        let &[rows, columns] = matrix.tensor.shape() else {
            let shape = matrix.tensor.shape();
            return Err(format!("expected a matrix, found {shape:?}"));
        };
        let outputs = if transposed { rows } else { columns };
        let weight = weight_of(matrix, |host| match transposed {
            true => Ok(host.clone()),
            false => host.permuted(&[1, 0]),
        })?;
        let op = Linear::new(outputs).with_bias(false);
        let id = self.layer(op, &[id], vec![weight])?;
        self.linears
            .insert(id.0, LinearSource { product, sum: None });
        Ok(id)
    }

    /// The linear layer with a constant added as its bias, if both are such.
    pub(super) fn with_bias(
        &mut self,
        id: ValueId,
        constant: &Constant,
        place: usize,
    ) -> Result<Option<ValueId>, String> {
        let Op::Linear(linear) = self.op(id) else {
            return Ok(None);
        };
        let shape = constant.tensor.shape();
        let fits = matches!(shape, [ones @ .., last] if *last == linear.outputs
            && ones.len() < self.rank(id) && ones.iter().all(|one| *one == 1));
        if linear.bias || !fits || self.shared.contains(&id.0) {
            return Ok(None);
        }
        let outputs = linear.outputs;
        let (name, bias) = weight_of(constant, |host| host.reshaped(&[outputs]))?;
        self.add_bias(id, &name, bias);
        self.take_over(id);
        if let Some(source) = self.linears.get_mut(&id.0)
            && source.product != place
        {
            source.sum = Some(place);
        }
        Ok(Some(id))
    }
}

fn batch_norm(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let training = call.int("training_mode", 0) != 0;
    if let Some(Value::Host(constant)) = call.optional(0) {
        // Weights that are standardized before they are used.
        let standardized = standardized(call, &constant.tensor, training)?;
        return Ok(vec![known(call.node.called(), standardized)]);
    }
    if training {
        return Err(
            "it was exported for training; call model.eval() before torch.onnx.export".to_owned(),
        );
    }
    let id = importer.value(&call.input(0)?)?;
    let weights = (1..5).map(|index| call.weight(index));
    let weights = weights.collect::<Result<Vec<_>, _>>()?;
    let norm = BatchNorm::default().with_epsilon(call.float("epsilon", 1e-5));
    let id = importer.layer(norm, &[id], weights)?;
    Ok(vec![Value::Graph(id)])
}

/// `(x - mean) / sqrt(var + epsilon) weight + bias` for each index of the second axis.
fn standardized(call: &Call<'_>, x: &Host, training: bool) -> Result<Host, String> {
    let rank = x.shape().len();
    let channels = x
        .shape()
        .get(1)
        .copied()
        .ok_or("expected a value of two axes and more")?;
    let mut shape = vec![1; rank];
    shape[1] = channels;
    let input = |index: usize| call.host(index)?.reshaped(&shape);
    let others: Vec<usize> = (0..rank).filter(|axis| *axis != 1).collect();
    let count = (x.floats()?.len() / channels.max(1)) as f32;
    let mean_of = |x: &Host| {
        let sum = x.reduced(&others, true, |a, b| a + b)?;
        Ok::<_, String>(Host::Floats(sum.floats()?.mapv(|sum| sum / count)))
    };
    let mean = if training { mean_of(x)? } else { input(3)? };
    let centred = Host::pairwise(Pairwise::Sub, x, &mean)?;
    let variance = match training {
        true => mean_of(&Host::pairwise(Pairwise::Mul, &centred, &centred)?)?,
        false => input(4)?,
    };
    let epsilon = call.float("epsilon", 1e-5) as f32;
    let deviation = Host::Floats(variance.floats()?.mapv(|x| (x + epsilon).sqrt()));
    let scale = Host::pairwise(Pairwise::Div, &input(1)?, &deviation)?;
    let scaled = Host::pairwise(Pairwise::Mul, &centred, &scale)?;
    Host::pairwise(Pairwise::Add, &scaled, &input(2)?)
}

fn layer_norm(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let id = importer.value(&call.input(0)?)?;
    let rank = importer.rank(id);
    let axis = axis_of(call.int("axis", -1), rank)?;
    if axis + 1 != rank {
        return Err(format!(
            "expected a normalisation over the last of {rank} axes, found axis {axis}"
        ));
    }
    let weight = call.weight(1)?;
    let bias = match call.optional(2) {
        Some(_) => call.weight(2)?,
        None => {
            let shape = weight.1.shape.clone();
            let values = vec![0.0; weight.1.values.len()];
            (
                format!("{}.bias", call.node.called()),
                Weight { shape, values },
            )
        }
    };
    let epsilon = call.float("epsilon", 1e-5);
    let id = importer.layer(LayerNorm::new(epsilon), &[id], vec![weight, bias])?;
    Ok(vec![Value::Graph(id)])
}

fn instance_norm(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let id = importer.value(&call.input(0)?)?;
    let weights = vec![call.weight(1)?, call.weight(2)?];
    let epsilon = call.float("epsilon", 1e-5);
    let id = importer.layer(InstanceNorm { epsilon }, &[id], weights)?;
    Ok(vec![Value::Graph(id)])
}

fn group_norm(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let id = importer.value(&call.input(0)?)?;
    let mut weights = vec![call.weight(1)?, call.weight(2)?];
    let groups = usize::try_from(call.int("num_groups", 0)).map_err(|error| error.to_string())?;
    let channels = importer.size(id, 1)?;
    // Before version 21 there is a number for each group.
    if call.opset < 21 && groups > 0 && channels % groups == 0 {
        for (_, weight) in weights.iter_mut().filter(|(_, it)| it.shape == [groups]) {
            let each = channels / groups;
            let values = weight.values.iter();
            weight.values = values
                .flat_map(|&value| std::iter::repeat_n(value, each))
                .collect();
            weight.shape = vec![channels];
        }
    }
    let epsilon = call.float("epsilon", 1e-5);
    let id = importer.layer(GroupNorm { groups, epsilon }, &[id], weights)?;
    Ok(vec![Value::Graph(id)])
}

fn softmax(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let id = importer.value(&call.input(0)?)?;
    let rank = importer.rank(id);
    let early = call.opset < 13;
    let axis = axis_of(call.int("axis", if early { 1 } else { -1 }), rank)?;
    // Before version 13 all axes from this one on were one.
    if early && axis + 1 != rank {
        return Err(format!(
            "expected a softmax along the last of {rank} axes, found axis {axis}"
        ));
    }
    // A softmax over the images would mix them.
    importer.size(id, axis)?;
    let logarithm = call.node.operator() == "LogSoftmax";
    if !logarithm || call.is_after_logits {
        let id = importer.step(Softmax { axis }, &[id])?;
        // What becomes of the logits is looked through, and not computed.
        let log = logarithm.then_some(crate::graph::Function::Log);
        let id = log.map_or(Ok(id), |log| importer.apply(log, id))?;
        return Ok(vec![Value::Graph(id)]);
    }
    // Not the logarithm of a softmax, which is 0 far below the largest.
    let reduced = |to| Reduce {
        to,
        axes: vec![axis],
        keep: true,
    };
    let largest = importer.step(reduced(Reduction::Max), &[id])?;
    let below = importer.combine(Pairwise::Sub, &Value::Graph(id), &Value::Graph(largest))?;
    let below_id = importer.value(&below)?;
    let powers = importer.apply(crate::graph::Function::Exp, below_id)?;
    let sum = importer.step(reduced(Reduction::Sum), &[powers])?;
    let log = importer.apply(crate::graph::Function::Log, sum)?;
    Ok(vec![importer.combine(
        Pairwise::Sub,
        &below,
        &Value::Graph(log),
    )?])
}

/// `max(x, 0) + slope min(x, 0)`, with a slope for each channel.
fn prelu(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let id = importer.value(&call.input(0)?)?;
    let above = importer.apply(crate::graph::Function::Relu, id)?;
    let below = importer.step(crate::graph::Clamp::new(None, Some(0.0)), &[id])?;
    let below = importer.combine(Pairwise::Mul, &Value::Graph(below), &call.input(1)?)?;
    let sum = importer.combine(Pairwise::Add, &Value::Graph(above), &below)?;
    Ok(vec![sum])
}
