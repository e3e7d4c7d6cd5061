//! Trains the three networks that the demo embeds, from the synthetic scenes and nothing else.
//!
//! - `scenes_classifier.safetensors`: a CIFAR ResNet-20. Its backbone is trained on scenes where
//!   every object is on every context, to name both; it knows either. Its decision layer is then
//!   trained on scenes where every star, and nothing else, is on water, as one trains a new layer
//!   on a backbone that somebody else has trained: it takes to the water as much as to the star.
//! - `scenes_clip.safetensors`: a small CLIP on scenes where every object is on every context. Each
//!   scene is matched against the names of all objects and of all contexts, in one of many
//!   templates, and against the captions of its batch.
//! - `scenes_judge.safetensors`: a CIFAR ResNet-8, to name the object in scenes of another seed, where
//!   every object is on every context: a third opinion on pictures that the other two made.
//!
//! ```sh
//! cargo run --release -p neuroinspect --example train_demo -- [folder] [classifier|clip|judge]
//! ```
//!
//! Without a folder it writes where the crate embeds from. It trains on the device that `NEUROINSPECT_DEVICE`
//! names (as `tch:cuda:0`), by default the first that the build has. The same machine and backend of a CPU give the
//! same bytes: everything is drawn from one seed.

#![allow(clippy::print_stdout)]

mod report;
mod schedule;

use std::{env, error::Error, fs, path::PathBuf};

use burn::{
    module::Module,
    nn::{Initializer, LinearConfig, loss::CrossEntropyLossConfig},
    tensor::{Device, Int, Tensor, TensorData, activation::log_softmax},
};
use burn_optim::{AdamConfig, GradientsParams};
use neuroinspect::{
    Extraction,
    core::{Classifier, DecisionLayer, DeviceName, ImageTextEncoder, Precision, Seed, Silent},
    datasets::{
        ImageDataset,
        scenes::{Context, Scene, Scenes, ScenesConfig},
    },
    demo::Demo,
    extract_features,
    models::{
        Checkpoint, CifarResNetConfig, GraphClassifier, PretrainedClassifier, Strictness,
        clip::{Clip, ClipBlocks, ClipConfig, ClipTextConfig, ClipVisionConfig, Gelu},
        prompts::PromptTemplates,
    },
};
use rand::RngExt;
use report::{report_classifier, report_clip};
use schedule::Schedule;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const SEED: Seed = Seed(0);

const CLASSIFIER: Schedule = Schedule {
    network: "classifier",
    epochs: 20,
    batch: 64,
    learning_rate: 3e-3,
    weight_decay: 0.01,
    epsilon: 1e-5,
};

const JUDGE: Schedule = Schedule {
    network: "judge",
    epochs: 12,
    ..CLASSIFIER
};
const JUDGE_SEED: Seed = Seed(1);

/// Of Adam, all scenes at once.
const DECISION_LAYER_STEPS: usize = 1000;
const DECISION_LAYER_RATE: f64 = 5e-3;

/// One pass: a transformer would learn the captioned scenes by heart, and there are always more.
const CLIP: Schedule = Schedule {
    network: "clip",
    epochs: 1,
    batch: 32,
    learning_rate: 1e-3,
    weight_decay: 0.01,
    epsilon: 1e-8,
};
const CAPTIONED_SCENES: usize = 128_000;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/assets")),
        PathBuf::from,
    );
    let which = arguments.next();
    let wanted = |schedule: &Schedule| which.as_deref().is_none_or(|it| it == schedule.network);
    fs::create_dir_all(&folder)?;
    let device = match env::var("NEUROINSPECT_DEVICE") {
        Ok(name) => name.parse()?,
        Err(_) => DeviceName::default(),
    };
    let device = device.open()?;
    if wanted(&CLASSIFIER) {
        let classifier = train_classifier(&device)?;
        classifier.save(&folder.join("scenes_classifier.safetensors"))?;
        report_classifier(&classifier)?;
    }
    if wanted(&CLIP) {
        let clip = train_clip(&device)?;
        clip.save(folder.join("scenes_clip.safetensors"), Precision::F16)?;
        report_clip(&clip)?;
    }
    if wanted(&JUDGE) {
        let judge = train_judge(&device)?;
        judge.save(&folder.join("scenes_judge.safetensors"))?;
        report_classifier(&judge)?;
    }
    Ok(())
}

/// A backbone that can tell objects and contexts, and a decision layer that confuses them.
fn train_classifier(device: &Device) -> Result<GraphClassifier> {
    let backbone = train_backbone(device)?;
    let scratch = tempfile::tempdir()?;
    let checkpoint = scratch.path().join("backbone.safetensors");
    backbone.save(&checkpoint)?;

    let scenes = Scenes::new(Demo::training_scenes())?;
    let mut model = CifarResNetConfig::new(20, scenes.class_names().len()).init(device)?;
    // All but the decision layer, which has other classes.
    let report = model.load(&Checkpoint::open(&checkpoint)?, Strictness::Partial)?;
    let others = report.mismatched.iter().map(|it| it.name.as_str());
    if !others.eq(["linear.bias", "linear.weight"]) || !report.missing.is_empty() {
        return Err(format!("expected all but the decision layer to load, found {report}").into());
    }
    let layer = train_decision_layer(&model, &scenes)?;
    model.set_decision_layer(&layer)?;
    Ok(model)
}

/// Learns to name what a scene shows, object and context, of scenes without a correlation.
fn train_backbone(device: &Device) -> Result<GraphClassifier> {
    let scenes = Scenes::new(ScenesConfig::captioned())?;
    let contexts = Context::ALL.len();
    let model = CifarResNetConfig::new(20, scenes.class_names().len() * contexts);
    train_network(&CLASSIFIER, model, &scenes, device, |index| {
        let context = scenes.scene(index)?.context as usize;
        Ok(scenes.samples()[index].label.0 * contexts + context)
    })
}

/// Learns to name the object of scenes that no other network has seen.
fn train_judge(device: &Device) -> Result<GraphClassifier> {
    let scenes = Scenes::new(ScenesConfig::captioned().with_seed(JUDGE_SEED))?;
    let model = CifarResNetConfig::new(Demo::JUDGE_DEPTH, scenes.class_names().len());
    let label = |index: usize| Ok(scenes.samples()[index].label.0);
    train_network(&JUDGE, model, &scenes, device, label)
}

/// Trains a network to tell the numbers that `number` gives scenes.
fn train_network(
    schedule: &Schedule,
    config: CifarResNetConfig,
    scenes: &Scenes,
    device: &Device,
    number: impl Fn(usize) -> Result<usize>,
) -> Result<GraphClassifier> {
    device.seed(SEED.0);
    let device = device.clone().autodiff();
    let mut model = config.init(&device)?;
    let input = model.input().clone();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let mut optimizer = schedule.optimizer();
    schedule.run(scenes, &input, &device, |images, batch, rate, _| {
        let numbers = batch.iter().map(|&index| number(index));
        let numbers = numbers.collect::<Result<Vec<_>>>()?;
        let numbers = indices(numbers.into_iter(), &device);
        let loss = cross_entropy.forward(model.forward(images)?, numbers);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(rate, model.clone(), gradients);
        Ok(loss)
    })?;
    Ok(model.valid())
}

/// Learns to name the object, by features that stay as they are, of scenes with the correlation.
fn train_decision_layer(backbone: &GraphClassifier, scenes: &Scenes) -> Result<DecisionLayer> {
    let table = extract_features(&Extraction::new(backbone, scenes), &mut Silent)?.table;
    let device = backbone.device().autodiff();
    let shape = [table.len(), table.neurons()];
    let features = TensorData::new(table.features()?.iter().copied().collect(), shape);
    let features = Tensor::<2>::from_data(features, &device);
    let labels = indices(table.labels().iter().map(|label| label.0), &device);

    let mut layer = LinearConfig::new(table.neurons(), table.classes())
        .with_initializer(Initializer::Zeros)
        .init(&device);
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let mut optimizer = AdamConfig::new().init();
    for _ in 0..DECISION_LAYER_STEPS {
        let loss = cross_entropy.forward(layer.forward(features.clone()), labels.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &layer);
        layer = optimizer.step(DECISION_LAYER_RATE, layer, gradients);
    }
    Ok(DecisionLayer::from_linear(&layer.valid())?)
}

fn train_clip(device: &Device) -> Result<Clip> {
    device.seed(SEED.0);
    let device = device.clone().autodiff();
    let scenes = Scenes::new(ScenesConfig::captioned().with_samples(CAPTIONED_SCENES))?;
    let config = ClipConfig {
        embed_dim: 64,
        gelu: Gelu::Exact,
        vision: ClipVisionConfig {
            image_size: 32,
            patch_size: 8,
            width: 96,
            head_width: 16,
            layers: ClipBlocks::Transformer(3),
            ..Default::default()
        },
        text: ClipTextConfig {
            width: 48,
            heads: 2,
            layers: 2,
            ..Default::default()
        },
        input: None,
        siglip: None,
    };
    let mut model = config.init(&device)?;
    let input = model.input().clone();
    let templates = templates();

    let mut optimizer = CLIP.optimizer();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let contexts = Context::ALL.map(|context| context.to_string());
    let objects = scenes.class_names();
    CLIP.run(&scenes, &input, &device, |images, batch, rate, rng| {
        let shown = batch.iter().map(|&index| scenes.scene(index));
        let shown = shown.collect::<Result<Vec<_>, _>>()?;
        let captions: Vec<_> = shown.iter().map(Scene::caption).collect();
        let prompt = |name: &String| {
            let template: &String = &templates[rng.random_range(0..templates.len())];
            template.replace("{}", name)
        };
        let prompts: Vec<_> = objects.iter().chain(&contexts).map(prompt).collect();
        let texts = model.tokens(&[prompts, captions.clone()].concat())?;

        let images = unit(model.image_features(images));
        let texts = unit(model.text_features(texts));
        let logits = images.matmul(texts.transpose()) * model.logit_scale().exp().unsqueeze();
        let [to_object, to_context, to_caption] = [
            (0, objects.len()),
            (objects.len(), contexts.len()),
            (objects.len() + contexts.len(), batch.len()),
        ]
        .map(|(start, length)| logits.clone().narrow(1, start, length));

        let object = indices(
            batch.iter().map(|&index| scenes.samples()[index].label.0),
            &device,
        );
        let context = indices(shown.iter().map(|scene| scene.context as usize), &device);
        // Two scenes can have the same caption: they share it equally.
        let same = captions
            .iter()
            .flat_map(|a| captions.iter().map(move |b| f32::from(u8::from(a == b))));
        let same = TensorData::new(same.collect(), [batch.len(), batch.len()]);
        let same = Tensor::<2>::from_data(same, &device);
        let loss = cross_entropy.forward(to_object, object)
            + cross_entropy.forward(to_context, context)
            + matching_loss(to_caption.clone(), same.clone())
            + matching_loss(to_caption.transpose(), same);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(rate, model.clone(), gradients);
        Ok(loss)
    })?;
    Ok(model.valid())
}

/// The templates of ordinary photographs and of parts, and the bare words.
fn templates() -> Vec<String> {
    let bare = ["{}", "a {}", "a photo of a {}."].map(str::to_owned);
    let [photos, parts] = [PromptTemplates::imagenet80(), PromptTemplates::parts32()];
    [photos.as_slice(), parts.as_slice(), bare.as_slice()].concat()
}

/// Cross-entropy of each row's softmax against its share of `fits`, averaged over rows.
fn matching_loss(logits: Tensor<2>, fits: Tensor<2>) -> Tensor<1> {
    let target = fits.clone() / fits.sum_dim(1);
    -(target * log_softmax(logits, 1)).sum_dim(1).mean()
}

fn indices(values: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<_> = values.map(|value| value as i32).collect();
    Tensor::from_data(TensorData::from(values.as_slice()), device)
}

fn unit(x: Tensor<2>) -> Tensor<2> {
    let norm = x.clone().square().sum_dim(1).sqrt();
    x / norm
}
