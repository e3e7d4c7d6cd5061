//! Image folders, preprocessing and synthetic scenes with a planted false correlation.
