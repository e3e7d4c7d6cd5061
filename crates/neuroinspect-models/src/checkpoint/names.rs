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

/// The weights by their plain names.
pub(super) fn plain<T>(mut tensors: BTreeMap<String, T>) -> BTreeMap<String, T> {
    let has = |prefix: &&&str| tensors.keys().any(|name| name.starts_with(**prefix));
    if let Some(wrapper) = WRAPPERS.iter().find(has) {
        tensors = without_prefix(tensors, wrapper);
    }
    while let Some(prefix) = PREFIXES
        .iter()
        .find(|prefix| !tensors.is_empty() && tensors.keys().all(|name| name.starts_with(**prefix)))
    {
        tensors = without_prefix(tensors, prefix);
    }
    tensors.retain(|name, _| name.rsplit('.').next() != Some(COUNTER));
    tensors
}

fn without_prefix<T>(tensors: BTreeMap<String, T>, prefix: &str) -> BTreeMap<String, T> {
    tensors
        .into_iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        let tensors = names.iter().map(|&name| (name.to_owned(), ())).collect();
        plain::<()>(tensors).into_keys().collect()
    }

    #[test]
    fn wrappers_and_prefixes_go() {
        assert_eq!(names(&["fc.weight"]), ["fc.weight"]);
        assert_eq!(names(&["module.fc.weight"]), ["fc.weight"]);
        assert_eq!(names(&["_orig_mod.module.fc.weight"]), ["fc.weight"]);
        assert_eq!(
            names(&["state_dict.module.fc.weight", "epoch"]),
            ["fc.weight"]
        );
        assert_eq!(names(&["state_dict.model.fc.weight"]), ["fc.weight"]);
        assert_eq!(
            names(&["model.fc.weight", "optimizer.state.0.exp_avg"]),
            ["fc.weight"]
        );
    }

    #[test]
    fn averaged_weights_go_first() {
        assert_eq!(
            names(&["state_dict.raw", "state_dict_ema.averaged"]),
            ["averaged"]
        );
    }

    #[test]
    fn a_prefix_of_some_is_part_of_the_name() {
        assert_eq!(names(&["module.a", "b"]), ["b", "module.a"]);
    }

    #[test]
    fn step_counters_go() {
        let found = names(&[
            "bn1.num_batches_tracked",
            "bn1.running_mean",
            "num_batches_tracked",
        ]);
        assert_eq!(found, ["bn1.running_mean"]);
    }
}
