//! The `neuroinspect` program.

fn main() {}
