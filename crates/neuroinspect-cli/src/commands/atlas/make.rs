//! Planning an atlas, and making a shard of it.

use anyhow::{Result, bail};
use neuroinspect::{
    array_expression,
    atlas::{Atlas, AtlasConfig, AtlasDevice, AtlasInputs, AtlasWork, MergeRequest},
    check_recipe,
    core::{Classifier, Precision},
    report::{Run, StageFailure},
};

use super::{print_merged, print_status};
use crate::{
    args::{Common, MakeArgs, ModelArgs},
    commands::{shards::Part, units::without_class},
    config::AtlasChoice,
    console::{Console, warn},
    exit::Exit,
    inputs::ModelSetup,
    model::{judge, picture_origin},
    opened::{Named, Opened, class_id},
    options::Options,
    record::{self, command_line},
};

pub(super) fn run(common: &Common, options: &Options, args: &MakeArgs) -> Result<Exit> {
    let Some(model) = args.model.clone() else {
        bail!("atlas needs --model NAME_OR_FILE");
    };
    let planned = || -> Result<_> {
        let is_planned = common.out.join(Atlas::PLAN_FILE).exists();
        let atlas = is_planned.then(|| Atlas::open(&common.out)).transpose()?;
        Ok(atlas.map(|atlas| atlas.planned().shards))
    };
    let part = Part::of(args.shard, args.plan, planned)?;
    let model = ModelArgs {
        model,
        weights: args.weights.clone(),
        loading: args.loading.clone(),
    };
    let named = Named {
        data: args.data.as_deref(),
        out: &common.out,
        reading: &args.reading,
        clip: &args.clip,
        class: None,
    };
    let opened = Opened::open(options, &named, || {
        ModelSetup::open(common, options, &model, &args.reading)
    })?;
    let setup = &opened.setup;
    let classifier = setup.loaded.model.as_ref();
    let choice = options.atlas(args)?;
    let config = config(options, args, &opened, &choice)?;
    check_recipe(&config.recipe, classifier)?;
    let devices = devices(common, setup)?;

    let judge = judge(common, &args.illusion.judge, &setup.device)?;
    let mut console = Console::start(common.quiet)?;
    let texts = opened.texts();
    let extraction = opened.dataset.as_ref();
    let extraction = extraction.map(|dataset| setup.extraction(&**dataset));
    let run = run_of_all(&opened, &config, &choice)?;
    let inputs = AtlasInputs {
        classifier,
        guide: texts.as_ref(),
        judge: judge
            .as_ref()
            .map(|judge| judge.model.as_ref() as &dyn Classifier),
        images: extraction.as_ref(),
        class_names: &opened.names_of_all(classifier.decision_layer()?.classes()),
        origin: &picture_origin(&setup.loaded, opened.guide.as_ref(), common.device()),
        run: &run,
    };
    let atlas = Atlas::plan(&common.out, &inputs, &config, part.shards, &mut console)?;
    console.clear();
    if args.plan.is_some() {
        print_status(common, &atlas.status()?)?;
        return Ok(Exit::Finished);
    }
    let work = AtlasWork {
        inputs: &inputs,
        config: &config,
        devices: &devices,
        shard: part.shard,
        command: Some(command_line()),
    };
    let made = atlas.make(&work, &mut console)?;
    console.clear();
    if let Some(steps) = made.resumed_at {
        warn(format_args!(
            "pictures under way went on after step {steps}, the last that the run before had kept"
        ));
    }
    for StageFailure { stage, reason } in &made.failures {
        warn(format_args!("warning: {stage} failed: {reason}"));
    }
    if !made.held.is_empty() {
        warn(format_args!(
            "left out, as other processes are making them: shards {}",
            array_expression(&made.held)
        ));
    }
    let status = atlas.status()?;
    if part.shard.is_some() || !status.missing.is_empty() || !made.held.is_empty() {
        print_status(common, &status)?;
        return Ok(Exit::of(made.interrupted, made.failures.is_empty()));
    }
    // All of it is here, and no other process is at work on it.
    let index = atlas.merge(&MergeRequest::default(), &mut console)?;
    console.clear();
    print_merged(common, &index)?;
    // A device that failed did no harm where others made its part.
    Ok(Exit::of(false, status.diverged == 0))
}

fn config(
    options: &Options,
    args: &MakeArgs,
    opened: &Opened<ModelSetup<'_>>,
    choice: &AtlasChoice,
) -> Result<AtlasConfig> {
    let guided = opened.guide.is_some();
    let layer = opened.setup.loaded.model.decision_layer()?;
    let class = |name: &str| class_id(name, &layer, opened.names.as_deref());
    let precision = opened.setup.precision;
    let (recipe, execution) = options.illusion(&args.illusion, guided, precision, &class)?;
    if choice.classes == 0 && (guided || args.illusion.weighs_class(&recipe)) {
        bail!(
            "--clip-weights, --class-gamma and objectives with a class's logit or text are for units within \
             classes: give --top-classes 1 or more, or leave them out"
        );
    }
    Ok(AtlasConfig {
        layer: choice.layer.clone(),
        classes: choice.classes,
        recipe: match choice.classes {
            0 => without_class(recipe),
            _ => recipe,
        },
        execution,
    })
}

/// All devices that `--device` names; the first is the classifier's.
fn devices(common: &Common, setup: &ModelSetup<'_>) -> Result<Vec<AtlasDevice>> {
    let precision: Precision = setup.precision;
    let open = common.devices.iter().map(|&name| {
        let device = name.open()?;
        precision.check(&device)?;
        Ok(AtlasDevice { name, device })
    });
    open.collect()
}

/// How an atlas is made, by whoever makes it.
fn run_of_all(
    opened: &Opened<ModelSetup<'_>>,
    config: &AtlasConfig,
    choice: &AtlasChoice,
) -> Result<Run> {
    let mut run = opened.setup.run(opened.data(), None)?;
    run.command = None;
    "that of each picture".clone_into(&mut run.device);
    record::add(&mut run, "atlas", choice)?;
    record::add(&mut run, "recipe", &config.recipe)?;
    record::add(&mut run, "execution", &config.execution)?;
    if let Some(guide) = &opened.guide {
        record::add(&mut run, "prompts", &guide.prompts)?;
    }
    Ok(run)
}
