//! Maps with zeros around them.

use rayon::prelude::*;

use crate::{Convolution, weights::Window};

/// How the channels of a group lie in the copy: each as one plane for each place that a window's weight can have
/// between two windows (one, where the stride is 1), so that windows beside each other are so in memory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) channels: usize,
    size: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    phases: Vec<[usize; 2]>,
    /// Numbers from a row of a plane to the next.
    pub(crate) pitch: usize,
    phase: usize,
    /// Numbers from a channel to the next.
    pub(crate) plane: usize,
    /// How often the taps are gone through, each time a channel further.
    pub(crate) rounds: usize,
    pub(crate) taps: Vec<Tap>,
    pub(crate) size_out: [usize; 2],
    slack: usize,
}

/// A weight of a window, and how far after its window's first pixel it meets one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    pub(crate) weight: usize,
    pub(crate) pixel: usize,
}

impl Layout {
    pub(crate) fn new(shape: &Convolution, window: &Window, lanes: usize) -> Self {
        let reach = [0, 1].map(|axis| shape.dilation[axis] * (shape.kernel[axis] - 1));
        let size_out = shape.size_out();
        let rows = size_out[0] + reach[0] / shape.stride[0];
        let (left, right) = shape.padding[1];
        let whole = size_out[1] + reach[1] / shape.stride[1];
        let shared = shape.size[1] + left.max(right);
        // The zeros after a row are those before the next.
        let pitch = match shape.stride[1] == 1 && shared >= size_out[1] {
            true => shared,
            false => whole,
        };
        let phase = rows * pitch;
        let mut phases = Vec::new();
        let mut taps = Vec::new();
        for &(weight, place) in &window.places {
            let between = [0, 1].map(|axis| place[axis] % shape.stride[axis]);
            let index = match phases.iter().position(|known| *known == between) {
                Some(index) => index,
                None => {
                    phases.push(between);
                    phases.len() - 1
                }
            };
            let whole = [0, 1].map(|axis| place[axis] / shape.stride[axis]);
            let pixel = index * phase + whole[0] * pitch + whole[1];
            taps.push(Tap { weight, pixel });
        }
        let plane = phases.len() * phase;
        let channels = shape.channels_in / shape.groups;
        let mut rounds = channels;
        // A round of one tap takes less time than to begin it: all channels are one round.
        if let [only] = taps[..] {
            let [_, distance] = window.distances(shape);
            rounds = 1;
            taps = (0..channels)
                .map(|channel| Tap {
                    weight: only.weight + channel * distance,
                    pixel: only.pixel + channel * plane,
                })
                .collect();
        }
        Self {
            channels,
            rounds,
            size: shape.size,
            stride: shape.stride,
            padding: shape.padding.map(|(before, _)| before),
            plane,
            phases,
            pitch,
            phase,
            taps,
            size_out,
            // A vector that starts at the last pixel, and the columns that the last row shares with none.
            slack: lanes + reach[1] + pitch,
        }
    }

    /// How many numbers the copy of a group of channels is.
    pub(crate) fn numbers(&self) -> usize {
        self.channels * self.plane + self.slack
    }

    /// Copies a group's maps; what lies around it is 0 and stays so.
    pub(crate) fn fill(&self, maps: &[f32], copy: &mut [f32]) {
        let maps = maps.chunks(self.size[0] * self.size[1]);
        for (map, plane) in maps.zip(copy.chunks_mut(self.plane)) {
            self.fill_channel(map, plane);
        }
    }

    /// As [`fill`](Self::fill), by several threads.
    pub(crate) fn fill_in_parallel(&self, maps: &[f32], copy: &mut [f32]) {
        let maps = maps.par_chunks(self.size[0] * self.size[1]);
        maps.zip(copy.par_chunks_mut(self.plane))
            .with_min_len(1 + (1 << 14) / self.plane)
            .for_each(|(map, plane)| self.fill_channel(map, plane));
    }

    fn fill_channel(&self, map: &[f32], plane: &mut [f32]) {
        let width = self.size[1];
        for (phase, plane) in self.phases.iter().zip(plane.chunks_mut(self.phase)) {
            let rows = Within::new(phase[0], self.stride[0], self.padding[0]);
            let columns = Within::new(phase[1], self.stride[1], self.padding[1]);
            let lines = plane.chunks_mut(self.pitch).skip(rows.first);
            let sources = map.chunks(width).skip(rows.source).step_by(self.stride[0]);
            for (line, source) in lines.zip(sources) {
                let Some(line) = line.get_mut(columns.first..) else {
                    continue;
                };
                let source = source.get(columns.source..).unwrap_or(&[]);
                every(self.stride[1], source, line);
            }
        }
    }
}

/// Copies each `stride`-th number, as far as there is room.
fn every(stride: usize, from: &[f32], to: &mut [f32]) {
    match stride {
        1 => {
            let length = to.len().min(from.len());
            to[..length].copy_from_slice(&from[..length]);
        }
        // As below, in a form that becomes vectors.
        2 => {
            let (pairs, last) = from.as_chunks::<2>();
            for (to, [first, _]) in to.iter_mut().zip(pairs) {
                *to = *first;
            }
            if let (Some(to), [last]) = (to.get_mut(pairs.len()), last) {
                *to = *last;
            }
        }
        stride => {
            for (to, from) in to.iter_mut().zip(from.iter().step_by(stride)) {
                *to = *from;
            }
        }
    }
}

/// Along one axis of a phase, the first place that a pixel goes to, and which pixel.
struct Within {
    first: usize,
    source: usize,
}

impl Within {
    fn new(phase: usize, stride: usize, padding: usize) -> Self {
        let first = padding.saturating_sub(phase).div_ceil(stride);
        Self {
            first,
            source: first * stride + phase - padding,
        }
    }
}
