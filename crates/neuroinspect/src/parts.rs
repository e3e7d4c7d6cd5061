//! Which samples an edit learns from, is chosen on and measured on, and which are explained before.

use std::sync::Arc;

use neuroinspect_core::{FeatureTable, Seed};
use neuroinspect_editing::EditData;

use crate::Result;

/// Parts of samples to learn from, to choose on and to measure on, as a split names them.
pub const PARTS: [&str; 3] = ["train", "validation", "test"];

/// What a decision layer is edited on: training samples; or else the [parts](PARTS) that the samples are split
/// into; or else one half of them, the other half of which measures.
///
/// # Errors
///
/// When a part is missing or comes out empty.
pub fn edit_data(
    table: &Arc<FeatureTable>,
    training: Option<&Arc<FeatureTable>>,
    seed: Seed,
) -> neuroinspect_editing::Result<EditData> {
    match training {
        Some(training) => EditData::new(training, table, seed),
        None if table.split().is_some() => EditData::of_split(table, PARTS),
        None => EditData::halves(table, seed),
    }
}

/// The rows of the samples whose mistakes are explained before an edit: of samples that are split those to choose on,
/// as none that the edit is measured on may choose its neurons. `None` where these are all.
///
/// # Errors
///
/// When there is no such part.
pub fn explained_rows(table: &FeatureTable) -> Result<Option<Vec<usize>>> {
    let rows = table.split().map(|split| split.samples_of(PARTS[1]));
    Ok(rows.transpose()?)
}
