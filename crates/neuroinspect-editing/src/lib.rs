//! Editing a decision layer: weaken a false correlation without new data.
