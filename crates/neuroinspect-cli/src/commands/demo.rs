//! `demo`: all three stages on the embedded scenes.

use std::{path::Path, time::Instant};

use anyhow::Result;
use neuroinspect::{
    DebugConfig, FeatureRequest, PictureOrigin, RunFolder,
    core::Precision,
    datasets::ImageDataset,
    demo::Demo,
    report::{EditFile, Schema},
};

use super::debug::finish;
use crate::{
    args::{Common, DemoArgs},
    console::Console,
    exit::Exit,
    inputs::{FEATURES, TRAINING_FEATURES},
    options::Options,
    output::{open_folder, print, warn_of_reused},
    record,
};

/// Kept beside the edit file, so that `apply` can be tried on it.
const CHECKPOINT: &str = "scenes_classifier.safetensors";

const SAVED: Schema = Schema::new("neuroinspect.demo-scenes", 1);

pub(crate) fn run(common: &Common, options: &Options, args: &DemoArgs) -> Result<Exit> {
    if let Some(folder) = &args.save_scenes {
        return save(common, folder);
    }
    let folder = open_folder(common)?;
    let device = common.device().open()?;
    let demo = Demo::load(&device)?;
    let config = config(options, args.iterations)?;
    config.check(demo.classifier.as_ref())?;

    let mut console = Console::start(common.quiet)?;
    let start = Instant::now();
    // Kept, as the studio works on them, too.
    let mut features = |scenes: &dyn ImageDataset, file: &str| {
        let request = FeatureRequest {
            file: file.to_owned(),
            device: common.device(),
            complete: true,
        };
        let features = folder.features(&demo.extraction(scenes), &request, &mut console);
        features.map(|features| features.extracted)
    };
    let test = features(&demo.test, FEATURES)?;
    let train = features(&demo.train, TRAINING_FEATURES)?.table;
    let data = demo.data_of(test, train, options.seed, &mut console)?;
    let time = start.elapsed();
    demo.classifier.save(&folder.join(CHECKPOINT))?;
    let name = demo.classifier.name();
    let mut run = record::run(common, options, name, "synthetic scenes, test split");
    run.weights_sha256 = Some(demo.weights_sha256.clone());
    record::add(&mut run, "debug", &config)?;
    record::add(&mut run, "input", demo.classifier.input())?;
    run.add_timing("extracting features", time);
    let pictures = folder.pictures(
        "demo",
        PictureOrigin {
            classifier_sha256: demo.weights_sha256.clone(),
            // It is a part of the program, of which the folder takes account.
            encoder_sha256: None,
            encoder_config_sha256: None,
            device: common.device(),
            complete: true,
        },
    );
    let inputs = data
        .inputs()
        .with_pictures(&pictures)
        .with_edit_file(EditFile {
            path: RunFolder::EDIT_FILE.into(),
            how_to_apply: Some(format!(
                "neuroinspect apply --edit {} --model cifar_resnet20 --weights {}",
                record::quoted(folder.join(RunFolder::EDIT_FILE)),
                record::quoted(folder.join(CHECKPOINT)),
            )),
        })
        .with_run(run);
    let findings = folder.debug(&inputs, demo.planted_class(), &config, &mut console)?;
    console.clear();
    let resumed_at = findings.pictures_resumed_at;
    warn_of_reused(&folder, findings.pictures_reused, resumed_at);

    let context = demo.planted_context();
    let neurons = &findings.neurons;
    let responding = neurons
        .iter()
        .filter(|neuron| findings.context_effects[neuron.0].responds());
    let planted = format!(
        "planted: in training, every star and nothing else is on {context}; {} of the {} neurons \
         edited are clearly more or less active with {context} behind the same scenes\n",
        responding.count(),
        neurons.len(),
    );
    finish(common, &folder, &findings, &planted)
}

/// The options of all stages, with `--iterations`.
pub(super) fn config(options: &Options, iterations: Option<usize>) -> Result<DebugConfig> {
    let mut config = options.stages(Demo::config(), options.fixed_precision(Precision::F32)?)?;
    if let Some(steps) = iterations {
        config.recipe = config.recipe.with_steps(steps);
    }
    Ok(config)
}

/// Writes what the demo is made of.
fn save(common: &Common, folder: &Path) -> Result<Exit> {
    let demo = Demo::load(&common.device().open()?)?;
    let mut console = Console::start(common.quiet)?;
    demo.save(folder, &mut console)?;
    console.clear();
    let saved = serde_json::json!({ "folder": folder.to_string_lossy() });
    print(common.json, SAVED, &saved, |_| {
        let folder = record::quoted(folder);
        format!(
            "scenes and networks written to {folder}; try:\n\
             neuroinspect evaluate --model cifar_resnet20 --weights {folder}/{CHECKPOINT} \\\n    \
             --data {folder}/test --classes {folder}/classes.txt\n"
        )
    })?;
    Ok(Exit::Finished)
}
