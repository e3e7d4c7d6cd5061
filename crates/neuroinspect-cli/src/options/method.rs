//! The method of `edit`, with its options.

use anyhow::{Result, bail};
use neuroinspect::{
    concepts::ConceptBank,
    core::ClassId,
    editing::{
        Concept, DecisionMethod, Disc, EditConfig, MethodArguments, RatioEdit, method_named,
    },
};
use serde_json::{Map, Value};

use crate::args::{EditArgs, EditingArgs, NamedValue};

/// The method that `edit` makes the layer by: the ratio edit with the options of editing, any other
/// with their training; then what `--option` says.
pub(crate) fn method(
    args: &EditArgs,
    config: &EditConfig,
    mut arguments: MethodArguments,
) -> Result<Box<dyn DecisionMethod>> {
    let name = args.method.as_str();
    arguments.training = config.training.clone();
    let of_ratio = name == RatioEdit::NAME;
    let ratio = Map::from_iter([("config".to_owned(), serde_json::to_value(config)?)]);
    let given = if of_ratio { ratio } else { Map::new() };
    let by_default = method_named(name, &arguments, &given)?;
    let EditingArgs {
        target,
        ratio: ratio_form,
        lambda,
        epochs,
        patience,
        learning_rate,
        keep,
    } = &args.editing;
    if !of_ratio && (target.is_some() || ratio_form.is_some() || lambda.is_some()) {
        bail!(
            "--target, --ratio and --lambda are options of {} alone: leave them out, or choose it \
             by --method",
            RatioEdit::NAME
        );
    }
    let trains =
        epochs.is_some() || patience.is_some() || learning_rate.is_some() || keep.is_some();
    if trains && by_default.training().is_none() {
        bail!(
            "the method '{name}' does not train by epochs: leave out --epochs, --patience, \
             --learning-rate and --keep"
        );
    }
    let without_neurons = MethodArguments {
        neurons: Vec::new(),
        ..arguments.clone()
    };
    let takes_neurons =
        !by_default.neurons().is_empty() || method_named(name, &without_neurons, &given).is_err();
    if !arguments.neurons.is_empty() && !takes_neurons {
        bail!("the method '{name}' changes no neurons in particular: leave out --neurons");
    }
    // DISC's is the one that concepts may mislead to.
    let takes_class = by_default.class().is_some() || name == Disc::NAME;
    if arguments.class.is_some() && !takes_class {
        bail!("the method '{name}' is for all classes: leave out --class");
    }
    // By where the options of methods have it.
    let given_twice = [
        ("--epochs", epochs.is_some(), "training.epochs"),
        ("--patience", patience.is_some(), "training.patience"),
        (
            "--learning-rate",
            learning_rate.is_some(),
            "training.learning_rate",
        ),
        ("--keep", keep.is_some(), "training.keep"),
        ("--target", target.is_some(), "target"),
        ("--ratio", ratio_form.is_some(), "ratio_form"),
        ("--lambda", lambda.is_some(), "lambda3"),
        ("--neurons", !arguments.neurons.is_empty(), "neurons"),
        (
            "--class",
            arguments.class.is_some() && name != Disc::NAME,
            "class",
        ),
    ];
    for (flag, _, place) in given_twice.into_iter().filter(|it| it.1) {
        let options = args.options.iter().map(|it| &*it.name);
        let same = |option: &&str| {
            let option = option.strip_prefix("config.").unwrap_or(option);
            let within = |inner: &str, outer: &str| {
                inner
                    .strip_prefix(outer)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            option == "config" || within(option, place) || within(place, option)
        };
        if let Some(option) = options.into_iter().find(same) {
            bail!("{flag} and --option {option} say the same: leave one of them out");
        }
    }
    let mut options = Value::Object(by_default.options()?);
    for NamedValue {
        name: option,
        value,
    } in &args.options
    {
        let value = match (name, option.as_str(), value) {
            (Disc::NAME, "concepts", Value::String(file)) => of_bank(file, arguments.class)?,
            _ => value.clone(),
        };
        match options.pointer_mut(&format!("/{}", option.replace('.', "/"))) {
            Some(there) => *there = value,
            None => {
                bail!("the method '{name}' has no option '{option}'; its options are {options}")
            }
        }
    }
    let options = options.as_object().cloned().unwrap_or_default();
    Ok(method_named(name, &arguments, &options)?)
}

/// The concepts of a bank as those that may mislead to a class.
fn of_bank(file: &str, class: Option<ClassId>) -> Result<Value> {
    let Some(class) = class else {
        bail!("the concepts of '{file}' may mislead to a class: name it with --class");
    };
    let Some(means) = ConceptBank::load(file)?.mean_features() else {
        bail!(
            "'{file}' has no mean features of its concepts, as banks made elsewhere do not: make one \
             with `neuroinspect concepts learn`"
        );
    };
    let concepts = means.rows().into_iter().map(|row| Concept {
        class,
        features: row.to_vec(),
    });
    Ok(serde_json::to_value(concepts.collect::<Vec<_>>())?)
}
