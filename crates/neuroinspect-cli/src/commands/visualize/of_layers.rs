//! Units of any layer.

use std::time::Instant;

use anyhow::{Result, bail};
use neuroinspect::{
    UnitsConfig,
    core::{Classifier, UnitKind},
    report::{Schema, StageFailure, UnitFindings, UnitReport},
};

use crate::{
    args::{Common, VisualizeArgs},
    commands::units::{self, Looking},
    config::UnitChoice,
    console::{Console, warn},
    exit::Exit,
    inputs::Setup,
    model::{judge, picture_origin},
    opened::{Opened, class_id},
    options::Options,
    output::{print, warn_of_reused},
    record,
};

/// Page and JSON are written for at most this share of the time, as one to so many.
const REST: u32 = 10;

pub(super) fn run(
    common: &Common,
    options: &Options,
    args: &VisualizeArgs,
    opened: &Opened<Setup<'_>>,
    choice: UnitChoice,
) -> Result<Exit> {
    let Opened {
        setup,
        dataset,
        guide,
        ..
    } = opened;
    if dataset.is_none() && args.layers.top.is_some() {
        bail!("--top needs real images: give --data DIR");
    }
    let config = config(options, args, opened, choice)?;
    let judge = judge(common, &args.illusion.judge, &setup.device)?;
    let mut console = Console::start(common.quiet)?;
    let mut run = setup.run(opened.data(), None)?;
    record::add(&mut run, "units", &units::choice(&config))?;
    record::add(&mut run, "recipe", &config.recipe)?;
    record::add(&mut run, "execution", &config.execution)?;
    if let Some(guide) = guide {
        record::add(&mut run, "prompts", &guide.prompts)?;
    }
    let classes = setup.loaded.model.decision_layer()?.classes();
    let mut report = UnitReport {
        units: Vec::new(),
        class_names: opened.names_of_all(classes),
        interrupted: true,
        failures: Vec::new(),
        run,
    };
    let texts = opened.texts();
    let origin = picture_origin(&setup.loaded, guide.as_ref(), common.device());
    let looking = Looking {
        setup,
        dataset: dataset.as_deref(),
        config: &config,
        guide: texts.as_ref(),
        judge: judge
            .as_ref()
            .map(|judge| judge.model.as_ref() as &dyn Classifier),
        pictures: setup.folder.pictures("visualize-units", origin),
        folder: UnitReport::FOLDER,
    };
    let folder = &setup.folder;
    let stop = console.stopper();
    let mut unwritten: neuroinspect::Result<()> = Ok(());
    let steps = config.recipe.steps;
    // An earlier run's results stand until a picture is finished.
    let others_stand = || folder.join(UnitReport::JSON_FILE).exists();
    let mut next = Instant::now();
    let mut keep = |unit: UnitFindings| {
        let broken_off = unit.picture.as_ref().is_some_and(|it| it.steps < steps);
        if report.units.is_empty() && broken_off && others_stand() {
            return;
        }
        if unwritten.is_ok() {
            // What an earlier run left would pass for this one's.
            let cleared = match report.units.is_empty() {
                true => {
                    let mut left = [
                        UnitReport::JSON_FILE,
                        UnitReport::HTML_FILE,
                        UnitReport::SHEET_FILE,
                    ]
                    .map(String::from)
                    .to_vec();
                    left.extend(folder.unit_pictures(UnitReport::JSON_FILE, UnitReport::FOLDER));
                    folder.remove(&left)
                }
                false => Ok(()),
            };
            unwritten = cleared.and_then(|()| Ok(report.add(unit, folder.path())?));
            let start = Instant::now();
            if start >= next && unwritten.is_ok() {
                unwritten = report.write(folder.path()).map_err(Into::into);
                next = Instant::now() + REST * start.elapsed();
            }
        }
        // There is no sense in pictures that cannot be kept.
        if unwritten.is_err() {
            stop();
        }
    };
    let seen = looking.run(&mut console, &mut keep)?;
    console.clear();
    unwritten?;
    warn_of_reused(folder, seen.reused, seen.resumed_at);
    report.interrupted = seen.interrupted;
    report.failures = seen.failures;
    if !(report.interrupted && report.units.is_empty() && others_stand()) {
        report.write(folder.path())?;
    }
    for StageFailure { stage, reason } in &report.failures {
        warn(format_args!("warning: {stage} failed: {reason}"));
    }
    print(common.json, Schema::UNITS, &report, |report| {
        let lines = report.units.iter().map(line);
        let page = folder.join(UnitReport::HTML_FILE);
        lines.collect::<String>() + &format!("page: {}\n", page.display())
    })?;
    Ok(Exit::of(report.interrupted, report.failures.is_empty()))
}

fn config(
    options: &Options,
    args: &VisualizeArgs,
    opened: &Opened<Setup<'_>>,
    choice: UnitChoice,
) -> Result<UnitsConfig> {
    let Opened {
        setup,
        names,
        guide,
        ..
    } = opened;
    let classifier = setup.loaded.model.as_ref();
    let layer = classifier.decision_layer()?;
    let class = args.class.as_deref();
    let class = class.map(|text| class_id(text, &layer, names.as_deref()));
    let class = class.transpose()?;
    let class_named = |name: &str| class_id(name, &layer, names.as_deref());
    let (recipe, execution) = options.illusion(
        &args.illusion,
        guide.is_some(),
        setup.precision,
        &class_named,
    )?;
    if class.is_none() && (guide.is_some() || args.illusion.weighs_class(&recipe)) {
        bail!(
            "--clip-weights, --class-gamma and objectives with a class's logit or text are for units \
             within a class: give --class, or leave them out"
        );
    }
    let config = UnitsConfig {
        units: choice.units,
        class,
        top: choice.top,
        recipe: match class {
            Some(_) => recipe,
            None => units::without_class(recipe),
        },
        execution,
    };
    config.check(classifier)?;
    Ok(config)
}

/// A unit in a line.
fn line(found: &UnitFindings) -> String {
    let mut text = found.unit.to_string();
    if let UnitKind::Direction(direction) = &found.unit.kind {
        text += &format!(" (length {:.4})", direction.length());
    }
    text += match &found.picture {
        Some(_) => ": ",
        None => ": no picture",
    };
    if let Some(picture) = &found.picture {
        text += &format!("activation {:.2} on {}", picture.activation, picture.file);
    }
    if let Some(top) = found.real.as_ref().and_then(|real| real.top.first()) {
        text += &format!(", {:.2} on the top real image, {}", top.activation, top.id);
    }
    match found.picture.as_ref().and_then(|it| it.trust.as_ref()) {
        Some(trust) => text + &format!("\n  {trust}\n"),
        None => text + "\n",
    }
}
