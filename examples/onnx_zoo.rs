//! ONNX files of many architectures against PyTorch: prints a line of a table for each file.
//!
//! ```console
//! python tools/onnx_zoo.py FOLDER
//! cargo run --release --example onnx_zoo -- FOLDER [NAME ...]
//! ```
//!
//! The script writes networks of timm with random weights by both of PyTorch's exporters, and beside them
//! logits and the gradient of a weighted sum of them with respect to the images. What is printed is the largest
//! difference, relative to the largest number; a file is followed rightly where that of the logits is at
//! most 1e-4.

#![allow(clippy::print_stdout, reason = "its table")]

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use neuroinspect::{
    burn::tensor::{Device, Tensor, TensorData},
    core::Classifier as _,
    models::{
        Checkpoint, LoadConfig,
        onnx::{OnnxConfig, OnnxModel},
    },
};

/// Largest difference of logits, relative to the largest one.
const TOLERANCE: f32 = 1e-4;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What came of a file.
struct Compared {
    /// Largest differences of the logits and the gradient.
    logits: f32,
    gradient: f32,
    /// Node of the decision layer, and of the map.
    head: String,
}

fn compare(file: &Path, golden: &Checkpoint) -> Result<Compared> {
    let device = Device::flex();
    let onnx = OnnxModel::read(file, &OnnxConfig::default())?;
    let head = onnx.head();
    let model = onnx.classifier(&LoadConfig::default(), &device)?;
    let shape: [usize; 4] = golden.shape("images").unwrap_or_default().try_into()?;
    let images = Tensor::<4>::from_data(TensorData::new(golden.read("images")?, shape), &device);
    let images = images.autodiff().require_grad();
    let features = model.activations(images.clone()).features;
    let layer = model.decision_layer()?;
    let device = images.device();
    let weight = layer.weight_on(&device).transpose();
    let logits = features.matmul(weight) + layer.bias_on(&device).unsqueeze();
    let factors = (1..=layer.classes()).map(|factor| factor as f32).collect();
    let factors = TensorData::new(factors, [1, layer.classes()]);
    let sum = (logits.clone() * Tensor::from_data(factors, &device)).sum();
    let gradient = images
        .grad(&sum.backward())
        .ok_or("the logits do not depend on the images")?;
    Ok(Compared {
        logits: difference(logits, &golden.read("logits")?)?,
        gradient: difference(gradient, &golden.read("gradient")?)?,
        head: format!(
            "`{}` | `{}`",
            head.decision_layer,
            head.map.as_deref().unwrap_or("none")
        ),
    })
}

/// Largest difference, relative to the largest number expected.
fn difference<const D: usize>(found: Tensor<D>, expected: &[f32]) -> Result<f32> {
    let found: Vec<f32> = found
        .into_data()
        .try_into_vec_as()
        .map_err(|error| format!("{error:?}"))?;
    let scale = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    let pairs = found.iter().zip(expected);
    let differences = pairs.map(|(a, b)| match a.is_nan() {
        true => f32::INFINITY,
        false => (a - b).abs(),
    });
    Ok(differences.fold(0f32, f32::max) / scale)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(
        arguments
            .next()
            .ok_or("expected the folder that tools/onnx_zoo.py wrote")?,
    );
    let wanted: Vec<String> = arguments.collect();
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".safetensors").map(str::to_owned));
    }
    names.retain(|name| wanted.is_empty() || wanted.contains(name));
    names.sort();
    let mut right: BTreeMap<&str, usize> = BTreeMap::new();
    println!("| architecture | exporter | logits | gradient | decision layer | map |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for name in &names {
        let golden = Checkpoint::open(folder.join(format!("{name}.safetensors")))?;
        for exporter in ["torchscript", "dynamo"] {
            let file = folder.join(format!("{name}.{exporter}.onnx"));
            if !file.exists() {
                println!("| {name} | {exporter} | not exported | | | |");
                continue;
            }
            match compare(&file, &golden) {
                Ok(it) => {
                    *right.entry(exporter).or_default() += usize::from(it.logits <= TOLERANCE);
                    let (logits, gradient) = (it.logits, it.gradient);
                    println!(
                        "| {name} | {exporter} | {logits:.1e} | {gradient:.1e} | {} |",
                        it.head
                    );
                }
                Err(error) => println!("| {name} | {exporter} | {error} | | | |"),
            }
        }
    }
    println!("\nright of {} architectures: {right:?}", names.len());
    Ok(())
}
