//! Pictures in folders, by the names of their files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use image::RgbImage;
use neuroinspect_core::{ClassId, NeuronId};
use neuroinspect_datasets::open_image;
use neuroinspect_illusion::Pair;

use super::{GivenPicture, GivenPictures};
use crate::{Error, Result};

/// Lists pictures called `neuron-3-class-7.png`, or `neuron-3-class-7-seed-1.png` where there are several of
/// a pair, as PNG: those of the folder, and those of each folder in it, each a way of its own by the folder's
/// name. Other files are passed over. Each is read once, so that one that cannot be is told of at once, and let go of.
///
/// # Errors
///
/// [`Error::NoPictures`] where there is none; when a folder or a picture cannot be read, or a picture is not
/// square.
pub fn read_given(folder: impl AsRef<Path>) -> Result<Vec<GivenPictures>> {
    let folder = folder.as_ref();
    let inside = |folder: &Path| -> Result<Vec<PathBuf>> {
        let unread = |source| Error::ReadPictures {
            path: folder.to_owned(),
            source,
        };
        let entries = fs::read_dir(folder).map_err(unread)?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut paths = paths.collect::<Result<Vec<_>, _>>().map_err(unread)?;
        paths.sort();
        Ok(paths)
    };
    let paths = inside(folder)?;
    let mut all = Vec::new();
    let name = |path: &Path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    };
    let mut add = |folder: &Path, paths: &[PathBuf]| -> Result<()> {
        let pictures = paths.iter().filter_map(|path| {
            let (pair, seed) = named(&name(path))?;
            let file = path.clone();
            let picture = GivenPicture { file, pair, seed };
            Some(picture.read().map(|_| picture))
        });
        let pictures = pictures.collect::<Result<Vec<_>>>()?;
        if !pictures.is_empty() {
            let name = name(folder);
            all.push(GivenPictures { name, pictures });
        }
        Ok(())
    };
    add(folder, &paths)?;
    for path in paths.iter().filter(|path| path.is_dir()) {
        add(path, &inside(path)?)?;
    }
    match all.is_empty() {
        true => Err(Error::NoPictures {
            path: folder.to_owned(),
        }),
        false => Ok(all),
    }
}

impl GivenPicture {
    /// The picture, of any sides that are equal.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not square.
    pub fn read(&self) -> Result<RgbImage> {
        let image = open_image(&self.file)?;
        let (width, height) = image.dimensions();
        if width != height {
            let what = format!("picture '{}'", self.file.display());
            let expected = ["side", "side"];
            return Err(neuroinspect_core::Error::shape(what, expected, [height, width]).into());
        }
        Ok(image)
    }
}

/// The pair and the seed that a file's name is of; none where it is another file's.
fn named(name: &str) -> Option<(Pair, u64)> {
    let name = name.strip_prefix("neuron-")?.strip_suffix(".png")?;
    let (neuron, rest) = name.split_once("-class-")?;
    let (class, seed) = match rest.split_once("-seed-") {
        Some((class, seed)) => (class, seed.parse().ok()?),
        None => (rest, 0),
    };
    let pair = Pair {
        neuron: NeuronId(neuron.parse().ok()?),
        class: ClassId(class.parse().ok()?),
    };
    Some((pair, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_pairs_and_seeds() {
        let is = |name, neuron, class, seed| {
            let pair = Pair {
                neuron: NeuronId(neuron),
                class: ClassId(class),
            };
            assert_eq!(named(name), Some((pair, seed)), "{name}");
        };
        is("neuron-3-class-7.png", 3, 7, 0);
        is("neuron-12-class-0-seed-9.png", 12, 0, 9);
        for other in [
            "neuron-3-class-7-masked.png",
            "neuron-3-class-7.jpg",
            "neuron-3-class-7-seed-1-masked.png",
            "visualizations.png",
        ] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
