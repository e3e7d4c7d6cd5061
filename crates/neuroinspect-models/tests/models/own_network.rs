//! Networks of somebody's own, whose fields and parameters are of any kind, in files.

use std::{collections::BTreeMap, fs};

use crate::support::{made_up_weights, safetensors_of};
use burn::{
    module::{Module, Param, ParamId},
    nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, RmsNorm, RmsNormConfig},
    tensor::{Bool, Device, Int, Tensor},
};
use neuroinspect_models::{
    Checkpoint, Strictness,
    checkpoint::{Precision, save},
};
use tempfile::tempdir;

/// A network of somebody's own, with fields called like the wrappings of training scripts and with
/// every kind of parameter.
#[derive(Module, Debug)]
struct Own {
    model: Linear,
    module: Layers,
    head: Linear,
    steps: Param<Tensor<1, Int>>,
    mask: Param<Tensor<1, Bool>>,
}

#[derive(Module, Debug)]
struct Layers {
    group: GroupNorm,
    rms: RmsNorm,
}

impl Own {
    fn new(steps: [i32; 2], mask: [bool; 2]) -> Self {
        let device = Device::flex();
        Self {
            model: LinearConfig::new(3, 4).init(&device),
            module: Layers {
                group: GroupNormConfig::new(2, 4).init(&device),
                rms: RmsNormConfig::new(4).init(&device),
            },
            head: LinearConfig::new(4, 2).init(&device),
            steps: Param::initialized(ParamId::new(), Tensor::from_data(steps, &device)),
            mask: Param::initialized(ParamId::new(), Tensor::from_data(mask, &device)),
        }
    }

    fn extras(&self) -> (Vec<i64>, Vec<bool>) {
        let steps = self.steps.val().into_data().try_into_vec_as().unwrap();
        let mask = self.mask.val().into_data().try_into_vec_as().unwrap();
        (steps, mask)
    }
}

#[test]
fn a_network_of_ones_own_reloads_the_file_it_saved() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("own.safetensors");
    let own = Own::new([16_777_217, -5], [true, false]);
    for precision in [Precision::F32, Precision::F16] {
        save(&own, None, precision, &path).unwrap();
        let saved = Checkpoint::open(&path).unwrap();
        let names = [
            "head.bias",
            "head.weight",
            "mask",
            "model.bias",
            "model.weight",
            "module.group.bias",
            "module.group.weight",
            "module.rms.weight",
            "steps",
        ];
        assert_eq!(saved.names().collect::<Vec<_>>(), names);

        let mut again = Own::new([0, 0], [false, true]);
        let report = saved.apply(&mut again, "own", Strictness::Strict).unwrap();
        assert!(report.is_complete() && report.set_aside.is_empty());
        // Rounded to 24 bits, the step count would be another.
        assert_eq!(again.extras(), (vec![16_777_217, -5], vec![true, false]));
        let copy = folder.path().join("copy.safetensors");
        save(&again, None, precision, &copy).unwrap();
        assert_eq!(fs::read(&path).unwrap(), fs::read(&copy).unwrap());
    }
}

#[test]
fn what_a_wrapping_is_depends_on_the_module() {
    let own = Own::new([1, 2], [true, false]);
    let bare = made_up_weights(&own);
    for prefix in ["", "module.", "model.", "state_dict.", "state_dict.module."] {
        let bare = bare.clone().into_iter();
        let mut weights: BTreeMap<_, _> = bare
            .map(|(name, tensor)| (format!("{prefix}{name}"), tensor))
            .collect();
        weights.retain(|name, _| !name.ends_with("steps") && !name.ends_with("mask"));
        if prefix.starts_with("state_dict") {
            weights.insert("optimizer.step".into(), (vec![1], vec![3.0]));
        }
        let checkpoint = Checkpoint::from_bytes("own", safetensors_of(&weights)).unwrap();
        let report = checkpoint.compare(&own);
        assert_eq!(report.missing, ["mask", "steps"], "{prefix}");
        assert!(report.unused.is_empty(), "{prefix}: {report}");
        let beside: &[&str] = match prefix.starts_with("state_dict") {
            true => &["optimizer.step"],
            false => &[],
        };
        assert_eq!(report.set_aside, beside, "{prefix}");
    }
}

#[test]
fn floats_for_integers_are_refused_and_nothing_is_loaded() {
    let mut own = Own::new([1, 2], [true, false]);
    let values = |own: &Own| -> Vec<f32> {
        let weight = own.head.weight.val().into_data();
        weight.try_into_vec_as().unwrap()
    };
    let before = values(&own);
    // All of them floats.
    let weights = made_up_weights(&own);
    let checkpoint = Checkpoint::from_bytes("floats", safetensors_of(&weights)).unwrap();
    let error = checkpoint
        .apply(&mut own, "own", Strictness::Strict)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "'floats': tensor 'mask' cannot be read: it holds F32 where the module has booleans"
    );
    assert_eq!(values(&own), before);

    // Which says something only where the weight would have become another: without the tensors of
    // another kind, it does.
    let floats = checkpoint.renamed(|name| {
        let float = !matches!(name, "mask" | "steps");
        float.then(|| name.to_owned())
    });
    floats.apply(&mut own, "own", Strictness::Partial).unwrap();
    assert_ne!(values(&own), before);
}
