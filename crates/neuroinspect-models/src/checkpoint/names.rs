//! From the names of training scripts to those of the bare model.

use std::collections::BTreeMap;

/// Keys under which scripts save the weights, besides optimizer states and the like. Of two that
/// fit alike the first counts, so that averaged weights go before raw ones, as in timm.
const WRAPPERS: [&str; 5] = [
    "state_dict_ema.",
    "model_ema.",
    "state_dict.",
    "model_state_dict.",
    "model.",
];

/// What data parallelism, compilation and Lightning put before every name.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// Most prefixes taken off one after another. No script puts more than three; a hostile name may
/// consist of a hundred thousand.
const MOST_PREFIXES: usize = 8;

/// Counters of steps: batch normalisation's, and that of PyTorch's `AveragedModel`.
const COUNTERS: [&str; 2] = ["num_batches_tracked", "n_averaged"];

/// The tensors of a file under one way of reading their names.
#[derive(Clone, Debug)]
pub(super) struct Reading<T> {
    pub(super) tensors: BTreeMap<String, T>,
    /// What is in the file and no weight: step counters and what lies beside a wrapper, by their
    /// names in the file.
    pub(super) set_aside: Vec<String>,
}

/// The tensors of a file, and every way of reading their names: as they are, and with each wrapper
/// and then one prefix after another gone.
///
/// Which one is right depends on the module: `model.fc.weight` may be the weight of a model that a
/// script has saved as `model`, or of a module with a field of that name.
#[derive(Clone, Debug)]
pub(super) struct Readings<T> {
    /// By their names in the file.
    tensors: BTreeMap<String, T>,
    /// What no reading takes for a weight.
    set_aside: Vec<String>,
    /// What each reading takes off the names; those without it are set aside.
    prefixes: Vec<String>,
    /// Which of these leaves the unwrapped names of the wrapper with the most tensors.
    unwrapped: usize,
}

impl<T: Clone> Readings<T> {
    pub(super) fn new(mut tensors: BTreeMap<String, T>) -> Self {
        let mut set_aside = Vec::new();
        tensors.retain(|name, _| {
            let weight = !is_counter(name);
            if !weight {
                set_aside.push(name.clone());
            }
            weight
        });
        let under = |wrapper: &str| -> Vec<&str> {
            let names = tensors.keys();
            names
                .filter_map(|name| name.strip_prefix(wrapper))
                .collect()
        };
        let mut wrapped: Vec<_> = WRAPPERS
            .into_iter()
            .map(|wrapper| (wrapper, under(wrapper)))
            .filter(|(_, names)| !names.is_empty())
            .collect();
        if wrapped.is_empty() {
            wrapped.push(("", under("")));
        }
        let mut prefixes = vec![String::new()];
        let (mut unwrapped, mut most) = (0, 0);
        for (wrapper, names) in wrapped {
            let count = names.len();
            let (of_wrapper, shared) = unwrapping(wrapper, names);
            if count > most {
                (unwrapped, most) = (prefixes.len() + shared - 1, count);
            }
            prefixes.extend(of_wrapper);
        }
        Self {
            tensors,
            set_aside,
            prefixes,
            unwrapped,
        }
    }

    /// The names as they are, and nothing else.
    pub(super) fn only(reading: Reading<T>) -> Self {
        Self {
            tensors: reading.tensors,
            set_aside: reading.set_aside,
            prefixes: vec![String::new()],
            unwrapped: 0,
        }
    }

    /// The names as they are.
    pub(super) fn as_they_are(&self) -> Reading<T> {
        self.without("")
    }

    /// The names without wrapper and prefixes; of several wrappers, under that with most tensors.
    pub(super) fn unwrapped(&self) -> Reading<T> {
        self.without(&self.prefixes[self.unwrapped])
    }

    /// The reading with most of the names that are `expected`, the first and least unwrapped of
    /// several; none where there is no such name.
    pub(super) fn with_most(&self, expected: impl Fn(&str) -> bool) -> Option<Reading<T>> {
        let count = |prefix: &str| {
            let names = self.tensors.keys();
            let bare = names.filter_map(|name| name.strip_prefix(prefix));
            bare.filter(|name| expected(name)).count()
        };
        let (mut best, mut most) = (None, 0);
        for prefix in &self.prefixes {
            let count = count(prefix);
            if count > most {
                (best, most) = (Some(prefix), count);
            }
        }
        best.map(|prefix| self.without(prefix))
    }

    fn without(&self, prefix: &str) -> Reading<T> {
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
        Reading { tensors, set_aside }
    }
}

/// What to take off the names under a wrapper: the wrapper, then one prefix after another. How many of these all names share;
/// behind them stand prefixes of most names, beside which a script has saved others, as the weights of its loss.
fn unwrapping(wrapper: &str, mut names: Vec<&str>) -> (Vec<String>, usize) {
    let mut prefix = wrapper.to_owned();
    let mut prefixes = vec![prefix.clone()];
    let mut shared = 1;
    for _ in 0..MOST_PREFIXES {
        let bare = |prefix: &&str| -> Vec<&str> {
            let names = names.iter();
            names.filter_map(|name| name.strip_prefix(prefix)).collect()
        };
        let found = PREFIXES.into_iter().map(|prefix| (prefix, bare(&prefix)));
        let most = found.max_by_key(|(_, bare)| bare.len());
        let Some((next, bare)) = most.filter(|(_, bare)| 2 * bare.len() > names.len()) else {
            break;
        };
        prefix.push_str(next);
        prefixes.push(prefix.clone());
        if bare.len() == names.len() && shared + 1 == prefixes.len() {
            shared = prefixes.len();
        }
        names = bare;
    }
    (prefixes, shared)
}

/// Whether this is no weight and counts steps.
pub(super) fn is_counter(name: &str) -> bool {
    let last = name.rsplit('.').next();
    last.is_some_and(|last| COUNTERS.contains(&last))
}

/// A name without what data parallelism and compilation put before it. A leading `model.` stays:
/// it may be a wrapper, beside which the same names are no surprise.
pub(super) fn unprefixed(mut name: &str) -> &str {
    while let Some(bare) = PREFIXES[..2].iter().find_map(|it| name.strip_prefix(it)) {
        name = bare;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(names: &[&str]) -> Readings<()> {
        Readings::new(names.iter().map(|&name| (name.to_owned(), ())).collect())
    }

    fn names(reading: Reading<()>) -> Vec<String> {
        reading.tensors.into_keys().collect()
    }

    /// The names when all wrappers and prefixes are gone.
    fn bare(of: &[&str]) -> Vec<String> {
        names(readings(of).unwrapped())
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
        let of = readings(&["epoch", "state_dict.module.a", "state_dict.module.b"]);
        for (one, all) in [
            (
                "epoch",
                &["epoch", "state_dict.module.a", "state_dict.module.b"][..],
            ),
            ("module.a", &["module.a", "module.b"]),
            ("b", &["a", "b"]),
        ] {
            assert_eq!(names(of.with_most(|name| name == one).unwrap()), all);
        }
        assert_eq!(of.unwrapped().set_aside, ["epoch"]);
        assert!(of.with_most(|name| name == "c").is_none());
        assert_eq!(bare(&["a"]), ["a"]);
        assert!(bare(&[]).is_empty());
    }

    #[test]
    fn averaged_weights_go_first() {
        let of = readings(&["state_dict.a", "state_dict_ema.a"]);
        for reading in [of.unwrapped(), of.with_most(|name| name == "a").unwrap()] {
            assert_eq!(reading.set_aside, ["state_dict.a"]);
            assert_eq!(names(reading), ["a"]);
        }
    }

    /// Of `torch.optim.swa_utils.AveragedModel`, as torchvision's training script keeps it, and by itself.
    #[test]
    fn the_number_of_averages_is_beside_the_weights() {
        let of = readings(&["model.a", "model_ema.module.a", "model_ema.n_averaged"]);
        for reading in [of.unwrapped(), of.with_most(|name| name == "a").unwrap()] {
            assert_eq!(reading.set_aside, ["model_ema.n_averaged", "model.a"]);
            assert_eq!(names(reading), ["a"]);
        }
        assert_eq!(bare(&["module.a", "module.b", "n_averaged"]), ["a", "b"]);
    }

    /// A script's average may be an object that keeps its rate beside the weights, or nothing else.
    #[test]
    fn every_wrapper_is_tried() {
        let of = readings(&["model.module.a", "model.module.b", "model_ema.decay"]);
        let chosen = of.with_most(|name| ["a", "b"].contains(&name)).unwrap();
        for reading in [of.unwrapped(), chosen] {
            assert_eq!(reading.set_aside, ["model_ema.decay"]);
            assert_eq!(names(reading), ["a", "b"]);
        }
        let averaged = of.with_most(|name| name == "decay").unwrap();
        assert_eq!(names(averaged), ["decay"]);
    }

    #[test]
    fn prefixes_without_end_are_left() {
        let hostile = "module.".repeat(150_000) + "x";
        let of = readings(&[&hostile]);
        assert_eq!(of.prefixes.len(), 2 + MOST_PREFIXES);
        let left = names(of.unwrapped()).remove(0);
        assert_eq!(left.len(), hostile.len() - MOST_PREFIXES * "module.".len());
    }

    #[test]
    fn a_prefix_of_some_is_part_of_the_name() {
        assert_eq!(bare(&["module.a", "b"]), ["b", "module.a"]);
        assert_eq!(
            bare(&["module.a", "module.c", "b"]),
            ["b", "module.a", "module.c"]
        );
    }

    /// As Lightning saves a module that has a loss with weights beside its network.
    #[test]
    fn what_a_script_has_beside_its_network_is_set_aside() {
        for prefix in ["model.", "module.", "module.model."] {
            let tensors = ["a", "b", "c"].map(|name| format!("state_dict.{prefix}{name}"));
            let mut all: Vec<&str> = tensors.iter().map(String::as_str).collect();
            all.push("state_dict.criterion.weight");
            let of = readings(&all);
            let reading = of
                .with_most(|name| ["a", "b", "c"].contains(&name))
                .unwrap();
            assert_eq!(reading.set_aside, ["state_dict.criterion.weight"]);
            assert_eq!(names(reading), ["a", "b", "c"], "{prefix}");
        }
    }

    #[test]
    fn step_counters_go() {
        let all = [
            "bn1.num_batches_tracked",
            "bn1.running_mean",
            "num_batches_tracked",
        ];
        let reading = readings(&all).as_they_are();
        assert_eq!(reading.set_aside, [all[0], all[2]]);
        assert_eq!(names(reading), ["bn1.running_mean"]);
    }
}
