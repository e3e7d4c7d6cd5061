//! Parts of third-party crates that all builds of this workspace agree on.
//!
//! There is no code here, no other crate of the workspace depends on this one, and it is not published. Cargo builds a crate once for each
//! set of features that is asked of it, and a crate near the root, such as `serde`, takes all of Burn with it. Tests, the
//! program, and the program with its optional parts each ask for other sets; as a member of the workspace this crate asks
//! for all of them at once, so that `cargo run` and `cargo test --workspace` share what they build, and a build with `-p` does, too, with
//! `-p workspace-hack` beside it. It is the pattern of [cargo-hakari](https://docs.rs/cargo-hakari).
//!
//! `cargo tree --workspace --edges normal,build --format '{p} [{f}]'` and the same with `normal,build,dev` show where the
//! program and the tests differ; a test of the workspace compares them.
