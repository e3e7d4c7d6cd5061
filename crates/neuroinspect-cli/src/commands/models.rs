//! `models`: what checkpoints can be loaded for, and the layers of a model.

use anyhow::Result;
use neuroinspect::{
    core::{Classifier as _, LayerInfo, LayerKind},
    models::{classifiers, clip::ClipConfig, init_classifier},
    report::Schema,
};
use serde::Serialize;

use crate::{
    args::{Common, ModelsArgs},
    exit::Exit,
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
    neurons: usize,
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
                neurons: info.neurons,
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
            "{:<24} {:>7} {:>6}  weights as in\n",
            "classifier", "neurons", "input"
        );
        for Classifier {
            name,
            neurons,
            input_size,
            source,
            tagged,
        } in &listed.classifiers
        {
            text += &format!("{name:<24} {neurons:>7} {input_size:>6}  {source}\n");
            if !tagged.is_empty() {
                text += &format!("{:<40}also {}\n", "", tagged.join(", "));
            }
        }
        text + &format!(
            "\nlayers of one: --layers NAME\nCLIP (--clip): {}, or an open_clip config file\n",
            listed.clip.join(", ")
        )
    })
}

fn layers(common: &Common, model: &str) -> Result<()> {
    let device = common.device.open()?;
    let architecture = model.split('.').next();
    let models = classifiers()?;
    let info = models.iter().find(|info| Some(info.name) == architecture);
    // Where there is no such model, the error names one that may be meant.
    let classes = info.map_or(1, |info| info.classes);
    let layers = init_classifier(model, classes, &device)?.layers()?;
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
