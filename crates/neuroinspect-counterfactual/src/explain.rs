//! Explanations: the shifts that would have made the mistakes right.

use std::{cmp::Reverse, collections::BTreeMap};

use burn::tensor::Device;
use derive_setters::Setters;
use ndarray::{Array2, ArrayView2, Axis};
use neuroinspect_core::{ClassId, DecisionLayer, Observer, Predicted, Progress, check_finite};
use serde::{Deserialize, Serialize};

use crate::{CounterfactualConfig, Error, Floor, Result, descent::Descent};

const STAGE: &str = "explaining";

/// For each mistake of a class, the shift of its features that makes it right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Explanation {
    /// The class the samples belong to, and that the shifts lead to.
    pub class: ClassId,
    /// How the search went for each sample; one for each row of `shifts`.
    pub counterfactuals: Vec<Counterfactual>,
    /// The shifts `w`, `[M, D]`. Above 0: the neuron's activation was insufficient for the class;
    /// below 0: excessive. Not part of its JSON, which would be as long as a table of features; an
    /// explanation read from there has none (`[0, 0]`) and cannot be [ranked](crate::rank).
    #[serde(skip)]
    pub shifts: Array2<f32>,
}

/// The counterfactual of one sample, but for its shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counterfactual {
    /// Row of the sample in the table it came from.
    pub sample: usize,
    /// What the decision layer says of the sample as it is.
    pub predicted: ClassId,
    /// Steps of descent taken: to the flip, or `max_steps`.
    pub steps: usize,
    /// Whether the shift makes the decision layer say the class.
    pub flipped: bool,
}

/// A class that mistakes were taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// The class predicted.
    pub class: ClassId,
    /// How many mistakes.
    pub count: usize,
}

impl Explanation {
    /// What the mistakes were taken for, most frequent first, then by class.
    pub fn confusions(&self) -> Vec<Confusion> {
        let mut counts = BTreeMap::<ClassId, usize>::new();
        let predicted = self.counterfactuals.iter().map(|sample| sample.predicted);
        for class in predicted.filter(|&class| class != self.class) {
            *counts.entry(class).or_default() += 1;
        }
        let mut confusions: Vec<_> = counts
            .into_iter()
            .map(|(class, count)| Confusion { class, count })
            .collect();
        confusions.sort_by_key(|confusion| Reverse(confusion.count));
        confusions
    }
}

/// Explains mistakes by counterfactuals, on a device.
///
/// ```
/// use burn::tensor::Device;
/// use ndarray::array;
/// use neuroinspect_core::{ClassId, DecisionLayer, Silent};
/// use neuroinspect_counterfactual::{CounterfactualConfig, Explainer};
///
/// let layer = DecisionLayer::new(array![[1.0, 0.0], [0.0, 1.0]], array![0.0, 0.0])?;
/// let explainer = Explainer::new(&Device::flex())
///     .with_config(CounterfactualConfig::default().with_max_steps(200));
/// let features = array![[0.4, 0.6]];
/// let explanation = explainer.explain_features(features.view(), &layer, ClassId(0), &mut Silent)?;
/// assert!(explanation.counterfactuals[0].flipped);
/// assert!(explanation.shifts[[0, 0]] > 0.0 && explanation.shifts[[0, 1]] < 0.0);
/// # Ok::<(), neuroinspect_counterfactual::Error>(())
/// ```
#[derive(Clone, Debug, Setters)]
#[setters(prefix = "with_")]
pub struct Explainer {
    /// Where the descent is computed.
    #[setters(skip)]
    pub device: Device,
    /// The options.
    pub config: CounterfactualConfig,
}

/// Features to be explained, `[M, D]`, and what the sample of each row is called.
#[derive(Clone, Copy)]
struct Rows<'a> {
    features: ArrayView2<'a, f32>,
    id: &'a dyn Fn(usize) -> String,
}

impl Explainer {
    /// With default options.
    pub fn new(device: &Device) -> Self {
        Self {
            device: device.clone(),
            config: CounterfactualConfig::default(),
        }
    }

    /// Explains every mistake that a decision layer makes on a table's samples of a class.
    ///
    /// The observer hears of samples done, and can stop the work every few steps, until the last
    /// sample is done.
    ///
    /// # Errors
    ///
    /// [`Error::NoMistakes`] when there is nothing to explain; when the class is out of range or has
    /// no samples, an option is out of range, an activation is below a floor that was asked for, the descent
    /// diverges, or the observer asks to stop.
    pub fn explain(
        &self,
        predicted: &Predicted<'_>,
        class: ClassId,
        observer: &mut dyn Observer,
    ) -> Result<Explanation> {
        let table = predicted.table();
        let samples = predicted.mistakes(class)?;
        if samples.is_empty() {
            let name = table.class_names()[class.0].clone();
            return Err(Error::NoMistakes { class, name });
        }
        let features = table.activations().rows(&samples)?;
        let rows = Rows {
            features: features.view(),
            id: &|row| table.sample_ids()[samples[row]].clone(),
        };
        let explainer = self.with_floor(self.config.floor.holds_of(table)?);
        let mut explanation = explainer.explain_rows(rows, predicted.layer(), class, observer)?;
        for (counterfactual, &sample) in explanation.counterfactuals.iter_mut().zip(&samples) {
            counterfactual.sample = sample;
        }
        Ok(explanation)
    }

    /// Explains features that come from no table, `[M, D]`, all with the same class as target.
    ///
    /// A row that `layer` already gives the class keeps a shift of 0, after 0 steps; a ranking
    /// leaves it out. [`Counterfactual::sample`] is the row.
    ///
    /// # Errors
    ///
    /// As [`explain`](Self::explain), save that no rows or no mistakes are no error; and when the
    /// features are not the layer's, or not finite.
    pub fn explain_features(
        &self,
        features: ArrayView2<'_, f32>,
        layer: &DecisionLayer,
        class: ClassId,
        observer: &mut dyn Observer,
    ) -> Result<Explanation> {
        let id = &|row: usize| row.to_string();
        self.explain_rows(Rows { features, id }, layer, class, observer)
    }

    fn explain_rows(
        &self,
        rows: Rows<'_>,
        layer: &DecisionLayer,
        class: ClassId,
        observer: &mut dyn Observer,
    ) -> Result<Explanation> {
        self.config.validate()?;
        layer.check_class(class)?;
        let features = rows.features;
        check_finite(features, |row| format!("'{}'", (rows.id)(row)))?;
        let predicted = layer.predict(features)?.into_iter().enumerate();
        let counterfactuals = predicted.map(|(sample, predicted)| Counterfactual {
            sample,
            predicted,
            steps: 0,
            flipped: predicted == class,
        });
        let mut explanation = Explanation {
            class,
            counterfactuals: counterfactuals.collect(),
            shifts: Array2::zeros(features.dim()),
        };
        let explainer = self.decided(rows)?;
        explainer.descend(rows, layer, &mut explanation, observer)?;
        Ok(explanation)
    }

    /// The same, whether activations stay at or above 0 decided by these features.
    fn decided(&self, Rows { features, id }: Rows<'_>) -> Result<Self> {
        Ok(self.with_floor(self.config.floor.holds(features, id)?))
    }

    fn with_floor(&self, holds: bool) -> Self {
        let floor = match holds {
            true => Floor::Zero,
            false => Floor::None,
        };
        let config = self.config.clone().with_floor(floor);
        self.clone().with_config(config)
    }

    /// Finds the shifts of the samples that have not flipped.
    fn descend(
        &self,
        Rows { features, id }: Rows<'_>,
        layer: &DecisionLayer,
        explanation: &mut Explanation,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let class = explanation.class;
        let counterfactuals = &mut explanation.counterfactuals;
        let mistakes: Vec<usize> = counterfactuals
            .iter()
            .filter(|sample| !sample.flipped)
            .map(|sample| sample.sample)
            .collect();
        let total = mistakes.len();
        let mut done = 0;
        let mut descent = Descent::new(layer, class, &self.config, &self.device);
        for batch in mistakes.chunks(self.config.batch_size) {
            descent.start(features.select(Axis(0), batch).view());
            while !descent.is_done() {
                for end in descent.advance()? {
                    let sample = batch[end.row];
                    if end.shift.iter().any(|value| !value.is_finite()) {
                        let sample = id(sample);
                        return Err(Error::Diverged { sample, class });
                    }
                    explanation.shifts.row_mut(sample).assign(&end.shift);
                    counterfactuals[sample].steps = end.steps;
                    counterfactuals[sample].flipped = end.flipped;
                    done += 1;
                }
                let stage = STAGE;
                observer.proceed_unless_done(Progress { stage, done, total })?;
            }
        }
        Ok(())
    }
}
