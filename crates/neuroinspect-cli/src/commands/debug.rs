//! `debug`: all three stages, and a report.

use anyhow::{Result, bail};
use neuroinspect::{
    DebugConfig, DebugInputs, Findings, ImageSource, RunFolder, UnitsConfig,
    core::{ClassId, Classifier, class_by_name_or_index, is_cancellation},
    datasets::ImageDataset,
    editing::percent,
    illusion::Pair,
    models::LoadedClassifier,
    report::{EditFile, Schema, StageFailure, UnitFindings},
};

use crate::{
    args::{Common, DebugArgs, ModelArgs},
    commands::units::{self, Looking},
    console::{Console, warn},
    exit::Exit,
    inputs::{Asked, Inputs},
    model::{TextGuide, has_all_weights, judge, picture_origin},
    options::{self, Options},
    output::{accuracies_of, print, warn_of_reused},
    record,
    words::{self, Labelling},
};

/// Fewer mistakes than this are too few to find what they have in common.
const FEW: usize = 10;
/// Neurons of each list that are printed.
const SHOWN: usize = 5;

pub(crate) fn run(common: &Common, options: &Options, args: &DebugArgs) -> Result<Exit> {
    // Whatever can be refused is, before the long part begins, and what needs no model before one is
    // downloaded.
    let mut config = config(args, options)?;
    let words = args.words.as_ref().map(|file| words::read(file, &[]));
    let words = words.transpose()?;
    let asked = Asked {
        train: args.train.as_deref(),
        class: Some(&args.class),
        outlines: args.outlines.as_deref(),
    };
    let inputs = Inputs::open(common, options, &args.model, &args.data, asked)?;
    let setup = &inputs.setup;
    let class = class_by_name_or_index(inputs.dataset.class_names(), &args.class)?;
    let model = setup.loaded.model.as_ref();
    let neurons = (args.neurons.as_ref(), config.neurons);
    config.neurons = options::neuron_choice(neurons, args.count, &model.decision_layer()?)?;
    inputs.check_parts()?;
    let guide = TextGuide::load(setup, &args.clip, Some(&args.data.data))?;
    config.check(model)?;
    let judge = judge(common, &args.illusion.judge, &setup.device)?;
    let judge = judge
        .as_ref()
        .map(|judge| judge.model.as_ref() as &dyn Classifier);
    let units = options.units(&args.layers, setup.loaded.model.as_ref())?;
    let units = units.map(|choice| {
        let recipe = units::without_class(config.recipe.clone());
        UnitsConfig::default()
            .with_units(choice.units)
            .with_top(choice.top)
            .with_recipe(recipe)
            .with_execution(config.execution)
    });
    if let Some(units) = &units {
        units.check(setup.loaded.model.as_ref())?;
    }

    let mut console = Console::start(common.quiet)?;
    let features = inputs.features(&mut console)?;
    let (table, indices) = features.data.explained()?;
    let table = &*table;
    let edit_data = features.edit_data(options.seed);
    let texts = guide.as_ref().map(|guide| guide.texts(table.class_names()));
    let origin = picture_origin(&setup.loaded, guide.as_ref(), common.device());
    let pictures = setup.folder.pictures("debug", origin.clone());
    let labels = match (words, &guide) {
        (Some(words), Some(guide)) => {
            let request = Labelling {
                words,
                queries: &[],
                activations: table.activations(),
                images: ImageSource {
                    dataset: &*inputs.dataset,
                    indices: &indices,
                },
                config: &options.labels(None)?,
            };
            words::label(setup, guide, &request, &mut console).map(|labels| labels.units)
        }
        _ => Ok(Vec::new()),
    };
    // Too few images, say: the other stages go on.
    let (labels, unlabelled) = match labels {
        Ok(labels) => (labels, None),
        Err(error) if is_cancellation(error.as_ref()) => return Err(error),
        Err(error) => (Vec::new(), Some(error)),
    };
    let mut run = inputs.run(&features)?;
    record::add(&mut run, "debug", &config)?;
    if args.words.is_some() {
        record::add(&mut run, "labels", &options.labels(None)?)?;
    }
    if let Some(units) = &units {
        record::add(&mut run, "units", &units::choice(units))?;
    }
    if let Some(guide) = &guide {
        record::add(&mut run, "prompts", &guide.prompts)?;
    }
    let mut debug_inputs = DebugInputs::new(setup.loaded.model.as_ref(), table)
        .with_images(&*inputs.dataset, &indices)
        .with_pictures(&pictures)
        .with_labels(&labels)
        .with_edit_file(EditFile {
            path: RunFolder::EDIT_FILE.into(),
            how_to_apply: how_to_apply(common, &setup.folder, &args.model, &setup.loaded),
        })
        .with_run(run);
    if let Some(texts) = &texts {
        debug_inputs = debug_inputs.with_guide(texts);
    }
    if let Some(judge) = judge {
        debug_inputs = debug_inputs.with_judge(judge);
    }
    if let Some(error) = &unlabelled {
        debug_inputs = debug_inputs.with_failure("labelling", error.as_ref());
    }
    // Too few images to edit on: what is left is still worth having.
    debug_inputs = match &edit_data {
        Ok(data) => debug_inputs.with_edit_data(data),
        Err(error) => debug_inputs.with_failure("editing", error),
    };
    let folder = &setup.folder;
    let mut findings = folder.debug(&debug_inputs, class, &config, &mut console)?;
    if let Some(units) = units.filter(|_| !findings.interrupted) {
        let looking = Looking {
            setup,
            dataset: Some(&*inputs.dataset),
            config: &units,
            guide: None,
            judge,
            pictures: setup.folder.pictures("debug-units", origin),
            folder: Findings::UNITS_FOLDER,
        };
        let look = |on_unit: &mut dyn FnMut(UnitFindings)| looking.run(&mut console, on_unit);
        let reused = folder.add_units(&debug_inputs, &mut findings, look)?;
        findings.pictures_reused += reused;
    }
    console.clear();
    let resumed_at = findings.pictures_resumed_at;
    warn_of_reused(folder, findings.pictures_reused, resumed_at);
    finish(common, folder, &findings, "")
}

/// The options of all stages; of the neurons what the configuration says.
pub(super) fn config(args: &DebugArgs, options: &Options) -> Result<DebugConfig> {
    let by_config = options.debug(DebugConfig::default())?;
    let (counterfactual, ranking) = options.explaining(false)?;
    let precision = options.precision(&args.model.loading.format);
    let class = |name: &str| match name.parse() {
        Ok(index) => Ok(ClassId(index)),
        Err(_) => bail!("give its index in the model, as names are not known yet"),
    };
    let (recipe, execution) =
        options.illusion(&args.illusion, args.clip.is_named(), precision, &class)?;
    let config = DebugConfig {
        pictures: args.pictures.or(by_config.pictures),
        counterfactual,
        ranking,
        certified: options.certified()?,
        editing: options.editing(&args.editing)?,
        recommendation: by_config.recommendation && !args.no_recommendation,
        recipe,
        execution,
        ..by_config
    };
    config.validate()?;
    Ok(config)
}

/// The command line that applies the edit; none where weights are missing, which nothing is written in
/// the place of.
fn how_to_apply(
    common: &Common,
    folder: &RunFolder,
    model: &ModelArgs,
    loaded: &LoadedClassifier,
) -> Option<String> {
    if !has_all_weights(loaded) {
        return None;
    }
    Some(format!(
        "neuroinspect apply --edit {} {}",
        record::quoted(folder.join(RunFolder::EDIT_FILE)),
        record::apply_arguments(common, model),
    ))
}

/// Says what was found, after `heading`: shared with `demo`.
pub(super) fn finish(
    common: &Common,
    folder: &RunFolder,
    findings: &Findings,
    heading: &str,
) -> Result<Exit> {
    for StageFailure { stage, reason } in &findings.failures {
        warn(format_args!("warning: {stage} failed: {reason}"));
    }
    print(common.json, Schema::FINDINGS, findings, |findings| {
        heading.to_owned() + &text(findings, folder)
    })?;
    Ok(Exit::of(findings.interrupted, findings.failures.is_empty()))
}

fn text(findings: &Findings, folder: &RunFolder) -> String {
    let Findings {
        class,
        samples,
        ranking,
        edit,
        ..
    } = findings;
    let name = findings.class_name();
    let mistakes = findings.mistakes();
    let mut text = format!("{mistakes} of {samples} images of '{name}' are mistaken\n");
    if mistakes < FEW {
        text += "so few mistakes say little about the neurons behind them\n";
    }
    for (title, list) in [
        ("too weak", &ranking.insufficient),
        ("too strong", &ranking.excessive),
    ] {
        let neurons = list
            .iter()
            .take(SHOWN)
            .map(|ranked| format!("{} ({})", ranked.neuron, percent(ranked.prec_at_k)));
        text += &format!(
            "neurons {title} (in what share of the mistakes): {}\n",
            neurons.collect::<Vec<_>>().join(", ")
        );
    }
    if let Some(edit) = edit {
        let neurons: Vec<_> = edit.neurons.iter().map(ToString::to_string).collect();
        text += &format!("edited away from neurons {}\n\n", neurons.join(", "));
        text += &accuracies_of(Some((*class, name)), edit);
        let names = &findings.class_names;
        let sentence = edit.verdict.sentence(&edit.neurons, names);
        text += &format!("{}\n{sentence}\n", edit.verdict.headline(names));
        text += &format!("measured on {}\n", edit.measured_on());
    }
    if let Some(recommendation) = &findings.recommendation {
        let lead = match recommendation.recommended {
            Some(_) => "recommended",
            None => "no recommendation",
        };
        let (headline, names) = (recommendation.headline(), &findings.class_names);
        let expected = recommendation.expectation(names);
        text += &format!("\n{lead}: {headline}\nexpected: {expected}\n");
        if let Some(note) = recommendation.note() {
            text += &format!("{note}\n");
        }
        text += "(why: see the report; the words: docs/mend.md)\n";
    }
    if let Some(reason) = &findings.recommendation_left_out {
        text += &format!("\nno recommendation: {reason}\n");
    }
    for picture in &findings.pictures {
        let Pair { neuron, class } = picture.illusion.pair;
        if let Some(trust) = &picture.trust {
            let name = findings.name_of(class);
            text += &format!("\npicture of neuron {neuron} in {name}: {trust}");
        }
    }
    if !findings.pictures.is_empty() {
        text += "\n";
    }
    text += &format!("\nreport: {}\n", folder.join(Findings::HTML_FILE).display());
    if cfg!(feature = "studio") {
        text += &format!(
            "to look closer and try edits: neuroinspect studio {}\n",
            record::quoted(folder.path())
        );
    }
    text
}
