//! `methods`: what `edit` can make a decision layer by.

use anyhow::Result;
use neuroinspect::{
    core::{ClassId, NeuronId},
    editing::{
        Citation, LabelsUsed, METHODS, MethodArguments, about_method, grid_of, method_named,
    },
    report::Schema,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{args::Common, exit::Exit, output::print};

const SCHEMA: Schema = Schema::new("neuroinspect.methods", 1);

#[derive(Serialize)]
struct Listed {
    methods: Vec<Method>,
}

#[derive(Serialize)]
struct Method {
    name: &'static str,
    about: &'static str,
    labels: LabelsUsed,
    /// What it cannot do without: `--class`, `--neurons`.
    needs: Vec<&'static str>,
    paper: Option<Citation>,
    /// As they are for class 0 and neuron 0, where it is told of a class or neurons.
    default_options: Map<String, Value>,
    /// Options worth trying: in place of each a list of values. `leaderboard` chooses among them.
    worth_trying: Map<String, Value>,
}

pub(crate) fn run(common: &Common) -> Result<Exit> {
    let methods = METHODS.iter().map(|name| described(name));
    let methods = methods.collect::<Result<_>>()?;
    print(common.json, SCHEMA, &Listed { methods }, |listed| {
        let mut text = format!("{:<18} {:<22} needs\n", "method", "learns from");
        for method in &listed.methods {
            let labels = words(method.labels);
            let needs = method.needs.join(", ");
            let line = format!("{:<18} {labels:<22} {needs}", method.name);
            text += &format!("{}\n  {}\n", line.trim_end(), method.about);
            if let Some(paper) = method.paper {
                text += &format!("  {}\n  {}\n", paper.text, paper.url);
            }
        }
        text + "\noptions and their defaults: --json\n"
    })?;
    Ok(Exit::Finished)
}

fn described(name: &'static str) -> Result<Method> {
    let all = MethodArguments {
        class: Some(ClassId(0)),
        neurons: vec![NeuronId(0)],
        ..MethodArguments::default()
    };
    let method = method_named(name, &all, &Map::new())?;
    let (mut classless, mut neuronless) = (all.clone(), all);
    classless.class = None;
    neuronless.neurons.clear();
    let without = [("--class", classless), ("--neurons", neuronless)];
    let needs = without
        .into_iter()
        .filter(|(_, arguments)| method_named(name, arguments, &Map::new()).is_err());
    Ok(Method {
        name,
        about: about_method(name)?,
        labels: method.labels(),
        needs: needs.map(|(option, _)| option).collect(),
        paper: method.citation(),
        default_options: method.options()?,
        worth_trying: grid_of(name)?,
    })
}

fn words(labels: LabelsUsed) -> &'static str {
    match labels {
        LabelsUsed::None => "no labels",
        LabelsUsed::Class => "classes",
        LabelsUsed::GroupsOfValidation => "groups of validation",
        LabelsUsed::GroupsOfTraining => "groups of training",
    }
}
