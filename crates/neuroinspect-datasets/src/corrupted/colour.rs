//! Corruptions that look at one pixel at a time, and no random ones.

use ndarray::Axis;

use super::Pixels;

/// Raises the value of hue, saturation and value: at the same hue and saturation, channels are
/// proportional to it.
pub(super) fn brightness(mut pixels: Pixels) -> Pixels {
    for mut colour in pixels.lanes_mut(Axis(0)) {
        let value = colour.fold(0.0, |a: f64, &b| a.max(b));
        let raised = (value + 0.3).min(1.0);
        colour.mapv_inplace(|channel| match value > 0.0 {
            true => channel * raised / value,
            false => raised,
        });
    }
    pixels
}

pub(super) fn contrast(mut pixels: Pixels) -> Pixels {
    for mut plane in pixels.outer_iter_mut() {
        let mean = plane.mean().unwrap_or_default();
        plane.mapv_inplace(|value| (value - mean) * 0.15 + mean);
    }
    pixels
}

/// Raises the saturation `(max - min) / max`: at the same hue and value, a channel's distance to the
/// largest is proportional to it. Grey has the hue red.
pub(super) fn saturate(mut pixels: Pixels) -> Pixels {
    for mut colour in pixels.lanes_mut(Axis(0)) {
        let value = colour.fold(0.0, |a: f64, &b| a.max(b));
        let least = colour.fold(1.0, |a: f64, &b| a.min(b));
        if value == least {
            let paler = value * (1.0 - 0.2);
            (colour[1], colour[2]) = (paler, paler);
            continue;
        }
        let saturation = (value - least) / value;
        let raised = (saturation * 2.5 + 0.2).min(1.0);
        colour.mapv_inplace(|channel| value - (value - channel) * raised / saturation);
    }
    pixels
}
