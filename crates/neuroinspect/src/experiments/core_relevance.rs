//! The core relevance score against planted truth.

use ndarray::Array2;
use neuroinspect_core::{Error as CoreError, NeuronId, Observer, Seed};
use neuroinspect_datasets::scenes::{Part, Scenes, ScenesConfig};
use neuroinspect_illusion::{Illusion, Pair, core_relevance};

use super::{
    Column, Experiment, Headline, Protocol, Setup, Source, Switch, Switches, Unit,
    claims::ClaimRule,
    mean,
    measured::Measured,
    pictures::{
        CHANCE, Method, Pictured, STAND_IN, Texts,
        measures::{area_of_low, precision_of_lowest},
        sheet,
    },
};
use crate::{Extraction, Result, debug::class_means, demo::Demo, extract_features};

const TABLE: &str = "Neurons of the planted context, told by a low score";
const QUOTIENT_WITH: &str = "quotients, class means with the correlation";
const QUOTIENT_WITHOUT: &str = "quotients, class means without it";
const DIFFERENCE_WITH: &str = "differences, class means with the correlation";
const DIFFERENCE_WITHOUT: &str = "differences, class means without it";
const AREA: Column = Column {
    name: "area under the ROC curve",
    unit: Unit::Number,
};
/// An area that chance alone comes to: half, and two standard errors of one over the stand-in's neurons, 10 of 22,
/// which repetitions over pictures of the same neurons do not see.
const AREA_BY_CHANCE: f64 = 0.75;
/// The headline of the ledger.
const OURS: Column = Column {
    name: "area under the ROC curve, by quotients, class means with the correlation",
    ..AREA
};
const LOWEST: Column = Column {
    name: "right among the five lowest",
    unit: Unit::Share,
};
const BELOW: Column = Column {
    name: "right among those below the line",
    unit: Unit::Share,
};

/// As many as a report pictures.
const FIRST: usize = 5;
/// Classes that a class is compared with, as in the paper.
const NEIGHBOURS: usize = 20;
/// A quotient below this is spurious by the README of an earlier version of the authors' code.
const QUOTIENT_LINE: f64 = 0.95;
/// A difference below this leaves less of the class than of its neighbours.
const DIFFERENCE_LINE: f64 = 0.0;
/// Scenes that class means are of.
const SCENES: usize = 500;
/// Standardised activation below which the mask hides a picture, in paper and code.
const MASK_THRESHOLD: f64 = 0.5;

pub(super) static EXPERIMENT: Experiment = Experiment {
    name: "core-relevance",
    title: "whether the core relevance score tells spurious neurons",
    paper: "Core relevance score (limitations)",
    protocol: "The paper scores how core a neuron's feature is to a class: how much of the similarity of its picture \
        to the class's mean features is left when all but the neuron's region is masked, over the same for the 20 \
        most similar classes; an earlier version of its code takes differences. It prints no numbers.\n\n\
        On the scenes the truth is known: the context that was planted is switched on and off in the same scenes, \
        and a neuron that rises with it by more than half of its standard deviation is one of the context. Of all \
        neurons whose weight for the planted class is above 0 a picture within the class is made by CLIP-Illusion; \
        a low score is to tell those of the context. The area is the chance that one of them scores lower than \
        another neuron. The line is 0.95 for quotients, as a README of the authors' has it, and 0 for differences. \
        Class means are of validation scenes, once with the correlation that the network was trained on, as the \
        paper's would be, once without. Scenes have five classes, so that all are neighbours.",
    needs: "planted truth, which only the stand-in has.",
    stand_in: STAND_IN,
    headlines: &[Headline {
        column: OURS,
        switches: &[Switch::MaskReduction],
    }],
    drawn: Some(AREA),
    not_switched: &[
        "What concerns the pictures themselves is flipped in table-1.",
        "The code takes the mean of four pictures of a neuron; here a repetition has one, and there are several.",
    ],
    published: Vec::new,
    claims: &[
        ClaimRule::new(
            "A low score tells spurious neurons better than chance.",
            [QUOTIENT_WITH, CHANCE],
            AREA,
        )
        .beyond(AREA_BY_CHANCE),
        ClaimRule::new(
            "So does one by differences.",
            [DIFFERENCE_WITH, CHANCE],
            AREA,
        )
        .beyond(AREA_BY_CHANCE),
        ClaimRule::new(
            "It misleads where context and class go together: class means without the correlation tell more.",
            [QUOTIENT_WITHOUT, QUOTIENT_WITH],
            AREA,
        ),
    ],
    open: |setup, observer| Ok(Box::new(Planted::open(setup, observer)?)),
};

struct Planted {
    pictured: Pictured,
    /// The neurons that speak for the planted class, each within it.
    pairs: Vec<Pair>,
    /// Whether each is one of the context.
    truth: Vec<bool>,
    /// Mean features of each class `[K, D]`, of scenes with the correlation and without.
    means: [Array2<f32>; 2],
}

/// How the neurons are scored.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Quotient,
    Difference,
}

impl Planted {
    fn open(setup: &Setup<'_>, observer: &mut dyn Observer) -> Result<Self> {
        if let Some(data) = &setup.config.data {
            return Err(CoreError::InvalidOption {
                option: "data",
                value: data.display().to_string(),
                expected: "none: only of the stand-in it is known which neurons are spurious",
            }
            .into());
        }
        let pictured = Pictured::open(setup, observer)?;
        let demo = Demo::load(&setup.device)?;
        let class = demo.planted_class();
        let effects = demo.context_effects(observer)?;
        let speaks = |neuron: &usize| pictured.layer.weight()[[class.0, *neuron]] > 0.0;
        let neurons: Vec<_> = (0..pictured.layer.neurons()).filter(speaks).collect();
        let mut means = |config: ScenesConfig| -> Result<Array2<f32>> {
            let count = setup.config.scaled(SCENES, 50);
            let scenes = config.with_part(Part::Validation).with_samples(count);
            let scenes = Scenes::new(scenes)?;
            let extraction = Extraction::new(demo.classifier.as_ref(), &scenes);
            class_means(&extract_features(&extraction, observer)?.table)
        };
        Ok(Self {
            // A neuron that falls with the context does not picture it.
            truth: neurons
                .iter()
                .map(|&it| effects[it].responds() && effects[it].effect > 0.0)
                .collect(),
            pairs: neurons
                .into_iter()
                .map(|neuron| Pair {
                    neuron: NeuronId(neuron),
                    class,
                })
                .collect(),
            means: [
                means(Demo::training_scenes())?,
                means(ScenesConfig::test())?,
            ],
            pictured,
        })
    }

    /// Pictures of all neurons, masked as the switches have it.
    fn masked(
        &mut self,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Illusion>> {
        let recipe = Method::CLIP_ILLUSION.recipe(switches, &self.pictured.recipe);
        // Another mask is no other picture.
        let recipe = recipe.with_mask(MASK_THRESHOLD, 0.0).with_seed(seed);
        let texts = Texts::of(switches);
        let made = self.pictured.make(&self.pairs, &recipe, texts, observer)?;
        let mut illusions = made.illusions.clone();
        for mask in illusions.iter_mut().filter_map(|it| it.mask.as_mut()) {
            mask.mapv_inplace(|shown| shown.max(switches.mask_reduction as f32));
        }
        Ok(illusions)
    }

    /// The scores of the neurons that have one, and whether each is of the context.
    fn scores(
        &self,
        illusions: &[Illusion],
        means: &Array2<f32>,
        form: Form,
    ) -> Result<(Vec<f64>, Vec<bool>)> {
        let scored = core_relevance(
            self.pictured.classifier(),
            illusions,
            means.view(),
            NEIGHBOURS,
        )?;
        let scored = scored.iter().zip(&self.truth).filter_map(|(score, &is)| {
            let score = match form {
                Form::Quotient => score.score,
                Form::Difference => score.difference,
            };
            Some((f64::from(score?), is))
        });
        Ok(scored.unzip())
    }
}

/// The standard error of an area that tells nothing (Hanley and McNeil 1982), of so many true ones and others.
fn chance_error(true_ones: usize, others: usize) -> f64 {
    let (a, b) = (true_ones as f64, others as f64);
    ((a + b + 1.0) / (12.0 * a * b)).sqrt()
}

impl Protocol for Planted {
    fn source(&self) -> Source {
        let of_context = self.truth.iter().filter(|is| **is).count();
        let note = format!(
            "{} neurons speak for the planted class, of which {of_context} rise with the planted context: an area by \
             chance has a standard error of {:.3} over so many. Repetitions picture the same neurons, and their \
             intervals do not have it.",
            self.truth.len(),
            chance_error(of_context, self.truth.len() - of_context)
        );
        Source {
            notes: vec![note],
            ..self.pictured.source.clone()
        }
    }

    fn measure(
        &mut self,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Measured> {
        let mut measured = Measured::default();
        let illusions = self.masked(seed, switches, observer)?;
        let [with, without] = &self.means;
        for (row, means, form, line) in [
            (QUOTIENT_WITH, with, Form::Quotient, QUOTIENT_LINE),
            (QUOTIENT_WITHOUT, without, Form::Quotient, QUOTIENT_LINE),
            (DIFFERENCE_WITH, with, Form::Difference, DIFFERENCE_LINE),
            (
                DIFFERENCE_WITHOUT,
                without,
                Form::Difference,
                DIFFERENCE_LINE,
            ),
        ] {
            let (scores, truth) = self.scores(&illusions, means, form)?;
            let place = [TABLE, row];
            measured.put(place, AREA, area_of_low(&scores, &truth));
            measured.put(place, LOWEST, precision_of_lowest(&scores, &truth, FIRST));
            let below = scores
                .iter()
                .zip(&truth)
                .filter(|(score, _)| **score < line);
            measured.put(place, BELOW, mean(below.map(|(_, is)| f64::from(*is))));
        }
        let share = mean(self.truth.iter().map(|is| f64::from(*is)));
        let place = [TABLE, CHANCE];
        measured.put(place, AREA, 0.5);
        measured.put(place, LOWEST, share);
        measured.put(place, BELOW, share);
        self.show(&mut measured, &illusions)?;
        Ok(measured)
    }

    fn headline(
        &mut self,
        _: Column,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Option<f64>> {
        let illusions = self.masked(seed, switches, observer)?;
        let (scores, truth) = self.scores(&illusions, &self.means[0], Form::Quotient)?;
        Ok(area_of_low(&scores, &truth))
    }
}

impl Planted {
    /// The pictures of the lowest scores and of the highest, masked.
    fn show(&self, measured: &mut Measured, illusions: &[Illusion]) -> Result<()> {
        let scored = core_relevance(
            self.pictured.classifier(),
            illusions,
            self.means[0].view(),
            NEIGHBOURS,
        )?;
        let mut order: Vec<(f32, usize)> = scored
            .iter()
            .enumerate()
            .filter_map(|(place, score)| Some((score.score?, place)))
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let shown = FIRST.min(order.len() / 2);
        let (lowest, highest) = (&order[..shown], &order[order.len() - shown..]);
        let words = |of: &[(f32, usize)]| {
            let words = of.iter().map(|&(score, place)| {
                let context = if self.truth[place] {
                    ", of the context"
                } else {
                    ""
                };
                format!("{} ({score:.2}{context})", self.pairs[place].neuron)
            });
            words.collect::<Vec<_>>().join(", ")
        };
        let title = format!(
            "Where neurons are active in their pictures. Above the lowest scores: neurons {}; below the highest: \
             {}",
            words(lowest),
            words(highest)
        );
        let rows = [lowest, highest].map(|of| {
            let places = of.iter().map(|&(_, place)| &illusions[place]);
            places.collect::<Vec<_>>()
        });
        measured.add_picture(title, "scores.png", sheet(&rows, true)?);
        Ok(())
    }
}
