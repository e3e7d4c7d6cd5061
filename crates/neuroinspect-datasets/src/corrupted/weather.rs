//! Snow, frost, fog and spatter: random layers over the image.

use std::f64::consts::PI;

use ndarray::{Array2, Axis, Zip};
use rand::{Rng, RngExt};

use super::{
    Pixels, Plane,
    filter::{Edge, blend, gaussian, motion_blur, normal, normals, plasma, zoom},
};

/// Bright specks of noise, enlarged and blurred along their fall, over a paler image; the layer turned
/// by half a turn falls too.
pub(super) fn snow(pixels: &Pixels, rng: &mut impl Rng) -> Pixels {
    let noise = normals(size(pixels), 0.3, 0.3, rng);
    // The layer is kept in 8 bits before it is blurred and after, as an image file would.
    let flakes = zoom(&noise, 1.25).mapv(|value| match value < 0.65 {
        true => 0.0,
        false => (value.min(1.0) * 255.0).floor() / 255.0,
    });
    let angle = rng.random_range(-135.0..-45.0) * PI / 180.0;
    let falling =
        motion_blur(&flakes, 14, 12.0, angle).mapv(|value| (value * 255.0).round() / 255.0);
    let mut turned = falling.view();
    turned.invert_axis(Axis(0));
    turned.invert_axis(Axis(1));
    let grey = luma(pixels);
    let pale = blend(pixels, &grey, |value, grey| {
        0.8 * value + 0.2 * value.max(1.5 * grey + 0.5)
    });
    blend(&pale, &(&falling + &turned), |value, snow| value + snow)
}

/// Rec. 601.
fn luma(pixels: &Pixels) -> Plane {
    let channel = |channel: usize| pixels.index_axis(Axis(0), channel);
    &channel(0) * 0.299 + &channel(1) * 0.587 + &channel(2) * 0.114
}

/// What the five photographs of ice have in common with our texture, measured on random crops of 32
/// pixels at the size they are pasted in: mean of red, green and blue, spread of the crops' means, and
/// spread within a crop. The second and third are alike.
const ICE: [([f64; 3], f64, f64); 5] = [
    ([0.305, 0.582, 0.647], 0.042, 0.056),
    ([0.777, 0.794, 0.831], 0.035, 0.072),
    ([0.777, 0.794, 0.831], 0.035, 0.072),
    ([0.559, 0.617, 0.667], 0.042, 0.102),
    ([0.407, 0.451, 0.497], 0.066, 0.132),
];

/// Ice over a darker image.
pub(super) fn frost(pixels: &Pixels, rng: &mut impl Rng) -> Pixels {
    let (mean, between, within) = ICE[rng.random_range(0..ICE.len())];
    let offset = between * normal(rng);
    // 45 % of the variance from clouds: an autocorrelation of 0.35 at one pixel, 0.18 at four and 0.05
    // at eight, where the photographs have 0.34, 0.17 and 0.11.
    let clouds = clouds(size(pixels), 1.15, rng);
    let (level, spread) = (clouds.mean().unwrap_or_default(), clouds.std(0.0));
    let clouds = (clouds - level) / spread.max(1e-9);
    let grain = normals(size(pixels), 0.0, 1.0, rng);
    let texture = clouds * libm::sqrt(0.45) + grain * libm::sqrt(0.55);
    let mut iced = pixels.clone();
    for (mut channel, mean) in iced.outer_iter_mut().zip(mean) {
        Zip::from(&mut channel)
            .and(&texture)
            .for_each(|value, texture| {
                let ice = (mean + offset + within * texture).clamp(0.0, 1.0);
                *value = 0.75 * *value + 0.45 * ice;
            });
    }
    iced
}

/// Clouds of white, the whole no brighter than the image was.
pub(super) fn fog(pixels: &Pixels, rng: &mut impl Rng) -> Pixels {
    let most = pixels.fold(0.0, |a: f64, &b| a.max(b));
    let clouds = clouds(size(pixels), 1.75, rng);
    blend(pixels, &clouds, |value, cloud| {
        (value + 1.5 * cloud) * most / (most + 1.5)
    })
}

/// Mud where smoothed noise is high.
pub(super) fn spatter(pixels: &Pixels, rng: &mut impl Rng) -> Pixels {
    const MUD: [f64; 3] = [63.0 / 255.0, 42.0 / 255.0, 20.0 / 255.0];
    let liquid = normals(size(pixels), 0.65, 0.1, rng);
    let liquid = gaussian(&liquid, 0.5, 4.0, Edge::Nearest);
    let splashes = liquid.mapv(|value| f64::from(u8::from(value > 0.68)));
    let cover = gaussian(&splashes, 0.6, 4.0, Edge::Nearest);
    let cover = cover.mapv(|value| if value < 0.8 { 0.0 } else { value });
    let mut muddy = pixels.clone();
    for (mut channel, mud) in muddy.outer_iter_mut().zip(MUD) {
        Zip::from(&mut channel)
            .and(&cover)
            .for_each(|value, &cover| *value += (mud - *value) * cover);
    }
    muddy
}

/// Clouds as large as the image.
fn clouds(size: (usize, usize), decay: f64, rng: &mut impl Rng) -> Plane {
    let side = size.0.max(size.1).max(32).next_power_of_two();
    let clouds = plasma(side, decay, rng);
    Array2::from_shape_fn(size, |place| clouds[place])
}

fn size(pixels: &Pixels) -> (usize, usize) {
    let (_, height, width) = pixels.dim();
    (height, width)
}
