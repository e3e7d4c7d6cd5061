//! Explanations: the shifts that would have made the mistakes right.

use burn::tensor::Device;
use ndarray::{Array2, ArrayView2, Axis};
use neuroinspect_core::{
    ClassId, DecisionLayer,
    Error::{Cancelled, NotFinite},
    FeatureTable, Observer, Progress,
};
use serde::{Deserialize, Serialize};

use crate::{CounterfactualConfig, Error, Result, descent::Descent};

const STAGE: &str = "explaining";

/// For each mistake of a class, the shift of its features that makes it right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The class the samples belong to, and that the shifts lead to.
    pub class: ClassId,
    /// How each sample fared; one for each row of `shifts`.
    pub outcomes: Vec<Outcome>,
    /// The shifts `w`, `[M, D]`. Above 0: the neuron's activation was insufficient for the class;
    /// below 0: excessive.
    pub shifts: Array2<f32>,
}

/// How one sample fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Row of the sample in the table it came from.
    pub sample: usize,
    /// What the decision layer says of the sample as it is.
    pub predicted: ClassId,
    /// Steps of descent taken: to the flip, or `max_steps`.
    pub steps: usize,
    /// Whether the shift makes the decision layer say the class.
    pub flipped: bool,
}

/// Explains every mistake of a class.
///
/// The mistakes are those `layer` makes on the table's features, whatever predictions the table
/// holds, so that an edited layer can be explained on the table it was edited with.
///
/// The observer hears of samples done, and can stop the work every few steps.
///
/// # Errors
///
/// [`Error::NoMistakes`] when there is nothing to explain; when the class is out of range or has
/// no samples, the layer does not fit the table, an option is out of range, the descent
/// diverges, or the observer asks to stop.
pub fn explain(
    table: &FeatureTable,
    layer: &DecisionLayer,
    class: ClassId,
    config: &CounterfactualConfig,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Explanation> {
    table.check_layer(layer)?;
    let mut samples = table.samples_of(class)?;
    let name = || table.class_names()[class.0].clone();
    if samples.is_empty() {
        let name = name();
        return Err(neuroinspect_core::Error::EmptyClass { class, name }.into());
    }
    let predicted = layer.predict(table.features().select(Axis(0), &samples).view())?;
    let mut predicted = predicted.into_iter();
    samples.retain(|_| predicted.next() != Some(class));
    if samples.is_empty() {
        let name = name();
        return Err(Error::NoMistakes { class, name });
    }

    let features = table.features().select(Axis(0), &samples);
    let mut explanation =
        explain_features(features.view(), layer, class, config, device, observer)?;
    for (outcome, sample) in explanation.outcomes.iter_mut().zip(samples) {
        outcome.sample = sample;
    }
    Ok(explanation)
}

/// Explains features that come from no table, `[M, D]`, all with the same class as target.
///
/// A row that `layer` already gives the class keeps a shift of 0, after 0 steps; a ranking leaves
/// it out. [`Outcome::sample`] is the row.
///
/// # Errors
///
/// As [`explain`], save that no rows or no mistakes are no error, and that features must be
/// finite.
pub fn explain_features(
    features: ArrayView2<'_, f32>,
    layer: &DecisionLayer,
    class: ClassId,
    config: &CounterfactualConfig,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Explanation> {
    config.validate()?;
    layer.check_class(class)?;
    for ((sample, neuron), &value) in features.indexed_iter() {
        if !value.is_finite() {
            let what = format!("activation of neuron {neuron} on sample {sample}");
            return Err(NotFinite { what, value }.into());
        }
    }
    let mut outcomes: Vec<Outcome> = layer
        .predict(features)?
        .into_iter()
        .enumerate()
        .map(|(sample, predicted)| Outcome {
            sample,
            predicted,
            steps: 0,
            flipped: predicted == class,
        })
        .collect();
    let mut shifts = Array2::zeros(features.dim());

    let is_mistake = |outcome: &&Outcome| !outcome.flipped;
    let mistakes: Vec<usize> = outcomes
        .iter()
        .filter(is_mistake)
        .map(|outcome| outcome.sample)
        .collect();
    let total = mistakes.len();
    let mut done = 0;
    let mut descent = Descent::new(layer, class, config, device);
    for batch in mistakes.chunks(config.batch_size) {
        descent.start(features.select(Axis(0), batch).view());
        loop {
            for end in descent.advance()? {
                let sample = batch[end.row];
                if end.shift.iter().any(|value| !value.is_finite()) {
                    return Err(Error::Diverged { sample, class });
                }
                shifts.row_mut(sample).assign(&end.shift);
                outcomes[sample].steps = end.steps;
                outcomes[sample].flipped = end.flipped;
                done += 1;
            }
            let progress = Progress {
                stage: STAGE,
                done,
                total,
            };
            if observer.update(progress).is_break() {
                return Err(Cancelled { stage: STAGE }.into());
            }
            if descent.is_done() {
                break;
            }
        }
    }
    Ok(Explanation {
        class,
        outcomes,
        shifts,
    })
}
