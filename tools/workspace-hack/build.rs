//! Cargo reads the build dependencies of a crate that has a build script.

fn main() {}
