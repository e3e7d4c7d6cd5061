//! The errors of the shared vocabulary.

use std::path::PathBuf;

use crate::{Backend, ClassId, NeuronId};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with the shared data structures, files and devices.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor or an array of another shape than it should have.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which tensor.
        what: String,
        /// The shape it should have.
        expected: String,
        /// The shape it has.
        found: String,
    },
    /// A tensor in a number format that files of tensors do not have.
    #[error(
        "tensor '{tensor}' is {found}, which a safetensors file cannot hold; convert it to floats, \
         integers or booleans"
    )]
    NumberFormat {
        /// Which tensor.
        tensor: String,
        /// Its number format.
        found: String,
    },
    /// A list of another length than what it goes with.
    #[error("{what}: expected {expected}, found {found}")]
    Length {
        /// Which list.
        what: String,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Nothing where there should be something.
    #[error("there are no {what}; at least one is needed")]
    Empty {
        /// What there is none of.
        what: String,
    },
    /// An index of something that is not there.
    #[error("{what} {index} is out of range: there are {length}, counted from 0")]
    OutOfRange {
        /// What the index is of: "sample".
        what: String,
        /// The index.
        index: usize,
        /// How many there are.
        length: usize,
    },
    /// A sample to which something else is assigned than there is.
    #[error("{what}: sample {sample} is assigned to number {index}, but there are {length}")]
    Assignment {
        /// What samples are assigned to: "groups".
        what: &'static str,
        /// The sample.
        sample: usize,
        /// What it is assigned to.
        index: usize,
        /// How many there are.
        length: usize,
    },
    /// A name that stands for more than one thing.
    #[error("{what}: the name '{name}' is there twice; name each differently")]
    DuplicateName {
        /// What is named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A part of a data set that does not exist.
    #[error("no part of the samples is named '{name}'; there are: {known}")]
    UnknownPart {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A layer that the model does not have, or does not give out.
    #[error("'{model}' has no layer '{layer}' that can be read;{hint}")]
    UnknownLayer {
        /// Name of the model.
        model: String,
        /// The layer asked for.
        layer: String,
        /// The nearest name, or where to find them.
        hint: String,
    },
    /// A unit that cannot be read from what a layer gives.
    #[error("unit {unit} cannot be read from layer '{layer}': {reason}")]
    Unit {
        /// The unit.
        unit: String,
        /// Its layer.
        layer: String,
        /// Why.
        reason: String,
    },
    /// A precision that the device does not compute in.
    #[error("the device does not compute in {precision}; choose f32")]
    Precision {
        /// The precision asked for.
        precision: crate::Precision,
    },
    /// A value is NaN or infinite.
    #[error(
        "{what} is not finite ({value}); the weights or the images it was computed from are damaged"
    )]
    NotFinite {
        /// Which value.
        what: String,
        /// The value.
        value: f32,
    },
    /// A neuron that the layer does not have.
    #[error("neuron {neuron} is out of range: the layer has {neurons} neurons, 0 to {}", neurons.saturating_sub(1))]
    NeuronOutOfRange {
        /// The neuron asked for.
        neuron: NeuronId,
        /// How many there are.
        neurons: usize,
    },
    /// A class that the classifier does not have.
    #[error("class {class} is out of range: the classifier has {classes} classes, 0 to {}", classes.saturating_sub(1))]
    ClassOutOfRange {
        /// The class asked for.
        class: ClassId,
        /// How many there are.
        classes: usize,
    },
    /// A sample's label or prediction that is no class.
    #[error(
        "{what}: class {class} is out of range: there are names for {classes} classes, counted from \
         0; give the names that are missing, or correct the class"
    )]
    SampleClassOutOfRange {
        /// Whether it is a label or a prediction, and of which sample.
        what: String,
        /// The class it says.
        class: ClassId,
        /// How many there are.
        classes: usize,
    },
    /// A class name or index that could not be resolved.
    #[error("no class is named '{name}'; {hint}")]
    UnknownClass {
        /// The text given.
        name: String,
        /// The nearest name, or what else to give.
        hint: String,
    },
    /// A class name that several classes bear.
    #[error("{} classes are named '{name}'; give one of their indices: {indices}", classes.len())]
    AmbiguousClass {
        /// The text given.
        name: String,
        /// The classes that bear it.
        classes: Vec<ClassId>,
        /// What to give for each of them instead.
        indices: String,
    },
    /// Feature tables or data sets that cannot be used together.
    #[error(
        "samples to be used together differ in the {what}: {one} and {other}; take both from one \
         model and one list of classes"
    )]
    DifferentTables {
        /// What they differ in.
        what: String,
        /// What it is of the one.
        one: String,
        /// What it is of the other.
        other: String,
    },
    /// A class without samples where at least one is needed.
    #[error("class {class} ('{name}') has no samples here; give it images or choose another class")]
    EmptyClass {
        /// The class.
        class: ClassId,
        /// Its name.
        name: String,
    },
    /// A class whose text was not embedded.
    #[error(
        "class {class} was not embedded (embedded are: {}); embed the text of every class that a \
         picture is made within",
        listed(embedded)
    )]
    ClassNotEmbedded {
        /// The class asked for.
        class: ClassId,
        /// Those that were embedded.
        embedded: Vec<ClassId>,
    },
    /// An embedding of zeros, which is no direction that an image could have.
    #[error(
        "the embedding of class {class} is zero; its text tells the encoder nothing, or its \
         weights are damaged"
    )]
    ZeroEmbedding {
        /// The class.
        class: ClassId,
    },
    /// A class given twice where each has one value.
    #[error("class {class} is given twice; give each class once")]
    ClassTwice {
        /// The class.
        class: ClassId,
    },
    /// An option outside its range.
    #[error("{option} = {value}: expected {expected}")]
    InvalidOption {
        /// Which option.
        option: &'static str,
        /// The value given.
        value: String,
        /// The values allowed.
        expected: &'static str,
    },
    /// A file could not be read.
    #[error("cannot read '{}'", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be written; what stood there before is untouched.
    #[error("cannot write '{}'", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file was read but is not what it should be.
    #[error("'{}' is not {expected}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that is read from time to time was written to.
    #[error(
        "'{}' has changed since it was opened, and what was read of it before does not go with what is there now; run \
         it again, and leave the file alone meanwhile",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// More of a table that stays in its file than may be in memory at once.
    #[error(
        "{what} take {size}, more than the {limit} of a table that may be in memory, and all of them are needed at \
         once; allow more (`--memory`), or take fewer samples"
    )]
    LargerThanMemory {
        /// What is too large.
        what: String,
        /// What it takes.
        size: crate::MemoryLimit,
        /// What is allowed.
        limit: crate::MemoryLimit,
    },
    /// A text that names no device.
    #[error("'{text}' names no device; expected one of {expected}")]
    UnknownDevice {
        /// The text given.
        text: String,
        /// The forms understood.
        expected: &'static str,
    },
    /// The backend is not part of this build.
    #[error(
        "backend '{backend}' is not in this build; build with the cargo feature '{backend}' (this build has: {compiled})"
    )]
    BackendNotCompiled {
        /// The backend asked for.
        backend: Backend,
        /// Those in this build.
        compiled: String,
    },
    /// The device could not be opened.
    #[error(
        "device '{device}' cannot be used: {reason}; `neuroinspect devices` lists which answer"
    )]
    DeviceUnavailable {
        /// The device's name.
        device: String,
        /// What the backend said.
        reason: String,
    },
    /// A tensor could not be read back from its device.
    #[error("cannot read {what} back from the device: {reason}")]
    Device {
        /// Which tensor.
        what: &'static str,
        /// What the backend said.
        reason: String,
    },
    /// The observer asked to stop.
    #[error("stopped during {stage}")]
    Cancelled {
        /// What was going on.
        stage: &'static str,
        /// By which [`is_cancellation`] knows it, however deep in other errors it is.
        #[source]
        cancelled: Cancelled,
    },
    /// A classifier or encoder failed in its own way.
    #[error("{model}: {reason}")]
    Model {
        /// Name of the model.
        model: String,
        /// What went wrong.
        reason: String,
    },
}

/// The cause of every error that says that work was stopped on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the caller asked to stop")]
pub struct Cancelled;

/// Whether an error, of this crate or of any other, says that work was stopped on request.
///
/// ```
/// use std::ops::ControlFlow;
/// use neuroinspect_core::{Observer, Progress, is_cancellation};
///
/// let mut impatient = |_: Progress<'_>| ControlFlow::Break(());
/// let error = impatient.proceed(Progress { stage: "counting", done: 1, total: 2 }).unwrap_err();
/// assert!(is_cancellation(&error));
/// ```
pub fn is_cancellation(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<Cancelled>())
}

/// The message of an error and of all its causes, on one line; a cause whose message the error says
/// itself is not said again.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let message = cause.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
    }
    text
}

impl Error {
    /// That the observer asked to stop during `stage`.
    pub fn cancelled(stage: &'static str) -> Self {
        Self::Cancelled {
            stage,
            cancelled: Cancelled,
        }
    }

    /// A [`Error::Length`].
    pub fn length(what: impl Into<String>, expected: usize, found: usize) -> Self {
        Self::Length {
            what: what.into(),
            expected,
            found,
        }
    }

    /// A [`Error::OutOfRange`] for a sample.
    pub fn sample(index: usize, length: usize) -> Self {
        Self::OutOfRange {
            what: "sample".to_owned(),
            index,
            length,
        }
    }

    /// A [`Error::Empty`].
    pub fn empty(what: impl Into<String>) -> Self {
        Self::Empty { what: what.into() }
    }

    /// A [`Error::Shape`] out of texts, numbers and lists of them.
    pub fn shape(
        what: impl Into<String>,
        expected: impl std::fmt::Debug,
        found: impl std::fmt::Debug,
    ) -> Self {
        Self::Shape {
            what: what.into(),
            expected: shown(expected),
            found: shown(found),
        }
    }
}

/// Checks an option: `allowed` says whether its value is, `expected` which are.
///
/// # Errors
///
/// [`Error::InvalidOption`] when it is not.
///
/// ```
/// use neuroinspect_core::check_option;
///
/// let steps = 0;
/// let error = check_option("steps", steps, steps > 0, "at least 1").unwrap_err();
/// assert_eq!(error.to_string(), "steps = 0: expected at least 1");
/// ```
pub fn check_option(
    option: &'static str,
    value: impl ToString,
    allowed: bool,
    expected: &'static str,
) -> Result<()> {
    match allowed {
        true => Ok(()),
        false => Err(Error::InvalidOption {
            option,
            value: value.to_string(),
            expected,
        }),
    }
}

/// The first classes of a list, and how many more there are.
fn listed(classes: &[ClassId]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<_> = classes
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    match classes.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

/// Lists have no `Display`, and `Debug` puts texts in quotes.
fn shown(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").replace('"', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_shown_without_quotes() {
        for (error, message) in [
            (
                Error::shape("texts", "at least 1", 0),
                "texts: expected at least 1, found 0",
            ),
            (
                Error::shape("features", ["N", "64"], &[3, 32][..]),
                "features: expected [N, 64], found [3, 32]",
            ),
        ] {
            assert_eq!(error.to_string(), message);
        }
    }
}
