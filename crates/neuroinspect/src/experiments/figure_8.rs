//! Fig. 8: classes that the image-text encoder does not know.

use neuroinspect_core::{Observer, Seed};
use neuroinspect_illusion::Pair;

use super::{
    Experiment, Protocol, Source, Switches,
    claims::ClaimRule,
    measured::Measured,
    pictures::{
        Method, NEEDS, OVER_REAL, PERCENTILE, Pictured, STAND_IN, Texts, pairs_in_words, sheet_of,
    },
};
use crate::Result;

const TABLE: &str = "Pictures by what the encoder is told of the classes";
const NAMES: &str = "their names";
const NUMBERS: &str = "numbers it does not know";
const NUMBERS_ALONE: &str = "numbers it does not know, eps 0";
const NOTHING: &str = "nothing (w/o CLIP)";

pub(super) static EXPERIMENT: Experiment = Experiment {
    name: "figure-8",
    title: "pictures within classes that CLIP does not know",
    paper: "Fig. 8",
    protocol: "The paper pictures neurons of a classifier of twenty Lego bricks, whose numbers mean nothing to CLIP, \
        and finds that its pictures are still good: eps keeps the signal where the similarity says nothing. Here \
        the neuron of largest weight of each class (of twenty classes drawn once, where there are more) is pictured \
        by CLIP-Illusion, with the encoder told the classes' names, or told numbers of bricks in their place \
        (\"brick 3001\", and on), with eps 0.05 and 0; and without CLIP.",
    needs: NEEDS,
    stand_in: STAND_IN,
    headlines: &[],
    drawn: None,
    not_switched: &[
        "The code's hand-made sentences for Lego bricks are texts, which `--data` brings as names of classes.",
    ],
    published: Vec::new,
    claims: &[
        ClaimRule::new(
            "Where the encoder does not know the classes, pictures are recognised no less \
             often (by ten points at most) than without it.",
            [NUMBERS, NOTHING],
            OVER_REAL,
        )
        .by(-0.1)
        .beyond(0.0),
        ClaimRule::new(
            "And their neurons fire as high (by one percentile at most).",
            [NUMBERS, NOTHING],
            PERCENTILE,
        )
        .by(-1.0),
        ClaimRule::new(
            "It is eps that sees to it: without, fewer are recognised.",
            [NUMBERS, NUMBERS_ALONE],
            OVER_REAL,
        )
        .beyond(0.0),
    ],
    open: |setup, observer| {
        let pictured = Pictured::open(setup, observer)?;
        pictured.require_encoder()?;
        Ok(Box::new(Unknown {
            pairs: pictured.top_pairs()?,
            pictured,
        }))
    },
};

struct Unknown {
    pictured: Pictured,
    pairs: Vec<Pair>,
}

impl Protocol for Unknown {
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
        let without_eps = Method::ClipIllusion {
            gamma: 0.5,
            eps: 0.0,
        };
        for (row, method, named) in [
            (NAMES, Method::CLIP_ILLUSION, true),
            (NUMBERS, Method::CLIP_ILLUSION, false),
            (NUMBERS_ALONE, without_eps, false),
            (NOTHING, Method::WITHOUT_CLIP, true),
        ] {
            let recipe = method.recipe(switches, &self.pictured.recipe);
            let texts = Texts {
                named,
                ..Texts::of(switches)
            };
            let recipe = recipe.with_seed(seed);
            let made = self.pictured.make(&self.pairs, &recipe, texts, observer)?;
            self.pictured.put(&mut measured, [TABLE, row], &made)?;
            rows.push(made);
        }
        self.pictured.put_chance(&mut measured, TABLE);
        let title = format!(
            "Rows: the encoder is told {NAMES}; {NUMBERS}; {NUMBERS_ALONE}; {NOTHING}. Columns: {}",
            pairs_in_words(&self.pictured, &self.pairs)
        );
        let image = sheet_of(&rows)?;
        measured.add_picture(title, "texts.png", image);
        Ok(measured)
    }
}
