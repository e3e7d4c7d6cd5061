//! Graphs rewritten, their values the same.
//!
//! Each pass takes a network and gives another one; the one it is given stays as it is, and the two
//! share what weights they have in common. They are for copies whose weights serve as constants: what
//! is trained, or saved, is not rewritten.
//! Another number format needs no pass here: [`Precision::copy_of`](neuroinspect_core::Precision::copy_of)
//! casts any Burn module, and [`Network::evaluate`](super::Network::evaluate) casts what goes in and
//! comes out.

use std::collections::BTreeSet;

mod fold;
mod rectify;
mod tokens;

use super::{Node, ParameterSpec};

/// The parameters that one of these nodes reads.
fn read_by<'a>(
    nodes: &[Node],
    specs: impl IntoIterator<Item = &'a ParameterSpec>,
) -> Vec<ParameterSpec> {
    let names = nodes.iter().flat_map(|node| &node.parameters);
    let names: BTreeSet<&String> = names.collect();
    let specs = specs.into_iter();
    let read = specs.filter(|spec| names.contains(&spec.name));
    read.cloned().collect()
}

pub use fold::fold_batch_norm;
pub use rectify::join_rectifiers;
pub use tokens::only_tokens_read;
