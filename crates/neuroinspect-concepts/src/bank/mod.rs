//! Banks of concept activation vectors.

mod file;

use ndarray::{Array1, Array2, ArrayView2};
use neuroinspect_core::{
    ActivationTable, DecisionLayer, Error as CoreError, Provenance, nearest_name,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Most concepts that a message lists.
const MAX_LISTED: usize = 12;

/// A concept activation vector (Kim et al. 2018): the normal of a hyperplane in the space of features
/// between images that show a concept and images that do not, pointing to those that do.
#[derive(Clone, Debug, PartialEq)]
pub struct ConceptVector {
    /// What the concept is called: "water".
    pub name: String,
    /// The normal `v`, as long as the support vector machine makes it: `[D]`.
    pub vector: Array1<f32>,
    /// The intercept `b` of the hyperplane `v . f + b = 0`.
    pub intercept: f32,
    /// How far from the hyperplane the samples were that it was learned from.
    pub margins: Margins,
    /// Share of the samples it was learned from that are on their side of it, mean of both sides.
    pub train_accuracy: Option<f32>,
    /// The same of other samples; `None` where none were left on one of the sides.
    pub test_accuracy: Option<f32>,
    /// Mean features of the samples that show the concept, where they are known: `[D]`.
    pub mean_features: Option<Array1<f32>>,
}

/// Signed distances `(v . f + b) / |v|` of the samples that a concept was learned from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Margins {
    /// The largest.
    pub max: f32,
    /// The smallest.
    pub min: f32,
    /// Mean of those above 0; `None` where there is none.
    pub pos_mean: Option<f32>,
    /// Mean of those below 0; `None` where there is none.
    pub neg_mean: Option<f32>,
    /// The 0.9 quantile, between neighbours in proportion.
    pub q_90: f32,
    /// The 0.1 quantile.
    pub q_10: f32,
}

/// Concepts of one layer of one classifier.
///
/// ```
/// use ndarray::array;
/// use neuroinspect_concepts::{ConceptBank, ConceptRequest, LearningConfig, learn_concept};
/// use neuroinspect_core::Silent;
///
/// // Neuron 0 sees water.
/// let wet = array![[2.0, 0.1], [1.8, 0.3], [2.2, 0.2], [1.9, 0.2]];
/// let dry = array![[0.1, 0.2], [0.0, 0.3], [0.2, 0.1], [0.1, 0.2]];
/// let config = LearningConfig::default().with_samples(3);
/// let water = ConceptRequest { name: "water", positives: wet.view(), negatives: dry.view() };
/// let water = learn_concept(&water, &config, &mut Silent)?;
/// assert!(water.vector[0] > 10.0 * water.vector[1].abs());
/// assert_eq!(water.test_accuracy, Some(1.0));
/// let bank = ConceptBank::new(vec![water])?;
/// assert_eq!(bank.index_of("water")?, 0);
/// # Ok::<(), neuroinspect_concepts::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConceptBank {
    concepts: Vec<ConceptVector>,
    provenance: Option<Provenance>,
}

impl ConceptBank {
    /// A bank of these concepts, whose origin is not known.
    ///
    /// # Errors
    ///
    /// When there is no concept, two bear one name, they are not of one number of neurons, a vector is zero,
    /// or a number is not finite or not in its range.
    pub fn new(concepts: Vec<ConceptVector>) -> Result<Self> {
        let Some(first) = concepts.first() else {
            return Err(CoreError::empty("concepts").into());
        };
        let neurons = first.vector.len();
        for (index, concept) in concepts.iter().enumerate() {
            concept.check(neurons)?;
            if concepts[..index].iter().any(|it| it.name == concept.name) {
                return Err(CoreError::DuplicateName {
                    what: "concepts",
                    name: concept.name.clone(),
                }
                .into());
            }
        }
        Ok(Self {
            concepts,
            provenance: None,
        })
    }

    /// Sets the model and layer that the concepts were learned on.
    pub fn with_provenance(mut self, provenance: Provenance) -> Self {
        self.provenance = Some(provenance);
        self
    }

    /// The concepts, at least one.
    pub fn concepts(&self) -> &[ConceptVector] {
        &self.concepts
    }

    /// What they were learned on, where that is known.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// Number of neurons `D`.
    pub fn neurons(&self) -> usize {
        self.concepts[0].vector.len()
    }

    /// The names, in order.
    pub fn names(&self) -> Vec<String> {
        self.concepts.iter().map(|it| it.name.clone()).collect()
    }

    /// All vectors: `[C, D]`.
    pub fn vectors(&self) -> Array2<f32> {
        self.rows(|concept| Some(&concept.vector))
            .unwrap_or_else(|| Array2::zeros((0, 0)))
    }

    /// Mean features of the images of each concept, `[C, D]`; `None` where a concept's are not known, as in
    /// banks made elsewhere.
    pub fn mean_features(&self) -> Option<Array2<f32>> {
        self.rows(|concept| concept.mean_features.as_ref())
    }

    fn rows(&self, row: impl Fn(&ConceptVector) -> Option<&Array1<f32>>) -> Option<Array2<f32>> {
        let mut rows = Array2::zeros((self.concepts.len(), self.neurons()));
        for (concept, mut to) in self.concepts.iter().zip(rows.rows_mut()) {
            to.assign(row(concept)?);
        }
        Some(rows)
    }

    /// The index of a concept by its name, upper and lower case alike.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownConcept`] with the nearest name.
    pub fn index_of(&self, name: &str) -> Result<usize> {
        let exact = self.concepts.iter().position(|it| it.name == name);
        let alike = |it: &ConceptVector| it.name.to_lowercase() == name.to_lowercase();
        exact
            .or_else(|| self.concepts.iter().position(alike))
            .ok_or_else(|| Error::UnknownConcept {
                name: name.to_owned(),
                hint: self.hint(name),
            })
    }

    fn hint(&self, name: &str) -> String {
        let names: Vec<&str> = self.concepts.iter().map(|it| it.name.as_str()).collect();
        match nearest_name(name, names.iter().copied()) {
            Some(nearest) => format!("did you mean '{nearest}'?"),
            None if names.len() <= MAX_LISTED => format!("there are: {}", names.join(", ")),
            None => format!("the bank has {} others", names.len()),
        }
    }

    /// Checks that the concepts are of the neurons that a decision layer reads.
    ///
    /// # Errors
    ///
    /// [`CoreError::Shape`] when there are more or fewer.
    pub fn check_layer(&self, layer: &DecisionLayer) -> Result<()> {
        let (expected, found) = (layer.neurons(), self.neurons());
        match expected == found {
            true => Ok(()),
            false => {
                let what = "neurons of the concept bank for this decision layer";
                Err(CoreError::shape(what, expected, found).into())
            }
        }
    }

    /// Checks that the concepts were learned on the model, weights, input, layer and precision of a table, as far
    /// as both say.
    ///
    /// # Errors
    ///
    /// [`Error::OtherLayer`] naming the first difference, [`CoreError::Shape`] for another number of neurons.
    pub fn check_table(&self, table: &ActivationTable) -> Result<()> {
        let (expected, found) = (self.neurons(), table.width());
        if expected != found {
            let what = "neurons of the samples for this concept bank";
            return Err(CoreError::shape(what, expected, found).into());
        }
        let Some(ours) = &self.provenance else {
            return Ok(());
        };
        let theirs = table.provenance();
        let known = ours
            .differences(theirs)
            .find_map(|it| Some((it.what, it.one?, it.other?)));
        match known {
            None => Ok(()),
            Some((what, one, other)) => Err(Error::OtherLayer {
                expected: layer_of(ours),
                found: layer_of(theirs),
                what,
                one,
                other,
            }),
        }
    }
}

/// A layer in words.
fn layer_of(provenance: &Provenance) -> String {
    let layer = provenance.layer.as_deref().unwrap_or("unknown");
    format!("layer '{layer}' of {}", provenance.model)
}

impl ConceptVector {
    /// The concept's distances `(v . f + b) / |v|` of features `[N, D]`: `[N]`.
    pub fn distances(&self, features: ArrayView2<'_, f32>) -> Array1<f32> {
        let norm = self.norm();
        features
            .dot(&self.vector)
            .mapv(|product| (product + self.intercept) / norm)
    }

    /// `|v|`.
    pub(crate) fn norm(&self) -> f32 {
        self.vector.dot(&self.vector).sqrt()
    }

    fn check(&self, neurons: usize) -> Result<()> {
        let name = &self.name;
        if self.vector.len() != neurons || neurons == 0 {
            let what = format!("neurons of concept '{name}'");
            let expected = format!("{neurons}, at least 1, as of the first concept");
            return Err(CoreError::shape(what, expected, self.vector.len()).into());
        }
        let Margins {
            max,
            min,
            pos_mean,
            neg_mean,
            q_90,
            q_10,
        } = self.margins;
        let means = self.mean_features.iter().flatten();
        let finite = self.vector.iter().chain(means).copied();
        let finite = finite.chain([self.intercept, max, min, q_90, q_10, self.norm()]);
        let optional = [pos_mean, neg_mean, self.train_accuracy, self.test_accuracy];
        let mut finite = finite.chain(optional.into_iter().flatten());
        if let Some(value) = finite.find(|value| !value.is_finite()) {
            let what = format!("a number of concept '{name}'");
            return Err(CoreError::NotFinite { what, value }.into());
        }
        if let Some(mean) = &self.mean_features
            && mean.len() != neurons
        {
            let what = format!("mean features of concept '{name}'");
            return Err(CoreError::length(what, neurons, mean.len()).into());
        }
        let accuracy = [self.train_accuracy, self.test_accuracy];
        let refuse = |reason: &str| -> Result<()> {
            let what = format!("concept '{name}'");
            Err(CoreError::shape(what, reason.to_owned(), self.margins).into())
        };
        if self.norm() == 0.0 {
            return refuse("a vector that is not zero");
        }
        if max == 0.0 || min > max {
            return refuse("margins whose maximum is not 0 and not below their minimum");
        }
        let in_range = |it: &f32| (0.0..=1.0).contains(it);
        if !accuracy.iter().flatten().all(in_range) {
            return refuse("accuracies from 0 to 1");
        }
        Ok(())
    }
}
