//! A table of features of any size, made row by row: its memory does not grow with it.
//!
//! `cargo run --release --example large_table -- FOLDER SAMPLES NEURONS CLASSES` writes `table.safetensors` and the
//! decision layer `layer.safetensors`, which `evaluate`, `explain`, `edit` and `mend` take as `--table` and
//! `--layer-file`; ImageNet's training images by a ResNet-50 are 1281167 2048 1000, 10.5 GB. The folder needs that
//! twice for a while.
//!
//! Each class has neurons that its samples activate more than others', by an amount that leaves some of them mistaken.

#![allow(clippy::print_stdout, reason = "an example says what it wrote")]

use std::{env, error::Error, fs, path::PathBuf};

use ndarray::{Array1, Array2};
use neuroinspect::core::{
    ClassId, CollectedRows, DecisionLayer, FeatureTable, MemoryLimit, Provenance, Seed,
};
use rand::{Rng, RngExt};

/// How much more a neuron of a sample's class is active, in standard deviations of what it is else.
const SIGNAL: f32 = 0.6;

/// One in so many neurons is a class's.
const SPARSITY: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut next = |what: &str| arguments.next().ok_or(format!("missing: {what}"));
    let folder = PathBuf::from(next("FOLDER")?);
    let samples: usize = next("SAMPLES")?.parse()?;
    let neurons: usize = next("NEURONS")?.parse()?;
    let classes: usize = next("CLASSES")?.parse()?;
    fs::create_dir_all(&folder)?;

    let mut rng = Seed(0).rng("classes", &[]);
    let of_class = |_| {
        let own = (0..neurons.div_ceil(SPARSITY)).map(|_| rng.random_range(0..neurons));
        own.collect::<Vec<usize>>()
    };
    let own: Vec<Vec<usize>> = (0..classes).map(of_class).collect();
    let mut weight = Array2::<f32>::zeros((classes, neurons));
    for (class, own) in own.iter().enumerate() {
        own.iter()
            .for_each(|&neuron| weight[[class, neuron]] = SIGNAL);
    }
    DecisionLayer::new(weight, Array1::zeros(classes))?.save(folder.join("layer.safetensors"))?;

    let mut rng = Seed(0).rng("samples", &[]);
    let mut rows = CollectedRows::new(neurons, &folder, MemoryLimit::of_bytes(64 << 20));
    let mut row = vec![0.0; neurons];
    for sample in 0..samples {
        fill(&mut row, &mut rng);
        for &neuron in &own[sample % classes] {
            row[neuron] += SIGNAL;
        }
        rows.push(&row)?;
    }
    let ids = (0..samples).map(|sample| sample.to_string()).collect();
    let activations = rows.into_table(ids, Provenance::new("made up", None))?;
    let labels = (0..samples)
        .map(|sample| ClassId(sample % classes))
        .collect();
    let names = (0..classes).map(|class| format!("class {class}")).collect();
    let table = FeatureTable::new(activations, labels, names)?;
    table.save(folder.join("table.safetensors"))?;
    println!("{samples} samples, {neurons} neurons, {classes} classes");
    Ok(())
}

/// Values from 0 on, of a standard deviation of 1: sums of four uniform ones.
fn fill(row: &mut [f32], rng: &mut impl Rng) {
    for value in row {
        let bytes: [u8; 4] = rng.random();
        let sum: f32 = bytes.into_iter().map(f32::from).sum();
        *value = sum / 147.8;
    }
}
