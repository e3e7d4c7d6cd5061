//! The record of a run: what was done, on what, by which command line.

#[cfg(feature = "studio")]
use std::path::PathBuf;
use std::{ffi::OsStr, path::Path};

use anyhow::Result;
pub(crate) use neuroinspect::quoted;
use neuroinspect::{datasets::LoaderConfig, report::Run};
use serde::Serialize;
use serde_json::{Value, json};

#[cfg(feature = "studio")]
use crate::args::{ClipArgs, DataArgs, ReadingArgs};
use crate::{
    args::{Common, LoadingArgs, ModelArgs},
    options::Options,
};

/// The part of a run's record that every command on a model has.
pub(crate) fn run(common: &Common, options: &Options, model: &str, data: &str) -> Run {
    let mut run = Run::new(model, data, common.device().to_string(), options.seed);
    run.command = Some(command_line());
    run.configs.insert("seed".into(), json!(options.seed));
    run
}

/// Notes the options of a stage, as `--config` takes them.
pub(crate) fn add(run: &mut Run, name: &str, options: &impl Serialize) -> Result<()> {
    let options = serde_json::to_value(options)?;
    run.configs.insert(name.into(), options);
    Ok(())
}

/// Of how images are loaded, what results depend on: not how many threads do it.
pub(crate) fn loader(config: &LoaderConfig) -> Value {
    json!({ "batch_size": config.batch_size, "on_corrupt": config.on_corrupt })
}

/// The command line that joins the shards of a folder's table.
pub(crate) fn merge_command(folder: &Path, training: bool) -> String {
    let training = if training { " --training" } else { "" };
    let folder = quoted(folder);
    format!("neuroinspect features merge{training} --out {folder}")
}

/// The options that name a model, as `apply` takes them: with the configuration, where that may say what its input is.
pub(crate) fn apply_arguments(common: &Common, model: &ModelArgs) -> String {
    let mut words = model_arguments(model);
    if let (Some(config), None) = (&common.config, &model.loading.input) {
        words += &format!(" --config {}", quoted(config));
    }
    words
}

fn model_arguments(model: &ModelArgs) -> String {
    let LoadingArgs {
        input,
        partial,
        head,
        format: _,
    } = &model.loading;
    let mut words = vec![format!("--model {}", quoted(&model.model))];
    let mut add = |name: &str, value: Option<&OsStr>| {
        words.extend(value.map(|value| format!("--{name} {}", quoted(value))));
    };
    add("weights", model.weights.as_deref().map(Path::as_os_str));
    add("input", input.as_deref().map(Path::as_os_str));
    add(
        "decision-layer",
        head.decision_layer.as_deref().map(OsStr::new),
    );
    add("map", head.map.as_deref().map(OsStr::new));
    if *partial {
        words.push("--partial".to_owned());
    }
    words.join(" ")
}

/// The options that name a model and images, as `edit` takes them, too.
#[cfg(feature = "studio")]
pub(crate) fn source_arguments(
    common: &Common,
    model: &ModelArgs,
    data: &DataArgs,
    train: Option<&Path>,
) -> String {
    let ReadingArgs {
        class_names,
        classes,
        data_option,
        images_per_class,
        on_corrupt,
        batch_size,
    } = &data.reading;
    let mut words = vec![
        model_arguments(model),
        format!("--data {}", quoted(&data.data)),
    ];
    let mut add = |name: &str, value: Option<String>| {
        words.extend(value.map(|value| format!("--{name} {}", quoted(value))));
    };
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    add("train", train.map(|it| it.to_string_lossy().into_owned()));
    add("class-names", class_names.as_ref().map(path));
    add("classes", classes.as_ref().map(path));
    for option in data_option {
        add(
            "data-option",
            Some(format!("{}={}", option.name, as_option(&option.value))),
        );
    }
    add(
        "images-per-class",
        images_per_class.map(|it| it.to_string()),
    );
    add("batch-size", batch_size.map(|it| it.to_string()));
    add("on-corrupt", on_corrupt.map(|it| as_option(&json!(it))));
    let precision = model.loading.format.precision;
    add("precision", precision.map(|it| it.to_string()));
    add("config", common.config.as_ref().map(path));
    if common.device() != Default::default() {
        add("device", Some(common.device().to_string()));
    }
    words.join(" ")
}

/// The options that name an encoder, each with a space before.
#[cfg(feature = "studio")]
pub(crate) fn encoder_arguments(encoder: &ClipArgs) -> String {
    let ClipArgs {
        clip,
        clip_weights,
        domain,
        prompts,
    } = encoder;
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let options = [
        ("clip", clip.clone()),
        ("clip-weights", clip_weights.as_ref().map(path)),
        ("domain", domain.clone()),
        ("prompts", prompts.as_ref().map(path)),
    ];
    let given = options
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    given
        .map(|(name, value)| format!(" --{name} {}", quoted(value)))
        .collect()
}

/// A value as an option has it: a text by itself.
#[cfg(feature = "studio")]
fn as_option(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The command line as it was typed, near enough to be typed again.
pub(crate) fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(quoted);
    std::iter::once("neuroinspect".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(all(test, feature = "studio"))]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    /// What comes before a configuration's options does so again, though it is what holds without one.
    #[test]
    fn model_and_images_are_named_as_they_were_typed() {
        let typed = "--model a --weights w --data d --train t --images-per-class 2 --batch-size 64 --on-corrupt fail \
                     --precision f32 --config c";
        let words = format!("neuroinspect debug --class x {typed}");
        let cli = Cli::try_parse_from(words.split(' ')).unwrap();
        let Command::Debug(args) = &cli.command else {
            panic!("{words} is no debug");
        };
        let train = args.train.as_deref();
        assert_eq!(
            source_arguments(&cli.common, &args.model, &args.data, train),
            typed
        );
    }

    /// A configuration may say what the input is, where no option does.
    #[test]
    fn an_edit_is_applied_with_the_input_that_it_was_made_with() {
        for (typed, told) in [
            ("--model a --weights w", "--model a --weights w"),
            (
                "--model a --weights w --config c",
                "--model a --weights w --config c",
            ),
            (
                "--model a --weights w --input i --config c",
                "--model a --weights w --input i",
            ),
        ] {
            let words = format!("neuroinspect debug --class x --data d {typed}");
            let cli = Cli::try_parse_from(words.split(' ')).unwrap();
            let Command::Debug(args) = &cli.command else {
                panic!("{words} is no debug");
            };
            assert_eq!(apply_arguments(&cli.common, &args.model), told);
        }
        let merge = merge_command(Path::new("two words"), true);
        assert_eq!(
            merge,
            "neuroinspect features merge --training --out 'two words'"
        );
    }
}
