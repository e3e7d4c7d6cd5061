//! `explain`: which neurons caused a class's mistakes.

use anyhow::Result;
use neuroinspect::{
    core::class_by_name_or_index,
    counterfactual::{
        CounterfactualConfig, Outcome as SampleOutcome, RankedNeuron, Ranking, RankingConfig,
        explain, rank,
    },
    datasets::ImageDataset,
    report::Run,
};
use serde::Serialize;

use crate::{
    args::{Common, ExplainArgs},
    inputs::{Inputs, Setup},
    output::{self, percent},
    session::{Outcome, Session},
};

const RECORD_FILE: &str = "explanation.json";
/// Neurons printed of each list.
const SHOWN: usize = 10;

/// `explanation.json`.
#[derive(Serialize)]
struct Explained<'a> {
    class: usize,
    class_name: &'a str,
    samples: usize,
    mistakes: usize,
    ranking: Ranking,
    /// How each mistake fared.
    outcomes: Vec<Sample<'a>>,
    /// How it was made.
    run: Run,
}

#[derive(Serialize)]
struct Sample<'a> {
    id: &'a str,
    predicted: &'a str,
    #[serde(flatten)]
    outcome: &'a SampleOutcome,
}

pub(crate) fn run(common: &Common, args: &ExplainArgs) -> Result<Outcome> {
    let inputs = Inputs::open(common, &args.model, &args.data, None)?;
    let class = class_by_name_or_index(inputs.dataset.class_names(), &args.class)?;
    let mut session = Session::start()?;
    let features = inputs.features(&mut session)?;
    let table = features.table();

    let (config, ranking) = match args.original {
        true => (CounterfactualConfig::original(), RankingConfig::original()),
        false => Default::default(),
    };
    let mut run = inputs.run(&features);
    run.configs
        .insert("counterfactual".into(), serde_json::to_value(&config)?);
    run.configs
        .insert("ranking".into(), serde_json::to_value(&ranking)?);
    let Setup {
        out,
        device,
        loaded,
        ..
    } = &inputs.setup;
    let layer = loaded.model.decision_layer()?;
    let explanation = explain(table, &layer, class, &config, device, &mut session)
        .map_err(neuroinspect::Error::from)?;
    session.clear();
    let ranking = rank(
        &explanation,
        &layer,
        table.mean_features()?.view(),
        &ranking,
    )?;
    let names = table.class_names();
    let explained = Explained {
        class: class.0,
        class_name: &names[class.0],
        samples: table.samples_of(class)?.len(),
        mistakes: explanation.outcomes.len(),
        outcomes: explanation
            .outcomes
            .iter()
            .map(|outcome| Sample {
                id: &table.sample_ids()[outcome.sample],
                predicted: &names[outcome.predicted.0],
                outcome,
            })
            .collect(),
        ranking,
        run,
    };
    out.write_json(RECORD_FILE, &explained)?;
    output::print(common.json, &explained, |explained| {
        let mut text = format!(
            "{} of {} images of '{}' are mistaken; {} could not be turned right\n",
            explained.mistakes,
            explained.samples,
            explained.class_name,
            explained.ranking.unflipped,
        );
        text += &list("insufficient", &explained.ranking.insufficient);
        text += &list("excessive", &explained.ranking.excessive);
        text + &format!("\nwritten to {}\n", out.join(RECORD_FILE).display())
    })?;
    Ok(Outcome::Finished)
}

fn list(title: &str, neurons: &[RankedNeuron]) -> String {
    let mut text = format!("\n{title:<13} neuron   prec@5  importance\n");
    for ranked in neurons.iter().take(SHOWN) {
        let RankedNeuron {
            neuron,
            prec_at_5,
            importance,
            ..
        } = ranked;
        text += &format!(
            "{:<13} {neuron:>6} {:>8} {importance:>11.4}\n",
            "",
            percent(*prec_at_5)
        );
    }
    if let Some(more @ 1..) = neurons.len().checked_sub(SHOWN) {
        text += &format!("{:<13} and {more} more\n", "");
    }
    text
}
