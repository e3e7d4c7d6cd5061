//! The random geometry the networks see a picture through.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, adapter::interpolation};

/// Ranges of the random geometry, drawn anew at every step.
///
/// In this order: rotation about the centre and shift by whole pixels, both at once, nearest pixel
/// and zero fill; bilinear resize, height and width by independent factors; centre crop or zero
/// pad back to the picture's size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Largest rotation either way, in degrees. Default 15.
    pub rotation: f64,
    /// Largest shift either way, as a share of the side, in `[0, 1)`. Default 0.15.
    pub shift: f64,
    /// Least and largest factor of the resize, above 0. Default (0.6, 1.2).
    pub scale: (f64, f64),
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            rotation: 15.0,
            shift: 0.15,
            scale: (0.6, 1.2),
        }
    }
}

impl Augmentation {
    /// The networks see the picture as it is.
    pub fn off() -> Self {
        Self {
            rotation: 0.0,
            shift: 0.0,
            scale: (1.0, 1.0),
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption), naming the option.
    pub fn validate(&self) -> Result<()> {
        if !(0.0..=180.0).contains(&self.rotation) {
            return Err(Error::option(
                "augmentation.rotation",
                self.rotation,
                "degrees from 0 to 180",
            ));
        }
        if !(0.0..1.0).contains(&self.shift) {
            return Err(Error::option(
                "augmentation.shift",
                self.shift,
                "a share of the side from 0 to below 1",
            ));
        }
        let (least, largest) = self.scale;
        if !(least > 0.0 && least <= largest && largest.is_finite()) {
            return Err(Error::option(
                "augmentation.scale",
                self.scale,
                "two finite factors above 0, the smaller first",
            ));
        }
        Ok(())
    }
}

/// One draw of the geometry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Transform {
    /// Clockwise, in degrees.
    pub(crate) angle: f64,
    /// To the right and down, in pixels.
    pub(crate) shift: [i64; 2],
    /// Of height and width.
    pub(crate) scale: [f64; 2],
}

impl Transform {
    pub(crate) fn draw(ranges: &Augmentation, size: usize, rng: &mut impl Rng) -> Self {
        let mut within = |least: f64, largest: f64| rng.random_range(least..=largest);
        let reach = ranges.shift * size as f64;
        let (least, largest) = ranges.scale;
        Self {
            angle: within(-ranges.rotation, ranges.rotation),
            shift: [(); 2].map(|()| within(-reach, reach).round() as i64),
            scale: [(); 2].map(|()| within(least, largest)),
        }
    }

    /// For each pixel of the rotated and shifted picture, row by row, the pixel it shows.
    fn sources(&self, size: usize) -> Vec<Option<usize>> {
        let (sin, cos) = self.angle.to_radians().sin_cos();
        let centre = size as f64 / 2.0 - 0.5;
        let inside = |position: f64| {
            let pixel = (position + centre).round_ties_even();
            (0.0..size as f64)
                .contains(&pixel)
                .then_some(pixel as usize)
        };
        let mut sources = Vec::with_capacity(size * size);
        for row in 0..size {
            let y = row as f64 - centre - self.shift[1] as f64;
            for column in 0..size {
                let x = column as f64 - centre - self.shift[0] as f64;
                let source = inside(cos * y - sin * x).zip(inside(cos * x + sin * y));
                sources.push(source.map(|(row, column)| row * size + column));
            }
        }
        sources
    }
}

/// The matrix that resizes one side by `scale` and crops or pads it back: `[S, S]`, row by row.
fn resize_and_crop(size: usize, scale: f64) -> Vec<f32> {
    let resized = (size as f64 * scale).floor() as i64;
    let size_signed = size as i64;
    // Where the output's first pixel lies in the resized picture, as torchvision centres a crop.
    let start = if resized > size_signed {
        ((resized - size_signed) as f64 / 2.0).round_ties_even() as i64
    } else {
        -((size_signed - resized) / 2)
    };
    let positions = (start..start + size_signed).map(|pixel| {
        (0..resized)
            .contains(&pixel)
            .then(|| (pixel as f64 + 0.5) / scale - 0.5)
    });
    interpolation(size, positions, 1.0)
}

/// Transforms on a device, as a linear map of pictures, with its adjoint.
///
/// The adjoint is spelled out instead of left to autodiff: the gradient of an indexed read is an
/// indexed addition, which several backends run one element after another. Each pixel of the
/// picture is shown by a few pixels of the transformed one at most, so that its gradient is the
/// sum of as many indexed reads.
#[derive(Debug)]
pub(crate) struct Warp {
    forward: Read,
    backward: Vec<Read>,
    /// `[G, 1, S, S]`, with `G` 1 or one per image.
    rows: Tensor<4>,
    /// `[G, 1, S, S]`.
    columns: Tensor<4>,
}

impl Warp {
    /// One transform for all images, or one for each.
    pub(crate) fn new(transforms: &[Transform], size: usize, device: &Device) -> Self {
        let sources: Vec<_> = transforms
            .iter()
            .map(|transform| transform.sources(size))
            .collect();
        let shown_by = sources.iter().map(|sources| inverted(sources)).collect();
        let matrices = |side: usize| {
            let values = transforms
                .iter()
                .flat_map(|transform| resize_and_crop(size, transform.scale[side]))
                .collect();
            let shape = [transforms.len(), 1, size, size];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Self {
            forward: Read::new(&sources, device),
            backward: layers(shown_by, size * size)
                .iter()
                .map(|layer| Read::new(layer, device))
                .collect(),
            rows: matrices(0),
            columns: matrices(1),
        }
    }

    /// The pictures as the networks see them: `[N, 3, S, S]` to `[N, 3, S, S]`.
    pub(crate) fn apply(&self, images: Tensor<4>) -> Tensor<4> {
        let turned = self.forward.read(images);
        self.rows
            .clone()
            .matmul(turned)
            .matmul(self.columns.clone().swap_dims(2, 3))
    }

    /// The gradient with respect to the pictures, out of that with respect to what
    /// [`apply`](Self::apply) makes of them: `[N, 3, S, S]` to `[N, 3, S, S]`.
    pub(crate) fn adjoint(&self, gradient: Tensor<4>) -> Tensor<4> {
        let turned = self
            .rows
            .clone()
            .swap_dims(2, 3)
            .matmul(gradient)
            .matmul(self.columns.clone());
        let zero = turned.zeros_like();
        self.backward
            .iter()
            .fold(zero, |sum, layer| sum + layer.read(turned.clone()))
    }
}

/// For each pixel, the pixels that show it.
fn inverted(sources: &[Option<usize>]) -> Vec<Vec<usize>> {
    let mut shown_by = vec![Vec::new(); sources.len()];
    for (pixel, source) in sources.iter().enumerate() {
        if let Some(source) = *source {
            shown_by[source].push(pixel);
        }
    }
    shown_by
}

/// Splits lists of pixels into layers that hold at most one pixel of each list.
fn layers(lists: Vec<Vec<Vec<usize>>>, pixels: usize) -> Vec<Vec<Vec<Option<usize>>>> {
    let depth = lists.iter().flatten().map(Vec::len).max().unwrap_or(0);
    let layer = |index: usize| {
        let of_image = |lists: &Vec<Vec<usize>>| {
            let mut layer = Vec::with_capacity(pixels);
            layer.extend(lists.iter().map(|list| list.get(index).copied()));
            layer
        };
        lists.iter().map(of_image).collect()
    };
    (0..depth).map(layer).collect()
}

/// An indexed read of pixels, zero where there is nothing to read.
#[derive(Debug)]
struct Read {
    /// `[G, 1, S * S]`.
    index: Tensor<3, Int>,
    /// 1, or 0 where zero is read: `[G, 1, S * S]`.
    present: Tensor<3>,
}

impl Read {
    fn new(pixels: &[Vec<Option<usize>>], device: &Device) -> Self {
        let shape = [pixels.len(), 1, pixels.first().map_or(0, Vec::len)];
        let flat = || pixels.iter().flatten();
        let index = flat().map(|pixel| pixel.unwrap_or(0) as i32).collect();
        let present = flat().map(|pixel| f32::from(pixel.is_some())).collect();
        Self {
            index: Tensor::from_data(TensorData::new::<i32, _>(index, shape), device),
            present: Tensor::from_data(TensorData::new::<f32, _>(present, shape), device),
        }
    }

    fn read(&self, images: Tensor<4>) -> Tensor<4> {
        let [n, channels, height, width] = images.dims();
        let flat = [n, channels, height * width];
        let read = images
            .reshape(flat)
            .gather(2, self.index.clone().expand(flat));
        (read * self.present.clone()).reshape([n, channels, height, width])
    }
}
