//! Banks as safetensors files.

use std::path::Path;

use ndarray::Array1;
use neuroinspect_core::{
    Provenance,
    io::{NamedTensor, TensorFile, TensorFormat, write_tensors},
};
use serde::Serialize;

use super::{ConceptBank, ConceptVector, Margins};
use crate::Result;

const FORMAT: TensorFormat = TensorFormat {
    name: "neuroinspect.concept_bank",
    version: 1,
    expected: "a concept bank",
};

/// What a file says beside its tensors.
#[derive(Serialize)]
struct Description<'a> {
    concepts: Vec<String>,
    provenance: Option<&'a Provenance>,
}

impl ConceptBank {
    /// Writes the bank as safetensors, whole or not at all: `vectors` `[C, D]`; `intercepts`, `max`, `min`,
    /// `pos_mean`, `neg_mean`, `q_90`, `q_10`, `train_accuracy` and `test_accuracy` `[C]`, NaN for what is not
    /// known; `mean_features` `[C, D]` where all are known; all f32. Names and provenance are JSON in the
    /// metadata.
    ///
    /// # Errors
    ///
    /// [`Write`](neuroinspect_core::Error::Write); what stood at `path` before is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let count = self.concepts.len();
        let matrix = |name: &str, rows: ndarray::Array2<f32>| {
            NamedTensor::f32(name, [count, self.neurons()], rows)
        };
        let mut tensors = vec![matrix("vectors", self.vectors())];
        for (name, value) in NUMBERS {
            let values = self.concepts.iter().map(value);
            tensors.push(NamedTensor::f32(name, [count], values));
        }
        tensors.extend(
            self.mean_features()
                .map(|means| matrix("mean_features", means)),
        );
        let description = Description {
            concepts: self.names(),
            provenance: self.provenance.as_ref(),
        };
        Ok(write_tensors(path, &FORMAT, &tensors, &description)?)
    }

    /// Reads a bank written by [`save`](Self::save), or one made elsewhere: the same tensors, with the list
    /// of names as JSON under the key `concepts` of the metadata. So is CCE's published bank, once its pickle
    /// is converted.
    ///
    /// # Errors
    ///
    /// [`Read`](neuroinspect_core::Error::Read), or [`Format`](neuroinspect_core::Error::Format) saying what
    /// is wrong with the file: truncated, no bank, a tensor missing or of another shape, a number that is not
    /// finite, a name twice.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let mut file = TensorFile::open(path, FORMAT.expected)?;
        let is_ours = file.has(TensorFormat::KEY);
        if is_ours {
            file = file.of_format(&FORMAT)?;
        }
        let bank = Self::new(concepts(&file)?).map_err(|error| file.refuse(error))?;
        let provenance: Option<Provenance> = match is_ours {
            true => file.json("provenance")?,
            false => None,
        };
        Ok(Self { provenance, ..bank })
    }
}

/// A number that a bank has of each concept, by the name of its tensor.
type Number = (&'static str, fn(&ConceptVector) -> f32);

const NUMBERS: [Number; 9] = [
    ("intercepts", |it| it.intercept),
    ("max", |it| it.margins.max),
    ("min", |it| it.margins.min),
    ("pos_mean", |it| it.margins.pos_mean.unwrap_or(f32::NAN)),
    ("neg_mean", |it| it.margins.neg_mean.unwrap_or(f32::NAN)),
    ("q_90", |it| it.margins.q_90),
    ("q_10", |it| it.margins.q_10),
    ("train_accuracy", |it| it.train_accuracy.unwrap_or(f32::NAN)),
    ("test_accuracy", |it| it.test_accuracy.unwrap_or(f32::NAN)),
];

fn concepts(file: &TensorFile) -> Result<Vec<ConceptVector>> {
    let names: Vec<String> = file.json("concepts")?;
    let count = names.len();
    let shape = file.shape("vectors")?;
    let &[_, neurons] = shape else {
        let expected = "expected [concepts, neurons]";
        return Err(file
            .refuse(format!("'vectors' have shape {shape:?}, {expected}"))
            .into());
    };
    let vectors = file.f32("vectors", &[count, neurons])?;
    let means = match file.has_tensor("mean_features") {
        true => Some(file.f32("mean_features", &[count, neurons])?),
        false => None,
    };
    let mut numbers = Vec::new();
    for (name, _) in NUMBERS {
        numbers.push(file.f32(name, &[count])?);
    }
    let row = |values: &[f32], index: usize| -> Array1<f32> {
        values[index * neurons..(index + 1) * neurons]
            .to_vec()
            .into()
    };
    let concept = |(index, name): (usize, String)| {
        let [
            intercept,
            max,
            min,
            pos_mean,
            neg_mean,
            q_90,
            q_10,
            train,
            test,
        ] = std::array::from_fn(|number: usize| numbers[number][index]);
        let known = |value: f32| (!value.is_nan()).then_some(value);
        ConceptVector {
            name,
            vector: row(&vectors, index),
            intercept,
            margins: Margins {
                max,
                min,
                pos_mean: known(pos_mean),
                neg_mean: known(neg_mean),
                q_90,
                q_10,
            },
            train_accuracy: known(train),
            test_accuracy: known(test),
            mean_features: means.as_deref().map(|means| row(means, index)),
        }
    };
    Ok(names.into_iter().enumerate().map(concept).collect())
}
