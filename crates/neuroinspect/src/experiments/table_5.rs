//! Table V and Fig. 10: steps against activation and time.

use neuroinspect_core::{Observer, Seed};
use neuroinspect_illusion::Pair;

use super::{
    Column, Experiment, Protocol, Published, Source, Switches, Unit,
    claims::ClaimRule,
    measured::Measured,
    pictures::{
        ACTIVATION, Method, NEEDS, Pictured, SECONDS, STAND_IN, Texts, mean_of, pairs_in_words,
        sheet,
    },
};
use crate::Result;

const TABLE: &str = "CLIP-Illusion by the number of steps";
/// The steps of Table V.
const STEPS: [(usize, &str); 4] = [
    (300, "300 steps"),
    (400, "400 steps"),
    (500, "500 steps"),
    (650, "650 steps"),
];
/// Of which small pictures have a fifth, as they have fewer in all experiments.
const FEWER: usize = 5;

/// Beside that of the fewest steps.
const RELATIVE_ACTIVATION: Column = Column {
    name: "activation, over that of 300 steps",
    unit: Unit::Share,
};
const RELATIVE_SECONDS: Column = Column {
    name: "time, over that of 300 steps",
    unit: Unit::Share,
};

/// Table V.
const PAPER: [(&str, f64, f64); 4] = [
    ("300 steps", 30.58, 12.33),
    ("400 steps", 32.91, 16.45),
    ("500 steps", 34.47, 21.82),
    ("650 steps", 36.13, 26.49),
];

fn published() -> Vec<Published> {
    let (_, fewest, shortest) = PAPER[0];
    let of_row = |(row, activation, seconds): (&'static str, f64, f64)| {
        let numbers = [
            (ACTIVATION, activation),
            (RELATIVE_ACTIVATION, activation / fewest),
            (SECONDS, seconds),
            (RELATIVE_SECONDS, seconds / shortest),
        ];
        numbers.map(|(column, value)| Published {
            of: "network and neurons not named, on an A6000",
            table: None,
            row,
            column: column.name,
            value,
        })
    };
    PAPER.into_iter().flat_map(of_row).collect()
}

pub(super) static EXPERIMENT: Experiment = Experiment {
    name: "table-5",
    title: "what more steps are worth",
    paper: "Table V and Fig. 10",
    protocol: "The neuron of largest weight of each class (of twenty classes drawn once, where there are more) is \
        pictured within the class by CLIP-Illusion (gamma 0.5, eps 0.05) in 300, 400, 500 and 650 steps; below 64 \
        pixels in a fifth of each. The learning rate falls along a cosine over all steps, so that a picture of more \
        steps is not one of fewer that goes on. The time is that of the steps and of looking at the result, for \
        each picture of a batch; what a network does only once comes before.\n\n\
        Activations of other networks do not compare: beside the paper's stand also the shares of the first row. \
        The paper's table has one more row, 25.21, whose name our notes of it do not have.",
    needs: NEEDS,
    stand_in: STAND_IN,
    headlines: &[],
    drawn: Some(RELATIVE_ACTIVATION),
    not_switched: &["Rows are compared with each other, by one recipe: no switch is flipped."],
    published,
    claims: &[
        ClaimRule::new(
            "More steps raise the activation: that of 650 is above that of 300 (a check: it is \
             what is maximised).",
            ["650 steps", "300 steps"],
            ACTIVATION,
        ),
        ClaimRule::new(
            "They do so throughout: that of 650 is above that of 500.",
            ["650 steps", "500 steps"],
            ACTIVATION,
        ),
    ],
    open: |setup, observer| {
        let pictured = Pictured::open(setup, observer)?;
        pictured.require_encoder()?;
        let steps = |steps: usize| match pictured.is_small {
            true => setup.config.scaled(steps / FEWER, 2),
            false => setup.config.scaled(steps, 2),
        };
        Ok(Box::new(Steps {
            rows: STEPS.map(|(count, row)| (steps(count), row)),
            pairs: pictured.top_pairs()?,
            pictured,
        }))
    },
};

struct Steps {
    pictured: Pictured,
    pairs: Vec<Pair>,
    rows: [(usize, &'static str); 4],
}

impl Protocol for Steps {
    fn source(&self) -> Source {
        let mut source = self.pictured.source.clone();
        let made = self.rows.map(|(steps, _)| steps);
        if made != STEPS.map(|(steps, _)| steps) {
            let note = format!("In place of the steps that rows are called by, {made:?} are made.");
            source.notes.push(note);
        }
        source
    }

    fn measure(
        &mut self,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Measured> {
        let mut measured = Measured::default();
        let mut fewest: Option<[f64; 2]> = None;
        let mut rows = Vec::new();
        let recipe = Method::CLIP_ILLUSION.recipe(switches, &self.pictured.recipe);
        let recipe = recipe.with_seed(seed);
        let texts = Texts::of(switches);
        // What is done once is not to be counted to the first row.
        let once = recipe.clone().with_steps(2);
        self.pictured.make(&self.pairs, &once, texts, observer)?;
        for (steps, row) in self.rows {
            let recipe = recipe.clone().with_steps(steps);
            let made = self.pictured.make(&self.pairs, &recipe, texts, observer)?;
            let place = [TABLE, row];
            self.pictured.put(&mut measured, place, &made)?;
            measured.put(place, SECONDS, made.seconds);
            if let Some(activation) = mean_of(&made, |it| it.activation) {
                let [of_fewest, seconds] = *fewest.get_or_insert([activation, made.seconds]);
                measured.put(place, RELATIVE_ACTIVATION, activation / of_fewest);
                measured.put(place, RELATIVE_SECONDS, made.seconds / seconds);
            }
            rows.push(made);
        }
        let title = format!(
            "Rows: {} and {} steps. Columns: {}",
            self.rows[0].0,
            self.rows[3].0,
            pairs_in_words(&self.pictured, &self.pairs)
        );
        let shown = [rows.first(), rows.last()].into_iter().flatten();
        let image = sheet(&shown.map(|made| made.row()).collect::<Vec<_>>(), false)?;
        measured.add_picture(title, "steps.png", image);
        Ok(measured)
    }
}
