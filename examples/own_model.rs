//! A Burn model of one's own through all three stages.
//!
//! ```text
//! cargo run --release --example own_model
//! ```
//!
//! The model is a small CNN, trained here in a second on discs and squares; in training nearly all
//! squares lie on a blue ground, and the model goes by the blue more than by the shape. So the neurons
//! are found, but hardly one sees the shape, and no edit of the last layer can mend that; the
//! embedded demo shows an edit that can. What it takes to debug a model is the `impl Classifier` below;
//! the rest is making data and printing.
//!
//! The model has Burn's own batch normalisation and needs no care for it: neuroinspect works on
//! copies in evaluation state, so that the running statistics stay what training made them. It
//! offers its layers by name, too, which is optional: a channel of the first is pictured.

#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use burn::{
    module::Module,
    nn::{
        BatchNorm, BatchNormConfig, Linear, LinearConfig,
        conv::{Conv2d, Conv2dConfig},
        loss::CrossEntropyLossConfig,
    },
    tensor::{Device, Int, Tensor, TensorData, activation::relu},
};
use burn_optim::{AdamConfig, GradientsParams};
use image::{Rgb, RgbImage};
use ndarray::Axis;
use neuroinspect::{
    TopRequest, burn,
    core::{
        LayerInfo, LayerKind, LayerValues, Result as CoreResult, Unit, UnitKind, unknown_layer,
    },
    datasets::{Result as DataResult, Sample, preprocess},
    illusion::Augmentation,
    prelude::*,
    top_images,
};
use rand::RngExt;

#[derive(Module, Debug)]
struct Net {
    stem: Conv2d,
    stem_norm: BatchNorm,
    body: Conv2d,
    body_norm: BatchNorm,
    head: Linear,
    #[module(skip)]
    input: InputSpec,
}

impl Net {
    fn new(device: &Device) -> Self {
        let conv = |channels| {
            Conv2dConfig::new(channels, [3, 3])
                .with_stride([2, 2])
                .init(device)
        };
        Self {
            stem: conv([3, 8]),
            stem_norm: BatchNormConfig::new(8).init(device),
            body: conv([8, 16]),
            body_norm: BatchNormConfig::new(16).init(device),
            head: LinearConfig::new(16, 2).init(device),
            input: InputSpec::new(SIDE as usize),
        }
    }

    /// The maps of both convolutions: `[N, 8, 11, 11]` and `[N, 16, 5, 5]`.
    fn maps(&self, images: Tensor<4>) -> [Tensor<4>; 2] {
        let stem = relu(self.stem_norm.forward(self.stem.forward(images)));
        let body = relu(self.body_norm.forward(self.body.forward(stem.clone())));
        [stem, body]
    }
}

impl Classifier for Net {
    fn name(&self) -> &str {
        "own-net"
    }

    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn activations(&self, images: Tensor<4>) -> Activations {
        let [_, body] = self.maps(images);
        Activations::pooled(body)
    }

    fn decision_layer(&self) -> CoreResult<DecisionLayer> {
        DecisionLayer::from_linear(&self.head)
    }

    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> CoreResult<()> {
        layer.replace(&mut self.head)
    }

    fn device(&self) -> Device {
        self.head.weight.val().device()
    }

    // What follows is optional: it lets neuroinspect look at other layers than the last.
    fn layers(&self) -> CoreResult<Vec<LayerInfo>> {
        let layer = |name: &str, kind, channels| LayerInfo {
            name: name.to_owned(),
            kind,
            channels,
        };
        Ok(vec![
            layer("stem", LayerKind::Map, 8),
            layer("body", LayerKind::Map, 16),
            layer(self.penultimate(), LayerKind::Features, 16),
        ])
    }

    fn activations_at(&self, images: Tensor<4>, layers: &[&str]) -> CoreResult<Vec<LayerValues>> {
        let [stem, body] = self.maps(images);
        let values = |&name: &&str| match name {
            "stem" => Ok(LayerValues::Map(stem.clone())),
            "body" => Ok(LayerValues::Map(body.clone())),
            name if name == self.penultimate() => {
                let features = Activations::pooled(body.clone()).features;
                Ok(LayerValues::Features(features))
            }
            name => {
                let known = ["stem", "body", self.penultimate()];
                Err(unknown_layer(self.name(), name, known))
            }
        };
        layers.iter().map(values).collect()
    }
}

const SIDE: u32 = 24;

/// Discs and squares, on blue or on brown; `blue` gives the share of squares that lie on blue.
struct Shapes {
    samples: Vec<Sample>,
    seed: Seed,
    blue: f64,
    names: [String; 2],
    groups: [String; 4],
}

impl Shapes {
    fn new(count: usize, blue: f64, seed: Seed) -> Self {
        let mut shapes = Self {
            samples: Vec::new(),
            seed,
            blue,
            names: ["disc", "square"].map(String::from),
            groups: [
                "disc on brown",
                "disc on blue",
                "square on brown",
                "square on blue",
            ]
            .map(String::from),
        };
        for index in 0..count {
            let class = index % 2;
            let group = 2 * class + usize::from(shapes.on_blue(index));
            shapes.samples.push(Sample {
                id: index.to_string(),
                label: ClassId(class),
                group: Some(group),
            });
        }
        shapes
    }

    fn on_blue(&self, index: usize) -> bool {
        let share = if index % 2 == 1 {
            self.blue
        } else {
            1.0 - self.blue
        };
        self.seed.rng("ground", &[index as u64]).random_bool(share)
    }
}

impl ImageDataset for Shapes {
    fn name(&self) -> &str {
        "shapes"
    }

    fn class_names(&self) -> &[String] {
        &self.names
    }

    fn group_names(&self) -> &[String] {
        &self.groups
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    fn image(&self, index: usize) -> DataResult<RgbImage> {
        let mut rng = self.seed.rng("shape", &[index as u64]);
        let ground = if self.on_blue(index) {
            [40, 90, 170]
        } else {
            [120, 85, 50]
        };
        let radius = rng.random_range(4.0..7.0_f32);
        let [x0, y0] = [(); 2].map(|()| rng.random_range(8.0..16.0_f32));
        let paint: [u8; 3] = [(); 3].map(|()| rng.random_range(120..=255));
        Ok(RgbImage::from_fn(SIDE, SIDE, |x, y| {
            let (dx, dy) = (x as f32 - x0, y as f32 - y0);
            let inside = match index % 2 {
                0 => dx.hypot(dy) < radius,
                _ => dx.abs().max(dy.abs()) < 0.88 * radius,
            };
            let grain: i16 = rng.random_range(-12..=12);
            let colour = if inside { paint } else { ground };
            Rgb(colour.map(|channel| (i16::from(channel) + grain).clamp(0, 255) as u8))
        }))
    }
}

/// Trains the network as any Burn model is trained; nothing of neuroinspect is in it.
fn train(data: &Shapes, device: &Device) -> Result<Net, Box<dyn std::error::Error>> {
    let device = &device.clone().autodiff();
    device.seed(7);
    let mut net = Net::new(device);
    let mut optimizer = AdamConfig::new().init();
    let loss = CrossEntropyLossConfig::new().init(device);
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (index, sample) in data.samples().iter().enumerate() {
        pixels.extend(preprocess(&data.image(index)?, &net.input)?);
        labels.push(sample.label.0 as i32);
    }
    let side = SIDE as usize;
    let images = Tensor::<4>::from_data(
        TensorData::new(pixels, [labels.len(), 3, side, side]),
        device,
    );
    let labels =
        Tensor::<1, Int>::from_data(TensorData::new(labels.clone(), [labels.len()]), device);
    for step in 0..400 {
        let from = step * 64 % data.samples().len();
        let to = (from + 64).min(data.samples().len());
        let (batch, truth) = (
            images.clone().slice(from..to),
            labels.clone().slice(from..to),
        );
        let logits = net.head.forward(net.activations(batch).features);
        let gradients = loss.forward(logits, truth).backward();
        let gradients = GradientsParams::from_grads(gradients, &net);
        net = optimizer.step(5e-3, net, gradients);
    }
    Ok(net.valid())
}

/// What a unit responds to: the image that activates it most, and a picture made for it alone.
fn show(net: &Net, images: &Shapes, unit: Unit) -> Result<(), Box<dyn std::error::Error>> {
    let units = [unit];
    let request = TopRequest {
        units: &units,
        count: 1,
    };
    let (top, _) = top_images(&Extraction::new(net, images), request, &mut Silent)?;
    for image in &top[0].top {
        let (id, activation) = (&image.id, image.activation);
        println!("image {id} activates it most: {activation:.2}");
    }
    let recipe = Recipe::default()
        .with_objective(Objective::Neuron)
        .with_steps(60)
        .with_augmentation(Augmentation::off());
    // Of what class the picture is, the objective does not ask.
    let request = Request::of_units(units.to_vec(), ClassId(0), recipe);
    for picture in visualize(&Networks::of(net, None)?, &request, &mut Silent)?.finished {
        let mean = |channel| picture.image.index_axis(Axis(0), channel).mean();
        let colour: Vec<f32> = (0..3).filter_map(mean).collect();
        println!(
            "its picture reaches {:.2}, and is red {:.2}, green {:.2}, blue {:.2} on average",
            picture.activation, colour[0], colour[1], colour[2]
        );
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = DeviceName::default().open()?;
    let training = Shapes::new(1024, 0.97, Seed(1));
    let test = Shapes::new(512, 0.5, Seed(2));
    let mut net = train(&training, &device)?;

    let features = |data| extract_features(&Extraction::new(&net, data), &mut Silent);
    let train_table = features(&training)?.table;
    let table = features(&test)?.table;

    // Any layer: which channel of the stem answers most to blue, on average?
    let stem = extract_activations(&Extraction::new(&net, &test), "stem", &mut Silent)?.table;
    let values = stem.values()?;
    let blue = |sample: usize| {
        test.samples()[sample]
            .group
            .is_some_and(|group| group % 2 == 1)
    };
    let mean = |channel: usize, on_blue: bool| {
        let samples: Vec<_> = (0..stem.len()).filter(|&it| blue(it) == on_blue).collect();
        let values = samples.iter().map(|&it| values[[it, channel]]);
        values.sum::<f32>() / samples.len() as f32
    };
    let answer = |channel: &usize| mean(*channel, true) - mean(*channel, false);
    let most = (0..stem.width()).max_by(|a, b| answer(a).total_cmp(&answer(b)));
    if let Some(channel) = most {
        let (on, off) = (mean(channel, true), mean(channel, false));
        println!("channel {channel} of the stem: {on:.2} on blue, {off:.2} on brown");
        show(&net, &test, Unit::new("stem", UnitKind::Channel(channel)))?;
    }

    let square = table.class_by_name_or_index("square")?;
    let edit_data = EditData::new(train_table, table.clone(), Seed(0))?;
    let inputs = DebugInputs::new(&net, &table).with_edit_data(&edit_data);
    let recipe = Recipe::default()
        .with_steps(60)
        .with_augmentation(Augmentation::off());
    let config = DebugConfig::default()
        .with_neurons(NeuronChoice::Auto { count: 3 })
        .with_recipe(recipe);
    let findings = debug(&inputs, square, &config, &mut Silent)?;

    println!("squares mistaken: {}", findings.mistakes());
    for picture in &findings.pictures {
        let illusion = &picture.illusion;
        println!(
            "neuron {} reaches {:.2} on its picture",
            illusion.pair.neuron, illusion.activation
        );
    }
    if let Some(edit) = &findings.edit {
        let (before, after) = (&edit.comparison.before, &edit.comparison.after);
        println!("accuracy {:.3} -> {:.3}", before.accuracy, after.accuracy);
        println!(
            "worst group {:.3?} -> {:.3?}",
            before.worst_group_accuracy, after.worst_group_accuracy
        );
        println!("{}", edit.verdict.headline(&findings.class_names));
    }
    if let Some(patch) = &findings.patch {
        net.set_decision_layer(&patch.apply(&net.decision_layer()?)?)?;
    }
    Ok(())
}
