//! `explain`: which neurons caused a class's mistakes.

use anyhow::{Result, bail};
use neuroinspect::{
    core::{class_argument, class_by_name_or_index},
    counterfactual::{
        Certified, Counterfactual, Explainer, NeuronStability, Outcome, RankedNeuron, Ranking, rank,
    },
    editing::percent,
    report::{Run, Schema},
};
use serde::Serialize;

use crate::{
    args::{Common, ExplainArgs},
    console::{Console, warn},
    exit::Exit,
    inputs::Asked,
    options::{NEURON_COUNT, Options},
    output::print,
    record,
    source::{Seen, Source},
};

pub(super) const SCHEMA: Schema = Schema::new("neuroinspect.explanation", 2);
const RECORD_FILE: &str = "explanation.json";
/// Neurons printed of each list.
const SHOWN: usize = 10;

/// `explanation.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Explained<'a> {
    /// The class whose mistakes are explained.
    class: usize,
    /// The class's name.
    class_name: &'a str,
    /// Images of the class.
    samples: usize,
    /// The neurons that recur in the counterfactuals.
    ranking: Ranking,
    /// What the smallest changes say, and how stable the ranking is.
    certified: Certified,
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
    counterfactual: &'a Counterfactual,
}

pub(crate) fn run(common: &Common, options: &Options, args: &ExplainArgs) -> Result<Exit> {
    let (config, ranking) = options.explaining(args.original)?;
    config.validate()?;
    ranking.validate()?;
    let mut certified = options.certified()?;
    let asked = Asked {
        class: Some(&args.class),
        ..Asked::default()
    };
    let source = Source::open(common, options, &args.source, asked)?;
    let class = class_by_name_or_index(source.class_names(), &args.class)?;
    if let Some(rival) = &args.rival {
        let rival = class_by_name_or_index(source.class_names(), rival)?;
        if rival == class {
            bail!("--rival is the class itself: name the class that its samples are taken for");
        }
        certified.rival = Some(rival);
    }
    certified.validate()?;
    let mut console = Console::start(common.quiet)?;
    let Seen { table, mut run, .. } = source.see(args.part.as_deref(), &mut console)?;
    if let (None, Some(split)) = (&args.part, table.split()) {
        console.clear();
        warn(format_args!(
            "warning: the parts {} are explained together, so that an edit of these neurons would be measured on \
             samples that chose them; explain one by --part NAME, or of a data set by --data NAME/PART:PATH",
            split.names().join(", ")
        ));
    }

    record::add(&mut run, "counterfactual", &config)?;
    record::add(&mut run, "ranking", &ranking)?;
    record::add(&mut run, "certified", &certified)?;
    let layer = &source.layer;
    let predicted = table.predicted_by(layer)?;
    let explanation = Explainer::new(source.device())
        .with_config(config)
        .explain(&predicted, class, &mut console)?;
    let certified = certified.beside(&explanation, &predicted, &ranking, &mut console)?;
    console.clear();
    let mean = table.mean_features()?;
    let ranking = rank(&explanation, layer, mean.view(), &ranking)?;
    let names = table.class_names();
    let explained = Explained {
        class: class.0,
        class_name: &names[class.0],
        samples: table.samples_of(class)?.len(),
        counterfactuals: explanation
            .counterfactuals
            .iter()
            .map(|counterfactual| OfImage {
                id: &table.sample_ids()[counterfactual.sample],
                predicted_name: &names[counterfactual.predicted.0],
                counterfactual,
            })
            .collect(),
        ranking,
        certified,
        run,
    };
    let folder = source.folder();
    folder.write_json(RECORD_FILE, SCHEMA, &explained)?;
    print(common.json, SCHEMA, &explained, |explained| {
        let class = class_argument(names, class);
        text(explained, &class) + &format!("\nwritten to {}\n", folder.join(RECORD_FILE).display())
    })?;
    Ok(Exit::Finished)
}

/// What is printed; `argument` names the class as `--class` takes it.
fn text(explained: &Explained<'_>, argument: &str) -> String {
    let (class, ranking) = (explained.class_name, &explained.ranking);
    let Ranking {
        top,
        mistakes,
        unflipped,
        insufficient,
        excessive,
        ..
    } = ranking;
    let samples = explained.samples;
    let mut text = format!(
        "{mistakes} of {samples} images of '{class}' are mistaken; other activations make {} of them right\n",
        mistakes.saturating_sub(*unflipped)
    );
    let Certified {
        explanation,
        ranking: of_smallest,
        times_as_long,
        stability,
    } = &explained.certified;
    let beside = Beside {
        smallest: &of_smallest.insufficient,
        drawn: &stability.insufficient,
    };
    text += &list("too weak", *top, insufficient, &beside);
    let beside = Beside {
        smallest: &of_smallest.excessive,
        drawn: &stability.excessive,
    };
    text += &list("too strong", *top, excessive, &beside);
    text += &format!(
        "\ntoo weak, too strong: so active is the neuron in mistakes (\"insufficient\", \"excessive\" in the \
         paper)\n\
         prec@{top}: share of the mistakes in which it is among the {top} that would have to rise, or to fall, most\n\
         importance: probability of '{class}' at mean activations, over the same with the neuron at 0; above 1 it speaks for \
         the class, below 1 against it\n\
         drawn again: prec@{top} in 95 % of {} draws of the mistakes, with replacement\n\
         smallest: prec@{top} by the smallest changes{}; {} of {} are proven to be the smallest{}",
        stability.resamples,
        match explanation.rival {
            Some(_) => " that outdo the rival alone",
            None => "",
        },
        explanation.count(Outcome::Certified),
        explanation.certificates.len(),
        match explanation.non_negative {
            true => " with activations at or above 0",
            false => "",
        },
    );
    if let Some(times) = times_as_long {
        text += &format!(
            "; those of the lists, found by descent, are {times:.2} times as long in the median"
        );
        if *times < 1.0 && explanation.non_negative {
            text += ", as they may take an activation below 0";
        }
    }
    text += "\n";
    let first = ranking.first(NEURON_COUNT);
    if !first.is_empty() {
        let first: Vec<_> = first.iter().map(ToString::to_string).collect();
        let neurons = first.join(",");
        text += &format!(
            "next: neuroinspect edit ... --class={} --neurons {neurons}, or visualize with the same options; mend ... \
             looks for what helps the class, and says so where nothing does (it orders neurons by how much of what mistakes \
             lack to be right is theirs)\n",
            record::quoted(argument)
        );
    }
    text
}

/// What stands beside a list.
struct Beside<'a> {
    /// The list by the smallest changes.
    smallest: &'a [RankedNeuron],
    /// The list's stability.
    drawn: &'a [NeuronStability],
}

fn list(title: &str, top: usize, neurons: &[RankedNeuron], beside: &Beside<'_>) -> String {
    let share = format!("prec@{top}");
    let mut text = format!(
        "\n{title:<13} neuron {share:>8}  importance  {:>15} {:>9}\n",
        "drawn again", "smallest"
    );
    for (ranked, drawn) in neurons.iter().zip(beside.drawn).take(SHOWN) {
        let RankedNeuron {
            neuron,
            prec_at_k,
            importance,
            ..
        } = ranked;
        let smallest = beside.smallest.iter().find(|it| it.neuron == *neuron);
        let [low, high] = drawn.prec_at_k.map(percent);
        text += &format!(
            "{:<13} {neuron:>6} {:>8} {importance:>11.4}  {:>15} {:>9}\n",
            "",
            percent(*prec_at_k),
            format!("{low}-{high}"),
            smallest.map_or("-".to_owned(), |ranked| percent(ranked.prec_at_k)),
        );
    }
    if let Some(more @ 1..) = neurons.len().checked_sub(SHOWN) {
        text += &format!("{:<13} and {more} more\n", "");
    }
    text
}
