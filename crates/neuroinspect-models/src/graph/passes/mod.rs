//! Graphs rewritten, their values the same.
//!
//! Each pass takes a network and gives another one; the one it is given stays as it is, and the two
//! share what weights they have in common. They are for copies whose weights serve as constants: what
//! is trained, or saved, is not rewritten.
//! Another number format needs no pass here: [`Precision::copy_of`](neuroinspect_core::Precision::copy_of)
//! casts any Burn module, and [`Network::evaluate`](super::Network::evaluate) casts what goes in and
//! comes out.

mod fold;
mod tokens;
mod unused;

pub use fold::fold_batch_norm;
pub use tokens::only_tokens_read;
pub use unused::without_unused;
