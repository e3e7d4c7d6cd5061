//! The errors of data sets.

use std::path::PathBuf;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a data set or with an image in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of the shared vocabulary: an option out of range, an unreadable file.
    #[error(transparent)]
    Core(#[from] neuroinspect_core::Error),
    /// A file is not an image that can be decoded.
    #[error("cannot decode image '{}'", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: image::ImageError,
    },
    /// A file begins as an image and stops before its end.
    #[error("image '{}' is truncated: {reason}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: &'static str,
    },
    /// A file larger than any image this reads.
    #[error("'{}' has more than {limit} bytes, the most an image file may have", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// The most bytes allowed.
        limit: u64,
    },
    /// An image without a single pixel.
    #[error("an image of {width} x {height} pixels cannot be resized")]
    EmptyImage {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },
    /// An image with a side longer than any this resizes.
    #[error(
        "an image of {width} x {height} pixels cannot be resized: a side is above {limit} pixels; crop or shrink it first"
    )]
    SideTooLong {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// The most pixels a side may have.
        limit: u32,
    },
    /// A sample that the data set does not have.
    #[error("sample {index} is out of range: data set '{dataset}' has {samples} samples")]
    SampleOutOfRange {
        /// The index asked for.
        index: usize,
        /// How many there are.
        samples: usize,
        /// Name of the data set.
        dataset: String,
    },
    /// A folder that should have one sub-folder per class has none.
    #[error("'{}' has no class folders; expected one folder of images per class", root.display())]
    NoClasses {
        /// The root of the data set.
        root: PathBuf,
    },
    /// Class folders without a single image between them.
    #[error(
        "none of the {classes} class folders in '{}' holds an image (jpeg, png, webp, bmp or gif)",
        root.display()
    )]
    NoImages {
        /// The root of the data set.
        root: PathBuf,
        /// Number of class folders.
        classes: usize,
    },
    /// A class folder that no class, or no single class, of the given order answers to.
    #[error("class folder '{folder}' in '{}' {reason}", root.display())]
    ClassFolder {
        /// The root of the data set.
        root: PathBuf,
        /// The folder.
        folder: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A sample's image cannot be resized, its decoder panicked, or a data set written by the user
    /// failed in its own way.
    #[error("sample '{sample}': {reason}")]
    Sample {
        /// Id of the sample.
        sample: String,
        /// What went wrong.
        reason: String,
    },
    /// A sample without a group in a data set that has groups.
    #[error(
        "sample '{sample}' of data set '{dataset}' has no group, though the data set has groups \
         ({groups}); give every sample one of them, or the data set no group names"
    )]
    MissingGroup {
        /// Id of the sample.
        sample: String,
        /// Name of the data set.
        dataset: String,
        /// The groups there are.
        groups: String,
    },
    /// A sample with a group that the data set does not name.
    #[error(
        "sample '{sample}' of data set '{dataset}' is in group {group}, but the data set names \
         {groups} groups, counted from 0; name every group"
    )]
    UnknownGroup {
        /// Id of the sample.
        sample: String,
        /// Name of the data set.
        dataset: String,
        /// Index of its group.
        group: usize,
        /// How many groups have a name.
        groups: usize,
    },
    /// A sample of a class that the data set does not name.
    #[error(
        "sample '{sample}' of data set '{dataset}' is of class {class}, but the data set names \
         {classes} classes, counted from 0; name every class"
    )]
    UnknownClass {
        /// Id of the sample.
        sample: String,
        /// Name of the data set.
        dataset: String,
        /// Index of its class.
        class: usize,
        /// How many classes have a name.
        classes: usize,
    },
    /// A data set with more or fewer classes than something can be done with.
    #[error("data set '{dataset}' has {classes} classes; expected {expected}")]
    ClassCount {
        /// Name of the data set.
        dataset: String,
        /// How many it has.
        classes: usize,
        /// How many it should have, and why.
        expected: &'static str,
    },
    /// A data set that is not among the published ones.
    #[error("no published data set is called '{name}';{} there are: {known}", meant(.nearest))]
    UnknownDataset {
        /// The name given.
        name: String,
        /// The name most like it, if one is like enough to be meant.
        nearest: Option<&'static str>,
        /// The names there are.
        known: String,
    },
    /// A place without the lists that a published data set has.
    #[error(
        "'{}' does not hold the data set '{name}': '{file}' is neither in it nor in an archive of it; docs/data.md \
         says what is to be there",
        root.display()
    )]
    NotThere {
        /// The folder, or the archive.
        root: PathBuf,
        /// What the data set is called.
        name: &'static str,
        /// The file that is missing.
        file: String,
    },
    /// An option of a published data set that it does not have, or needs.
    #[error("data set '{dataset}', option '{option}': {reason}")]
    DatasetOption {
        /// Name of the data set.
        dataset: &'static str,
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A data set none of whose files has an address.
    #[error(
        "the files of '{dataset}' have no addresses: fetch them from {page}, and see docs/data.md"
    )]
    NoAddress {
        /// Name of the data set.
        dataset: &'static str,
        /// The page of its authors.
        page: &'static str,
    },
    /// A download that failed.
    #[error("cannot download '{address}'; the same command goes on where it ended")]
    Download {
        /// What was asked for.
        address: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file that is not the published one.
    #[error(
        "'{}' has the MD5 {found}, and {expected} as published: it is another version, or damaged",
        path.display()
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The published one.
        expected: String,
        /// That of the file.
        found: String,
    },
    /// The threads that decode images cannot be started, or ended before their work was done.
    #[error("cannot decode with threads: {reason}")]
    Threads {
        /// What the system said.
        reason: String,
    },
}

/// " did you mean 'waterbirds'?"
fn meant(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" did you mean '{name}'?"))
}
