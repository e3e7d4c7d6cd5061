//! Maps in another size.

use ndarray::Array2;

use super::{Call, Handler, Importer, Outputs, Value, Weight, call::axis_of};
use crate::{
    graph::{Linear, Permute},
    onnx::host::made,
};

pub(super) const OPERATORS: &[(&str, Handler)] = &[("Resize", resize), ("Upsample", resize)];

/// How a map is resized along one axis.
#[derive(Clone, Copy)]
struct Rule<'a> {
    mode: &'a str,
    /// Where a pixel of the new size lies in the old one.
    coordinates: &'a str,
    rounding: &'a str,
    /// The constant of the cubic.
    cubic: f64,
}

fn resize(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let mut value = call.input(0)?;
    if call.int("antialias", 0) != 0 || call.int("exclude_outside", 0) != 0 {
        return Err("expected no antialiasing, and borders that are repeated".to_owned());
    }
    let policy = call.word("keep_aspect_ratio_policy", "stretch");
    if policy != "stretch" {
        return Err(format!(
            "expected a map that is stretched, found keep_aspect_ratio_policy '{policy}'"
        ));
    }
    let dims = importer.dims_in_file(&value)?;
    let (scales, sizes) = match call.opset {
        ..11 => (call.optional(1).map(|_| 1), None),
        _ => (
            call.optional(2).map(|_| 2).filter(|&index| {
                call.host(index)
                    .is_ok_and(|host| !host.shape().contains(&0))
            }),
            call.optional(3).map(|_| 3).filter(|&index| {
                call.host(index)
                    .is_ok_and(|host| !host.shape().contains(&0))
            }),
        ),
    };
    let scales: Option<Vec<f32>> = match scales {
        Some(index) => Some(call.host(index)?.floats()?.iter().copied().collect()),
        None => None,
    };
    let sizes = match sizes {
        Some(index) => Some(call.host(index)?.sizes()?),
        None => None,
    };
    // From version 18 on they may be of some axes alone.
    let axes = match call.ints("axes") {
        Some(axes) => {
            let axes = axes.into_iter().map(|axis| axis_of(axis, dims.len()));
            axes.collect::<Result<Vec<_>, _>>()?
        }
        None => (0..dims.len()).collect(),
    };
    for given in [scales.as_ref().map(Vec::len), sizes.as_ref().map(Vec::len)] {
        if let Some(found) = given.filter(|found| *found != axes.len()) {
            return Err(format!(
                "expected a number for each of {} axes, found {found}",
                axes.len()
            ));
        }
    }
    let rule = Rule {
        mode: call.word("mode", "nearest"),
        coordinates: call.word(
            "coordinate_transformation_mode",
            if call.opset < 11 {
                "asymmetric"
            } else {
                "half_pixel"
            },
        ),
        rounding: call.word(
            "nearest_mode",
            if call.opset < 11 {
                "floor"
            } else {
                "round_prefer_floor"
            },
        ),
        cubic: call.float("cubic_coeff_a", -0.75),
    };
    if scales.is_none() && sizes.is_none() {
        return Err(
            "expected its scales or its sizes as constant inputs (version 9 of the operators or later)"
                .to_owned(),
        );
    }
    for (index, &axis) in axes.iter().enumerate() {
        let found = &dims[axis];
        let scale = scales.as_ref().map(|scales| scales[index]);
        let size = sizes.as_ref().map(|sizes| sizes[index]);
        if size == Some(*found) || (size.is_none() && scale.is_none_or(|scale| scale == 1.0)) {
            continue;
        }
        let old = usize::try_from(found.known()?).map_err(|error| error.to_string())?;
        let new = match (size, scale) {
            (Some(size), _) => size.known()? as f64,
            // In single precision, as the scale is: 10 times 1.6 is 16 there, and 1.6 a little more.
            (None, scale) => f64::from((old as f32 * scale.unwrap_or(1.0)).floor()),
        };
        if old == 0 || !(1.0..=1e6).contains(&new) {
            return Err(format!(
                "expected a size of 1 to 1000000 on axis {axis}, found {new}"
            ));
        }
        let scale = scale.filter(|_| size.is_none());
        value = importer.resized(&value, axis, [old, new as usize], scale, rule)?;
    }
    Ok(vec![value])
}

impl Rule<'_> {
    /// Where a pixel of the new size lies in the old one, by the scale, or by the sizes where there is none.
    fn place(
        self,
        index: usize,
        [old, new]: [usize; 2],
        scale: Option<f32>,
    ) -> Result<f64, String> {
        let x = index as f64;
        let scale = scale.map_or(new as f64 / old as f64, f64::from);
        Ok(match self.coordinates {
            "half_pixel" => (x + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if new == 1 => 0.0,
            "pytorch_half_pixel" => (x + 0.5) / scale - 0.5,
            "align_corners" if new == 1 => 0.0,
            "align_corners" => x * (old - 1) as f64 / (new - 1) as f64,
            "asymmetric" => x / scale,
            other => {
                return Err(format!(
                    "expected coordinates that are known, found '{other}'"
                ));
            }
        })
    }

    /// The same in single precision, in which files are run elsewhere: that decides between neighbours that are equally near.
    fn place_in_single(
        self,
        index: usize,
        [old, new]: [usize; 2],
        scale: Option<f32>,
    ) -> Result<f64, String> {
        let x = index as f32;
        let scale = scale.unwrap_or(new as f32 / old as f32);
        let place = match self.coordinates {
            "half_pixel" => (x + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if new > 1 => (x + 0.5) / scale - 0.5,
            "align_corners" if new > 1 => x * (old - 1) as f32 / (new - 1) as f32,
            "asymmetric" => x / scale,
            _ => return self.place(index, [old, new], Some(scale)),
        };
        Ok(f64::from(place))
    }

    fn nearest(self, place: f64, size: usize) -> Result<usize, String> {
        let rounded = match self.rounding {
            "round_prefer_floor" => (place - 0.5).ceil(),
            "round_prefer_ceil" => (place + 0.5).floor(),
            "floor" => place.floor(),
            "ceil" => place.ceil(),
            other => {
                return Err(format!(
                    "expected a rounding that is known, found '{other}'"
                ));
            }
        };
        Ok(rounded.clamp(0.0, (size - 1) as f64) as usize)
    }

    /// Neighbours, from the one before `place` on, and their weights.
    fn neighbours(self, place: f64) -> Result<(f64, Vec<f64>), String> {
        let floor = place.floor();
        let t = place - floor;
        match self.mode {
            "linear" => Ok((floor, vec![1.0 - t, t])),
            "cubic" => {
                // Keys 1981, with the constant `a`.
                let a = self.cubic;
                let near = |x: f64| ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
                let far = |x: f64| ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
                let weights = vec![far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
                Ok((floor - 1.0, weights))
            }
            other => Err(format!(
                "expected a way to resize that is known, found '{other}'"
            )),
        }
    }
}

impl Importer {
    /// A value of another size along one axis.
    fn resized(
        &mut self,
        value: &Value,
        axis: usize,
        [old, new]: [usize; 2],
        scale: Option<f32>,
        rule: Rule<'_>,
    ) -> Result<Value, String> {
        let place = |index| rule.place(index, [old, new], scale);
        if rule.mode == "nearest" {
            let place = |index| rule.place_in_single(index, [old, new], scale);
            let indices = (0..new).map(|index| rule.nearest(place(index)?, old));
            let indices = indices.collect::<Result<Vec<_>, _>>()?;
            return self.indices(value, axis, &indices);
        }
        // Each new pixel is a sum of old ones: a linear layer along the axis.
        made([old, new])?;
        let mut matrix = Array2::<f64>::zeros((new, old));
        for index in 0..new {
            let (first, weights) = rule.neighbours(place(index)?)?;
            for (offset, weight) in weights.into_iter().enumerate() {
                let at = (first + offset as f64).clamp(0.0, (old - 1) as f64);
                matrix[[index, at as usize]] += weight;
            }
        }
        let weight = Weight {
            shape: vec![new, old],
            values: matrix.iter().map(|&x| x as f32).collect(),
        };
        let mut id = self.value(value)?;
        let rank = self.rank(id);
        let mut axes: Vec<usize> = (0..rank).collect();
        axes.swap(axis, rank - 1);
        let permute = || Permute { axes: axes.clone() };
        let last = axis + 1 == rank;
        if !last {
            id = self.step(permute(), &[id])?;
        }
        let name = format!("{}.axis_{axis}", self.called());
        let linear = Linear::new(new).with_bias(false);
        id = self.layer(linear, &[id], vec![(name, weight)])?;
        if !last {
            id = self.step(permute(), &[id])?;
        }
        Ok(Value::Graph(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubic_weights_sum_to_one() {
        let rule = Rule {
            mode: "cubic",
            coordinates: "half_pixel",
            rounding: "floor",
            cubic: -0.75,
        };
        for place in [0.0, 0.25, 1.9] {
            let (_, weights) = rule.neighbours(place).unwrap();
            let sum: f64 = weights.iter().sum();
            assert!((sum - 1.0).abs() < 1e-12, "{place}: {sum}");
        }
    }
}
