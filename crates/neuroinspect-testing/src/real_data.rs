//! Real weights and images, which the repository does not hold.
//!
//! Tests that need them are ignored, with the reason "needs real weights" or "needs real images";
//! `cargo test -- --ignored` runs them. The environment variable `NEUROINSPECT_SHARED` names the
//! folder that holds `data/`.

use std::{
    env,
    path::{Path, PathBuf},
};

/// A file or folder of the real data: `path("weights/resnet20-12fca82f.th")`.
///
/// # Panics
///
/// When `NEUROINSPECT_SHARED` is not set, or has no such file.
#[track_caller]
pub fn path(name: impl AsRef<Path>) -> PathBuf {
    let Some(folder) = env::var_os("NEUROINSPECT_SHARED") else {
        panic!("NEUROINSPECT_SHARED must name the folder that holds the real weights and images");
    };
    // A test runs in its crate's folder, and the variable is set in the workspace's.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = workspace.join(folder).join("data").join(name);
    assert!(
        path.exists(),
        "NEUROINSPECT_SHARED has no {}",
        path.display()
    );
    path
}
