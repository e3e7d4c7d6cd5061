//! Published checkpoints, which the repository does not hold.

use crate::support::contents;
use burn::tensor::Device;
use neuroinspect_models::{Checkpoint, LoadConfig, load_classifier};
use neuroinspect_testing::real_data;
use tempfile::tempdir;

/// Loads strictly, and saves and loads again without a change.
fn check(name: &str, file: &str, classes: usize) {
    let weights = real_data::path("weights").join(file);
    let loaded = load_classifier(name, &weights, &LoadConfig::default(), &Device::flex()).unwrap();
    assert!(loaded.report.is_complete());
    assert_eq!(loaded.model.name(), name);
    assert_eq!(loaded.model.decision_layer().unwrap().classes(), classes);

    let folder = tempdir().unwrap();
    let path = folder.path().join("saved.safetensors");
    loaded.model.save(&path).unwrap();
    let original = contents(&Checkpoint::open(&weights).unwrap());
    assert!(
        contents(&Checkpoint::open(&path).unwrap()) == original,
        "{name} changed"
    );
}

#[test]
#[ignore = "needs real weights"]
fn akamasters_cifar_resnets() {
    check("cifar_resnet20", "resnet20-12fca82f.th", 10);
    check("cifar_resnet32", "resnet32-d509ac18.th", 10);
    check("cifar_resnet44", "resnet44-014dd654.th", 10);
    check("cifar_resnet56", "resnet56-4bfd9763.th", 10);
}

#[test]
#[ignore = "needs real weights"]
fn tf_efficientnet_lite0() {
    check(
        "tf_efficientnet_lite0",
        "tf_efficientnet_lite0.safetensors",
        1000,
    );
}
