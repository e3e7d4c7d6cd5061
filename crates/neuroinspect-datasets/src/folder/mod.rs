//! Folders of image files, one per class.

mod classes;
mod groups;
mod outlines;
mod write;

use std::{
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use derive_setters::Setters;
use image::{ImageFormat, RgbImage};
use neuroinspect_core::ClassId;
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

pub use write::write_image_folder;

use crate::{Error, ImageDataset, Result, Sample, fingerprint_of, open_image};

/// What a file of groups in the root is called.
const GROUPS_FILE: &str = "groups.tsv";

/// How the classes of an [`ImageFolder`] are named and ordered, and which images are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_", generate = false, into, strip_option)]
pub struct ImageFolderConfig {
    /// Name of the data set; the root's own name by default.
    #[setters(generate)]
    pub name: Option<String>,
    /// A text file that names the classes; by default a class is called like its folder.
    ///
    /// Either one name a line, for the class folders in byte order of their names; or lines of
    /// `folder<TAB>name` or `index<TAB>folder<TAB>name`, in any order, where lines for folders that
    /// are not there do no harm.
    #[setters(generate)]
    pub class_names_file: Option<PathBuf>,
    /// The classes of the model, in its order; by default the class folders in byte order.
    ///
    /// Each entry is the name of a folder, or else the name of a class. A class without a folder is
    /// kept and has no samples; a folder without a class is an error.
    pub class_order: Option<Vec<String>>,
    /// So many images of each class, the first in byte order of their ids; by default all.
    #[setters(generate)]
    pub images_per_class: Option<usize>,
    /// A folder of the objects' [outlines](ImageDataset::outline): PNG files that are called as their images
    /// are, `heron/001.png` for `heron/001.jpg`. Some may be missing, not all.
    #[setters(generate)]
    pub outlines: Option<PathBuf>,
}

impl ImageFolderConfig {
    /// Sets the classes of the model, in its order.
    pub fn with_class_order<S: Into<String>>(mut self, order: impl IntoIterator<Item = S>) -> Self {
        self.class_order = Some(order.into_iter().map(Into::into).collect());
        self
    }
}

/// Image files in one folder per class.
///
/// ```text
/// birds/
///   heron/001.jpg
///   heron/2024/may/002.jpeg
///   kingfisher/001.png
/// ```
///
/// A class is a folder directly below the root; its images are the files with an extension of
/// JPEG, PNG, WebP, BMP or GIF at any depth below it; what is called so but is no regular file, such
/// as a named pipe or a link that leads nowhere, is a sample that cannot be read. Hidden files and
/// folders, other files and links back to a folder above are passed over. Samples come class by
/// class, then in byte order of their id: the path below the root, with `/` between its parts. A
/// class folder without images stays a class, so that class indices agree with the model's.
///
/// A file `groups.tsv` in the root says which group each image is in, such as the background beside the
/// class: lines of `path below the root<TAB>group`, the path with `/` between its parts; lines for images
/// that are not there do no harm. Groups are in the byte order of their names.
///
/// Files are listed when the folder is opened and decoded when asked for ([`open_image`]).
#[derive(Clone, Debug)]
pub struct ImageFolder {
    name: String,
    class_names: Vec<String>,
    group_names: Vec<String>,
    samples: Vec<Sample>,
    /// Where each sample is.
    paths: Vec<PathBuf>,
    /// The folder of outlines.
    outlines: Option<PathBuf>,
}

impl ImageFolder {
    /// Lists the classes and images below `root`.
    ///
    /// # Errors
    ///
    /// When the root or a folder below it cannot be read, there are no class folders or no images
    /// in them, the file of class names cannot be read or does not fit, a class folder does not
    /// answer to exactly one class of the given order, the file of groups is not one, or the folder of
    /// outlines has none of these images.
    pub fn open(root: impl AsRef<Path>, config: &ImageFolderConfig) -> Result<Self> {
        let root = root.as_ref();
        let (folders, mut files) = list(root)?;
        if folders.is_empty() {
            return Err(Error::NoClasses {
                root: root.to_owned(),
            });
        }
        if files.is_empty() {
            return Err(Error::NoImages {
                root: root.to_owned(),
                classes: folders.len(),
            });
        }
        let (class_names, labels) = classes::resolve(root, &folders, config)?;
        for file in &mut files {
            file.class = labels[file.class];
        }
        files.sort_by(|a, b| (a.class, &a.id).cmp(&(b.class, &b.id)));

        let name = match &config.name {
            Some(name) => name.clone(),
            None => name_of(root),
        };
        let (mut samples, mut paths): (Vec<_>, Vec<_>) =
            files.into_iter().map(File::into_sample).unzip();
        let group_names = groups::assign(root, &mut samples)?;
        if let Some(outlines) = &config.outlines {
            outlines::check(outlines, &samples)?;
        }
        if let Some(most) = config.images_per_class {
            let mut seen = vec![0; class_names.len()];
            let pairs = samples.into_iter().zip(paths).filter(|(sample, _)| {
                seen[sample.label.0] += 1;
                seen[sample.label.0] <= most
            });
            (samples, paths) = pairs.unzip();
        }
        Ok(Self {
            name,
            class_names,
            group_names,
            samples,
            paths,
            outlines: config.outlines.clone(),
        })
    }

    /// The files, one per sample.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}

impl ImageDataset for ImageFolder {
    fn name(&self) -> &str {
        &self.name
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn group_names(&self) -> &[String] {
        &self.group_names
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Covers path, length and time of change of every file too; `None` where a file system keeps
    /// no time of change, or a file is gone.
    fn fingerprint(&self) -> Option<String> {
        let states: Option<Vec<_>> = self.paths.iter().map(|path| state(path).ok()).collect();
        Some(fingerprint_of(self, states?))
    }

    fn image(&self, index: usize) -> Result<RgbImage> {
        self.sample(index)?;
        open_image(&self.paths[index])
    }

    fn outline(&self, index: usize) -> Result<Option<RgbImage>> {
        let sample = self.sample(index)?;
        match &self.outlines {
            Some(root) => outlines::open(root, sample),
            None => Ok(None),
        }
    }
}

/// An image file below the root.
struct File {
    /// Index of the class folder, then of the class.
    class: usize,
    id: String,
    path: PathBuf,
}

impl File {
    /// A file below the class folder met last: the walk is depth first.
    fn below(root: &Path, folders: &[String], path: &Path) -> Self {
        Self {
            class: folders.len() - 1,
            id: id_of(root, path),
            path: path.to_owned(),
        }
    }

    fn into_sample(self) -> (Sample, PathBuf) {
        let sample = Sample {
            id: self.id,
            label: ClassId(self.class),
            group: None,
        };
        (sample, self.path)
    }
}

/// What tells one state of a file from another without reading it: path, length, time of change.
pub(crate) fn state(path: &Path) -> io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH);
    let changed = changed.map_err(io::Error::other)?.as_nanos();
    let path = std::path::absolute(path)?;
    Ok(format!("{}\0{}\0{changed}", path.display(), metadata.len()))
}

/// Whether this is a link to a file whose target is not there; one without an extension may be to a folder of images.
fn leads_nowhere(path: &Path) -> bool {
    let is_link = path.is_symlink() && path.extension().is_some();
    is_link
        && std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// The class folders in byte order, and the image files in them.
fn list(root: &Path) -> Result<(Vec<String>, Vec<File>)> {
    let mut folders = Vec::new();
    let mut files = Vec::new();
    let entries = WalkDir::new(root)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.path()));
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error)
                if error.loop_ancestor().is_some() || error.path().is_some_and(is_hidden) =>
            {
                continue;
            }
            Err(error) if error.depth() > 1 && error.path().is_some_and(is_image) => {
                files.extend(error.path().map(|path| File::below(root, &folders, path)));
                continue;
            }
            Err(error) if error.depth() > 1 && error.path().is_some_and(leads_nowhere) => continue,
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                // As an error of walkdir's, it would name the path a second time.
                let source = match error.into_io_error() {
                    Some(source) => source,
                    None => std::io::Error::other("links in a circle"),
                };
                return Err(neuroinspect_core::Error::Read { path, source }.into());
            }
        };
        let is_folder = entry.file_type().is_dir();
        match entry.depth() {
            0 if !is_folder => {
                return Err(neuroinspect_core::Error::Read {
                    path: root.to_owned(),
                    source: std::io::ErrorKind::NotADirectory.into(),
                }
                .into());
            }
            1 if is_folder => folders.push(entry.file_name().to_string_lossy().into_owned()),
            2.. if !is_folder && is_image(entry.path()) => {
                files.push(File::below(root, &folders, entry.path()));
            }
            _ => {}
        }
    }
    Ok((folders, files))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

pub(crate) fn is_image(path: &Path) -> bool {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
    matches!(
        ImageFormat::from_path(path),
        Ok(Jpeg | Png | WebP | Bmp | Gif)
    )
}

fn id_of(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// The last part of a path, also of one like `.`.
fn name_of(root: &Path) -> String {
    let whole = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let name = root.file_name().or_else(|| whole.file_name());
    name.unwrap_or(whole.as_os_str())
        .to_string_lossy()
        .into_owned()
}
