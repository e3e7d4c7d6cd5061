//! Fig. 3: one neuron within several classes.

use neuroinspect_core::{NeuronId, Observer, Seed};
use neuroinspect_illusion::{Pair, classes_of_neuron};

use super::{
    Experiment, Protocol, Source, Switches,
    claims::ClaimRule,
    mean,
    measured::Measured,
    pictures::{AGREEMENT, Method, NEEDS, Pictured, STAND_IN, Texts, next, pairs_in_words, sheet},
};
use crate::Result;

const NUMBERS: &str = "Pictures of neurons within the classes they speak for";
const ALIKE: &str = "How alike two pictures of a neuron are";
const SAME: &str = "of the same class, by another seed";
const OTHER: &str = "of another class, by the same seed";

/// Neurons, and classes of each.
const NEURONS: usize = 3;
const CLASSES: usize = 4;

pub(super) static EXPERIMENT: Experiment = Experiment {
    name: "figure-3",
    title: "what one neuron means within several classes",
    paper: "Fig. 3",
    protocol: "The paper shows neuron 0 of a ResNet-18 within the classes that it has the highest weights for: \
        diagonals, round holes, faces of animals. Here the first three neurons that speak for at least two classes \
        (weights above 0) are pictured by CLIP-Illusion, each within the four classes whose logits are highest when \
        it fires alone, as far as their weights are above 0.\n\n\
        That a neuron means something else within another class is tested by the judge: two of its pictures within \
        two classes must be less alike than two of one class and other random numbers. Alike is the cosine of the \
        judge's features, less the mean features of real images.",
    needs: NEEDS,
    stand_in: STAND_IN,
    switches: &[],
    headline: None,
    not_switched: &["Rows are compared with each other, by one recipe: no switch is flipped."],
    published: Vec::new,
    claims: &[ClaimRule {
        claim: "A neuron's picture depends on the class: two within one class are more alike than two within two.",
        table: Some(ALIKE),
        rows: [SAME, OTHER],
        column: AGREEMENT.name,
        by: 0.0,
    }],
    open: |setup, observer| {
        let pictured = Pictured::open(setup, observer)?;
        pictured.require_encoder()?;
        Ok(Box::new(Classes {
            neurons: neurons(&pictured)?,
            first: setup.config.seed,
            pictured,
        }))
    },
};

/// The first neurons that speak for two classes or more, each with the classes.
fn neurons(pictured: &Pictured) -> Result<Vec<Vec<Pair>>> {
    let layer = &pictured.layer;
    let mut neurons = Vec::new();
    for neuron in (0..layer.neurons()).map(NeuronId) {
        let mut classes = classes_of_neuron(layer, neuron, CLASSES)?;
        classes.retain(|class| layer.weight()[[class.0, neuron.0]] > 0.0);
        if classes.len() > 1 && neurons.len() < NEURONS {
            let pair = |class| Pair { neuron, class };
            neurons.push(classes.into_iter().map(pair).collect());
        }
    }
    Ok(neurons)
}

struct Classes {
    pictured: Pictured,
    /// Of each neuron, within its classes.
    neurons: Vec<Vec<Pair>>,
    /// The seed whose pictures are shown.
    first: Seed,
}

impl Protocol for Classes {
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
        let base = Method::CLIP_ILLUSION.recipe(switches, &self.pictured.recipe);
        let texts = Texts::of(switches);
        let (mut same, mut other, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for pairs in &self.neurons {
            let mut of_seed = |seed: Seed| {
                let recipe = base.clone().with_seed(seed);
                self.pictured.make(pairs, &recipe, texts, observer)
            };
            let (made, others) = (of_seed(seed)?, of_seed(next(seed))?);
            let name = format!("neuron {}", pairs[0].neuron);
            self.pictured.put(&mut measured, [NUMBERS, &name], &made);
            same.extend(self.pictured.agreement(&made, &others));
            other.extend(self.pictured.agreement_of_neighbours(&made));
            rows.push(made);
        }
        measured.put([ALIKE, SAME], AGREEMENT, mean(same));
        measured.put([ALIKE, OTHER], AGREEMENT, mean(other));
        if seed == self.first {
            let words = self.neurons.iter();
            let words = words.map(|pairs| pairs_in_words(&self.pictured, pairs));
            let title = words.collect::<Vec<_>>().join("; ");
            let image = sheet(
                &rows.iter().map(|made| made.row()).collect::<Vec<_>>(),
                false,
            )?;
            measured.add_picture(title, "classes.png", image);
        }
        Ok(measured)
    }
}
