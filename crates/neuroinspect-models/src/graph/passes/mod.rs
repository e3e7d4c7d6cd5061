//! Graphs rewritten, their values the same.
//!
//! Each pass takes a network and gives another one; the one it is given stays as it is, and the two
//! share what weights they have in common. They are for copies whose weights serve as constants: what
//! is trained, or saved, is not rewritten.

mod fold;
mod precision;
mod tokens;
mod unused;

pub use fold::fold_batch_norm;
pub use precision::cast;
pub use tokens::only_tokens_read;
pub use unused::without_unused;
