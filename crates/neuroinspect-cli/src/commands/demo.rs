//! `demo`: all three stages on the embedded scenes.

use anyhow::Result;
use neuroinspect::{EditFile, core::Seed, demo::Demo, report::Timing};

use super::debug::{EDIT_FILE, finish, forget};
use crate::{
    args::{Common, DemoArgs},
    output::OutFolder,
    record,
    session::{Outcome, Session},
};

pub(crate) fn run(common: &Common, args: &DemoArgs) -> Result<Outcome> {
    let out = OutFolder::create(&common.out)?;
    let seed = Seed(common.seed);
    let device = common.device.open()?;
    let demo = Demo::load(&device)?;
    let mut config = Demo::config().with_seed(seed);
    config.illusion = config.illusion.with_steps(args.iterations);

    let mut session = Session::start()?;
    let start = std::time::Instant::now();
    let found = demo.run(&config, &mut session)?;
    session.clear();

    // Kept beside the edit file, so that `apply` can be tried on it.
    let checkpoint = "scenes_classifier.safetensors";
    demo.classifier.save(&out.join(checkpoint))?;
    let mut run = record::run(
        common,
        demo.classifier.name(),
        &demo.weights_sha256,
        "synthetic scenes, test split",
    );
    run.configs
        .insert("debug".into(), serde_json::to_value(&config)?);
    let input = serde_json::json!(demo.classifier.input());
    run.configs.insert("input".into(), input);
    run.timings.push(Timing {
        stage: "whole demo".into(),
        seconds: start.elapsed().as_secs_f64(),
    });
    let mut presentation = demo.presentation(&found, run);
    presentation.edit_file = Some(EditFile {
        path: EDIT_FILE.into(),
        how_to_apply: Some(format!(
            "neuroinspect apply --edit {} --model cifar_resnet20 --weights {}",
            record::quoted(out.join(EDIT_FILE)),
            record::quoted(out.join(checkpoint)),
        )),
    });

    let context = demo.planted_context();
    let neurons = &found.findings.neurons;
    let responding = neurons
        .iter()
        .filter(|neuron| found.context_effects[neuron.0].responds());
    let planted = format!(
        "planted: in training, every star and nothing else is on {context}; {} of the {} neurons \
         edited are clearly more or less active with {context} behind the same scenes\n",
        responding.count(),
        neurons.len(),
    );
    forget(&out)?;
    finish(common, &out, &presentation, &found.findings, &planted)
}
