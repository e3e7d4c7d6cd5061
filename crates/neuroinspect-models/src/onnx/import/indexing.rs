//! Parts of values, and values repeated or with more around them.

use ndarray::ArrayD;

use super::{Call, Handler, Importer, Outputs, Value, call::axis_of, known, layout::rank_of};
use crate::{
    graph::{Gather, Pad, Select, Slice, ValueId},
    onnx::host::{Host, Pairwise, Size, made},
};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Split", split),
    ("Slice", slice),
    ("Gather", gather),
    ("GatherND", gather_nd),
    ("Expand", expand),
    ("Tile", tile),
    ("Pad", pad),
];

fn split(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let value = call.input(0)?;
    let dims = importer.dims_in_file(&value)?;
    let axis = axis_of(call.int("axis", 0), dims.len())?;
    let total = usize::try_from(dims[axis].known()?).map_err(|error| error.to_string())?;
    let sizes = match call.numbers(1, "split")? {
        Some(sizes) => sizes
            .into_iter()
            .map(|size| usize::try_from(size).map_err(|error| error.to_string()))
            .collect::<Result<Vec<_>, _>>()?,
        None => {
            let parts = call.node.output.len().max(1);
            let size = total.div_ceil(parts);
            (0..parts)
                .map(|part| total.saturating_sub(part * size).min(size))
                .collect()
        }
    };
    let sum = sizes
        .iter()
        .try_fold(0usize, |all, size| all.checked_add(*size));
    if sum != Some(total) {
        return Err(format!(
            "expected parts of {total} along axis {axis}, found {sizes:?}"
        ));
    }
    let mut start = 0;
    let mut parts = Vec::new();
    for size in sizes {
        let indices: Vec<usize> = (start..start + size).collect();
        parts.push(importer.indices(&value, axis, &indices)?);
        start += size;
    }
    Ok(parts)
}

impl Importer {
    /// These indices of an axis of a value.
    pub(super) fn indices(
        &mut self,
        value: &Value,
        axis: usize,
        indices: &[usize],
    ) -> Result<Value, String> {
        match value {
            Value::Host(constant) => {
                let name = format!("{}.constant", self.called());
                Ok(known(&name, constant.tensor.selected(axis, indices)?))
            }
            &Value::Graph(id) => self.slice(id, axis, indices).map(Value::Graph),
        }
    }

    /// Part of an axis.
    fn slice(&mut self, id: ValueId, axis: usize, indices: &[usize]) -> Result<ValueId, String> {
        let whole = self.dims_in_file(&Value::Graph(id))?;
        let all = Size::fixed(indices.len() as i64);
        if whole.get(axis) == Some(&all) && indices.iter().copied().eq(0..indices.len()) {
            return Ok(id);
        }
        self.size(id, axis)?;
        let start = indices.first().copied().unwrap_or(0);
        let length = indices.len();
        match indices.iter().copied().eq(start..start + length) {
            true => self.step(
                Slice {
                    axis,
                    start,
                    length,
                },
                &[id],
            ),
            false => {
                let indices = indices.to_vec();
                self.step(Gather { axis, indices }, &[id])
            }
        }
    }
}

fn slice(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let sizes = |index: usize, attribute: &str| match call.optional(index) {
        Some(_) => call.host(index)?.sizes().map(Some),
        None => {
            let numbers = call.ints(attribute);
            Ok::<_, String>(numbers.map(|it| it.into_iter().map(Size::fixed).collect()))
        }
    };
    let starts: Vec<Size> = sizes(1, "starts")?.ok_or("its starts are missing")?;
    let ends: Vec<Size> = sizes(2, "ends")?.ok_or("its ends are missing")?;
    let axes = call.numbers(3, "axes")?;
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.numbers(4, "steps")?;
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("expected as many starts as ends, axes and steps".to_owned());
    }
    let mut value = call.input(0)?;
    for (index, &axis) in axes.iter().enumerate() {
        let dims = importer.dims_in_file(&value)?;
        let axis = axis_of(axis, dims.len())?;
        let (start, end, step) = (starts[index], ends[index], steps[index]);
        let whole = start == Size::fixed(0) && step == 1;
        if whole && (end == dims[axis] || (dims[axis].per_image && end.count > i32::MAX.into())) {
            continue;
        }
        let indices = range(dims[axis].known()?, start.known()?, end.known()?, step)?;
        value = importer.indices(&value, axis, &indices)?;
    }
    Ok(vec![value])
}

/// The indices of a slice, as Python has them.
fn range(size: i64, start: i64, end: i64, step: i64) -> Result<Vec<usize>, String> {
    let (least, most) = match step {
        0 => return Err("expected a step other than 0".to_owned()),
        1.. => (0, size),
        _ => (-1, size - 1),
    };
    let within = |index: i64| {
        let index = if index < 0 {
            index.saturating_add(size)
        } else {
            index
        };
        index.clamp(least, most)
    };
    let (mut index, end) = (within(start), within(end));
    let mut indices = Vec::new();
    while (step > 0 && index < end) || (step < 0 && index > end) {
        indices.push(usize::try_from(index).map_err(|error| error.to_string())?);
        index = index.saturating_add(step);
    }
    Ok(indices)
}

fn gather(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let value = call.input(0)?;
    let rank = rank_of(importer, &value);
    let axis = axis_of(call.int("axis", 0), rank)?;
    let Value::Host(chosen) = call.input(1)? else {
        return Err("its indices depend on the images, where constants are expected".to_owned());
    };
    let dims = importer.dims_in_file(&value)?;
    let size = dims[axis].known()?;
    let numbers = chosen.tensor.numbers()?;
    let indices = numbers.iter().map(|&index| {
        let index = if index < 0 {
            index.saturating_add(size)
        } else {
            index
        };
        let index = usize::try_from(index).ok().filter(|_| index < size);
        index.ok_or_else(|| {
            format!("expected indices below {size} on axis {axis}, found {numbers:?}")
        })
    });
    let indices = indices.collect::<Result<Vec<_>, _>>()?;
    let of_one = chosen.tensor.shape().is_empty();
    if let (Value::Graph(id), [index], true) = (&value, &indices[..], of_one) {
        let index = *index;
        importer.size(*id, axis)?;
        return importer.only(Select { axis, index }, *id);
    }
    let gathered = importer.indices(&value, axis, &indices)?;
    let new = chosen
        .tensor
        .shape()
        .iter()
        .map(|&size| Size::fixed(size as i64));
    let mut shape = importer.sizes(&gathered)?;
    shape.splice(axis..=axis, new);
    Ok(vec![importer.with_sizes(&gathered, shape)?])
}

/// Elements by the indices of the first axes, as many as the last axis of the indices is long.
fn gather_nd(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let value = call.input(0)?;
    let places = call.host(1)?;
    let numbers = places.numbers()?;
    let (&[ref new @ .., axes], 0) = (places.shape(), call.int("batch_dims", 0)) else {
        return Err("expected indices with an axis, and no batch_dims".to_owned());
    };
    let dims = importer.dims_in_file(&value)?;
    let Some((first, rest)) = dims.split_at_checked(axes).filter(|_| axes > 0) else {
        return Err(format!(
            "expected indices of at most {} axes, found {axes}",
            dims.len()
        ));
    };
    let first = first
        .iter()
        .map(|size| size.known())
        .collect::<Result<Vec<_>, _>>()?;
    let total = first
        .iter()
        .try_fold(1i64, |all, size| all.checked_mul(*size));
    let total = total.ok_or("its sizes are too large")?;
    let mut indices = Vec::with_capacity(numbers.len() / axes);
    for place in numbers.chunks_exact(axes) {
        let mut index = 0;
        for (&at, &size) in place.iter().zip(&first) {
            let at = if at < 0 { at.saturating_add(size) } else { at };
            if !(0..size).contains(&at) {
                return Err(format!(
                    "expected indices within {first:?}, found {place:?}"
                ));
            }
            index = index * size + at;
        }
        indices.push(usize::try_from(index).map_err(|error| error.to_string())?);
    }
    let joined = [&[Size::fixed(total)], rest].concat();
    let joined = importer.reshaped(&value, joined)?;
    let gathered = importer.indices(&joined, 0, &indices)?;
    let shape = new.iter().map(|&size| Size::fixed(size as i64));
    let shape = shape.chain(rest.iter().copied()).collect();
    Ok(vec![importer.reshaped(&gathered, shape)?])
}

/// Repeated along axes of size 1. What is the same for all images is there once, and repeated where
/// something else needs it.
fn expand(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let value = call.input(0)?;
    let shape = call.host(1)?.sizes()?;
    let mut sizes = Vec::new();
    for size in &shape {
        sizes.push(match size.per_image {
            true => 1,
            false => usize::try_from(size.count).map_err(|error| error.to_string())?,
        });
    }
    if let Value::Host(constant) = &value {
        let tensor = constant.tensor.expanded(&sizes)?;
        return Ok(vec![known(&constant.name, tensor)]);
    }
    let found = importer.dims_in_file(&value)?;
    let missing = sizes.len().saturating_sub(found.len());
    let mut value = match missing {
        0 => value,
        _ => {
            let shape = [vec![Size::fixed(1); missing], found].concat();
            importer.reshaped(&value, shape)?
        }
    };
    let offset = rank_of(importer, &value) - sizes.len();
    for (axis, &size) in sizes.iter().enumerate() {
        let dims = importer.dims_in_file(&value)?;
        let found = dims[axis + offset];
        if found == Size::fixed(1) && size > 1 {
            value = importer.repeat(&value, axis + offset, 1, size)?;
        } else if !found.per_image && size != 1 && found != Size::fixed(size as i64) {
            return Err(format!(
                "expected a size of 1 or {size} on axis {axis}, found {found:?}"
            ));
        }
    }
    Ok(vec![value])
}

impl Importer {
    /// An axis so many times in a row.
    fn repeat(
        &mut self,
        value: &Value,
        axis: usize,
        size: usize,
        times: usize,
    ) -> Result<Value, String> {
        let others = self.dims_in_file(value)?.into_iter();
        let others = others.map(|size| usize::try_from(size.count).unwrap_or(usize::MAX));
        made(others.chain([times]))?;
        let indices: Vec<usize> = (0..size * times).map(|index| index % size).collect();
        self.indices(value, axis, &indices)
    }
}

fn tile(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let mut value = call.input(0)?;
    for (axis, times) in call.host(1)?.sizes()?.into_iter().enumerate() {
        let dims = importer.dims_in_file(&value)?;
        let dims = dims.get(axis).ok_or("expected a number for each axis")?;
        // What is the same for all images is there once.
        if times == Size::fixed(1) || (times.per_image && *dims == Size::fixed(1)) {
            continue;
        }
        let size = usize::try_from(dims.known()?).map_err(|error| error.to_string())?;
        let times = usize::try_from(times.known()?).map_err(|error| error.to_string())?;
        value = importer.repeat(&value, axis, size, times)?;
    }
    Ok(vec![value])
}

fn pad(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let mut value = call.input(0)?;
    let pads = call.numbers(1, "pads")?.ok_or("its pads are missing")?;
    let rank = rank_of(importer, &value);
    let axes = match call.optional(3) {
        Some(_) => call.host(3)?.numbers()?,
        None => (0..rank as i64).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("expected {} pads, found {pads:?}", 2 * axes.len()));
    }
    let mode = call.word("mode", "constant").to_owned();
    let filling = match call.optional(2) {
        Some(_) => call.host(2)?.scalar().unwrap_or(0.0),
        None => call.float("value", 0.0),
    };
    for (index, &axis) in axes.iter().enumerate() {
        let axis = axis_of(axis, rank)?;
        let (before, after) = (pads[index], pads[index + axes.len()]);
        if (before, after) == (0, 0) {
            continue;
        }
        let size = importer.dims_in_file(&value)?[axis].known()?;
        if mode != "constant" || before < 0 || after < 0 {
            let indices = indices_around(size, [before, after], &mode)?;
            value = importer.indices(&value, axis, &indices)?;
            continue;
        }
        let [before, after] = [before, after].map(|size| usize::try_from(size).unwrap_or(0));
        let id = importer.value(&value)?;
        value = Value::Graph(importer.step(
            Pad {
                axis,
                before,
                after,
            },
            &[id],
        )?);
        if filling != 0.0 {
            // Another number is added to the zeros.
            let inside = usize::try_from(size).map_err(|error| error.to_string())?;
            let total = made([before + inside + after])?;
            let around = |count: usize| std::iter::repeat_n(filling as f32, count);
            let numbers = around(before)
                .chain(std::iter::repeat_n(0.0, inside))
                .chain(around(after));
            let mut shape = vec![1; rank];
            shape[axis] = total;
            let numbers = ArrayD::from_shape_vec(shape, numbers.collect());
            let numbers = Host::Floats(numbers.map_err(|error| error.to_string())?);
            let name = format!("{}.around_{axis}", call.node.called());
            value = importer.combine(Pairwise::Add, &value, &known(&name, numbers))?;
        }
    }
    Ok(vec![value])
}

/// The indices of an axis that is padded by what is inside, or cut off.
fn indices_around(size: i64, [before, after]: [i64; 2], mode: &str) -> Result<Vec<usize>, String> {
    let too_large = "its pads are too large";
    let end = size.checked_add(after).ok_or(too_large)?;
    let start = before.checked_neg().ok_or(too_large)?;
    let length = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
    made([length])?;
    let last = size
        .checked_sub(1)
        .filter(|last| *last >= 0)
        .ok_or("it pads nothing")?;
    let indices = (start..end).map(|index| {
        let index = match mode {
            "edge" => index.clamp(0, last),
            "reflect" if index > last => last.saturating_mul(2) - index,
            "reflect" => index.abs(),
            "wrap" => index.rem_euclid(size),
            "constant" if before <= 0 && after <= 0 => index,
            _ => {
                return Err(format!(
                    "expected a way to pad that is known, found '{mode}'"
                ));
            }
        };
        usize::try_from(index).map_err(|_| too_large.to_owned())
    });
    indices.collect()
}
