//! From the names of training scripts to those of the bare model.

use std::collections::BTreeMap;

/// Keys under which scripts save the weights, besides optimizer states and the like; the first
/// one present counts, so that averaged weights go before raw ones, as in timm.
const WRAPPERS: [&str; 5] = [
    "state_dict_ema.",
    "model_ema.",
    "state_dict.",
    "model_state_dict.",
    "model.",
];

/// What data parallelism, compilation and Lightning put before every name.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// Batch normalisation's step counter.
const COUNTER: &str = "num_batches_tracked";

/// The tensors of a file under one way of reading their names.
#[derive(Clone, Debug)]
pub(super) struct Reading<T> {
    pub(super) tensors: BTreeMap<String, T>,
    /// What is in the file and no weight: step counters and what lies beside a wrapper, by their
    /// names in the file.
    pub(super) set_aside: Vec<String>,
}

/// Every way of reading the names: as they are, and with one wrapper or prefix after another gone.
///
/// Which one is right depends on the module: `model.fc.weight` may be the weight of a model that a
/// script has saved as `model`, or of a module with a field of that name.
pub(super) fn readings<T: Clone>(mut tensors: BTreeMap<String, T>) -> Vec<Reading<T>> {
    let mut set_aside = Vec::new();
    tensors.retain(|name, _| {
        let weight = name.rsplit('.').next() != Some(COUNTER);
        if !weight {
            set_aside.push(name.clone());
        }
        weight
    });
    let mut reading = Reading { tensors, set_aside };
    let wrapper = WRAPPERS.into_iter().find(|it| reading.starting(it) > 0);
    let mut next = wrapper.or(reading.shared_prefix());
    let mut readings = Vec::new();
    while let Some(prefix) = next {
        let unwrapped = reading.without(prefix);
        readings.push(reading);
        reading = unwrapped;
        next = reading.shared_prefix();
    }
    readings.push(reading);
    readings
}
impl<T: Clone> Reading<T> {
    /// How many names start with a prefix.
    fn starting(&self, prefix: &str) -> usize {
        let names = self.tensors.keys();
        names.filter(|name| name.starts_with(prefix)).count()
    }

    /// A prefix of all names.
    fn shared_prefix(&self) -> Option<&'static str> {
        let all = self.tensors.len();
        let mut prefixes = PREFIXES.into_iter();
        prefixes.find(|prefix| all > 0 && self.starting(prefix) == all)
    }

    fn without(&self, prefix: &str) -> Self {
        let mut tensors = BTreeMap::new();
        let mut set_aside = self.set_aside.clone();
        for (name, tensor) in &self.tensors {
            match name.strip_prefix(prefix) {
                Some(bare) => {
                    tensors.insert(bare.to_owned(), tensor.clone());
                }
                None => set_aside.push(name.clone()),
            }
        }
        Self { tensors, set_aside }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names under each reading, and what the last sets aside.
    fn read(names: &[&str]) -> (Vec<Vec<String>>, Vec<String>) {
        let tensors = names.iter().map(|&name| (name.to_owned(), ())).collect();
        let readings = readings::<()>(tensors);
        let set_aside = readings.last().unwrap().set_aside.clone();
        let names = readings
            .into_iter()
            .map(|reading| reading.tensors.into_keys().collect());
        (names.collect(), set_aside)
    }

    /// The names when all wrappers and prefixes are gone.
    fn bare(names: &[&str]) -> Vec<String> {
        read(names).0.pop().unwrap()
    }

    #[test]
    fn wrappers_and_prefixes_go() {
        assert_eq!(bare(&["fc.weight"]), ["fc.weight"]);
        assert_eq!(bare(&["module.fc.weight"]), ["fc.weight"]);
        assert_eq!(bare(&["_orig_mod.module.fc.weight"]), ["fc.weight"]);
        assert_eq!(
            bare(&["state_dict.module.fc.weight", "epoch"]),
            ["fc.weight"]
        );
        assert_eq!(bare(&["state_dict.model.fc.weight"]), ["fc.weight"]);
        assert_eq!(
            bare(&["model.fc.weight", "optimizer.state.0.exp_avg"]),
            ["fc.weight"]
        );
    }

    #[test]
    fn every_step_of_unwrapping_is_a_reading() {
        let (readings, set_aside) = read(&["epoch", "state_dict.module.a", "state_dict.module.b"]);
        let expected = [
            vec!["epoch", "state_dict.module.a", "state_dict.module.b"],
            vec!["module.a", "module.b"],
            vec!["a", "b"],
        ];
        assert_eq!(readings, expected);
        assert_eq!(set_aside, ["epoch"]);
        assert_eq!(read(&["a"]).0, [["a"]]);
        assert_eq!(read(&[]).0, [[""; 0]]);
    }

    #[test]
    fn averaged_weights_go_first() {
        let (readings, set_aside) = read(&["state_dict.raw", "state_dict_ema.averaged"]);
        assert_eq!(readings.last().unwrap(), &["averaged"]);
        assert_eq!(set_aside, ["state_dict.raw"]);
    }

    #[test]
    fn a_prefix_of_some_is_part_of_the_name() {
        assert_eq!(bare(&["module.a", "b"]), ["b", "module.a"]);
    }

    #[test]
    fn step_counters_go() {
        let (readings, set_aside) = read(&[
            "bn1.num_batches_tracked",
            "bn1.running_mean",
            "num_batches_tracked",
        ]);
        assert_eq!(readings, [["bn1.running_mean"]]);
        assert_eq!(
            set_aside,
            ["bn1.num_batches_tracked", "num_batches_tracked"]
        );
    }
}
