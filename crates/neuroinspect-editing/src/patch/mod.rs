//! A patch of a decision layer: what changed, what it applies to, and how it was made.

mod io;
mod record;

use std::fmt;

use ndarray::{Array1, Array2, Axis};
use neuroinspect_core::{ClassId, DecisionLayer};
use serde::{Deserialize, Serialize};

pub use self::record::MethodRecord;

use crate::{Error, Result};

/// A patch of a decision layer that can be applied, reverted, inspected and passed on in a file.
///
/// It holds the rows of `W` and `b` that differ, before and after, and the hashes of the whole
/// layer before and after: `8 R (D + 1)` bytes for `R` rows that differ. It applies to that layer
/// alone, and reverting it brings back the exact bits.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerPatch {
    made: Made,
    classes: usize,
    neurons: usize,
    sha256_before: String,
    sha256_after: String,
    /// Classes whose row differs, ascending.
    changed: Vec<ClassId>,
    before: Rows,
    after: Rows,
}

/// How the layer was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Made {
    /// Name of the classifier.
    model: String,
    /// Version of neuroinspect.
    version: String,
    method: MethodRecord,
}

/// Some rows of a decision layer.
#[derive(Clone, Debug, PartialEq)]
struct Rows {
    /// `[R, D]`
    weight: Array2<f32>,
    /// `[R]`
    bias: Array1<f32>,
}

impl LayerPatch {
    /// The patch that leads from one decision layer of the classifier `model` to another, made by
    /// `method`.
    ///
    /// # Errors
    ///
    /// When the layers differ in shape.
    pub fn between(
        model: impl Into<String>,
        [before, after]: [&DecisionLayer; 2],
        method: MethodRecord,
    ) -> Result<Self> {
        if before.weight().dim() != after.weight().dim() {
            let what = "[classes, neurons] of the edited layer";
            let (expected, found) = (before.weight().dim(), after.weight().dim());
            return Err(neuroinspect_core::Error::shape(what, expected, found).into());
        }
        let changed: Vec<ClassId> = (0..before.classes())
            .map(ClassId)
            .filter(|&class| !row_bits(before, class).eq(row_bits(after, class)))
            .collect();
        Ok(Self {
            made: Made {
                model: model.into(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                method,
            },
            classes: before.classes(),
            neurons: before.neurons(),
            sha256_before: before.sha256(),
            sha256_after: after.sha256(),
            before: Rows::of(before, &changed),
            after: Rows::of(after, &changed),
            changed,
        })
    }

    /// The edited layer, from the layer the patch was made for.
    ///
    /// A layer that is edited already comes back as it is: applying twice is applying once.
    ///
    /// # Errors
    ///
    /// [`Error::OtherLayer`] when the patch is for another layer, [`Error::Damaged`] when its values
    /// do not lead to the layer it promises.
    pub fn apply(&self, layer: &DecisionLayer) -> Result<DecisionLayer> {
        self.replace(layer, &self.after, &self.sha256_after)
    }

    /// The layer as it was before, bit by bit, from the edited one.
    ///
    /// A layer that is not edited yet comes back as it is.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub fn revert(&self, layer: &DecisionLayer) -> Result<DecisionLayer> {
        self.replace(layer, &self.before, &self.sha256_before)
    }

    fn replace(&self, layer: &DecisionLayer, rows: &Rows, promised: &str) -> Result<DecisionLayer> {
        let found = layer.sha256();
        let of_hash = found == self.sha256_before || found == self.sha256_after;
        // A file may promise the hashes of this layer and hold rows of another.
        let (classes, neurons) = (layer.classes(), layer.neurons());
        if !of_hash || self.shape() != [classes, neurons] {
            return Err(Error::OtherLayer {
                model: self.made.model.clone(),
                classes: self.classes,
                neurons: self.neurons,
                before: self.sha256_before.clone(),
                after: self.sha256_after.clone(),
                found: format!("{found} ({classes} classes, {neurons} neurons)"),
            });
        }
        let mut weight = layer.weight().to_owned();
        let mut bias = layer.bias().to_owned();
        for (row, class) in self.changed.iter().enumerate() {
            weight.row_mut(class.0).assign(&rows.weight.row(row));
            bias[class.0] = rows.bias[row];
        }
        let replaced = DecisionLayer::new(weight, bias)?;
        let found = replaced.sha256();
        if found != promised {
            let promised = promised.to_owned();
            return Err(Error::Damaged { promised, found });
        }
        Ok(replaced)
    }

    /// Name of the classifier it is for.
    pub fn model(&self) -> &str {
        &self.made.model
    }

    /// The version of neuroinspect that made it.
    pub fn version(&self) -> &str {
        &self.made.version
    }

    /// How it was made.
    pub fn method(&self) -> &MethodRecord {
        &self.made.method
    }

    /// Number of classes `K` and neurons `D` of the layer it applies to.
    pub fn shape(&self) -> [usize; 2] {
        [self.classes, self.neurons]
    }

    /// [Hash](DecisionLayer::sha256) of the layer it applies to.
    pub fn sha256_before(&self) -> &str {
        &self.sha256_before
    }

    /// [Hash](DecisionLayer::sha256) of the edited layer.
    pub fn sha256_after(&self) -> &str {
        &self.sha256_after
    }

    /// The classes whose row of the layer it changes, ascending.
    pub fn changed_classes(&self) -> &[ClassId] {
        &self.changed
    }

    /// The largest change of a weight, and of a bias.
    pub fn largest_change(&self) -> (f32, f32) {
        let largest = |values: &mut dyn Iterator<Item = (&f32, &f32)>| {
            values.fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()))
        };
        (
            largest(&mut self.before.weight.iter().zip(&self.after.weight)),
            largest(&mut self.before.bias.iter().zip(&self.after.bias)),
        )
    }
}

/// A summary of a few lines, for people.
impl fmt::Display for LayerPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Made {
            model,
            version,
            method,
        } = &self.made;
        let (weight, bias) = self.largest_change();
        let (changed, classes) = (self.changed.len(), self.classes);
        writeln!(
            f,
            "patch of the decision layer of '{model}' ({classes} classes, {} neurons)",
            self.neurons
        )?;
        writeln!(f, "{method}")?;
        writeln!(
            f,
            "changes {changed} of {classes} rows, a weight by at most {weight:.3e}, a bias by at \
             most {bias:.3e}"
        )?;
        writeln!(f, "made by neuroinspect {version}")?;
        writeln!(f, "before {}", self.sha256_before)?;
        write!(f, "after  {}", self.sha256_after)
    }
}

impl Rows {
    fn of(layer: &DecisionLayer, classes: &[ClassId]) -> Self {
        let rows: Vec<usize> = classes.iter().map(|class| class.0).collect();
        Self {
            weight: layer.weight().select(Axis(0), &rows),
            bias: layer.bias().select(Axis(0), &rows),
        }
    }
}

/// The bits of one row of `W` and `b`: a `-0.0` in place of a `0.0` is a change too.
fn row_bits(layer: &DecisionLayer, class: ClassId) -> impl Iterator<Item = u32> {
    let row = layer.weight().row(class.0).to_vec();
    let bias = layer.bias()[class.0];
    row.into_iter().chain([bias]).map(f32::to_bits)
}
