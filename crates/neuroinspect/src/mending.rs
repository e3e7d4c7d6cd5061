//! An edit, what it did, and what the same training does without it.

use burn::tensor::Device;
use neuroinspect_core::{DecisionLayer, Metrics, NeuronId, Observer};
use neuroinspect_editing::{Comparison, Edit, EditConfig, EditScope, Edited, edit};

use crate::{EditData, Result, findings::with_causes};

/// An edit and what it did.
#[derive(Clone, Debug)]
pub struct Mending {
    /// The new decision layer and how it was found.
    pub edited: Edited,
    /// The difference to the old one, to be saved, applied and reverted.
    pub edit: Edit,
    /// Metrics before and after it, on [`EditData::evaluation`].
    pub comparison: Comparison,
    /// How many of the samples it was measured on it was also trained on.
    pub also_trained_on: usize,
    /// How many of the samples it was measured on are mistakes that its neurons were chosen from;
    /// 0 where the neurons came from elsewhere.
    pub chosen_from: usize,
    /// What the same training does without the ratio.
    pub control: Control,
}

/// What became of the control: the same training without the ratio
/// ([`EditConfig::control`]). What it gains too, the ratio cannot claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    /// Metrics after it, on [`EditData::evaluation`].
    Measured(Metrics),
    /// The observer asked to stop meanwhile.
    Stopped,
    /// It failed, for this reason.
    Failed(String),
}

impl Control {
    /// Metrics after it, if it ran to its end.
    pub fn metrics(&self) -> Option<&Metrics> {
        match self {
            Self::Measured(metrics) => Some(metrics),
            Self::Stopped | Self::Failed(_) => None,
        }
    }
}

/// Edits a decision layer away from `neurons`, measures what that did, and trains the control.
///
/// The edit stands whatever becomes of the control.
///
/// # Errors
///
/// As [`edit`], also when the observer asks to stop before the edit is done.
pub fn mend(
    layer: &DecisionLayer,
    data: &EditData,
    neurons: &[NeuronId],
    scope: EditScope,
    config: &EditConfig,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Mending> {
    let EditData {
        train,
        validation,
        evaluation,
    } = data;
    let mut train_layer = |config: &EditConfig| -> Result<_> {
        let edited = edit(
            train, validation, layer, neurons, scope, config, device, observer,
        )?;
        let comparison = Comparison::new(evaluation, layer, &edited.layer)?;
        Ok((edited, comparison))
    };
    let (edited, comparison) = train_layer(config)?;
    Ok(Mending {
        edit: Edit::between(layer, &edited.layer, edited.recipe())?,
        comparison,
        also_trained_on: data.evaluated_and_trained_on(),
        chosen_from: 0,
        control: match train_layer(&config.control()) {
            Ok((_, comparison)) => Control::Measured(comparison.after),
            Err(error) if error.is_cancellation() => Control::Stopped,
            Err(error) => Control::Failed(with_causes(&error)),
        },
        edited,
    })
}
