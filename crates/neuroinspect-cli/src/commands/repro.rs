//! `repro`: the experiments of the paper.

use anyhow::Result;
use neuroinspect::{
    experiments::{Experiment, ExperimentConfig, ExperimentResult, experiment_named, experiments},
    report::Schema,
};
use serde::Serialize;

use crate::{
    args::{Common, ReproArgs},
    console::Console,
    exit::Exit,
    options::Options,
    output::{open_folder, print},
    record,
};

const LISTED: Schema = Schema::new("neuroinspect.experiments", 1);

#[derive(Serialize)]
struct Listed {
    experiments: &'static [&'static Experiment],
}

pub(crate) fn run(common: &Common, options: &Options, args: &ReproArgs) -> Result<Exit> {
    let Some(name) = &args.name else {
        return list(common);
    };
    let experiment = experiment_named(name)?;
    let config = ExperimentConfig {
        data: args.data.clone(),
        class_names: args.class_names.clone(),
        networks: args.network.clone(),
        clip: args.clip_weights.clone(),
        concepts: args.concepts.clone(),
        mode: args.mode.unwrap_or_default(),
        seeds: args.seeds,
        seed: options.seed,
        scale: args.scale,
        device: common.device(),
    };
    let folder = open_folder(common)?;
    let mut console = Console::start(common.quiet)?;
    let command = record::command_line();
    let result = experiment.run(&config, &folder, Some(&command), &mut console)?;
    console.clear();
    print(common.json, ExperimentResult::SCHEMA, &result, |result| {
        let stem = experiment.file_stem(config.mode);
        let path = folder.join(format!("{stem}.md"));
        let page = result.to_markdown(experiment);
        format!("{page}\nwritten to {}\n", path.display())
    })?;
    Ok(Exit::Finished)
}

fn list(common: &Common) -> Result<Exit> {
    let listed = Listed {
        experiments: experiments(),
    };
    print(common.json, LISTED, &listed, |listed| {
        let lines = listed.experiments.iter().map(|experiment| {
            let Experiment {
                name, title, paper, ..
            } = experiment;
            let needs = once(experiment, |it| it.needs);
            let stand_in = once(experiment, |it| it.stand_in);
            format!("{name}  {paper}: {title}\n    on data: {needs}\n    without: {stand_in}\n")
        });
        lines.collect()
    })?;
    Ok(Exit::Finished)
}

/// A text of an experiment; where one before has the same, which.
fn once(experiment: &Experiment, text: impl Fn(&Experiment) -> &'static str) -> String {
    let same = |it: &&&Experiment| text(it) == text(experiment);
    match experiments().iter().find(same) {
        Some(first) if first.name != experiment.name => format!("as {}", first.name),
        _ => text(experiment).to_owned(),
    }
}
