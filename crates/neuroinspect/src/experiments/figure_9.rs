//! Fig. 9: the weight of the class.

use neuroinspect_core::{Observer, Seed};
use neuroinspect_illusion::Pair;

use super::{
    Experiment, Protocol, Source, Switch, Switches,
    claims::ClaimRule,
    measured::Measured,
    pictures::{
        ACTIVATION, LOGIT, Method, NEEDS, OVER_REAL, Pictured, STAND_IN, Texts, mean_of,
        pairs_in_words, sheet,
    },
};
use crate::Result;

const TABLE: &str = "CLIP-Illusion by the weight of the class";
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
    switches: &[Switch::Guard],
    headline: Some(ACTIVATION),
    not_switched: &[],
    published: Vec::new,
    claims: &[
        ClaimRule {
            claim: "A larger weight brings out the class: its logit is higher with gamma 1 than with 0.",
            table: None,
            rows: ["gamma 1", "gamma 0"],
            column: LOGIT.name,
            by: 0.0,
        },
        ClaimRule {
            claim: "The class is recognised more often with gamma 1 than with 0.",
            table: None,
            rows: ["gamma 1", "gamma 0"],
            column: OVER_REAL.name,
            by: 0.0,
        },
        ClaimRule {
            claim: "A large weight hides the neuron: its activation is higher with gamma 0 than with 1.",
            table: None,
            rows: ["gamma 0", "gamma 1"],
            column: ACTIVATION.name,
            by: 0.0,
        },
    ],
    open: |setup, observer| {
        let pictured = Pictured::open(setup, observer)?;
        pictured.require_encoder()?;
        Ok(Box::new(Sweep {
            pairs: pictured.top_pairs()?,
            first: setup.config.seed,
            pictured,
        }))
    },
};

struct Sweep {
    pictured: Pictured,
    pairs: Vec<Pair>,
    /// The seed whose pictures are shown.
    first: Seed,
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
            self.pictured.put(&mut measured, [TABLE, name], &made);
            rows.push(made);
        }
        if seed == self.first {
            let title = format!(
                "Rows: gamma 0, 0.25, 0.5, 0.75 and 1. Columns: {}",
                pairs_in_words(&self.pictured, &self.pairs)
            );
            measured.add_picture(
                title,
                "gammas.png",
                sheet(
                    &rows.iter().map(|made| made.row()).collect::<Vec<_>>(),
                    false,
                )?,
            );
        }
        Ok(measured)
    }

    /// The activation with gamma 1, where a guard would matter most.
    fn headline(
        &mut self,
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
