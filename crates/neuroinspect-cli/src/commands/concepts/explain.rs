//! `concepts explain`: the concepts that a class's mistakes lack.

use anyhow::Result;
use neuroinspect::{
    concepts::{
        ConceptBank, ConceptCounterfactual, ConceptExplainer, ConceptRanking, rank_concepts,
    },
    core::class_by_name_or_index,
    editing::percent,
    report::{Run, Schema},
};
use serde::Serialize;

use crate::{
    args::{Common, LackArgs},
    console::Console,
    exit::Exit,
    inputs::Asked,
    options::Options,
    output::print,
    record,
    source::{Seen, Source},
};

pub(in crate::commands) const SCHEMA: Schema = Schema::new("neuroinspect.concept-explanation", 1);
const RECORD_FILE: &str = "concept-explanation.json";
/// Concepts printed.
const SHOWN: usize = 10;

/// `concept-explanation.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::commands) struct Explained<'a> {
    /// The class whose mistakes are explained.
    class: usize,
    /// The class's name.
    class_name: &'a str,
    /// Images of the class.
    samples: usize,
    /// The concepts that recur.
    ranking: ConceptRanking,
    /// How each mistake fared.
    counterfactuals: Vec<OfImage<'a>>,
    /// How it was made.
    run: Run,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct OfImage<'a> {
    /// The image's path below the data's folder.
    id: &'a str,
    /// The class that it is taken for.
    predicted_name: &'a str,
    #[serde(flatten)]
    counterfactual: &'a ConceptCounterfactual,
    /// The concepts of largest weight, the largest first.
    lacks: Vec<(&'a str, f32)>,
}

pub(crate) fn run(common: &Common, options: &Options, args: &LackArgs) -> Result<Exit> {
    let config = options.lack(args)?;
    let bank = ConceptBank::load(&args.bank)?;
    let asked = Asked {
        class: Some(&args.class),
        ..Asked::default()
    };
    let source = Source::open(common, options, &args.source, asked)?;
    let class = class_by_name_or_index(source.class_names(), &args.class)?;
    bank.check_layer(&source.layer)?;
    let mut console = Console::start(common.quiet)?;
    let Seen { table, mut run, .. } = source.see(args.part.as_deref(), &mut console)?;
    record::add(&mut run, "concept_counterfactual", &config)?;
    let explanation = ConceptExplainer::new(&bank, source.device())
        .with_config(config)
        .explain(&table.predicted_by(&source.layer)?, class, &mut console)?;
    console.clear();

    let names = table.class_names();
    let counterfactuals = explanation.counterfactuals.iter();
    let weights = explanation.weights.rows();
    let of_images = counterfactuals
        .zip(weights)
        .map(|(counterfactual, weights)| {
            let concepts = explanation.concepts.iter().map(String::as_str);
            let mut lacks: Vec<_> = concepts.zip(weights.iter().copied()).collect();
            lacks.sort_by(|a, b| b.1.total_cmp(&a.1));
            lacks.truncate(args.top);
            OfImage {
                id: &table.sample_ids()[counterfactual.sample],
                predicted_name: &names[counterfactual.predicted.0],
                counterfactual,
                lacks,
            }
        });
    let explained = Explained {
        class: class.0,
        class_name: &names[class.0],
        samples: table.samples_of(class)?.len(),
        ranking: rank_concepts(&explanation, args.top)?,
        counterfactuals: of_images.collect(),
        run,
    };
    let folder = source.folder();
    folder.write_json(RECORD_FILE, SCHEMA, &explained)?;
    print(common.json, SCHEMA, &explained, |explained| {
        let ConceptRanking {
            top,
            mistakes,
            flipped,
            concepts,
            ..
        } = &explained.ranking;
        let mut text = format!(
            "{mistakes} of {} images of '{}' are mistaken; concepts turn {flipped} of them right\n\n",
            explained.samples, explained.class_name,
        );
        let share = format!("prec@{top}");
        let shown = concepts.iter().take(SHOWN);
        let width = shown.clone().map(|it| it.name.chars().count()).max();
        let width = width.unwrap_or(0).max("concept".len());
        text += &format!("{:<width$} {share:>8}    score  mean rank\n", "concept");
        for concept in shown {
            text += &format!(
                "{:<width$} {:>8} {:>8.3} {:>10.1}\n",
                concept.name,
                percent(concept.prec_at_k),
                concept.score,
                concept.mean_rank
            );
        }
        text + &format!("\nwritten to {}\n", folder.join(RECORD_FILE).display())
    })?;
    Ok(Exit::Finished)
}
