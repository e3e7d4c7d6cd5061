//! Why the studio cannot be opened.

use std::{net::SocketAddr, path::PathBuf};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the studio cannot be opened, or not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The classifier, the samples or the folder.
    #[error(transparent)]
    Neuroinspect(#[from] neuroinspect::Error),
    /// An address that cannot be listened on.
    #[error(
        "cannot listen on {address}; give another port with --port (0 for any that is free), or with --listen an \
         address of this machine"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The threads that serve.
    #[error("cannot start the threads that serve the pages")]
    Threads {
        /// Why.
        source: std::io::Error,
    },
    /// A file of the studio's folder.
    #[error("cannot read or write '{}'", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A token cannot be drawn.
    #[error(
        "this machine gives no random numbers, so that requests could not be told from a stranger's: {reason}"
    )]
    NoRandomNumbers {
        /// Why.
        reason: String,
    },
}
