//! What can go wrong in editing.

use neuroinspect_core::NeuronId;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a decision layer could not be edited, or a patch not applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No neurons were given.
    #[error("no neurons to correct; name at least one")]
    NoNeurons,
    /// A neuron was given twice.
    #[error("neuron {neuron} is named twice; name each neuron once")]
    DuplicateNeuron {
        /// The neuron.
        neuron: NeuronId,
    },
    /// A table without samples.
    #[error("the {table} table has no samples; editing needs training and validation samples")]
    EmptyTable {
        /// Which table: "training" or "validation".
        table: &'static str,
    },
    /// Samples of which so few are of each class that none is held out.
    #[error(
        "of {samples} samples to edit on none is left to validate an edit on, as every class is too small to hold \
         15 % of it out; give at least four samples of each class, or others to edit on (--train of the program, \
         EditData::new in code)"
    )]
    NoneHeldOut {
        /// How many samples there are to edit on.
        samples: usize,
    },
    /// Augmented views, none of which is of a sample to edit on.
    #[error(
        "none of the {views} views is of a sample to edit on: a view's id is that of its sample with '#' and \
         anything behind it, as in 'cat/7.png#2'"
    )]
    NoViews {
        /// How many views there are.
        views: usize,
    },
    /// Samples without groups, where they are learnt from, or the worst of them chooses the epoch.
    #[error(
        "the {table} samples have no groups, which are needed for what was asked for; give them \
         groups, or choose a method or a rule for the epoch that needs none"
    )]
    NoGroups {
        /// Which table: "training" or "validation".
        table: &'static str,
    },
    /// A table that is not split, whose parts were asked for by name.
    #[error(
        "the samples are not split into parts; give their table a split, or the parts as tables of \
         their own"
    )]
    NoSplit,
    /// A method of a name that none has.
    #[error("there is no method '{name}'; the methods are {known}")]
    UnknownMethod {
        /// The name.
        name: String,
        /// All names.
        known: String,
    },
    /// An argument that a method cannot do without.
    #[error("the method '{method}' needs {what}; name it, or choose another method")]
    Missing {
        /// The method.
        method: &'static str,
        /// What is missing: "the class to be helped".
        what: &'static str,
    },
    /// A method that cannot do its work on these samples, or with these neurons.
    #[error("the method '{method}' cannot be used here: {reason}")]
    NotApplicable {
        /// The method.
        method: &'static str,
        /// Why.
        reason: String,
    },
    /// Options of a method that cannot be recorded, or are none of its own.
    #[error("the options of the method are not as they should be: {reason}")]
    Options {
        /// Why.
        reason: String,
    },
    /// Training left the finite numbers.
    #[error("training diverged in epoch {epoch}; lower learning_rate or the penalty's weight")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The value that is not finite.
        source: neuroinspect_core::Error,
    },
    /// A patch was used on a layer it was not made for.
    #[error(
        "this patch is for another decision layer: it changes the one of '{model}' ({classes} classes, \
         {neurons} neurons) from SHA-256 {before} to {after}, but the layer given has {found}"
    )]
    OtherLayer {
        /// Name of the model the patch was made for.
        model: String,
        /// Classes of that model.
        classes: usize,
        /// Neurons of that model.
        neurons: usize,
        /// Hash of the layer before it.
        before: String,
        /// Hash of the layer after it.
        after: String,
        /// Hash and shape of the layer given.
        found: String,
    },
    /// A patch whose values do not lead to the layer it promises.
    #[error(
        "this patch is damaged: its values lead to a decision layer of SHA-256 {found} instead of \
         {promised}; make it again"
    )]
    Damaged {
        /// The hash the patch promises.
        promised: String,
        /// The hash its values lead to.
        found: String,
    },
    /// Importances for an automatic target.
    #[error(transparent)]
    Counterfactual(#[from] neuroinspect_counterfactual::Error),
    /// Shapes, ids, options, files, cancellation and devices.
    #[error(transparent)]
    Core(#[from] neuroinspect_core::Error),
}
