//! What is known before an image is: shapes, constants, and what is made of them.

use ndarray::{Array1, ArrayD, Axis, IxDyn};

use super::{Call, Handler, Importer, Outputs, Value, call::axis_of, known};
use crate::onnx::{
    host::{Comparison, Host, Pairwise, Size, made},
    tensors::Beside,
};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Constant", constant),
    ("ConstantOfShape", constant_of_shape),
    ("Shape", shape),
    ("Size", elements),
    ("Range", range),
    ("Cast", cast),
    ("Equal", compare),
    ("Less", compare),
    ("LessOrEqual", compare),
    ("Greater", compare),
    ("GreaterOrEqual", compare),
    ("Not", not),
    ("And", both),
    ("Or", both),
    ("Where", choose),
    ("CumSum", cumulative_sum),
];

/// onnx.proto's `TensorProto.DataType.BOOL`.
const BOOL: i64 = 9;

fn constant(_: &mut Importer, call: &Call<'_>) -> Outputs {
    let name = call.node.called();
    let tensor = if let Some(tensor) = call.tensor("value") {
        // A constant's values are within the file.
        Beside::default().read(tensor)?
    } else if call.has("value_float") {
        let number = call.float("value_float", 0.0) as f32;
        Host::Floats(ArrayD::from_elem(IxDyn(&[]), number))
    } else if call.has("value_int") {
        let number = Size::fixed(call.int("value_int", 0));
        Host::Ints(ArrayD::from_elem(IxDyn(&[]), number))
    } else if let Some(numbers) = call.floats("value_floats") {
        Host::Floats(Array1::from(numbers.to_vec()).into_dyn())
    } else if let Some(numbers) = call.ints("value_ints") {
        Host::ints(numbers.into_iter().map(Size::fixed).collect())
    } else {
        return Err("expected a tensor or numbers as its value".to_owned());
    };
    Ok(vec![known(name, tensor)])
}

fn constant_of_shape(_: &mut Importer, call: &Call<'_>) -> Outputs {
    // One stands for any number of images, as what is known is the same for all.
    let sizes = call
        .host(0)?
        .sizes()?
        .into_iter()
        .map(|size| match size.per_image {
            true => Ok(1),
            false => usize::try_from(size.count).map_err(|error| error.to_string()),
        });
    let shape = sizes.collect::<Result<Vec<_>, _>>()?;
    made(shape.iter().copied())?;
    let filled = match call.tensor("value") {
        Some(tensor) => Beside::default().read(tensor)?,
        None => Host::Floats(ArrayD::zeros(IxDyn(&[1]))),
    };
    let one = filled.reshaped(&vec![1; shape.len()])?;
    Ok(vec![known(call.node.called(), one.expanded(&shape)?)])
}

fn shape(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let dims = importer.dims_in_file(&call.input(0)?)?;
    let rank = dims.len() as i64;
    let place = |name: &str, default: i64| {
        let place = call.int(name, default);
        let place = if place < 0 {
            place.saturating_add(rank)
        } else {
            place
        };
        usize::try_from(place.clamp(0, rank)).unwrap_or(0)
    };
    let (start, end) = (place("start", 0), place("end", rank));
    let sizes = dims.get(start..end).unwrap_or_default().to_vec();
    Ok(vec![known(call.node.called(), Host::ints(sizes))])
}

fn elements(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let mut dims = importer.dims_in_file(&call.input(0)?)?.into_iter();
    let product = dims.try_fold(Size::fixed(1), Size::times);
    let product = product.ok_or("its sizes cannot be multiplied")?;
    let tensor = Host::Ints(ArrayD::from_elem(IxDyn(&[]), product));
    Ok(vec![known(call.node.called(), tensor)])
}

fn range(_: &mut Importer, call: &Call<'_>) -> Outputs {
    let number = |index: usize| {
        let number = call.host(index)?.scalar();
        number.ok_or_else(|| format!("expected one number as its input {index}"))
    };
    let (start, limit, step) = (number(0)?, number(1)?, number(2)?);
    let length = ((limit - start) / step).ceil();
    if !length.is_finite() {
        return Err(format!(
            "expected a step other than 0, found {start} to {limit} by {step}"
        ));
    }
    let length = length.max(0.0) as usize;
    made([length])?;
    let numbers = (0..length).map(|index| start + index as f64 * step);
    let tensor = match call.host(0)? {
        Host::Floats(_) => {
            Host::Floats(numbers.map(|x| x as f32).collect::<Array1<_>>().into_dyn())
        }
        _ => Host::ints(numbers.map(|x| Size::fixed(x as i64)).collect()),
    };
    Ok(vec![known(call.node.called(), tensor)])
}

fn cast(_: &mut Importer, call: &Call<'_>) -> Outputs {
    let value = call.input(0)?;
    let Value::Host(constant) = &value else {
        if !matches!(call.int("to", 1), 1 | 10 | 11 | 16) {
            return Err("expected a cast to floats of values that depend on the images".to_owned());
        }
        // Floats, in whatever format, are computed in that of the weights.
        return Ok(vec![value]);
    };
    let to = call.int("to", 1);
    let is_float = matches!(to, 1 | 10 | 11 | 16);
    let truth = |x: bool| i64::from(x);
    let tensor = match (&constant.tensor, is_float, to == BOOL) {
        (Host::Floats(x), true, _) => Host::Floats(x.clone()),
        (Host::Floats(x), _, true) => Host::Bools(x.mapv(|x| x != 0.0)),
        (Host::Floats(x), ..) => Host::Ints(x.mapv(|x| Size::fixed(x as i64))),
        (Host::Bools(x), true, _) => Host::Floats(x.mapv(|x| truth(x) as f32)),
        (Host::Bools(x), _, true) => Host::Bools(x.clone()),
        (Host::Bools(x), ..) => Host::Ints(x.mapv(|x| Size::fixed(truth(x)))),
        (Host::Ints(_), true, _) => {
            let numbers = constant.tensor.numbers()?.into_iter();
            let numbers = numbers.map(|x| x as f32).collect::<Array1<_>>().into_dyn();
            Host::Floats(numbers).reshaped(constant.tensor.shape())?
        }
        (Host::Ints(x), _, true) => Host::Bools(x.mapv(|x| x.count != 0)),
        (Host::Ints(x), ..) => Host::Ints(x.clone()),
    };
    Ok(vec![known(&constant.name, tensor)])
}

fn compare(_: &mut Importer, call: &Call<'_>) -> Outputs {
    let question = match call.node.operator() {
        "Less" => Comparison::Less,
        "LessOrEqual" => Comparison::LessOrEqual,
        "Greater" => Comparison::Greater,
        "GreaterOrEqual" => Comparison::GreaterOrEqual,
        _ => Comparison::Equal,
    };
    let answer = Host::compared(question, call.host(0)?, call.host(1)?)?;
    Ok(vec![known(call.node.called(), answer)])
}

fn not(_: &mut Importer, call: &Call<'_>) -> Outputs {
    let answer = Host::Bools(call.host(0)?.bools()?.mapv(|x| !x));
    Ok(vec![known(call.node.called(), answer)])
}

fn both(_: &mut Importer, call: &Call<'_>) -> Outputs {
    let (a, b) = (call.host(0)?, call.host(1)?);
    let (a, b) = (a.bools()?, b.bools()?);
    let truth = |x: &ArrayD<bool>| Host::Floats(x.mapv(f32::from));
    let sum = Host::pairwise(Pairwise::Add, &truth(a), &truth(b))?;
    let least = if call.node.operator() == "And" {
        2.0
    } else {
        1.0
    };
    let answer = Host::Bools(sum.floats()?.mapv(|x| x >= least));
    Ok(vec![known(call.node.called(), answer)])
}

/// One value where a mask is true, another elsewhere. A value of the images is multiplied by the mask,
/// and the other added where it is not.
fn choose(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let (a, b) = (call.input(1)?, call.input(2)?);
    if let (Value::Host(a), Value::Host(b)) = (&a, &b) {
        let chosen = Host::chosen(call.host(0)?, &a.tensor, &b.tensor)?;
        return Ok(vec![known(call.node.called(), chosen)]);
    }
    let mask = call.host(0)?;
    let part = |importer: &mut Importer, value: &Value, wanted: bool| {
        let one = Host::Floats(ArrayD::from_elem(IxDyn(&[]), 1.0));
        let zero = Host::Floats(ArrayD::zeros(IxDyn(&[])));
        let kind = if wanted { "mask" } else { "inverse_mask" };
        let name = format!("{}.{kind}", call.node.called());
        match value {
            Value::Host(constant) => {
                let part = match wanted {
                    true => Host::chosen(mask, &constant.tensor, &zero)?,
                    false => Host::chosen(mask, &zero, &constant.tensor)?,
                };
                Ok::<_, String>(known(&name, part))
            }
            Value::Graph(_) => {
                let mask = match wanted {
                    true => Host::chosen(mask, &one, &zero)?,
                    false => Host::chosen(mask, &zero, &one)?,
                };
                importer.combine(Pairwise::Mul, value, &known(&name, mask))
            }
        }
    };
    let (a, b) = (part(importer, &a, true)?, part(importer, &b, false)?);
    Ok(vec![importer.combine(Pairwise::Add, &a, &b)?])
}

/// Of a mask, where each of its elements is along an axis.
fn cumulative_sum(_: &mut Importer, call: &Call<'_>) -> Outputs {
    let mut sums = call.host(0)?.floats()?.clone();
    let &[axis] = &call.host(1)?.numbers()?[..] else {
        return Err("expected one axis".to_owned());
    };
    if call.int("exclusive", 0) != 0 || call.int("reverse", 0) != 0 {
        return Err("expected sums from the first on, each with its own element".to_owned());
    }
    let axis = axis_of(axis, sums.ndim())?;
    sums.accumulate_axis_inplace(Axis(axis), |&before, sum| *sum += before);
    Ok(vec![known(call.node.called(), Host::Floats(sums))])
}

/// The axes that a reduction goes over.
pub(super) fn axes(call: &Call<'_>, index: usize, rank: usize) -> Result<Vec<usize>, String> {
    match call.numbers(index, "axes")? {
        Some(axes) if !axes.is_empty() => {
            axes.into_iter().map(|axis| axis_of(axis, rank)).collect()
        }
        _ => Ok((0..rank).collect()),
    }
}
