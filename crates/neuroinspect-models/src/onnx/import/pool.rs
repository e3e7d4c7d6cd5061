//! Pools, and axes put together to one number.

use std::collections::BTreeSet;

use super::{Call, Handler, Importer, Outputs, Value, constants::axes, known, layers::padding};
use crate::{
    graph::{AvgPool2d, Function, MaxPool2d, Padding, Power, Reduce, Reduction, ValueId},
    onnx::host::{Host, Size},
};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("MaxPool", max_pool),
    ("AveragePool", average_pool),
    ("GlobalAveragePool", global),
    ("GlobalMaxPool", global),
    ("ReduceMean", reduce),
    ("ReduceSum", reduce),
    ("ReduceMax", reduce),
    ("ReduceMin", reduce),
    ("ReduceL1", reduce),
    ("ReduceL2", reduce),
    ("ReduceSumSquare", reduce),
    ("ReduceProd", product),
];

/// Window, stride and padding of a pool; the padding reaches as far as the last window does where
/// windows that begin inside may end outside (`ceil_mode`).
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    /// Whether windows end further out than the padding of the file.
    reaches_out: bool,
}

fn window(importer: &Importer, call: &Call<'_>, id: ValueId) -> Result<Window, String> {
    let kernel = call.fixed::<2>("kernel_shape", [0; 2])?;
    let stride = call.fixed::<2>("strides", [1; 2])?;
    if call.fixed::<2>("dilations", [1; 2])? != [1; 2] {
        return Err("expected a pool whose windows have no holes (dilations of 1)".to_owned());
    }
    let mut padding = padding(call)?;
    let mut reaches_out = false;
    if let Padding::Explicit(sides) = &mut padding
        && call.int("ceil_mode", 0) != 0
    {
        for (axis, (before, after)) in sides.iter_mut().enumerate() {
            let size = importer.size(id, axis + 2)?;
            let (kernel, stride) = (kernel[axis], stride[axis].max(1));
            let padded = size.saturating_add(*before).saturating_add(*after);
            let mut steps = padded.saturating_sub(kernel).div_ceil(stride);
            // A window begins within the map or before it.
            if steps.saturating_mul(stride) >= size.saturating_add(*before) {
                steps = steps.saturating_sub(1);
            }
            let end = steps.saturating_mul(stride).saturating_add(kernel);
            let more = end.saturating_sub(padded);
            reaches_out |= more > 0;
            *after = after.saturating_add(more);
        }
    }
    Ok(Window {
        kernel,
        stride,
        padding,
        reaches_out,
    })
}

fn max_pool(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    if call.node.output.len() > 1 {
        return Err("expected the largest values alone, found their places, too".to_owned());
    }
    let id = importer.value(&call.input(0)?)?;
    let window = window(importer, call, id)?;
    let pool = MaxPool2d {
        kernel: window.kernel,
        stride: window.stride,
        padding: window.padding,
    };
    importer.only(pool, id)
}

fn average_pool(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let id = importer.value(&call.input(0)?)?;
    let window = window(importer, call, id)?;
    let count_padding = call.int("count_include_pad", 0) != 0;
    // Without what `ceil_mode` adds.
    let padded = padding(call)? != Padding::both(0);
    if count_padding && window.padding == Padding::Same {
        return Err(
            "expected a pool that counts the padding of its attribute `pads` alone".to_owned(),
        );
    }
    if count_padding && padded && window.reaches_out {
        return Err(
            "expected a pool that counts its padding and stays within it (ceil_mode of 0)"
                .to_owned(),
        );
    }
    let pool = AvgPool2d {
        kernel: window.kernel,
        stride: window.stride,
        padding: window.padding,
        count_padding: count_padding && padded,
    };
    importer.only(pool, id)
}

fn global(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let id = importer.value(&call.input(0)?)?;
    let to = match call.node.operator() {
        "GlobalMaxPool" => Reduction::Max,
        _ => Reduction::Mean,
    };
    let axes = (2..importer.rank(id)).collect();
    let keep = true;
    importer.only(Reduce { to, axes, keep }, id)
}

fn reduce(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let value = call.input(0)?;
    let rank = match &value {
        Value::Host(constant) => constant.tensor.shape().len(),
        Value::Graph(id) => importer.rank(*id),
    };
    let named = match call.optional(1) {
        Some(_) => !call.host(1)?.shape().contains(&0),
        None => call.has("axes"),
    };
    let operator = call.node.operator();
    let axes = match !named && call.int("noop_with_empty_axes", 0) != 0 {
        // Over none, that is: of a norm a number's own.
        true => Vec::new(),
        false => axes(call, 1, rank)?,
    };
    if axes.is_empty()
        && matches!(
            operator,
            "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin"
        )
    {
        return Ok(vec![value]);
    }
    let keep = call.int("keepdims", 1) != 0;
    if let Value::Host(constant) = &value
        && let Some(function) = on_host(operator)
    {
        let mut reduced = constant.tensor.reduced(&axes, keep, function)?;
        if operator == "ReduceMean" {
            let count: usize = axes
                .iter()
                .map(|axis| constant.tensor.shape()[*axis])
                .product();
            reduced = Host::Floats(reduced.floats()?.mapv(|sum| sum / count as f32));
        }
        return Ok(vec![known(call.node.called(), reduced)]);
    }
    let id = importer.value(&value)?;
    for &axis in &axes {
        importer.size(id, axis)?;
    }
    let (to, inner) = match operator {
        "ReduceMean" => (Reduction::Mean, id),
        "ReduceMax" => (Reduction::Max, id),
        "ReduceMin" => (Reduction::Min, id),
        "ReduceL1" => (Reduction::Sum, importer.apply(Function::Abs, id)?),
        "ReduceL2" | "ReduceSumSquare" => (
            Reduction::Sum,
            importer.step(Power { exponent: 2.0 }, &[id])?,
        ),
        _ => (Reduction::Sum, id),
    };
    let id = match axes.is_empty() {
        true => inner,
        false => importer.step(Reduce { to, axes, keep }, &[inner])?,
    };
    match operator {
        "ReduceL2" => importer.only(Power { exponent: 0.5 }, id),
        _ => Ok(vec![Value::Graph(id)]),
    }
}

/// What puts two known numbers together; the mean is a sum first.
fn on_host(operator: &str) -> Option<fn(f32, f32) -> f32> {
    Some(match operator {
        "ReduceMean" | "ReduceSum" => |a, b| a + b,
        "ReduceMax" => f32::max,
        "ReduceMin" => f32::min,
        _ => return None,
    })
}

/// The product of a shape's sizes.
fn product(_: &mut Importer, call: &Call<'_>) -> Outputs {
    let host = call.host(0)?;
    let rank = host.shape().len();
    let axes: BTreeSet<usize> = axes(call, 1, rank)?.into_iter().collect();
    let over_none = call.int("noop_with_empty_axes", 0) != 0
        && call.numbers(1, "axes")?.is_none_or(|it| it.is_empty());
    if over_none || (rank > 1 && axes.len() < rank) {
        return Err(format!("expected a product over all {rank} axes"));
    }
    let mut sizes = host.sizes()?.into_iter();
    let product = sizes.try_fold(Size::fixed(1), Size::times);
    let product = product.ok_or("its sizes cannot be multiplied")?;
    let one_axis = Host::ints(vec![product]);
    let tensor = match call.int("keepdims", 1) {
        0 => one_axis.reshaped(&[])?,
        _ => one_axis.reshaped(&vec![1; rank])?,
    };
    Ok(vec![known(call.node.called(), tensor)])
}
