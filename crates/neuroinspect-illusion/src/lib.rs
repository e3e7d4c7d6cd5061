//! CLIP-Illusion: class-conditional pictures of what a neuron means.
