//! Units that no step of an optimisation moves: why, and starting again before their activation function.

use std::fmt;

use burn::tensor::{Tensor, TensorData};
use neuroinspect_core::{FeatureTable, NeuronSummary, Unit, UnitKind};
use serde::{Deserialize, Serialize};

use crate::{
    Coupling, Illusion, Pair, Request, Result, TracePoint,
    batch::{Batch, OfPair, Subjects},
    visualize::{StepCount, optimize_beside},
};

/// Activations that differ by no larger share of their size are taken for the same.
const ROUNDING: f32 = 1e-6;

/// A unit that no step of its optimisation moved: its activation was the same throughout, and its picture
/// shows what else the objective asks for, or nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unmoved {
    /// The activation that it stayed at.
    pub activation: f32,
    /// Why, as far as activations tell.
    pub cause: UnmovedCause,
    /// What came of starting again.
    pub restart: Restart,
}

/// Why no step moves a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnmovedCause {
    /// Its activation is 0, where a ReLU passes no gradient.
    BeyondRelu,
    /// Its activation is another number, where its activation function is flat.
    Saturated,
    /// Its activation is the same on all real images that were looked at.
    Dead {
        /// How many they are.
        images: usize,
    },
}

/// What came of an optimisation that raises, in the place of a unit that no step moved, what its
/// [activation function reads](neuroinspect_core::Classifier::before_activation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Restart {
    /// None was made: the classifier names no value before an activation function, the unit is a single
    /// position, or the batch is coupled.
    NotMade,
    /// The unit moved: the picture and its trace are those of this optimisation.
    Moved,
    /// The unit did not move either: the picture is that of the first optimisation.
    DidNotMove,
}

impl Unmoved {
    /// Compares with real images, `images` in number, of the largest and the mean activation: where the
    /// unit is the same on all of them, it is dead.
    pub fn on_real(&mut self, highest: f32, mean: f32, images: usize) {
        if images > 0 && same(highest, self.activation) && same(mean, self.activation) {
            self.cause = UnmovedCause::Dead { images };
        }
    }
}

impl Illusion {
    /// Compares a neuron that no step moved with what real images make of it: [`Unmoved::on_real`]. A table has nothing to say of a unit
    /// of another layer, which is left as it is.
    ///
    /// # Errors
    ///
    /// When the table does not have the neuron, or its file cannot be read.
    pub fn compare_unmoved(&mut self, real: &FeatureTable) -> Result<()> {
        let Some(unmoved) = &mut self.unmoved else {
            return Ok(());
        };
        if real.is_empty() || self.unit.is_some() {
            return Ok(());
        }
        for NeuronSummary { highest, mean } in real.summaries(&[self.pair.neuron])? {
            unmoved.on_real(highest, mean, real.len());
        }
        Ok(())
    }
}

impl fmt::Display for Unmoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let activation = self.activation;
        match self.cause {
            UnmovedCause::BeyondRelu => {
                f.write_str(
                    "no step moved it: it is at 0, beyond a ReLU, which passes no gradient",
                )?;
            }
            UnmovedCause::Saturated => {
                write!(f, "no step moved it: it is saturated at {activation}")?;
            }
            UnmovedCause::Dead { images } => write!(
                f,
                "no step moved it: it is dead, at {activation} on all {images} real images, too"
            )?,
        }
        f.write_str(match self.restart {
            Restart::NotMade => "; its picture says nothing of it",
            Restart::Moved => "; started again before its activation function, it moved",
            Restart::DidNotMove => {
                "; started again before its activation function, it did not move either, and its \
                 picture says nothing of it"
            }
        })
    }
}

fn same(one: f32, other: f32) -> bool {
    (one - other).abs() <= ROUNDING * other.abs()
}

impl Batch<'_> {
    /// Whether no step moved a unit that has had all its steps and was to be moved.
    pub(crate) fn unmoved(
        &self,
        trace: &[TracePoint],
        activation: f32,
        steps: usize,
    ) -> Option<Unmoved> {
        let recipe = &self.context.request.recipe;
        let asked = recipe.objective.sees_neuron() && steps == recipe.steps && !trace.is_empty();
        let stayed = trace.iter().all(|point| same(point.activation, activation));
        (asked && stayed).then_some(Unmoved {
            activation,
            cause: match activation == 0.0 {
                true => UnmovedCause::BeyondRelu,
                false => UnmovedCause::Saturated,
            },
            restart: Restart::NotMade,
        })
    }

    /// Optimises the units that no step moved anew, before their activation functions, and keeps the
    /// pictures that move them. `first` is the place of the batch's first pair in the request. Whether the
    /// observer stopped it.
    pub(crate) fn restart_unmoved(
        &self,
        first: usize,
        made: &mut [OfPair<Illusion>],
        progress: &mut StepCount<'_>,
    ) -> Result<bool> {
        let request = self.context.request;
        if request.recipe.coupling == Coupling::WholeBatch {
            return Ok(false);
        }
        let mut places = Vec::new();
        let mut units = Vec::new();
        for (place, illusion) in made.iter().enumerate() {
            let unmoved = illusion.as_ref().is_ok_and(|it| it.unmoved.is_some());
            if let Some(unit) = self.before_activation(place).filter(|_| unmoved) {
                places.push(place);
                units.push(unit);
            }
        }
        if places.is_empty() {
            return Ok(false);
        }
        if progress.stopped {
            return Ok(true);
        }
        let of_request: Vec<usize> = places.iter().map(|place| first + place).collect();
        let request = Request {
            units,
            ..request.rows(&of_request)?
        };
        let again = optimize_beside(self.context.networks, &request, progress)?;
        if again.interrupted {
            return Ok(true);
        }
        for (place, again) in places.into_iter().zip(again.of_pairs) {
            let again = again.ok().map(|again| self.look_again(place, again));
            let again = again.transpose()?.flatten();
            if let Ok(illusion) = &mut made[place]
                && let Some(unmoved) = &mut illusion.unmoved
            {
                let moved = again.filter(|again| !same(again.activation, unmoved.activation));
                match moved {
                    Some(again) => {
                        unmoved.restart = Restart::Moved;
                        let unmoved = illusion.unmoved.take();
                        *illusion = Illusion { unmoved, ..again };
                    }
                    None => unmoved.restart = Restart::DidNotMove,
                }
            }
        }
        Ok(false)
    }

    /// What the activation function of a pair's neuron or unit reads.
    fn before_activation(&self, place: usize) -> Option<Unit> {
        let classifier = &self.context.networks.classifier;
        let (layer, kind) = match &self.subjects {
            Subjects::Neurons(_) => {
                let neuron = self.pairs[place].neuron.0;
                (classifier.penultimate(), UnitKind::Channel(neuron))
            }
            Subjects::Units(units) => {
                let kind = match &units[place].kind {
                    // A pooling between the two has its positions elsewhere.
                    UnitKind::Position { .. } => return None,
                    UnitKind::Direction(direction) => UnitKind::Direction(direction.clone()),
                    kind => UnitKind::Channel(kind.channel()),
                };
                (&*units[place].layer, kind)
            }
        };
        Some(Unit::new(classifier.before_activation(layer)?, kind))
    }

    /// A picture that was optimised before the activation function, as the pair's own neuron or unit sees
    /// it.
    fn look_again(&self, place: usize, again: Illusion) -> Result<Option<Illusion>> {
        let pairs: [Pair; 1] = [self.pairs[place]];
        let units = match &self.subjects {
            Subjects::Neurons(_) => Vec::new(),
            Subjects::Units(units) => vec![units[place]],
        };
        let (channels, height, width) = again.image.dim();
        let pixels = TensorData::new(
            again.image.iter().copied().collect::<Vec<f32>>(),
            [1, channels, height, width],
        );
        let image = Tensor::from_data(pixels, self.context.device());
        let seen = Batch::new(self.context, &pairs, units)?;
        let seen = seen.look(image, again.steps, vec![again.trace])?;
        Ok(seen.into_iter().next().and_then(std::result::Result::ok))
    }
}
