//! `studio`: a page on this machine to look at mistakes, see neurons and try edits.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Parser;
use neuroinspect::{
    DebugConfig, Findings,
    core::Precision,
    demo::Demo,
    report::{Run, Schema},
};
use neuroinspect_studio::{Encoder, Opened, Server, StudioConfig};
use serde_json::{Value, json};

use crate::{
    args::{Cli, ClipArgs, Command, Common, DataArgs, ModelArgs, StudioArgs},
    console::Console,
    exit::Exit,
    inputs::{Asked, Inputs, Setup},
    model::{TextGuide, picture_origin},
    options::Options,
    output::{open_folder, print},
    record,
};

const SCHEMA: Schema = Schema::new("neuroinspect.studio", 1);

/// So often it is looked whether Ctrl-C was pressed.
const PAUSE: Duration = Duration::from_millis(100);

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
        if common.config.is_some() || common.seed.is_some() || common.device() != Default::default()
        {
            bail!(
                "'{}' is opened with the options of its run: leave --config, --seed and --device out",
                folder.display()
            );
        }
        return of_run(folder);
    }
    let (Some(model), Some(data)) = (&args.model, &args.data) else {
        if args.clip.is_named() {
            bail!(
                "--clip and --clip-weights go with --model and --data; the demo brings a CLIP of its own"
            );
        }
        return of_demo(common, options);
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
    of_images(common, options, &images)
}

fn of_demo(common: &Common, options: &Options) -> Result<Opened> {
    let folder = open_folder(common)?;
    let mut opened = Opened::demo(folder, common.device(), options.seed)?;
    opened.config = options.stages(Demo::config(), options.fixed_precision(Precision::F32)?)?;
    Ok(opened)
}

/// A model, images, and what guides pictures.
struct Images<'a> {
    model: ModelArgs,
    data: DataArgs,
    train: Option<&'a Path>,
    clip: &'a ClipArgs,
}

fn of_images(common: &Common, options: &Options, images: &Images<'_>) -> Result<Opened> {
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
    let precision = options.precision(&model.loading.format);
    let mut config = options.stages(DebugConfig::default(), precision)?;
    let inputs = Inputs::open(common, options, model, data, asked)?;
    inputs.check_parts()?;
    let guide = TextGuide::load(&inputs.setup, clip, Some(&data.data))?;
    if guide.is_none()
        && let Some(objective) = config.recipe.objective.without_guide()
    {
        config.recipe.objective = objective;
    }
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
        precision,
        loader: setup.loader,
        encoder: guide.map(|guide| Encoder {
            texts: guide.class_texts(names),
            clip: guide.clip,
            templates: guide.prompts.templates,
        }),
        config,
        run,
        model_arguments: record::model_arguments(model),
        source_arguments: record::source_arguments(common, model, data, *train),
        picture_arguments: Some(record::picture_arguments(common, model, data, clip)),
        folder,
        classifier: setup.loaded.model,
        dataset,
        training,
    })
}

/// What an earlier run worked on, by the command line that it recorded.
fn of_run(folder: &Path) -> Result<Opened> {
    let path = folder.join(Findings::JSON_FILE);
    let shown = path.display();
    let json = fs::read(&path).with_context(|| {
        format!(
            "'{}' is no folder of an earlier `debug` or `demo`: cannot read '{shown}'",
            folder.display()
        )
    })?;
    let json: Value = serde_json::from_slice(&json).with_context(|| format!("'{shown}'"))?;
    let Some(command) = json["run"]["command"].as_str() else {
        bail!("'{shown}' does not say by which command line it was made");
    };
    let again = || format!("'{shown}' was made by `{command}`");
    let words = words(command).with_context(again)?;
    let mut cli = Cli::try_parse_from(words).with_context(again)?;
    cli.common.out = folder.to_owned();
    let options = Options::open(&cli.common)?;
    match &cli.command {
        Command::Demo(_) => of_demo(&cli.common, &options),
        Command::Debug(args) => {
            let images = Images {
                model: args.model.clone(),
                data: args.data.clone(),
                train: args.train.as_deref(),
                clip: &args.clip,
            };
            of_images(&cli.common, &options, &images).with_context(again)
        }
        _ => bail!("{}, which leaves nothing to be looked at", again()),
    }
}

/// The words of a command line that [`record::command_line`] wrote; `None` where a quote does not end.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if !quoted => word.get_or_insert_default().extend(rest.next()),
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
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
        ];
        let line = typed.map(record::quoted).join(" ");
        assert_eq!(words(&line).unwrap(), typed);
        assert_eq!(words("neuroinspect 'half"), None);
    }
}
