//! `models`: what checkpoints can be loaded for, and the layers of a model.

use anyhow::Result;
use neuroinspect::{
    core::{Classifier as _, LayerInfo, LayerKind},
    models::{LoadConfig, classifiers, clip::ClipConfig, init_classifier},
    report::Schema,
};
use serde::Serialize;

use crate::{
    args::{Common, HeadArgs, ModelsArgs},
    exit::Exit,
    hub,
    model::onnx,
    output::print,
};

const MODELS: Schema = Schema::new("neuroinspect.models", 1);
const LAYERS: Schema = Schema::new("neuroinspect.layers", 1);

#[derive(Serialize)]
struct Listed {
    classifiers: Vec<Classifier>,
    /// Presets of open_clip; any other model goes by its config file.
    clip: &'static [&'static str],
}

#[derive(Serialize)]
struct Classifier {
    name: &'static str,
    /// Trained weights.
    parameters: usize,
    neurons: usize,
    /// 0 where the weights that the name stands for have no decision layer.
    classes: usize,
    input_size: usize,
    source: &'static str,
    /// Names of published weights with a preprocessing of their own: `resnet50.a1_in1k`.
    tagged: Vec<String>,
}

#[derive(Serialize)]
struct Layers<'a> {
    model: &'a str,
    /// In the order of computation.
    layers: Vec<LayerInfo>,
}

pub(crate) fn run(common: &Common, args: &ModelsArgs) -> Result<Exit> {
    match &args.layers {
        Some(model) => layers(common, model)?,
        None => models(common)?,
    }
    Ok(Exit::Finished)
}

fn models(common: &Common) -> Result<()> {
    let listed = Listed {
        classifiers: classifiers()?
            .iter()
            .map(|info| Classifier {
                name: info.name,
                parameters: info.parameters,
                neurons: info.neurons,
                classes: info.classes,
                input_size: info.input.size,
                source: info.source,
                tagged: info
                    .tags
                    .iter()
                    .map(|tag| format!("{}.{}", info.name, tag.tag))
                    .collect(),
            })
            .collect(),
        clip: &ClipConfig::PRESETS,
    };
    print(common.json, MODELS, &listed, |listed| {
        let mut text = format!(
            "{:<32} {:>10} {:>7} {:>7} {:>5}  weights as in\n",
            "classifier", "parameters", "neurons", "classes", "input"
        );
        for Classifier {
            name,
            parameters,
            neurons,
            classes,
            input_size,
            source,
            tagged,
        } in &listed.classifiers
        {
            let millions = format!("{:.1} M", *parameters as f64 / 1e6);
            text += &format!(
                "{name:<32} {millions:>10} {neurons:>7} {classes:>7} {input_size:>5}  {source}\n"
            );
            if !tagged.is_empty() {
                text += &format!("    also {}\n", tagged.join(", "));
            }
        }
        text + &format!(
            "\nlayers of one: --layers NAME\nCLIP and SigLIP (--clip): {}, or an open_clip config file\n",
            listed.clip.join(", ")
        )
    })
}

fn layers(common: &Common, model: &str) -> Result<()> {
    let device = common.device().open()?;
    if let Some(onnx) = onnx(model, &HeadArgs::default(), None)? {
        let layers = onnx.classifier(&LoadConfig::default(), &device)?.layers()?;
        return print_layers(common, model, layers);
    }
    let found = match hub::is_name(model) {
        true => Some(hub::classifier(common, model, false)?),
        false => None,
    };
    let model = found.as_ref().map_or(model, |found| &found.model);
    let architecture = model.split('.').next();
    let models = classifiers()?;
    let info = models.iter().find(|info| Some(info.name) == architecture);
    // Where there is no such model, the error names one that may be meant.
    let classes = info.map_or(1, |info| info.classes.max(1));
    let layers = init_classifier(model, classes, &device)?.layers()?;
    print_layers(common, model, layers)
}

fn print_layers(common: &Common, model: &str, layers: Vec<LayerInfo>) -> Result<()> {
    print(common.json, LAYERS, &Layers { model, layers }, |listed| {
        let names = listed.layers.iter().map(|layer| layer.name.len());
        let width = names.chain([5]).max().unwrap_or(0);
        let mut text = format!("{:<width$}  kind      channels\n", "layer");
        for LayerInfo {
            name,
            kind,
            channels,
        } in &listed.layers
        {
            let kind = match kind {
                LayerKind::Map => "map",
                LayerKind::Tokens => "tokens",
                LayerKind::Features => "features",
            };
            text += &format!("{name:<width$}  {kind:<8}  {channels:>8}\n");
        }
        text
    })
}
