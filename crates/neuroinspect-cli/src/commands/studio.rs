//! `studio`: a page on this machine to look at mistakes, see neurons and try edits.

use std::{env, fs, path::Path, thread, time::Duration};

use anyhow::{Context, Result, bail};
use clap::{CommandFactory, Parser, parser::ValueSource};
use neuroinspect::{
    DebugConfig, Findings,
    report::{Run, Schema},
};
use neuroinspect_studio::{Encoder, Opened, Server, StudioConfig};
use serde_json::{Value, json};

use crate::{
    args::{Cli, ClipArgs, Command, Common, DataArgs, ModelArgs, StudioArgs},
    commands::{debug, demo},
    console::Console,
    exit::Exit,
    inputs::{Asked, Inputs, Setup},
    model::{TextGuide, picture_origin},
    options::{self, Options},
    output::{open_folder, print},
    record,
};

const SCHEMA: Schema = Schema::new("neuroinspect.studio", 1);

/// So often it is looked whether Ctrl-C was pressed.
const PAUSE: Duration = Duration::from_millis(100);

/// Options of the server, which whatever is opened takes.
const OF_SERVER: [&str; 5] = ["port", "listen", "offline", "json", "quiet"];
/// Those that the demo takes beside them.
const OF_DEMO: [&str; 5] = ["out", "config", "seed", "device", "memory"];

pub(crate) fn run(common: &Common, options: &Options, args: &StudioArgs) -> Result<Exit> {
    let mut config = StudioConfig {
        port: args.port,
        ..StudioConfig::default()
    };
    config.address = args.listen.unwrap_or(config.address);
    let console = Console::start(common.quiet)?;
    let opened = open(common, options, args)?;
    let server = Server::start(opened, &config)?;
    let answer = json!({ "address": server.address() });
    print(common.json, SCHEMA, &answer, |_| {
        format!("studio: {}\n(Ctrl-C ends it)\n", server.address())
    })?;
    while !console.is_stopped() {
        thread::sleep(PAUSE);
    }
    drop(server);
    Ok(Exit::Finished)
}

/// What the options name: a model and images, the folder of an earlier run, or the demo.
fn open(common: &Common, options: &Options, args: &StudioArgs) -> Result<Opened> {
    if let Some(folder) = &args.run {
        if let Some(others) = given_beside(&OF_SERVER)? {
            let folder = folder.display();
            bail!("'{folder}' is opened with the options of its run: leave {others} out");
        }
        return of_run(common, folder);
    }
    let (Some(model), Some(data)) = (&args.model, &args.data) else {
        if let Some(others) = given_beside(&[&OF_SERVER[..], &OF_DEMO].concat())? {
            bail!(
                "the demo, which is opened without --model and --data, has a model, images and a CLIP of its \
                 own: leave {others} out"
            );
        }
        return of_demo(common, options, None);
    };
    let images = Images {
        model: ModelArgs {
            model: model.clone(),
            weights: args.weights.clone(),
            loading: args.loading.clone(),
        },
        data: DataArgs {
            data: data.clone(),
            reading: args.reading.clone(),
        },
        train: args.train.as_deref(),
        clip: &args.clip,
    };
    let precision = options.precision(&args.loading.format);
    let config = options.stages(DebugConfig::default(), precision)?;
    of_images(common, options, &images, config)
}

/// The options on the command line that are none of these; `None` where there are no others.
fn given_beside(taken: &[&str]) -> Result<Option<String>> {
    let mut cli = Cli::command();
    let matches = cli.try_get_matches_from_mut(env::args_os())?;
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(None);
    };
    let arguments = cli.find_subcommand(name).into_iter();
    let options = arguments.flat_map(clap::Command::get_arguments);
    let given = options.filter(|option| {
        matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
    });
    let others = given.filter_map(|option| option.get_long());
    let others: Vec<_> = others.filter(|name| !taken.contains(name)).collect();
    let others = others.iter().map(|name| format!("--{name}"));
    let others = others.collect::<Vec<_>>().join(", ");
    Ok((!others.is_empty()).then_some(others))
}

fn of_demo(common: &Common, options: &Options, iterations: Option<usize>) -> Result<Opened> {
    let config = demo::config(options, iterations)?;
    let folder = open_folder(common)?;
    let opened = Opened::demo(folder, common.device(), options.seed)?;
    let mut source_arguments = opened.source_arguments;
    if let Some(config) = &common.config {
        source_arguments += &format!(" --config {}", record::quoted(config));
    }
    Ok(Opened {
        source_arguments,
        config,
        memory: common.memory(),
        ..opened
    })
}

/// A model, images, and what guides pictures.
struct Images<'a> {
    model: ModelArgs,
    data: DataArgs,
    train: Option<&'a Path>,
    clip: &'a ClipArgs,
}

fn of_images(
    common: &Common,
    options: &Options,
    images: &Images<'_>,
    config: DebugConfig,
) -> Result<Opened> {
    let Images {
        model,
        data,
        train,
        clip,
    } = images;
    let asked = Asked {
        train: *train,
        ..Asked::default()
    };
    let inputs = Inputs::open(common, options, model, data, asked)?;
    inputs.check_parts()?;
    let guide = TextGuide::load(&inputs.setup, clip, Some(&data.data))?;
    config.check(inputs.setup.loaded.model.as_ref())?;
    let Inputs {
        setup,
        dataset,
        training,
    } = inputs;
    let origin = picture_origin(&setup.loaded, guide.as_ref(), common.device());
    let run: Run = setup.run(dataset.name(), [])?;
    let Setup {
        folder,
        model: setup,
    } = setup;
    let names = dataset.class_names();
    Ok(Opened {
        origin,
        precision: setup.precision,
        loader: setup.loader,
        memory: common.memory(),
        encoder: guide.map(|guide| Encoder {
            texts: guide.class_texts(names),
            clip: guide.clip,
            templates: guide.prompts.templates,
        }),
        config,
        run,
        model_arguments: record::apply_arguments(common, model),
        source_arguments: record::source_arguments(common, model, data, *train),
        picture_arguments: Some(record::source_arguments(common, model, data, None)),
        encoder_arguments: record::encoder_arguments(clip),
        folder,
        classifier: setup.loaded.model,
        dataset,
        training,
    })
}

/// What an earlier run worked on, by the command line that it recorded.
fn of_run(common: &Common, folder: &Path) -> Result<Opened> {
    let path = folder.join(Findings::JSON_FILE);
    let shown = path.display();
    let json = fs::read(&path).with_context(|| {
        format!(
            "'{}' is no folder of an earlier `debug` or `demo`; of one of `evaluate`, `explain` or `mend`, give --out \
             and the options that it was made by, --model, --weights and --data: cannot read '{shown}'",
            folder.display()
        )
    })?;
    let json: Value = serde_json::from_slice(&json).with_context(|| format!("'{shown}'"))?;
    let Some(command) = json["run"]["command"].as_str() else {
        bail!("'{shown}' does not say by which command line it was made");
    };
    let again = || format!("'{shown}' was made by `{command}`");
    let words = shlex::split(command).with_context(again)?;
    let mut cli = Cli::try_parse_from(words).with_context(again)?;
    cli.common.out = folder.to_owned();
    cli.common.quiet = common.quiet;
    #[cfg(feature = "hub")]
    {
        cli.common.offline |= common.offline;
    }
    let options = Options::open(&cli.common)?;
    match &cli.command {
        Command::Demo(args) => of_demo(&cli.common, &options, args.iterations),
        Command::Debug(args) => {
            let images = Images {
                model: args.model.clone(),
                data: args.data.clone(),
                train: args.train.as_deref(),
                clip: &args.clip,
            };
            let config = debug::config(args, &options).with_context(again)?;
            let mut opened =
                of_images(&cli.common, &options, &images, config).with_context(again)?;
            let layer = opened.classifier.decision_layer()?;
            let neurons = (args.neurons.as_ref(), opened.config.neurons);
            opened.config.neurons =
                options::neuron_choice(neurons, args.count, &layer).with_context(again)?;
            Ok(opened)
        }
        _ => bail!("{}, which leaves nothing to be looked at", again()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_command_line_is_read_as_it_was_typed() {
        let typed = [
            "neuroinspect",
            "debug",
            "--data",
            "two words",
            "it's",
            "",
            r"a\b",
            "'",
            "#",
        ];
        let line = typed.map(record::quoted).join(" ");
        assert_eq!(shlex::split(&line).unwrap(), typed);
    }
}
