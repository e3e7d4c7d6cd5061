//! Table I and Fig. 4: the three ways to picture a neuron.

use std::rc::Rc;

use neuroinspect_core::{Observer, Seed};
use neuroinspect_illusion::Pair;

use super::{
    Experiment, Protocol, Source, Switch, Switches,
    claims::ClaimRule,
    measured::Measured,
    pictures::{
        ACTIVATION, AGREEMENT, Made, Method, NEEDS, OVER_REAL, PERCENTILE, Pictured, STAND_IN,
        Texts, mean_of, next, pairs_in_words, sheet,
    },
};
use crate::Result;

const TABLE: &str = "Pictures of each class's neuron of largest weight";

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
        that has no part in a picture, takes it for its class, over its share of real images of these classes; \
        logit and probability of the class; the percentile of the neuron's activation among those of real images; \
        and agreement over seeds, the cosine of the judge's features of the picture and of the same with the next \
        seed, both less the mean features of real images. CLIP guides one of the three, and is not asked which is \
        best: its similarity is given for completeness.",
    needs: NEEDS,
    stand_in: STAND_IN,
    switches: &[
        Switch::Coupling,
        Switch::Resize,
        Switch::Guard,
        Switch::Prompts,
    ],
    headline: Some(ACTIVATION),
    not_switched: &[
        "The paper's smoothing is cited as randomised smoothing of pixels; the code adds one offset per image and \
         channel, and so do all modes.",
        "Feature visualization is resized by 0.7 to 1.2 in all modes, as in the code, the other two as the switch \
         `resize` stands: in modes `code` and `fixed` a part of the gap in activation is of this, about as much as \
         the line of `resize` says.",
        "Steps and learning rate: the code has several of each; all modes have one, so that ways compare.",
    ],
    published: Vec::new,
    claims: &[
        ClaimRule {
            claim: "Pictures by CLIP-Illusion are understood more often than those by FV.",
            table: None,
            rows: [Method::CLIP_ILLUSION.name(), Method::Fv.name()],
            column: OVER_REAL.name,
            by: 0.0,
        },
        ClaimRule {
            claim: "They are understood more often than those without CLIP.",
            table: None,
            rows: [Method::CLIP_ILLUSION.name(), Method::WITHOUT_CLIP.name()],
            column: OVER_REAL.name,
            by: 0.0,
        },
        ClaimRule {
            claim: "A class makes a picture understood more often than the neuron alone does.",
            table: None,
            rows: [Method::WITHOUT_CLIP.name(), Method::Fv.name()],
            column: OVER_REAL.name,
            by: 0.0,
        },
        ClaimRule {
            claim: "They are still pictures of the neuron: its activation stands no more than one percentile below \
                    that of FV.",
            table: None,
            rows: [Method::CLIP_ILLUSION.name(), Method::Fv.name()],
            column: PERCENTILE.name,
            by: -1.0,
        },
    ],
    open: |setup, observer| {
        let pictured = Pictured::open(setup, observer)?;
        Ok(Box::new(Ways {
            pairs: pictured.top_pairs()?,
            first: setup.config.seed,
            pictured,
        }))
    },
};

struct Ways {
    pictured: Pictured,
    pairs: Vec<Pair>,
    /// The seed whose pictures are shown.
    first: Seed,
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
        let mut rows = Vec::new();
        for method in self.pictured.methods() {
            let made = self.make(method, seed, switches, observer)?;
            let others = self.make(method, next(seed), switches, observer)?;
            let place = [TABLE, method.name()];
            self.pictured.put(&mut measured, place, &made);
            let agreement = self.pictured.agreement(&made, &others);
            measured.put(place, AGREEMENT, agreement);
            rows.push((method.name(), made));
        }
        if seed == self.first {
            let names: Vec<_> = rows.iter().map(|(name, _)| *name).collect();
            let title = format!(
                "Rows: {}. Columns: {}",
                names.join(", "),
                pairs_in_words(&self.pictured, &self.pairs)
            );
            let image = sheet(
                &rows.iter().map(|(_, made)| made.row()).collect::<Vec<_>>(),
                false,
            )?;
            measured.add_picture(title, "ways.png", image);
        }
        Ok(measured)
    }

    /// The activation of CLIP-Illusion's pictures.
    fn headline(
        &mut self,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Option<f64>> {
        let Some(&first) = self.pictured.methods().first() else {
            return Ok(None);
        };
        let made = self.make(first, seed, switches, observer)?;
        Ok(mean_of(&made, |it| it.activation))
    }
}
