//! The optimisation of a batch between two steps, and keeping it there.

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, Array4};
use neuroinspect_core::read_back;
use serde::{Deserialize, Serialize};

use crate::{
    Diverged, Error, Illusions, Networks, Pair, Request, Result, TracePoint,
    batch::{Batch, OfPair},
    context::Context,
    optimizer::AdamW,
};

/// Where the optimisation of a batch stands between two steps: all that a later run needs to go on
/// to the very same pictures, to the last bit.
///
/// Random numbers belong to seed, pair and step, so that no generator is part of it. As JSON it holds
/// no arrays, which are tensors and kept as such.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptimizationState {
    /// SHA-256 of the recipe: [`Recipe::sha256`](crate::Recipe::sha256).
    pub recipe_sha256: String,
    /// The pairs of the batch, in their order.
    pub pairs: Vec<Pair>,
    /// Steps taken, at least 1.
    pub steps: usize,
    /// For each pair the trace so far, or when it was seen to have diverged.
    pub traces: Vec<std::result::Result<Vec<TracePoint>, Diverged>>,
    /// The parameters, as the recipe's [`ImageParameter`](crate::ImageParameter) reads them:
    /// `[N, ..]`. Those of a pair that has diverged need not be finite.
    #[serde(skip)]
    pub parameter: Array4<f32>,
    /// AdamW's first moment of each parameter: `[N, ..]`.
    #[serde(skip)]
    pub first_moment: Array4<f32>,
    /// AdamW's second moment of each parameter: `[N, ..]`.
    #[serde(skip)]
    pub second_moment: Array4<f32>,
}

impl OptimizationState {
    /// The pictures as they stand, of the pairs that have not diverged: `[3, S, S]` in `[0, 1]` each.
    ///
    /// # Errors
    ///
    /// When the request is not that of this state, does not fit the networks, or the device fails.
    pub fn pictures(
        &self,
        networks: &Networks,
        request: &Request,
    ) -> Result<Vec<(Pair, Array3<f32>)>> {
        let context = Context::new(networks, request)?;
        let [channels, height, width] = context.pictures.shape();
        let shape = [self.pairs.len(), channels, height, width];
        if self.parameter.shape() != shape {
            let what = "shape of parameters";
            return Err(Error::OtherState { what });
        }
        let parameter: Vec<f32> = self.parameter.iter().copied().collect();
        let parameter = Tensor::from_data(TensorData::new(parameter, shape), context.device());
        let images = read_back(context.pictures.images(parameter), "the pictures")?;
        let size = context.pictures.size();
        let whole = images
            .chunks(3 * size * size)
            .zip(&self.pairs)
            .zip(&self.traces);
        let whole = whole.filter(|((image, _), trace)| {
            trace.is_ok() && image.iter().all(|value| value.is_finite())
        });
        whole
            .map(|((image, &pair), _)| {
                let image = Array3::from_shape_vec((3, size, size), image.to_vec());
                let shape = [3, size, size];
                Ok((
                    pair,
                    image.map_err(|_| Error::shape("a picture", shape, images.len()))?,
                ))
            })
            .collect()
    }
}

/// Takes over the batches of [`visualize_batches`](crate::visualize_batches), and may keep the one
/// under way.
pub trait BatchKeeper {
    /// Where an earlier run of this request left the batch of these pairs; from there it goes on.
    /// The networks and what the request starts from must be the same, which no state can tell.
    fn go_on(&mut self, pairs: &[Pair]) -> Option<OptimizationState>;

    /// Takes where the batch under way stands, every
    /// [`checkpoint_every`](crate::Execution::checkpoint_every) steps and when the observer stops it.
    fn checkpoint(&mut self, state: OptimizationState);

    /// Whether [`checkpoint`](Self::checkpoint) is to be called: if not, nothing is read from the
    /// device for it. Default yes.
    fn keeps_checkpoints(&self) -> bool {
        true
    }

    /// Takes a batch that has ended, in the order of the pairs.
    fn finish(&mut self, batch: Illusions);
}

/// The optimisation of a batch between two steps.
pub(crate) struct Optimization<'a> {
    /// `[N, ..]`.
    pub(crate) parameter: Tensor<4>,
    optimizer: AdamW<'a>,
    /// Steps taken.
    pub(crate) steps: usize,
    pub(crate) traces: Vec<OfPair<Vec<TracePoint>>>,
}

impl<'a> Optimization<'a> {
    /// At the start.
    pub(crate) fn new(batch: &Batch<'a>, parameter: Tensor<4>) -> Self {
        Self {
            parameter,
            optimizer: AdamW::new(&batch.context.request.recipe),
            steps: 0,
            traces: vec![Ok(Vec::new()); batch.pairs.len()],
        }
    }

    /// Where an earlier one stood.
    pub(crate) fn go_on(batch: &Batch<'a>, state: OptimizationState) -> Result<Self> {
        let (context, pairs) = (batch.context, batch.pairs);
        let recipe = &context.request.recipe;
        let [channels, height, width] = context.pictures.shape();
        let shape = [pairs.len(), channels, height, width];
        let arrays = [&state.parameter, &state.first_moment, &state.second_moment];
        for (what, agrees) in [
            ("recipe", state.recipe_sha256 == recipe.sha256()?),
            ("list of pairs", state.pairs == pairs),
            ("number of traces", state.traces.len() == pairs.len()),
            ("number of steps", (1..=recipe.steps).contains(&state.steps)),
            (
                "shape of parameters",
                arrays.iter().all(|array| array.shape() == shape),
            ),
        ] {
            if !agrees {
                return Err(Error::OtherState { what });
            }
        }
        let [parameter, first, second] = arrays.map(|array| {
            let values: Vec<f32> = array.iter().copied().collect();
            Tensor::from_data(TensorData::new(values, shape), context.device())
        });
        Ok(Self {
            parameter,
            optimizer: AdamW::go_on(recipe, state.steps, [first, second]),
            steps: state.steps,
            traces: state.traces,
        })
    }

    /// Takes a step along `gradient`, `[N, ..]`.
    pub(crate) fn step(&mut self, gradient: Tensor<4>) {
        self.parameter = self.optimizer.step(self.parameter.clone(), gradient);
        self.steps += 1;
    }

    /// Where it stands: one read from the device.
    pub(crate) fn state(&self, batch: &Batch<'_>) -> Result<OptimizationState> {
        let what = "the state of the optimisation";
        let [n, channels, height, width] = self.parameter.dims();
        let mut tensors = vec![self.parameter.clone()];
        tensors.extend(self.optimizer.moments().into_iter().flatten());
        let values = read_back(Tensor::cat(tensors, 0), what)?;
        let length = n * channels * height * width;
        let array = |index: usize| {
            let values = values.get(index * length..(index + 1) * length);
            let values = values.unwrap_or_default().to_vec();
            let found = values.len();
            Array4::from_shape_vec((n, channels, height, width), values)
                .map_err(|_| Error::shape(what, [n, channels, height, width], found))
        };
        Ok(OptimizationState {
            recipe_sha256: batch.context.request.recipe.sha256()?,
            pairs: batch.pairs.to_vec(),
            steps: self.steps,
            traces: self.traces.clone(),
            parameter: array(0)?,
            first_moment: array(1)?,
            second_moment: array(2)?,
        })
    }
}
