//! The threads that work is shared among.

use anyhow::{Context, Result};

/// Starts them, before anything else does: whoever needs them first, deep in a computation, can only panic where the
/// system gives none.
pub(crate) fn start() -> Result<()> {
    rayon::ThreadPoolBuilder::new().build_global().context(
        "the system gives no threads to compute with; allow the program more memory or threads (`ulimit -v`, \
         `ulimit -u`), or ask for fewer by the variable RAYON_NUM_THREADS",
    )
}
