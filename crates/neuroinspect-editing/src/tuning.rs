//! A method's options, chosen on validation samples.

use neuroinspect_core::{ClassId, DecisionLayer, Metrics, Observer, Seed, Split, is_cancellation};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    DecisionMethod, DeviceTable, LabelsUsed, MethodArguments, MethodInput, Result, Samples,
    Storage, grid_of, method_named,
};

/// Chooses options of methods by the validation samples, half of them at a time: a layer is made with one
/// half in place of all, and judged by what it predicts for the other.
///
/// Judged is the accuracy of the worst class, or of the worst group where the method [uses](LabelsUsed)
/// group labels and the samples have them; of equal ones the mean class accuracy decides, and then the order
/// of the [grid](grid_of), whose first options are the defaults.
///
/// ```
/// use burn::tensor::Device;
/// # use ndarray::array;
/// # use neuroinspect_core::{ActivationTable, ClassId, DecisionLayer, FeatureTable, InputSpec, Provenance, Seed, Silent};
/// use neuroinspect_editing::{
///     DeviceTable, MethodArguments, MethodInput, Storage, Tuner, method_named,
/// };
///
/// # let layer = DecisionLayer::new(array![[1.0], [-1.0]], array![0.0, 0.0])?;
/// # let activations = ActivationTable::new(array![[1.0], [-1.0], [2.0], [-2.0]], Provenance::new("toy", InputSpec::new(8)))?;
/// # let labels = [0, 1, 0, 1].map(ClassId).to_vec();
/// # let table = FeatureTable::new(activations, labels, vec!["a".into(), "b".into()])?;
/// let table = DeviceTable::new(table, &Device::flex(), Storage::Device)?;
/// let input = MethodInput::new(&table, &table, &layer)?;
/// let arguments = MethodArguments::default();
/// let tuned = Tuner::new(&input, Seed(0))?.choose("logit_adjustment", &arguments, &mut Silent)?;
/// let method = method_named("logit_adjustment", &arguments, &tuned.options)?;
/// assert_eq!(method.options()?["tau"], 1.0);
/// # Ok::<(), neuroinspect_editing::Error>(())
/// ```
#[derive(Debug)]
pub struct Tuner<'a> {
    input: MethodInput<'a>,
    /// The validation samples of each half, by their indices.
    samples: [Vec<usize>; 2],
    halves: [DeviceTable; 2],
}

/// Options that were chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tuned {
    /// The options, to be laid over the defaults; empty where there was nothing to choose.
    pub options: Map<String, Value>,
    /// All that were tried, in the order of the grid, but for those that failed.
    pub tried: Vec<Tried>,
}

/// What options came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// The options.
    pub options: Map<String, Value>,
    /// Accuracy of the worst class, or group.
    pub worst: f64,
    /// Mean class accuracy.
    pub mean: f64,
}

impl<'a> Tuner<'a> {
    /// Divides the validation samples into halves, class by class; the seed says how.
    ///
    /// # Errors
    ///
    /// When there are fewer than two samples of every class.
    pub fn new(input: &MethodInput<'a>, seed: Seed) -> Result<Self> {
        let validation = input.validation();
        let parts = [("first", 0.5), ("second", 0.5)];
        let split = Split::stratified(validation.labels(), &parts, seed)?;
        let samples = [split.samples_of("first")?, split.samples_of("second")?];
        let half = |samples: &[usize]| -> Result<_> {
            let all = validation.samples();
            let rows = samples.iter().map(|&sample| all.row(sample)).collect();
            let half = Samples::of_rows(all.table(), rows)?;
            let storage = Storage::of(&half);
            DeviceTable::new(half, input.device(), storage)
        };
        let halves = [half(&samples[0])?, half(&samples[1])?];
        for half in &halves {
            MethodInput::new(input.train(), half, input.layer())?;
        }
        Ok(Self {
            input: *input,
            samples,
            halves,
        })
    }

    /// The options of the method's [grid](grid_of) that come to most. Where the method fails with some, the
    /// others are chosen among.
    ///
    /// # Errors
    ///
    /// As [`method_named`]; when the method fails with all options, or the observer asks to stop.
    pub fn choose(
        &self,
        name: &str,
        arguments: &MethodArguments,
        observer: &mut dyn Observer,
    ) -> Result<Tuned> {
        let (mut tried, mut failure) = (Vec::<Tried>::new(), None);
        let grid = combinations(&grid_of(name)?);
        if grid.len() == 1 {
            return Ok(Tuned::default());
        }
        for options in grid {
            let method = method_named(name, arguments, &options)?;
            match self.judge(method.as_ref(), observer) {
                Ok((worst, mean)) => tried.push(Tried {
                    options,
                    worst,
                    mean,
                }),
                Err(error) if is_cancellation(&error) => return Err(error),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let key = |tried: &Tried| (tried.worst, tried.mean);
        let best = tried
            .iter()
            .reduce(|best, it| if key(it) > key(best) { it } else { best });
        match (best, failure) {
            (None, Some(failure)) => Err(failure),
            (best, _) => Ok(Tuned {
                options: best.map(|best| best.options.clone()).unwrap_or_default(),
                tried,
            }),
        }
    }

    /// Accuracy of the worst class or group, and mean class accuracy, by layers made with the other half.
    fn judge(
        &self,
        method: &dyn DecisionMethod,
        observer: &mut dyn Observer,
    ) -> Result<(f64, f64)> {
        let validation = self.input.validation();
        let mut predictions = vec![ClassId(0); validation.len()];
        let mut made: Option<DecisionLayer> = None;
        for (half, other) in [(0, 1), (1, 0)] {
            let layer = match made.take_if(|_| !method.uses_validation()) {
                Some(same) => same,
                None => {
                    let (train, layer) = (self.input.train(), self.input.layer());
                    let input = MethodInput::new(train, &self.halves[other], layer)?;
                    method.fit(&input, observer)?.layer
                }
            };
            let predicted = self.halves[half].predicted(&layer)?;
            made = Some(layer);
            for (&sample, class) in self.samples[half].iter().zip(predicted) {
                predictions[sample] = ClassId(class);
            }
        }
        let (labels, groups) = (validation.labels(), validation.groups());
        let metrics = Metrics::new(labels, &predictions, validation.classes(), groups)?;
        let by_class: Vec<f64> = metrics.class_accuracy.iter().copied().flatten().collect();
        let mean = by_class.iter().sum::<f64>() / by_class.len() as f64;
        let worst = match method.labels() >= LabelsUsed::GroupsOfValidation {
            true => metrics.worst_group_accuracy,
            false => None,
        };
        Ok((worst.unwrap_or(metrics.worst_class_accuracy), mean))
    }
}

/// Every way to take one value of each list of a grid; one, of nothing, where there is none.
fn combinations(grid: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let mut all = vec![Map::new()];
    for (option, values) in grid {
        let values = match values {
            Value::Array(values) => values.clone(),
            Value::Object(inner) => combinations(inner).into_iter().map(Value::Object).collect(),
            value => vec![value.clone()],
        };
        let with = |taken: &Map<String, Value>, value: &Value| {
            let mut taken = taken.clone();
            taken.insert(option.clone(), value.clone());
            taken
        };
        all = all
            .iter()
            .flat_map(|taken| {
                values
                    .iter()
                    .map(|value| with(taken, value))
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::METHODS;

    #[test]
    fn a_grid_is_every_way_to_take_a_value_of_each_list() {
        let grid = json!({"a": [1, 2], "b": {"c": [3, 4]}});
        let all = combinations(grid.as_object().unwrap());
        let expected = [(1, 3), (1, 4), (2, 3), (2, 4)];
        let expected = expected.map(|(a, c)| json!({"a": a, "b": {"c": c}}));
        let all: Vec<Value> = all.into_iter().map(Value::Object).collect();
        assert_eq!(all, expected);
        assert_eq!(combinations(&Map::new()), [Map::new()]);
    }

    /// Every option of a grid is one of the method's, and the first values are its defaults.
    #[test]
    fn grids_begin_with_the_defaults() {
        let arguments = MethodArguments {
            class: Some(ClassId(0)),
            neurons: vec![neuroinspect_core::NeuronId(0)],
            ..MethodArguments::default()
        };
        let options = |name, options: &Map<_, _>| {
            let method = method_named(name, &arguments, options).unwrap();
            method.options().unwrap()
        };
        for name in METHODS {
            let grid = combinations(&grid_of(name).unwrap());
            let all: Vec<_> = grid.iter().map(|taken| options(name, taken)).collect();
            assert_eq!(all[0], options(name, &Map::new()), "{name}");
            assert!(all[1..].iter().all(|other| *other != all[0]), "{name}");
        }
        assert!(grid_of("none").is_err());
    }
}
