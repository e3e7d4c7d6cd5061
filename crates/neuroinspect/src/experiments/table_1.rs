//! Table I and Fig. 4: the three ways to picture a neuron.

use std::rc::Rc;

use neuroinspect_core::{Observer, Seed};
use neuroinspect_illusion::Pair;

use super::{
    Column, Experiment, Headline, Protocol, Source, Switch, Switches,
    claims::ClaimRule,
    mean,
    measured::Measured,
    pictures::{
        ACTIVATION, AGREEMENT, CHANCE, Made, Method, NEEDS, OVER_REAL, PERCENTILE, Pictured,
        RECOGNISED, STAND_IN, Texts, alike, alike_of_others, centre, mean_of, next, pairs_in_words,
        sheet_of,
    },
};
use crate::Result;

const TABLE: &str = "Pictures of each class's neuron of largest weight";

/// The headlines of the ledger.
const GUIDED: Column = Column {
    name: "activation, by CLIP-Illusion (without an encoder, by the class alone)",
    ..ACTIVATION
};
const ALONE: Column = Column {
    name: "activation, by FV",
    ..ACTIVATION
};

pub(super) static EXPERIMENT: Experiment = Experiment {
    name: "table-1",
    title: "which pictures of neurons are understood",
    paper: "Table I and Fig. 4",
    protocol: "The neuron of largest weight of each class (of twenty classes drawn once, where there are more) is \
        pictured within the class in three ways: by CLIP-Illusion (gamma 0.5, eps 0.05), the same without CLIP, and \
        by feature visualization (FV).\n\n\
        The paper asked people which of three pictures they understand: of the answers of eight practitioners 80.0 % \
        went to one way, 16.25 and 3.75 % to the others, of those of lay people 42.70, 39.89 and 17.42 %; the paper \
        claims the most for CLIP-Illusion. That cannot be run again. Here stand proxies: whether a judge, a network \
        that has no part in a picture, takes it for its class, and how far beyond chance, over the same of real \
        images of these classes; logit and probability of the class; the percentile of the neuron's activation among \
        those of real images; and agreement over seeds, the cosine of the judge's features of the picture and of the \
        same with the next seed, both less the mean features of the pictures of that way by both seeds. What guessing \
        comes to stands in the row of chance: of agreement, that of pictures of unlike neurons and classes. CLIP \
        guides one of the three, and is not asked which is best: its similarity is given for completeness.",
    needs: NEEDS,
    stand_in: STAND_IN,
    headlines: &[
        Headline {
            column: GUIDED,
            switches: &[
                Switch::Coupling,
                Switch::Resize,
                Switch::Guard,
                Switch::Prompts,
            ],
        },
        Headline {
            column: ALONE,
            switches: &[Switch::FvClass, Switch::FvResize],
        },
    ],
    drawn: Some(RECOGNISED),
    not_switched: &[
        "The paper's smoothing is cited as randomised smoothing of pixels; the code adds one offset per image and \
         channel, and so do all modes.",
        "Steps and learning rate: the code has several of each; all modes have one, so that ways compare.",
    ],
    published: Vec::new,
    claims: &[
        ClaimRule::new(
            "Pictures by CLIP-Illusion are understood more often than those by FV.",
            [Method::CLIP_ILLUSION.name(), Method::Fv.name()],
            OVER_REAL,
        )
        .beyond(0.0),
        ClaimRule::new(
            "They are understood more often than those without CLIP.",
            [Method::CLIP_ILLUSION.name(), Method::WITHOUT_CLIP.name()],
            OVER_REAL,
        )
        .beyond(0.0),
        ClaimRule::new(
            "A class makes a picture understood more often than the neuron alone does.",
            [Method::WITHOUT_CLIP.name(), Method::Fv.name()],
            OVER_REAL,
        )
        .beyond(0.0),
        ClaimRule::new(
            "They are still pictures of the neuron: its activation stands no more than one \
             percentile below that of FV.",
            [Method::CLIP_ILLUSION.name(), Method::Fv.name()],
            PERCENTILE,
        )
        .by(-1.0),
    ],
    open: |setup, observer| {
        let pictured = Pictured::open(setup, observer)?;
        Ok(Box::new(Ways {
            pairs: pictured.top_pairs()?,
            pictured,
        }))
    },
};

struct Ways {
    pictured: Pictured,
    pairs: Vec<Pair>,
}

impl Ways {
    fn make(
        &mut self,
        method: Method,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Rc<Made>> {
        let recipe = method.recipe(switches, &self.pictured.recipe);
        let texts = Texts::of(switches);
        self.pictured
            .make(&self.pairs, &recipe.with_seed(seed), texts, observer)
    }
}

impl Protocol for Ways {
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
        let (mut rows, mut names, mut unlike) = (Vec::new(), Vec::new(), Vec::new());
        for method in self.pictured.methods() {
            let made = self.make(method, seed, switches, observer)?;
            let others = self.make(method, next(seed), switches, observer)?;
            let place = [TABLE, method.name()];
            self.pictured.put(&mut measured, place, &made)?;
            if let Some(centre) = centre(&[&made, &others]) {
                measured.put(place, AGREEMENT, alike(&made, &others, &centre));
                unlike.extend(alike_of_others(&made, &others, &centre));
            }
            names.push(method.name());
            rows.push(made);
        }
        self.pictured.put_chance(&mut measured, TABLE);
        measured.put([TABLE, CHANCE], AGREEMENT, mean(unlike));
        let title = format!(
            "Rows: {}. Columns: {}",
            names.join(", "),
            pairs_in_words(&self.pictured, &self.pairs)
        );
        let image = sheet_of(&rows)?;
        measured.add_picture(title, "ways.png", image);
        Ok(measured)
    }

    fn concerns(&self, switch: Switch) -> bool {
        self.pictured.concerns(switch)
    }

    fn headline(
        &mut self,
        column: Column,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Option<f64>> {
        let mut methods = self.pictured.methods().into_iter();
        let method = match column == ALONE {
            true => Some(Method::Fv),
            false => methods.next(),
        };
        let Some(method) = method else {
            return Ok(None);
        };
        let made = self.make(method, seed, switches, observer)?;
        Ok(mean_of(&made, |it| it.activation))
    }
}
