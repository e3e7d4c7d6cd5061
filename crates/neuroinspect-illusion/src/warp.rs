//! The random geometry as a linear map of pictures, with its adjoint.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{adapter::interpolation, augment::Transform};

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

/// The constants of a [`Warp`], made on the host.
#[derive(Debug)]
pub(crate) struct WarpConstants {
    size: usize,
    /// How many transforms: `G`.
    transforms: usize,
    forward: Pixels,
    backward: Vec<Pixels>,
    rows: Vec<f32>,
    columns: Vec<f32>,
}

/// For each of `[G, S * S]` pixels the one that is read there.
#[derive(Debug)]
struct Pixels {
    index: Vec<i32>,
    /// 1, or 0 where there is nothing to read.
    present: Vec<f32>,
}

impl Pixels {
    fn none(count: usize) -> Self {
        Self {
            index: vec![0; count],
            present: vec![0.0; count],
        }
    }

    fn set(&mut self, pixel: usize, read: usize) {
        self.index[pixel] = read as i32;
        self.present[pixel] = 1.0;
    }
}

impl WarpConstants {
    /// One transform for all images, or one for each.
    pub(crate) fn new(transforms: &[Transform], size: usize) -> Self {
        let pixels = size * size;
        let count = transforms.len() * pixels;
        let mut forward = Pixels::none(count);
        let mut backward: Vec<Pixels> = Vec::new();
        for (image, transform) in transforms.iter().enumerate() {
            // How many pixels have shown each pixel so far: the next one is of that layer.
            let mut shown = vec![0; pixels];
            for (pixel, source) in transform.sources(size).into_iter().enumerate() {
                let Some(source) = source else { continue };
                forward.set(image * pixels + pixel, source);
                let layer = shown[source];
                shown[source] += 1;
                if layer == backward.len() {
                    backward.push(Pixels::none(count));
                }
                backward[layer].set(image * pixels + source, pixel);
            }
        }
        let matrices = |side: usize| {
            let of = |transform: &Transform| resize_and_crop(size, transform.scale[side]);
            transforms.iter().flat_map(of).collect()
        };
        Self {
            size,
            transforms: transforms.len(),
            forward,
            backward,
            rows: matrices(0),
            columns: matrices(1),
        }
    }
}

impl Warp {
    pub(crate) fn new(constants: WarpConstants, device: &Device) -> Self {
        let (transforms, size) = (constants.transforms, constants.size);
        let read = |pixels: Pixels| {
            let shape = [transforms, 1, size * size];
            Read {
                index: Tensor::from_data(TensorData::new(pixels.index, shape), device),
                present: Tensor::from_data(TensorData::new(pixels.present, shape), device),
            }
        };
        let matrices = |values: Vec<f32>| {
            let shape = [transforms, 1, size, size];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Self {
            forward: read(constants.forward),
            backward: constants.backward.into_iter().map(read).collect(),
            rows: matrices(constants.rows),
            columns: matrices(constants.columns),
        }
    }

    /// The pictures as the networks see them: `[N, 3, S, S]` to `[N, 3, S, S]`.
    pub(crate) fn apply(&self, images: Tensor<4>) -> Tensor<4> {
        let turned = self.forward.of(images);
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
            .fold(zero, |sum, layer| sum + layer.of(turned.clone()))
    }
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
    fn of(&self, images: Tensor<4>) -> Tensor<4> {
        let [n, channels, height, width] = images.dims();
        let flat = [n, channels, height * width];
        let read = images
            .reshape(flat)
            .gather(2, self.index.clone().expand(flat));
        (read * self.present.clone()).reshape([n, channels, height, width])
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
