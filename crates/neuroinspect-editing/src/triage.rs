//! Which neurons are suspected of misleading a decision layer.

use ndarray::{Array1, ArrayView1};
use neuroinspect_core::{ClassId, NeuronId};
use neuroinspect_counterfactual::importance;
use serde::{Deserialize, Serialize};

use crate::{MethodInput, Result};

/// A neuron that mistakes are blamed on, and why.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Suspect {
    /// The neuron.
    pub neuron: NeuronId,
    /// Its share of the margin that mistakes lack: the mean over them of
    /// `(W_y - W_k)_n (mu_y - f)_n`, `y` being the class, `k` the prediction and `mu_y` the mean
    /// features of the class's samples that are right, over the sum of that over all neurons.
    pub share_of_deficit: f64,
    /// By how many standard deviations it is more active in right samples than in wrong ones, on
    /// average over classes, each by its mistakes.
    pub contrast: f64,
    /// How many times as probable it makes the class at the mean features (Eq. 7); `None` where mistakes
    /// of all classes are looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<f64>,
    /// The share of the class's mistakes whose counterfactual has it among its largest shifts
    /// ([`prec_at_k`](neuroinspect_counterfactual::RankedNeuron::prec_at_k)); `None` where they were not
    /// explained, or the ranking does not list it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prec_at_k: Option<f64>,
    /// Core relevance score of its picture within the class; `None` where it was not pictured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_relevance: Option<f32>,
    /// The share of where it is active in images of the class, or of all, that lies outside of the objects;
    /// `None` where the objects' outlines are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside_object: Option<f64>,
}

/// Every neuron, the most suspect first, by the mistakes of the layer on the validation samples of a
/// class, or of all classes. Classes with fewer than two right samples are left out; without mistakes
/// there are no suspects.
///
/// # Errors
///
/// When the class is out of range, or the device does not give the predictions back.
pub fn suspects(input: &MethodInput<'_>, class: Option<ClassId>) -> Result<Vec<Suspect>> {
    suspects_among(input, class, |_| true)
}

/// The same by those of the validation samples for which `counts` is true.
pub(crate) fn suspects_among(
    input: &MethodInput<'_>,
    class: Option<ClassId>,
    counts: impl Fn(usize) -> bool,
) -> Result<Vec<Suspect>> {
    let (table, layer) = (input.validation(), input.layer());
    if let Some(class) = class {
        layer.check_class(class)?;
    }
    let predictions = table.predicted(layer)?;
    let samples = table.samples();
    let deviation = samples.deviations()?;
    let weight = layer.weight().mapv(f64::from);
    let mut deficit = Array1::<f64>::zeros(layer.neurons());
    let (mut contrast, mut mistakes) = (deficit.clone(), 0_usize);
    for label in (0..layer.classes()).filter(|&label| class.is_none_or(|it| it.0 == label)) {
        let of_class = table.labels().iter().zip(&predictions).enumerate();
        let of_class = of_class.filter(|&(sample, (it, _))| it.0 == label && counts(sample));
        let (right, wrong): (Vec<_>, Vec<_>) = of_class
            .map(|(sample, (_, &predicted))| (sample, predicted))
            .partition(|&(_, predicted)| predicted == label);
        if right.len() < 2 || wrong.is_empty() {
            continue;
        }
        let mut mean = Array1::<f64>::zeros(layer.neurons());
        let of_right = right.iter().map(|&(sample, _)| sample);
        samples.visit(of_right, |_, row| mean += &row.mapv(f64::from))?;
        mean /= right.len() as f64;
        samples.visit(wrong.iter().map(|&(sample, _)| sample), |sample, row| {
            let lacking = &mean - &row.mapv(f64::from);
            deficit += &((&weight.row(label) - &weight.row(predictions[sample])) * &lacking);
            contrast += &(lacking / &deviation);
        })?;
        mistakes += wrong.len();
    }
    if mistakes == 0 {
        return Ok(Vec::new());
    }
    let whole = deficit.sum();
    let importance = class.map(|class| -> Result<_> {
        Ok(importance(
            layer,
            ArrayView1::from(table.mean_features()?),
            class,
        )?)
    });
    let importance = importance.transpose()?;
    let mut order: Vec<usize> = (0..layer.neurons()).collect();
    order.sort_by(|&a, &b| deficit[b].total_cmp(&deficit[a]));
    let suspect = |neuron: usize| Suspect {
        neuron: NeuronId(neuron),
        share_of_deficit: deficit[neuron] / whole,
        contrast: contrast[neuron] / mistakes as f64,
        importance: importance.as_ref().map(|of| of[neuron]),
        prec_at_k: None,
        core_relevance: None,
        outside_object: None,
    };
    Ok(order.into_iter().map(suspect).collect())
}
