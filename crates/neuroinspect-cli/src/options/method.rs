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
        ratio,
        lambda,
        epochs,
        patience,
        learning_rate,
        keep,
    } = &args.editing;
    if !of_ratio && (target.is_some() || ratio.is_some() || lambda.is_some()) {
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
