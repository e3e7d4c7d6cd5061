//! Temporary folders, images and tensor files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use image::{Rgb, RgbImage};
use safetensors::{Dtype, tensor::TensorView};
use tempfile::TempDir;

/// A temporary folder, gone when this is dropped.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// An empty folder.
    #[expect(
        clippy::new_without_default,
        reason = "a value by default would make a folder by default"
    )]
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder of images, `classes/0.png` to `classes/{per_class - 1}.png`, each a gradient in
    /// colours of its own: `[S, S]` pixels.
    pub fn of_images(classes: &[&str], per_class: usize, size: u32) -> Self {
        let folder = Self::new();
        for (class, name) in classes.iter().enumerate() {
            for index in 0..per_class {
                folder.image(format!("{name}/{index}.png"), &gradient(class, index, size));
            }
        }
        folder
    }

    /// The path of `name` in the folder, whether it exists or not.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and the folders it is in; returns its path.
    pub fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.with_parents(name.as_ref());
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes an image in the format of its extension, and the folders it is in; returns its path.
    pub fn image(&self, name: impl AsRef<Path>, image: &RgbImage) -> PathBuf {
        let path = self.with_parents(name.as_ref());
        image.save(&path).unwrap();
        path
    }

    /// Reads a file.
    #[track_caller]
    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn with_parents(&self, name: &Path) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        self.0.path()
    }
}

/// A picture whose colours tell its class and its index in the class: `[size, size]` pixels.
pub fn gradient(class: usize, index: usize, size: u32) -> RgbImage {
    RgbImage::from_fn(size, size, |x, y| {
        let red = 40 * class as u32 + 9 * x;
        let green = 30 * index as u32 + 5 * y;
        Rgb([red as u8, green as u8, 90])
    })
}

/// Named tensors, as shape and values.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The bytes of a safetensors file of `f32` tensors.
pub fn safetensors_of(tensors: &Tensors) -> Vec<u8> {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            let bytes = values.iter().flat_map(|it| it.to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes);
        (name, view.unwrap_or_else(|error| panic!("{name}: {error}")))
    });
    safetensors::serialize(views, None).unwrap()
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    #[test]
    fn a_folder_lives_as_long_as_its_owner() {
        let folder = Folder::of_images(&["cat", "dog"], 2, 8);
        let image = image::open(folder.path("dog/1.png")).unwrap().into_rgb8();
        assert_eq!(image, gradient(1, 1, 8));
        assert_ne!(gradient(1, 1, 8), gradient(0, 1, 8));
        assert_ne!(gradient(1, 1, 8), gradient(1, 0, 8));
        let path = folder.write("deep/down/note", "text");
        assert_eq!(folder.read("deep/down/note"), b"text");
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn tensors_are_written_under_their_names() {
        let tensors = Tensors::from([("a".into(), (vec![1, 2], vec![0.5, -1.0]))]);
        let bytes = safetensors_of(&tensors);
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let view = file.tensor("a").unwrap();
        assert_eq!(
            (view.shape(), view.dtype()),
            ([1, 2].as_slice(), Dtype::F32)
        );
        assert_eq!(view.data(), [0.5_f32, -1.0].map(f32::to_le_bytes).concat());
    }
}
