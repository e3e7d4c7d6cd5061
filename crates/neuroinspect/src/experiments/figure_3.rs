//! Fig. 3: one neuron within several classes.

use neuroinspect_core::{NeuronId, Observer, Seed};
use neuroinspect_illusion::{Pair, classes_of_neuron, neurons_of_class};

use super::{
    Experiment, Protocol, Source, Switches,
    claims::ClaimRule,
    mean,
    measured::Measured,
    pictures::{
        AGREEMENT, CHANCE, Made, Method, NEEDS, Pictured, STAND_IN, Texts, alike, alike_of_others,
        centre, next, pairs_in_words, sheet_of,
    },
};
use crate::Result;

const NUMBERS: &str = "Pictures of neurons within the classes they speak for";
const ALIKE: &str = "How alike a picture of a neuron within a class is to another";
const SAME: &str = "of the same class, by another seed";
const OTHER: &str = "of another class, by the same seed";
const RIVAL: &str = "of another neuron within the same class, by the same seed";

/// Neurons, and classes of each.
const NEURONS: usize = 3;
const CLASSES: usize = 4;

pub(super) static EXPERIMENT: Experiment = Experiment {
    name: "figure-3",
    title: "what one neuron means within several classes",
    paper: "Fig. 3",
    protocol: "The paper shows neuron 0 of a ResNet-18 within the classes that it has the highest weights for: \
        diagonals, round holes, faces of animals. Here the first three neurons that fire for a real image and speak \
        for at least two classes (weights above 0) are pictured by CLIP-Illusion, each within the four classes whose \
        logits are highest when it fires alone, as far as their weights are above 0; and beside it, within each of \
        these classes, the other neuron of largest weight for it.\n\n\
        That a neuron means something else within another class is tested by the judge: two of its pictures within \
        two classes must be less alike than two of one class and other random numbers. But the class alone would see \
        to that, as CLIP-Illusion is told of it: that a picture is one of the neuron, too, is shown only if pictures \
        of another neuron within the same class are less alike. Alike is the cosine of the judge's features, less \
        their mean over all of these pictures; by chance are pictures of another neuron within another class.",
    needs: NEEDS,
    stand_in: STAND_IN,
    headlines: &[],
    drawn: None,
    not_switched: &["Rows are compared with each other, by one recipe: no switch is flipped."],
    published: Vec::new,
    claims: &[
        ClaimRule::new(
            "A neuron's picture depends on the class: two within one class are more alike than two within two.",
            [SAME, OTHER],
            AGREEMENT,
        )
        .within(ALIKE),
        ClaimRule::new(
            "It depends on the neuron, too: two of one neuron within a class are more alike than those of two neurons \
             within it (not tested in the paper).",
            [SAME, RIVAL],
            AGREEMENT,
        )
        .within(ALIKE),
    ],
    open: |setup, observer| {
        let pictured = Pictured::open(setup, observer)?;
        pictured.require_encoder()?;
        Ok(Box::new(Classes {
            neurons: neurons(&pictured)?,
            pictured,
        }))
    },
};

/// The first neurons that fire and speak for two classes or more, each with the classes.
fn neurons(pictured: &Pictured) -> Result<Vec<Vec<Pair>>> {
    let layer = &pictured.layer;
    let features = pictured.real.features()?;
    let fires = |neuron: &NeuronId| features.column(neuron.0).iter().any(|&it| it > 0.0);
    let mut neurons = Vec::new();
    for neuron in (0..layer.neurons()).map(NeuronId).filter(fires) {
        let mut classes = classes_of_neuron(layer, neuron, CLASSES)?;
        classes.retain(|class| layer.weight()[[class.0, neuron.0]] > 0.0);
        if classes.len() > 1 && neurons.len() < NEURONS {
            let pair = |class| Pair { neuron, class };
            neurons.push(classes.into_iter().map(pair).collect());
        }
    }
    Ok(neurons)
}

/// Within each class the neuron of largest weight that is another.
fn rivals(pictured: &Pictured, pairs: &[Pair]) -> Result<Vec<Pair>> {
    let mut rivals = Vec::with_capacity(pairs.len());
    for &Pair { neuron, class } in pairs {
        let top = neurons_of_class(&pictured.layer, class, 2)?;
        let other = top.into_iter().find(|it| *it != neuron);
        rivals.extend(other.map(|neuron| Pair { neuron, class }));
    }
    Ok(rivals)
}

struct Classes {
    pictured: Pictured,
    /// Of each neuron, within its classes.
    neurons: Vec<Vec<Pair>>,
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
        let (mut made, mut again, mut rivals) = (Vec::new(), Vec::new(), Vec::new());
        for pairs in &self.neurons {
            let of_rivals = self::rivals(&self.pictured, pairs)?;
            let mut of = |pairs: &[Pair], seed: Seed| {
                let recipe = base.clone().with_seed(seed);
                self.pictured.make(pairs, &recipe, texts, observer)
            };
            let pictures = of(pairs, seed)?;
            again.push(of(pairs, next(seed))?);
            rivals.push(of(&of_rivals, seed)?);
            let name = format!("neuron {}", pairs[0].neuron);
            self.pictured
                .put(&mut measured, [NUMBERS, &name], &pictures)?;
            made.push(pictures);
        }
        let all: Vec<&Made> = [&made, &again, &rivals]
            .into_iter()
            .flat_map(|made| made.iter().map(|it| &**it))
            .collect();
        if let Some(centre) = centre(&all) {
            let mean_over = |of_neuron: &dyn Fn(usize) -> Option<f64>| {
                mean((0..made.len()).filter_map(of_neuron))
            };
            for (row, value) in [
                (SAME, mean_over(&|it| alike(&made[it], &again[it], &centre))),
                (
                    OTHER,
                    mean_over(&|it| alike_of_others(&made[it], &made[it], &centre)),
                ),
                (
                    RIVAL,
                    mean_over(&|it| alike(&made[it], &rivals[it], &centre)),
                ),
                (
                    CHANCE,
                    mean_over(&|it| alike_of_others(&made[it], &rivals[it], &centre)),
                ),
            ] {
                measured.put([ALIKE, row], AGREEMENT, value);
            }
        }
        let words = self.neurons.iter();
        let words = words.map(|pairs| pairs_in_words(&self.pictured, pairs));
        let title = words.collect::<Vec<_>>().join("; ");
        let image = sheet_of(&made)?;
        measured.add_picture(title, "classes.png", image);
        Ok(measured)
    }
}
