//! Fig. 9: the weight of the class.

use neuroinspect_core::{Observer, Seed};
use neuroinspect_illusion::Pair;

use super::{
    Column, Experiment, Headline, Protocol, Source, Switch, Switches,
    claims::ClaimRule,
    measured::Measured,
    pictures::{
        ACTIVATION, LOGIT, Method, NEEDS, OVER_REAL, Pictured, STAND_IN, Texts, mean_of,
        pairs_in_words, sheet_of,
    },
};
use crate::Result;

const TABLE: &str = "CLIP-Illusion by the weight of the class";
/// The headline of the ledger: with the weight where a guard would matter most.
const OF_FULL_WEIGHT: Column = Column {
    name: "activation, by gamma 1",
    ..ACTIVATION
};
/// The range that the paper sweeps.
const GAMMAS: [(f64, &str); 5] = [
    (0.0, "gamma 0"),
    (0.25, "gamma 0.25"),
    (0.5, "gamma 0.5"),
    (0.75, "gamma 0.75"),
    (1.0, "gamma 1"),
];

pub(super) static EXPERIMENT: Experiment = Experiment {
    name: "figure-9",
    title: "the weight of the class in a neuron's picture",
    paper: "Fig. 9",
    protocol: "The neuron of largest weight of each class (of twenty classes drawn once, where there are more) is \
        pictured within the class by CLIP-Illusion (eps 0.05) with the weights gamma from 0 to 1. The paper shows \
        pictures and prints no numbers; it says that a larger weight brings out the class, and that too large a one \
        hides the neuron.",
    needs: NEEDS,
    stand_in: STAND_IN,
    headlines: &[Headline {
        column: OF_FULL_WEIGHT,
        switches: &[Switch::Guard],
    }],
    drawn: None,
    not_switched: &[],
    published: Vec::new,
    claims: &[
        ClaimRule::new(
            "A larger weight brings out the class: its logit is higher with gamma 1 than with 0 (a \
             check: it is what is maximised).",
            ["gamma 1", "gamma 0"],
            LOGIT,
        ),
        ClaimRule::new(
            "The class is recognised more often with gamma 1 than with 0.",
            ["gamma 1", "gamma 0"],
            OVER_REAL,
        )
        .beyond(0.0),
        ClaimRule::new(
            "A large weight hides the neuron: its activation is higher with gamma 0 than with 1.",
            ["gamma 0", "gamma 1"],
            ACTIVATION,
        ),
    ],
    open: |setup, observer| {
        let pictured = Pictured::open(setup, observer)?;
        pictured.require_encoder()?;
        Ok(Box::new(Sweep {
            pairs: pictured.top_pairs()?,
            pictured,
        }))
    },
};

struct Sweep {
    pictured: Pictured,
    pairs: Vec<Pair>,
}

impl Protocol for Sweep {
    fn source(&self) -> Source {
        self.pictured.source.clone()
    }

    fn measure(
        &mut self,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Measured> {
        let mut measured = Measured::default();
        let mut rows = Vec::new();
        for (gamma, name) in GAMMAS {
            let recipe = Method::of_gamma(gamma).recipe(switches, &self.pictured.recipe);
            let (recipe, texts) = (recipe.with_seed(seed), Texts::of(switches));
            let made = self.pictured.make(&self.pairs, &recipe, texts, observer)?;
            self.pictured.put(&mut measured, [TABLE, name], &made)?;
            rows.push(made);
        }
        self.pictured.put_chance(&mut measured, TABLE);
        let title = format!(
            "Rows: gamma 0, 0.25, 0.5, 0.75 and 1. Columns: {}",
            pairs_in_words(&self.pictured, &self.pairs)
        );
        measured.add_picture(title, "gammas.png", sheet_of(&rows)?);
        Ok(measured)
    }

    fn headline(
        &mut self,
        _: Column,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Option<f64>> {
        let recipe = Method::of_gamma(1.0).recipe(switches, &self.pictured.recipe);
        let (recipe, texts) = (recipe.with_seed(seed), Texts::of(switches));
        let made = self.pictured.make(&self.pairs, &recipe, texts, observer)?;
        Ok(mean_of(&made, |it| it.activation))
    }
}
