//! `visualize`: what neurons mean within classes.

pub(super) mod album;
mod animation;
mod of_layers;
mod pairs;

use anyhow::Result;
use ndarray::Axis;
use neuroinspect::{
    ActiveParts, Comparison, GuideSource, ImageSource, Kept, check_recipe,
    core::Classifier,
    datasets::{open_image, preprocess},
    illusion::{Illusion, Initial, Networks, Request, visualize_batches},
    report::Schema,
};

use crate::{
    args::{Common, VisualizeArgs},
    console::{Console, warn},
    exit::Exit,
    inputs::Setup,
    model::{judge, picture_origin},
    opened::{Named, Opened, class_id},
    options::Options,
    output::{print, warn_of_reused},
    record,
};
use album::Album;
use animation::{FRAMES, FrameKeeper, Frames};

pub(super) const SCHEMA: Schema = Schema::new("neuroinspect.visualizations", 1);

pub(crate) fn run(common: &Common, options: &Options, args: &VisualizeArgs) -> Result<Exit> {
    let named = Named {
        data: args.data.as_deref(),
        out: &common.out,
        reading: &args.reading,
        clip: &args.clip,
        class: args.class.as_deref(),
    };
    let opened = Opened::open(options, &named, || {
        Setup::open(common, options, &args.model, &args.reading)
    })?;
    let classifier = opened.setup.loaded.model.as_ref();
    // What the configuration says of units comes after neurons of the command line.
    let units = match args.neurons.is_some() || args.count.is_some() {
        true => None,
        false => options.units(&args.layers, classifier)?,
    };
    match units {
        Some(choice) => of_layers::run(common, options, args, &opened, choice),
        None => of_neurons(common, options, args, &opened),
    }
}

fn of_neurons(
    common: &Common,
    options: &Options,
    args: &VisualizeArgs,
    opened: &Opened<Setup<'_>>,
) -> Result<Exit> {
    let Opened {
        setup,
        dataset,
        names,
        guide,
    } = opened;
    let classifier = setup.loaded.model.as_ref();
    let origin = picture_origin(&setup.loaded, guide.as_ref(), common.device());
    let layer = classifier.decision_layer()?;
    let pairs = pairs::of(args, &layer, names.as_deref())?;
    let class = |name: &str| class_id(name, &layer, names.as_deref());
    let (recipe, execution) =
        options.illusion(&args.illusion, guide.is_some(), setup.precision, &class)?;
    check_recipe(&recipe, classifier)?;
    let texts = opened.texts();
    let start = match &args.start {
        Some(file) => {
            let mut spec = classifier.input().clone();
            spec.size = recipe.size.unwrap_or(spec.size);
            Some(preprocess(&open_image(file)?, &spec)?)
        }
        None => None,
    };

    let judge = judge(common, &args.illusion.judge, &setup.device)?;
    let mut console = Console::start(common.quiet)?;
    let features = dataset
        .as_ref()
        .map(|dataset| setup.features(&**dataset, &mut console))
        .transpose()?;
    let mut run = setup.run(opened.data(), &features)?;
    record::add(&mut run, "recipe", &recipe)?;
    record::add(&mut run, "execution", &execution)?;
    if let Some(guide) = guide {
        record::add(&mut run, "prompts", &guide.prompts)?;
    }
    let classes: Vec<_> = pairs.iter().map(|pair| pair.class).collect();
    let guide = texts
        .as_ref()
        .map(|texts| texts.guide(&classes, &mut console))
        .transpose()?;

    let networks = Networks::new(classifier, guide.as_ref(), &setup.device, setup.precision)?;
    let judge = judge
        .as_ref()
        .map(|judge| judge.model.as_ref() as &dyn Classifier);
    let images = dataset.as_deref().zip(features.as_ref());
    let images = images.map(|(dataset, features)| ImageSource {
        dataset,
        indices: &features.indices,
    });
    let comparison = Comparison::new(&networks, judge, &[], images)?;
    let real = |source| -> Result<_> {
        Ok(album::RealImages {
            source,
            parts: ActiveParts::of(classifier)?,
            threshold: recipe.mask_threshold,
        })
    };
    let frames = Frames::default();
    let mut album = Album {
        folder: &setup.folder,
        table: features.as_ref().map(|features| features.table.as_ref()),
        names: names.as_deref(),
        steps_planned: recipe.steps,
        start: start.clone(),
        real: images.map(real).transpose()?,
        frames: &frames,
        cleared: false,
        pictures: Vec::new(),
        record: album::Record::new(run),
    };
    let mut request = Request::new(pairs, recipe).with_execution(execution);
    if let Some(start) = &start {
        let views = vec![start.view(); request.pairs.len()];
        request.initial = Initial::Images(ndarray::stack(Axis(0), &views)?);
    }
    let stop = console.stopper();
    let mut unwritten = Ok(());
    let mut keep = |mut batch: Vec<Illusion>| {
        if unwritten.is_ok() {
            let mut compare = || -> Result<_> {
                if let Some(features) = &features {
                    for illusion in &mut batch {
                        illusion.compare_unmoved(&features.table)?;
                    }
                }
                Ok(comparison.trust(&networks, &batch)?)
            };
            unwritten = compare().and_then(|trusts| album.add(&batch, trusts));
        }
        // There is no sense in pictures that cannot be kept.
        if unwritten.is_err() {
            stop();
        }
    };
    let kept = match args.animation {
        // Pictures that were made before have no frames.
        true => {
            request.execution.checkpoint_every = request.recipe.steps.div_ceil(FRAMES);
            let mut keeper = FrameKeeper {
                networks: &networks,
                request: &request,
                frames: &frames,
                failed: None,
                on_batch: &mut keep,
            };
            let shortfall = visualize_batches(&networks, &request, &mut console, &mut keeper)?;
            if let Some(error) = keeper.failed {
                return Err(error.into());
            }
            Kept::from(shortfall.refuse_all_diverged(request.pairs.len())?)
        }
        false => {
            let pictures = setup.folder.pictures("visualize", origin);
            pictures.visualize(&networks, &request, &mut console, &mut keep)?
        }
    };
    console.clear();
    unwritten?;
    warn_of_reused(&setup.folder, kept.reused, kept.resumed_at);

    album.finish(kept.shortfall)?;
    let record = album.record;
    for diverged in &record.diverged {
        warn(format_args!("warning: {diverged}"));
    }
    print(common.json, SCHEMA, &record, |record| {
        let lines = record.visualizations.iter().map(ToString::to_string);
        let path = setup.folder.path().display();
        lines.collect::<String>() + &format!("written to {path}\n")
    })?;
    Ok(Exit::of(record.interrupted, record.diverged.is_empty()))
}
