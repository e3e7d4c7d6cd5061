//! Table III: Waterbirds, and all rivals.

use burn::tensor::Device;
use neuroinspect_core::{Metrics, Observer, Seed};
use neuroinspect_datasets::published::{Published as PublishedData, PublishedConfig};
use neuroinspect_editing::{
    Concept, Disc, EditConfig, EditData, EditScope, Keep, Schedule, TrainingConfig,
};

use super::{
    Experiment, Headline, MeasuredOn, Protocol, Published, Setup, Source, Switch, Switches, Unit,
    case::{BEYOND_CONTROL, Begun, CONTROL, Case, Layers, Method, ORIGINAL, OURS},
    claims::ClaimRule,
    measured::{Column, Measured},
    published_parts::{self, PublishedParts},
    scenes::{SceneSetting, mostly_planted},
};
use crate::{
    Error, Result,
    demo::Demo,
    leaderboard::{
        Leaderboard, LeaderboardConfig, Repetition, Scores, labels_in_words, train_weighted,
    },
};

const AVERAGE: Column = Column {
    name: "average",
    unit: Unit::Share,
};
const TRAIN_WEIGHTED: Column = Column {
    name: "train-weighted",
    unit: Unit::Share,
};
const WORST_CLASS: Column = Column {
    name: "worst class",
    unit: Unit::Share,
};
const WORST_GROUP: Column = Column {
    name: "worst group",
    unit: Unit::Share,
};

const OURS_C: &str = "NeuroInspect (C)";
const CONTROL_C: &str = "plain retraining as (C)";

/// The paper's number of neurons.
const NEURONS: usize = 6;

pub(super) static EXPERIMENT: Experiment = Experiment {
    name: "table-3",
    title: "Waterbirds",
    paper: "Table III",
    protocol: "\
\"NeuroInspect\" brings the mean of all classes' probability ratios to 1, as the paper does on Waterbirds: 20 epochs \
of batches of 32 at a rate of 5e-5 (Adam, weight decay 1e-4). Its neurons are the first six of the ranking of the \
mistakes, among the validation samples, of the class that is worst there; the paper picks six of thirty by looking at \
their pictures. \"(C)\" is the same with the epoch kept whose worst class is best on validation samples; the other \
keeps the epoch that the mode says. Where no neuron is suspected the layer stays as it is. Plain retraining is \
trained as NeuroInspect is, without its penalty, and as (C) with the epoch chosen as (C) chooses it. All other \
rows are those of `neuroinspect leaderboard`, their options chosen on the validation samples as there, for the class \
that is worst on these samples and the first five neurons of that ranking; `docs/leaderboard.md` says what their names \
mean. DISC has the options that its authors have on Waterbirds, three clusters, and of scenes the four backgrounds as \
concepts of every class. \
The average is the plain mean over the samples \
measured on, as in the paper; train-weighted weighs groups as they are among the training samples, as the papers of \
the rivals do.",
    needs: "`--data PATH` with Waterbirds (`neuroinspect data get waterbirds DIR`), and `--network MODEL=FILE`, a \
            network trained on it, such as `resnet50`. Train, validation and test are the published parts; repetitions \
            differ by the seeds of the methods alone. DISC is left out: it needs images of concepts.",
    stand_in: "scenes, in whose training 95 % of the stars are on water, a fifth as many as on Waterbirds; object and \
               background are independent in those to choose on, as on Waterbirds, and in those measured on.",
    headlines: &[Headline {
        column: Column {
            name: "accuracy of the worst group, by NeuroInspect",
            unit: Unit::Share,
        },
        switches: &[
            Switch::PenaltyScale,
            Switch::Floor,
            Switch::Votes,
            Switch::ListsAtLimit,
            Switch::Overlap,
            Switch::RatioForm,
            Switch::Keep,
            Switch::Ties,
            Switch::SkipsEpochs,
            Switch::WaterbirdsLambda3,
        ],
    }],
    drawn: Some(WORST_GROUP),
    not_switched: super::NOT_SWITCHED,
    published: || {
        let rows = [
            (ORIGINAL, [91.73, 79.83, 66.04]),
            (Disc::NAME, [89.78, 89.38, 83.64]),
            ("jtt", [86.76, 83.88, 71.50]),
            (OURS, [91.35, 81.31, 68.38]),
            (OURS_C, [90.65, 83.88, 72.43]),
        ];
        let published = |(row, values): (_, [f64; 3])| {
            let columns = [AVERAGE, WORST_CLASS, WORST_GROUP].into_iter().zip(values);
            columns.map(move |(column, value)| Published {
                of: "Waterbirds",
                table: None,
                row,
                column: column.name,
                value: value / 100.0,
            })
        };
        rows.into_iter().flat_map(published).collect()
    },
    claims: &[
        ClaimRule::new(
            "NeuroInspect raises the accuracy of the worst class",
            [OURS, ORIGINAL],
            WORST_CLASS,
        ),
        ClaimRule::new(
            "It raises that of the worst group",
            [OURS, ORIGINAL],
            WORST_GROUP,
        ),
        ClaimRule::new(
            "(C) raises that of the worst group further",
            [OURS_C, OURS],
            WORST_GROUP,
        ),
        ClaimRule::new(
            "(C) is ahead of JTT in the worst group",
            [OURS_C, "jtt"],
            WORST_GROUP,
        ),
        ClaimRule::new("It is ahead of JTT on average", [OURS, "jtt"], AVERAGE),
        ClaimRule::new(BEYOND_CONTROL, [OURS, CONTROL], WORST_GROUP),
        ClaimRule::new(
            "(C) is ahead of plain retraining whose epoch is chosen alike (not tested in the paper)",
            [OURS_C, CONTROL_C],
            WORST_GROUP,
        ),
    ],
    open,
};

struct Table3 {
    samples: Samples,
    source: Source,
    device: Device,
    /// The repetition asked for last.
    last: Option<Begun>,
    layers: Layers,
}

/// Where repetitions come from.
enum Samples {
    Scenes {
        demo: Box<Demo>,
        setting: SceneSetting,
        /// What DISC is told of.
        concepts: Vec<Concept>,
    },
    /// The published parts; the seed is set anew in each repetition.
    Waterbirds(Repetition),
}

fn open(setup: &Setup<'_>, observer: &mut dyn Observer) -> Result<Box<dyn Protocol>> {
    let (samples, source) = match setup.config.data {
        None => scenes(setup, observer)?,
        Some(_) => waterbirds(setup, observer)?,
    };
    Ok(Box::new(Table3 {
        samples,
        source,
        device: setup.device.clone(),
        last: None,
        layers: Layers::default(),
    }))
}

fn scenes(setup: &Setup<'_>, observer: &mut dyn Observer) -> Result<(Samples, Source)> {
    let scaled = |count| setup.config.scaled(count, 100);
    let independent = mostly_planted().independent(0.5);
    let setting = SceneSetting {
        train: mostly_planted(),
        validation: independent.clone(),
        measured: independent,
        samples: [scaled(1000), scaled(500), scaled(1000)],
    };
    let source = setting.source(
        "The layer to begin with was trained from zeros on the scenes to learn from, as the authors train on \
         Waterbirds: 50 epochs of batches of 32 at a rate of 1e-4 (Adam, weight decay 1e-4).",
    );
    let demo = Box::new(Demo::load(&setup.device)?);
    let concepts = demo.backgrounds(setup.config.scaled(3000, 240), observer)?;
    let samples = Samples::Scenes {
        demo,
        setting,
        concepts,
    };
    Ok((samples, source))
}

fn waterbirds(setup: &Setup<'_>, observer: &mut dyn Observer) -> Result<(Samples, Source)> {
    let lacking = |what| Error::ExperimentNeeds {
        experiment: EXPERIMENT.name,
        what,
    };
    let root = setup.config.data.as_ref();
    let root = root.ok_or_else(|| lacking("--data PATH with Waterbirds"))?;
    let [network] = &setup.config.networks[..] else {
        return Err(lacking("one --network MODEL=FILE trained on Waterbirds"));
    };
    let birds = PublishedData::open("waterbirds", root, &PublishedConfig::default())?;
    let parts = PublishedParts::open(setup, &birds, network, observer)?;
    let source = Source {
        data: format!("Waterbirds, by {}", network.model),
        published: true,
        paper: None,
        measured_on: MeasuredOn::Same,
        notes: vec![
            published_parts::NOTE.to_owned(),
            "The authors resize images of Waterbirds to 256 pixels and crop 224 of them."
                .to_owned(),
        ],
        fingerprint: parts.fingerprint,
    };
    Ok((Samples::Waterbirds(parts.repetition), source))
}

impl Table3 {
    fn begun(&mut self, seed: Seed, observer: &mut dyn Observer) -> Result<Begun> {
        let known = self.last.take().filter(|it| it.repetition.seed == seed);
        let begun = match (known, &self.samples) {
            (Some(known), _) => known,
            (None, Samples::Scenes { demo, setting, .. }) => {
                let data = setting.data(demo, seed, observer)?;
                // As the authors train on Waterbirds.
                let training = TrainingConfig::default()
                    .with_learning_rate(1e-4)
                    .with_weight_decay(1e-4)
                    .with_batch_size(32)
                    .with_epochs(50, None)
                    .with_schedule(Schedule::Constant)
                    .with_seed(seed);
                let title = "scenes, 95 % correlation";
                self.layers
                    .begin(title, data, training, &self.device, observer)?
            }
            (None, Samples::Waterbirds(parts)) => Begun::given(
                "Waterbirds",
                Repetition {
                    seed,
                    ..parts.clone()
                },
            ),
        };
        self.last = Some(begun.clone());
        Ok(begun)
    }

    /// The options of NeuroInspect. The rate is constant in all modes, and the code leaves out one epoch. The
    /// penalty for all classes is of one mean, the same by either norm: its weight is not set by the norm.
    fn editing(switches: &Switches) -> EditConfig {
        let config = switches.editing(EditConfig::paper_waterbirds(), 1);
        let training = config.training.clone().with_schedule(Schedule::Constant);
        config
            .with_training(training)
            .with_lambda3(switches.waterbirds_lambda3)
    }
}

impl Protocol for Table3 {
    fn source(&self) -> Source {
        self.source.clone()
    }

    fn measure(
        &mut self,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Measured> {
        let begun = self.begun(seed, observer)?;
        let (title, repetition) = (&*begun.title, begun.repetition.clone());
        let case = Case::new(begun.clone(), None, &self.device)?;
        let neurons = case.neurons(NEURONS, switches, observer)?;
        let config = Self::editing(switches);
        let by_class = config.training.clone().with_keep(Keep::WorstClass);
        let config_c = config.clone().with_training(by_class.clone());
        let all = EditScope::AllClasses;
        let mut rows: Vec<(_, Method)> = vec![
            (ORIGINAL, None),
            (CONTROL, case.control(&config.training)),
            (CONTROL_C, case.control(&by_class)),
            (OURS, case.ours(&neurons, all, &config)),
            (OURS_C, case.ours(&neurons, all, &config_c)),
        ];
        if let Samples::Scenes { concepts, .. } = &self.samples {
            let disc = Disc {
                concepts: concepts.clone(),
                clusters: 3,
                training: case.seeded(&TrainingConfig::default()),
            };
            rows.push((Disc::NAME, Some(Box::new(disc))));
        }
        let mut measured = Measured::default();
        for compared in case.compare(rows, &mut self.layers, observer)? {
            let row = compared.row;
            put_metrics(
                &mut measured,
                [title, row],
                &compared.metrics,
                &case.repetition.data,
            );
            if compared.labels.is_some() {
                measured.label(row, labels_in_words(compared.labels));
            }
        }
        let mut board = LeaderboardConfig::default();
        board.methods.retain(|method| method != Disc::NAME);
        let repetitions = [repetition];
        let board = Leaderboard::compare(title, &repetitions, &board, &self.device, observer)?;
        for row in &board.rows {
            if let Some(scores) = &row.scores {
                put_scores(&mut measured, [title, &row.title()], scores);
                measured.label(&row.title(), labels_in_words(row.labels));
            }
        }
        Ok(measured)
    }

    fn headline(
        &mut self,
        _: Column,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Option<f64>> {
        let case = Case::new(self.begun(seed, observer)?, None, &self.device)?;
        let neurons = case.neurons(NEURONS, switches, observer)?;
        let ours = case.ours(&neurons, EditScope::AllClasses, &Self::editing(switches));
        let compared = case.compare(vec![(OURS, ours)], &mut self.layers, observer)?;
        Ok(compared
            .first()
            .and_then(|it| it.metrics.worst_group_accuracy))
    }
}

/// The scores of one repetition.
fn put_scores(measured: &mut Measured, place: [&str; 2], scores: &Scores) {
    measured.put(place, AVERAGE, scores.average.mean);
    measured.put(
        place,
        TRAIN_WEIGHTED,
        scores.train_weighted.map(|it| it.mean),
    );
    measured.put(place, WORST_CLASS, scores.worst_class.mean);
    measured.put(place, WORST_GROUP, scores.worst_group.map(|it| it.mean));
}

fn put_metrics(measured: &mut Measured, place: [&str; 2], metrics: &Metrics, data: &EditData) {
    measured.put(place, AVERAGE, metrics.accuracy);
    measured.put(place, TRAIN_WEIGHTED, train_weighted(metrics, data));
    measured.put(place, WORST_CLASS, metrics.worst_class_accuracy);
    measured.put(place, WORST_GROUP, metrics.worst_group_accuracy);
}
