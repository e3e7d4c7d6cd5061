//! Image classifiers and CLIP as Burn modules, with their weights and preprocessing.
