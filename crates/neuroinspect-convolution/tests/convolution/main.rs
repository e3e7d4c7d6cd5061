//! Convolutions and gradients: the definition's, and the same whatever the threads.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod definition;
mod threads;

/// Made-up numbers between -1 and 1.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}
