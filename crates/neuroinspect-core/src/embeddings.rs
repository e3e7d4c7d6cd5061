//! What an image-text encoder makes of class texts.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};

use crate::{ClassId, Error, Result, read_back};

/// What the texts of classes are to an image-text encoder: one embedding `t_c` for each class that
/// was embedded, and none for any other.
///
/// The embeddings are on the host and go to whatever device a picture is made on. Their length is
/// that of the mean they are, which is below 1 unless it was scaled.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use neuroinspect_core::{ClassEmbeddings, ClassId};
///
/// # fn main() -> neuroinspect_core::Result<()> {
/// let device = Device::flex();
/// let rows = Tensor::<2>::from_data([[0.6, 0.8], [1.0, 0.0]], &device);
/// let embeddings = ClassEmbeddings::new(&[ClassId(2), ClassId(5)], rows)?;
/// assert_eq!(embeddings.get(ClassId(5))?, [1.0, 0.0]);
/// assert!(embeddings.get(ClassId(0)).is_err());
/// // One row for each image of a batch.
/// let batch = [ClassId(5), ClassId(2), ClassId(5)];
/// assert_eq!(embeddings.rows(&batch, &device)?.dims(), [3, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ClassEmbeddings {
    width: usize,
    embeddings: BTreeMap<ClassId, Vec<f32>>,
}

impl ClassEmbeddings {
    /// The embeddings of these classes, row by row.
    ///
    /// # Shapes
    ///
    /// `C` classes and `[C, E]`.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when there is no class, or another number of rows than of classes, or rows
    /// have no width; [`Error::ClassTwice`] for a class given twice; [`Error::NotFinite`] and
    /// [`Error::ZeroEmbedding`] for rows that are no direction; [`Error::Device`] when the rows
    /// cannot be read back.
    pub fn new(classes: &[ClassId], embeddings: Tensor<2>) -> Result<Self> {
        let [rows, width] = embeddings.dims();
        if classes.is_empty() || rows != classes.len() || width == 0 {
            return Err(Error::shape(
                "class embeddings",
                [&format!("{} classes, at least 1", classes.len()), "width"],
                [rows, width],
            ));
        }
        let values = read_back(embeddings, "class embeddings")?;
        let mut embeddings = BTreeMap::new();
        for (&class, row) in classes.iter().zip(values.chunks(width)) {
            if let Some(&value) = row.iter().find(|value| !value.is_finite()) {
                return Err(Error::NotFinite {
                    what: format!("the embedding of class {class}"),
                    value,
                });
            }
            if row.iter().all(|&value| value == 0.0) {
                return Err(Error::ZeroEmbedding { class });
            }
            if embeddings.insert(class, row.to_vec()).is_some() {
                return Err(Error::ClassTwice { class });
            }
        }
        Ok(Self { width, embeddings })
    }

    /// Adds the embeddings of other classes.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when they have another width, [`Error::ClassTwice`] when both have a class.
    /// Nothing is added then.
    pub fn extend(&mut self, other: Self) -> Result<()> {
        if other.width != self.width {
            let what = "width of further class embeddings";
            return Err(Error::length(what, self.width, other.width));
        }
        let known = |class: &&ClassId| self.embeddings.contains_key(class);
        if let Some(&class) = other.embeddings.keys().find(known) {
            return Err(Error::ClassTwice { class });
        }
        self.embeddings.extend(other.embeddings);
        Ok(())
    }

    /// Width `E` of the space that images and texts share.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The classes that were embedded, in order.
    pub fn classes(&self) -> impl ExactSizeIterator<Item = ClassId> {
        self.embeddings.keys().copied()
    }

    /// The embedding of a class: `E` numbers.
    ///
    /// # Errors
    ///
    /// [`Error::ClassNotEmbedded`] when there is none.
    pub fn get(&self, class: ClassId) -> Result<&[f32]> {
        match self.embeddings.get(&class) {
            Some(embedding) => Ok(embedding),
            None => Err(Error::ClassNotEmbedded {
                class,
                embedded: self.embeddings.keys().copied().collect(),
            }),
        }
    }

    /// The embeddings of classes in the order given, which may name one several times.
    ///
    /// # Shapes
    ///
    /// `N` classes to `[N, E]`.
    ///
    /// # Errors
    ///
    /// [`Error::ClassNotEmbedded`] naming the first class that has none.
    pub fn rows(&self, classes: &[ClassId], device: &Device) -> Result<Tensor<2>> {
        let mut values = Vec::with_capacity(classes.len() * self.width);
        for &class in classes {
            values.extend_from_slice(self.get(class)?);
        }
        let data = TensorData::new(values, [classes.len(), self.width]);
        Ok(Tensor::from_data(data, device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<const N: usize>(rows: [[f32; 2]; N]) -> Tensor<2> {
        Tensor::from_data(rows, &Device::flex())
    }

    #[test]
    fn a_class_that_was_not_embedded_is_refused_and_named() {
        let classes = [ClassId(4), ClassId(1)];
        let embeddings = ClassEmbeddings::new(&classes, rows([[1.0, 2.0], [3.0, 4.0]])).unwrap();
        assert_eq!(
            embeddings.classes().collect::<Vec<_>>(),
            [ClassId(1), ClassId(4)]
        );
        let device = Device::flex();
        let asked = [ClassId(1), ClassId(4), ClassId(1)];
        let found = read_back(embeddings.rows(&asked, &device).unwrap(), "rows").unwrap();
        assert_eq!(found, [3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);

        let error = embeddings.rows(&[ClassId(1), ClassId(0)], &device);
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("class 0 ") && message.contains("1, 4"),
            "{message}"
        );
    }

    #[test]
    fn embeddings_that_mean_nothing_are_refused() {
        let two = [ClassId(0), ClassId(1)];
        let new = |classes: &[ClassId], values| ClassEmbeddings::new(classes, values).unwrap_err();
        let ones = || rows([[1.0, 1.0], [1.0, 1.0]]);
        assert!(matches!(new(&two[..1], ones()), Error::Shape { .. }));
        assert!(matches!(
            new(&[], Tensor::zeros([0, 2], &Device::flex())),
            Error::Shape { .. }
        ));
        assert!(matches!(
            new(&two, Tensor::zeros([2, 0], &Device::flex())),
            Error::Shape { .. }
        ));
        assert!(matches!(
            new(&[ClassId(3); 2], ones()),
            Error::ClassTwice { class: ClassId(3) }
        ));
        let row = |value: f32| rows([[1.0, 1.0], [0.0, value]]);
        assert!(matches!(
            new(&two, row(0.0)),
            Error::ZeroEmbedding { class: ClassId(1) }
        ));
        assert!(matches!(new(&two, row(f32::NAN)), Error::NotFinite { .. }));
    }

    #[test]
    fn further_classes_are_added_whole_or_not_at_all() {
        let of = |class, row| ClassEmbeddings::new(&[ClassId(class)], row).unwrap();
        let mut embeddings = of(0, rows([[1.0, 0.0]]));
        embeddings.extend(of(2, rows([[0.0, 1.0]]))).unwrap();
        assert_eq!(embeddings.classes().len(), 2);
        let before = embeddings.clone();
        let twice = embeddings.extend(of(2, rows([[0.5, 0.5]])));
        assert!(matches!(
            twice,
            Err(Error::ClassTwice { class: ClassId(2) })
        ));
        let wider = Tensor::from_data([[1.0, 0.0, 0.0]], &Device::flex());
        let wider = embeddings.extend(of(3, wider));
        assert!(matches!(wider, Err(Error::Length { .. })));
        assert_eq!(embeddings, before);
    }
}
