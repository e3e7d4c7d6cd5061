//! The error of the facade: whichever crate's it was.

/// `Result` with the facade's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in any of neuroinspect's crates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The shared data structures, files and devices.
    #[error(transparent)]
    Core(#[from] neuroinspect_core::Error),
    /// Models and their weights.
    #[error(transparent)]
    Models(#[from] neuroinspect_models::Error),
    /// Data sets and their images.
    #[error(transparent)]
    Datasets(#[from] neuroinspect_datasets::Error),
    /// Counterfactual explanation.
    #[error(transparent)]
    Counterfactual(#[from] neuroinspect_counterfactual::Error),
    /// CLIP-Illusion.
    #[error(transparent)]
    Illusion(#[from] neuroinspect_illusion::Error),
    /// Editing.
    #[error(transparent)]
    Editing(#[from] neuroinspect_editing::Error),
    /// Reports.
    #[error(transparent)]
    Report(#[from] neuroinspect_report::Error),
    /// A data set whose classes are not the model's.
    #[error(
        "'{dataset}' has {found} classes ({names}), but {model} decides between {expected}; give \
         the names of all {expected}, in the model's order, so that folders can be matched to them (--classes \
         FILE of the program, ImageFolderConfig::with_class_order in code)"
    )]
    ClassCount {
        /// The data set.
        dataset: String,
        /// The model.
        model: String,
        /// How many classes the model has.
        expected: usize,
        /// How many the data set has.
        found: usize,
        /// The first of them.
        names: String,
    },
    /// Nothing is left of a data set.
    #[error("'{dataset}' has no readable image")]
    NoImages {
        /// The data set.
        dataset: String,
    },
}

impl Error {
    /// Whether the work was stopped because an observer asked for it.
    pub fn is_cancellation(&self) -> bool {
        use neuroinspect_core::Error::Cancelled;
        matches!(
            self,
            Self::Core(Cancelled { .. })
                | Self::Counterfactual(neuroinspect_counterfactual::Error::Core(Cancelled { .. }))
                | Self::Illusion(neuroinspect_illusion::Error::Core(Cancelled { .. }))
                | Self::Editing(neuroinspect_editing::Error::Core(Cancelled { .. }))
        )
    }
}
