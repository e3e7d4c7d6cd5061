//! The same numbers in another shape or order, and side by side.

use super::{Call, Handler, Importer, Outputs, Value, call::axis_of, known};
use crate::{
    graph::{Concat, Expand, Permute, Reshape, ValueId},
    onnx::host::{Host, Size},
};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Identity", same),
    ("Dropout", dropout),
    ("Reshape", reshape),
    ("Flatten", flatten),
    ("Squeeze", squeeze),
    ("Unsqueeze", unsqueeze),
    ("Transpose", transpose),
    ("Concat", concat),
    ("DepthToSpace", depth_to_space),
    ("SpaceToDepth", space_to_depth),
];

fn same(_: &mut Importer, call: &Call<'_>) -> Outputs {
    Ok(vec![call.input(0)?])
}

fn dropout(_: &mut Importer, call: &Call<'_>) -> Outputs {
    let in_training = match call.optional(2) {
        Some(_) => call.host(2)?.bools()?.iter().any(|&it| it),
        None => false,
    };
    match in_training {
        true => Err(
            "it draws numbers, as in training (training_mode); export the network for evaluation"
                .to_owned(),
        ),
        false => Ok(vec![call.input(0)?]),
    }
}

pub(super) fn rank_of(importer: &Importer, value: &Value) -> usize {
    match value {
        Value::Host(constant) => constant.tensor.shape().len(),
        Value::Graph(id) => importer.rank(*id),
    }
}

impl Importer {
    /// Sizes of a value as the file takes them: with the number of images that the export fixed.
    pub(super) fn dims_in_file(&self, value: &Value) -> Result<Vec<Size>, String> {
        match value {
            Value::Host(constant) => {
                let sizes = constant.tensor.shape().iter();
                Ok(sizes.map(|&size| Size::fixed(size as i64)).collect())
            }
            Value::Graph(id) => Ok(self
                .dims(*id)?
                .into_iter()
                .map(|it| self.in_file(it))
                .collect()),
        }
    }

    fn in_file(&self, size: Size) -> Size {
        match self.fixed {
            Some(images) if size.per_image => Size::fixed(size.count.saturating_mul(images as i64)),
            _ => size,
        }
    }

    /// A value in a shape of which one size may be -1.
    pub(super) fn reshaped(&mut self, value: &Value, shape: Vec<Size>) -> Result<Value, String> {
        let found = self.dims_in_file(value)?;
        let of_all_images = !found.iter().any(|size| size.per_image);
        // What is the same for all images is there once.
        let shape = shape.into_iter().map(|size| match of_all_images {
            true => Size::fixed(size.count),
            false => size,
        });
        let shape = resolved(&found, shape.collect())?;
        match value {
            Value::Host(constant) => {
                let sizes = shape
                    .iter()
                    .map(|size| usize::try_from(size.known()?).map_err(|error| error.to_string()));
                let sizes = sizes.collect::<Result<Vec<_>, _>>()?;
                Ok(known(&constant.name, constant.tensor.reshaped(&sizes)?))
            }
            &Value::Graph(id) => {
                let (shape, within) = self.freed(id, shape)?;
                self.with_dims(id, &shape, within).map(Value::Graph)
            }
        }
    }

    /// Sizes of a value: of the graph with those per image, also where the export fixed the number of images, if they are
    /// followed [exactly](super::Images::exact).
    pub(super) fn sizes(&self, value: &Value) -> Result<Vec<Size>, String> {
        match value {
            Value::Graph(id) if self.exact => self.dims(*id),
            _ => self.dims_in_file(value),
        }
    }

    /// A value in a shape of as many [sizes](Self::sizes) per image, where axes of size 1 came or went.
    pub(super) fn with_sizes(&mut self, value: &Value, shape: Vec<Size>) -> Result<Value, String> {
        match value {
            &Value::Graph(id) if self.exact => {
                let within = self.within[id.0];
                self.with_dims(id, &shape, within).map(Value::Graph)
            }
            _ => self.reshaped(value, shape),
        }
    }

    /// A shape in which the axis that runs over the images is free again where the export fixed it, and how many numbers
    /// lie before them in that axis.
    ///
    /// Numbers stay in order, so that the images are where as many numbers lie before them as did. Of one image that may be
    /// in several axes: in one of its own rather than within another, and where axes were joined with those before it rather
    /// than with those behind it, as attention does it. [`OnnxModel::classifier`](super::super::OnnxModel::classifier) holds
    /// what is told so to what comes out.
    fn freed(&self, id: ValueId, shape: Vec<Size>) -> Result<(Vec<Size>, i64), String> {
        let dims = self.dims(id)?;
        let (Some(images), Some(axis)) = (self.fixed, dims.iter().position(|it| it.per_image))
        else {
            return Ok((shape, self.within[id.0]));
        };
        let cannot_tell = || {
            format!(
                "the export fixed the number of images to {images}, and in the shape {:?} it cannot be told where they are; export with a free one (dynamic_shapes of torch.onnx.export)",
                shape.iter().map(|size| size.count).collect::<Vec<_>>()
            )
        };
        let fixed = images as i64;
        let mut sizes = dims[..axis].iter().map(|size| size.count);
        let before = sizes.try_fold(self.within[id.0], |all, size| all.checked_mul(size));
        let before = before.ok_or("its sizes are too large")?;
        // Axes in which they may be, and how many numbers lie before them there.
        let mut places = Vec::new();
        let mut after = 1_i64;
        for (axis, size) in shape.iter().enumerate() {
            if after > 0 && before % after == 0 {
                let within = before / after;
                let least = within.checked_mul(fixed);
                if least.is_some_and(|least| size.count >= least && size.count % least == 0) {
                    places.push((axis, within));
                }
            }
            after = after.saturating_mul(size.count);
        }
        let own: Vec<_> = (places.iter().copied())
            .filter(|&(axis, within)| within == 1 && shape[axis].count == fixed)
            .collect();
        let joined = shape.len() < dims.len();
        let (axis, within) = match own[..] {
            [] => {
                let with_those_before = places.iter().find(|it| joined && it.1 > 1);
                let with_those_behind = places.iter().find(|it| it.1 == 1);
                let found = with_those_before.or(with_those_behind).or(places.first());
                *found.ok_or_else(cannot_tell)?
            }
            [place] => place,
            // Before all that there is of an image.
            [first, ..] if before == 1 => first,
            _ => return Err(cannot_tell()),
        };
        let mut freed = shape;
        freed[axis] = Size {
            count: freed[axis].count / fixed,
            per_image: true,
        };
        Ok((freed, within))
    }

    /// A value of the graph in another shape, of which one size at most is per image, with so many numbers before the
    /// images' in it.
    fn with_dims(&mut self, id: ValueId, shape: &[Size], within: i64) -> Result<ValueId, String> {
        if self.dims(id)? == shape && self.within[id.0] == within {
            return Ok(id);
        }
        let sizes = shape.iter().map(|size| match size.per_image {
            true => -1,
            false => size.count,
        });
        let shape = sizes.collect();
        let id = self.step(Reshape { shape }, &[id])?;
        self.within[id.0] = within;
        Ok(id)
    }
}

/// The shape with what is left in place of -1.
fn resolved(found: &[Size], mut shape: Vec<Size>) -> Result<Vec<Size>, String> {
    let product = |mut sizes: std::slice::Iter<'_, Size>| {
        sizes.try_fold(Size::fixed(1), |all, size| all.times(*size))
    };
    let too_large = || "expected sizes that can be multiplied, found larger ones".to_owned();
    let total = product(found.iter()).ok_or_else(too_large)?;
    let free = Size::fixed(-1);
    let known: Vec<Size> = shape.iter().copied().filter(|size| *size != free).collect();
    let known = product(known.iter()).ok_or_else(too_large)?;
    let wrong = || {
        let sizes = |sizes: &[Size]| -> Vec<String> {
            let sizes = sizes.iter().map(|size| match size.per_image {
                true => format!("{} an image", size.count),
                false => size.count.to_string(),
            });
            sizes.collect()
        };
        format!("expected a shape of as many elements as {:?}", sizes(found))
    };
    let mut frees = shape.iter_mut().filter(|size| **size == free);
    match (frees.next(), frees.next()) {
        (None, _) if known == total => {}
        (Some(size), None) => {
            *size = total
                .over(known)
                .filter(|it| it.count > 0)
                .ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    }
    match product(shape.iter()) == Some(total) {
        true => Ok(shape),
        false => Err(wrong()),
    }
}

fn reshape(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let value = call.input(0)?;
    let mut shape = match call.optional(1) {
        Some(_) => call.host(1)?.sizes()?,
        None => {
            let sizes = call.ints("shape").unwrap_or_default();
            sizes.into_iter().map(Size::fixed).collect()
        }
    };
    if call.int("allowzero", 0) == 0 {
        let found = importer.dims_in_file(&value)?;
        for (index, size) in shape.iter_mut().enumerate() {
            if *size == Size::fixed(0) {
                *size = *found.get(index).ok_or("a size of 0 stands for no axis")?;
            }
        }
    }
    Ok(vec![importer.reshaped(&value, shape)?])
}

fn flatten(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let value = call.input(0)?;
    let dims = importer.sizes(&value)?;
    let axis = match call.int("axis", 1) {
        axis if axis == dims.len() as i64 => dims.len(),
        axis => axis_of(axis, dims.len())?,
    };
    let product = |sizes: &[Size]| {
        let mut sizes = sizes.iter();
        let product = sizes.try_fold(Size::fixed(1), |all, size| all.times(*size));
        product.ok_or("its sizes cannot be multiplied")
    };
    let shape = vec![product(&dims[..axis])?, product(&dims[axis..])?];
    let (&Value::Graph(id), Some(of_images)) = (&value, dims.iter().position(|it| it.per_image))
    else {
        return Ok(vec![importer.reshaped(&value, shape)?]);
    };
    let first = if of_images < axis { 0 } else { axis };
    let mut before = dims[first..of_images].iter().map(|size| size.count);
    let within = before.try_fold(importer.within[id.0], |all, size| all.checked_mul(size));
    let within = within.ok_or("its sizes are too large")?;
    Ok(vec![Value::Graph(importer.with_dims(id, &shape, within)?)])
}

fn squeeze(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let value = call.input(0)?;
    let dims = importer.dims_in_file(&value)?;
    let axes = match call.numbers(1, "axes")? {
        Some(axes) => axes
            .into_iter()
            .map(|axis| axis_of(axis, dims.len()))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..dims.len())
            .filter(|&axis| dims[axis] == Size::fixed(1))
            .collect(),
    };
    if let Some(axis) = axes.iter().find(|axis| dims[**axis] != Size::fixed(1)) {
        return Err(format!(
            "expected a size of 1 on axis {axis}, found {:?}",
            dims[*axis]
        ));
    }
    let kept = |dims: Vec<Size>| -> Vec<Size> {
        let kept = dims.into_iter().enumerate();
        let kept = kept.filter(|(axis, _)| !axes.contains(axis));
        kept.map(|(_, size)| size).collect()
    };
    let sizes = importer.sizes(&value)?;
    let squeezed = match axes.iter().any(|&axis| sizes[axis].per_image) {
        // The export fixed one image.
        true => importer.reshaped(&value, kept(dims))?,
        false => importer.with_sizes(&value, kept(sizes))?,
    };
    Ok(vec![squeezed])
}

fn unsqueeze(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let value = call.input(0)?;
    let mut shape = importer.sizes(&value)?;
    let axes = call.numbers(1, "axes")?.ok_or("its axes are missing")?;
    let rank = shape.len() + axes.len();
    let axes = axes.into_iter().map(|axis| axis_of(axis, rank));
    let mut axes = axes.collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    for axis in axes {
        if axis > shape.len() {
            return Err(format!("expected each axis once, found axis {axis} again"));
        }
        shape.insert(axis, Size::fixed(1));
    }
    Ok(vec![importer.with_sizes(&value, shape)?])
}

fn transpose(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let value = call.input(0)?;
    let rank = rank_of(importer, &value);
    let axes = match call.ints("perm") {
        Some(axes) => axes
            .into_iter()
            .map(|axis| axis_of(axis, rank))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    match &value {
        Value::Host(constant) => {
            let tensor = constant.tensor.permuted(&axes)?;
            Ok(vec![known(&constant.name, tensor)])
        }
        Value::Graph(id) if axes.iter().copied().eq(0..rank) => Ok(vec![Value::Graph(*id)]),
        Value::Graph(id) => importer.only(Permute { axes }, *id),
    }
}

fn concat(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let inputs = (0..call.inputs.len()).map(|index| call.input(index));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let first = inputs.first().ok_or("it has no inputs")?;
    let axis = axis_of(call.int("axis", 0), rank_of(importer, first))?;
    let hosts: Vec<&Host> = inputs
        .iter()
        .filter_map(|input| match input {
            Value::Host(constant) => Some(&constant.tensor),
            Value::Graph(_) => None,
        })
        .collect();
    if hosts.len() == inputs.len() {
        return Ok(vec![known(
            call.node.called(),
            Host::concatenated(&hosts, axis)?,
        )]);
    }
    let ids = inputs.iter().map(|input| importer.value(input));
    let mut ids = ids.collect::<Result<Vec<_>, _>>()?;
    // What is the same for all images is there once.
    let mut of_images = None;
    for &id in &ids {
        let dims = importer.dims(id)?;
        if dims.first().is_some_and(|size| size.per_image) {
            of_images = Some(id);
        }
        if importer.fixed.is_some()
            && ids.len() > 1
            && dims.get(axis).is_some_and(|size| size.per_image)
        {
            return Err(format!(
                "it joins axis {axis}, which runs over the images, whose number the export fixed; export with a free one (dynamic_shapes of torch.onnx.export)"
            ));
        }
    }
    if let Some(of_images) = of_images.filter(|_| axis != 0) {
        for id in &mut ids {
            if importer.dims(*id)?.first() == Some(&Size::fixed(1)) {
                *id = importer.step(Expand {}, &[*id, of_images])?;
            }
        }
    }
    let id = importer.step(Concat { axis }, &ids)?;
    Ok(vec![Value::Graph(id)])
}

/// Channels to pixels, `[N, C b b, h, w]` to `[N, C, h b, w b]`.
fn depth_to_space(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let (value, [channels, height, width], block) = blocks(importer, call)?;
    let inner = channels / (block * block);
    let (shape, axes) = match call.word("mode", "DCR") {
        "CRD" => ([inner, block, block, height, width], vec![0, 1, 4, 2, 5, 3]),
        _ => ([block, block, inner, height, width], vec![0, 3, 4, 1, 5, 2]),
    };
    importer.regrouped(&value, &shape, axes, [inner, height * block, width * block])
}

/// Pixels to channels, `[N, C, h b, w b]` to `[N, b b C, h, w]`.
fn space_to_depth(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let (value, [channels, height, width], block) = blocks(importer, call)?;
    let shape = [channels, height / block, block, width / block, block];
    let target = [channels * block * block, height / block, width / block];
    importer.regrouped(&value, &shape, vec![0, 3, 5, 1, 2, 4], target)
}

fn blocks(importer: &mut Importer, call: &Call<'_>) -> Result<(Value, [i64; 3], i64), String> {
    let value = call.input(0)?;
    let dims = importer.dims_in_file(&value)?;
    let block = call.int("blocksize", 0);
    match dims[..] {
        [_, channels, height, width] if block > 0 && block < 1 << 16 => {
            let sizes = [channels.known()?, height.known()?, width.known()?];
            Ok((value, sizes, block))
        }
        _ => Err(format!(
            "expected a map and a block of at least 1, found {block}"
        )),
    }
}

impl Importer {
    fn regrouped(
        &mut self,
        value: &Value,
        shape: &[i64],
        axes: Vec<usize>,
        target: [i64; 3],
    ) -> Outputs {
        let images = self.dims_in_file(value)?[0];
        let with_images = |sizes: &[i64]| {
            let sizes = sizes.iter().map(|&size| Size::fixed(size));
            [images].into_iter().chain(sizes).collect()
        };
        let value = self.reshaped(value, with_images(shape))?;
        let id = self.value(&value)?;
        let id = self.step(Permute { axes }, &[id])?;
        Ok(vec![
            self.reshaped(&Value::Graph(id), with_images(&target))?,
        ])
    }
}
