//! What all batches of a run share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::AtomicUsize,
};

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array4, Axis};
use neuroinspect_core::{ClassId, DecisionLayer};

use crate::{
    Error, Initial, Networks, Pair, PreparedGuide, Request, Result, adapter::InputAdapter,
    parameter::Pictures, view::normals,
};

/// The networks, the request and the constants made from them; what does not fit is refused here,
/// before the first step.
pub(crate) struct Context<'a> {
    pub(crate) networks: &'a Networks,
    pub(crate) request: &'a Request,
    pub(crate) classifier_input: InputAdapter,
    guide_input: Option<InputAdapter>,
    pub(crate) pictures: Pictures,
    /// The layers whose units are pictured or asked for by the objective, in order of their names.
    pub(crate) layers: Vec<&'a str>,
    /// Weights `[1, D]` and bias `[1]` of the classes whose logits the objective asks for by number.
    pub(crate) class_rows: BTreeMap<ClassId, (Tensor<2>, Tensor<1>)>,
    /// Pictures of a batch that are computed at a time: fewer than all once the device's memory was full.
    pub(crate) at_once: AtomicUsize,
}

impl<'a> Context<'a> {
    pub(crate) fn new(networks: &'a Networks, request: &'a Request) -> Result<Self> {
        let Request {
            pairs,
            units,
            recipe,
            execution,
            initial,
        } = request;
        request.units_of(0..pairs.len())?;
        recipe.validate()?;
        execution.validate()?;
        let Networks { classifier, guide } = networks;
        let guide = guide.as_ref();
        let precisions = [
            Some(classifier.precision()),
            guide.map(PreparedGuide::precision),
        ];
        for networks in precisions.into_iter().flatten() {
            let recipe = recipe.precision;
            if networks != recipe {
                return Err(Error::OtherPrecision { recipe, networks });
            }
        }
        let layer = classifier.decision_layer();
        for pair in pairs {
            if units.is_empty() {
                layer.check_neuron(pair.neuron)?;
            }
            layer.check_class(pair.class)?;
            if let Some(guide) = guide {
                guide.class_embeddings().get(pair.class)?;
            }
        }
        let objective = &recipe.objective;
        if objective.needs_guide() && guide.is_none() {
            let objective = objective.to_string();
            return Err(Error::MissingGuide { objective });
        }
        for &class in &objective.classes() {
            layer.check_class(class)?;
        }
        let mut all_units = objective.units();
        all_units.extend(units);
        let layers: BTreeSet<&str> = all_units.iter().map(|unit| &*unit.layer).collect();
        let layers = Vec::from_iter(layers);
        if !layers.is_empty() {
            let values = classifier.tried_layers(&layers)?;
            for (layer, values) in layers.iter().zip(values) {
                for unit in all_units.iter().filter(|unit| unit.layer == *layer) {
                    unit.activation(&values)?;
                }
            }
        }
        let device = classifier.device();
        let size = recipe.size.unwrap_or(classifier.input().size);
        let pictures = Pictures::new(recipe, initial, size, device)?;
        let mut context = Self {
            networks,
            request,
            classifier_input: InputAdapter::new(classifier.input(), size, device),
            guide_input: guide.map(|guide| InputAdapter::new(guide.input(), size, device)),
            pictures,
            layers,
            class_rows: BTreeMap::new(),
            at_once: AtomicUsize::new(execution.batch_size),
        };
        context.check_initial()?;
        for class in objective.classes() {
            context
                .class_rows
                .insert(class, context.class_rows(&[class]));
        }
        Ok(context)
    }

    pub(crate) fn device(&self) -> &Device {
        self.networks.classifier.device()
    }

    pub(crate) fn layer(&self) -> &DecisionLayer {
        self.networks.classifier.decision_layer()
    }

    /// The guide, and how its encoder is shown the pictures.
    pub(crate) fn guide(&self) -> Option<(&PreparedGuide, &InputAdapter)> {
        self.networks.guide.as_ref().zip(self.guide_input.as_ref())
    }

    /// Weights `[N, D]` and biases `[N]` of classes.
    pub(crate) fn class_rows(&self, classes: &[ClassId]) -> (Tensor<2>, Tensor<1>) {
        let (layer, device) = (self.layer(), self.device());
        let weight = layer.weight();
        let weights = classes
            .iter()
            .flat_map(|class| weight.row(class.0).to_vec());
        let weights: Vec<f32> = weights.collect();
        let biases: Vec<f32> = classes.iter().map(|class| layer.bias()[class.0]).collect();
        let shape = [classes.len(), layer.neurons()];
        (
            Tensor::from_data(TensorData::new(weights, shape), device),
            Tensor::from_data(TensorData::new(biases, [classes.len()]), device),
        )
    }

    fn check_initial(&self) -> Result<()> {
        let (pairs, size) = (self.request.pairs.len(), self.pictures.size());
        let [channels, height, width] = self.pictures.shape();
        let (what, given, expected) = match &self.request.initial {
            Initial::Noise => return Ok(()),
            Initial::Parameters(given) => (
                "initial parameters",
                given,
                [pairs, channels, height, width],
            ),
            Initial::Images(given) => ("initial images", given, [pairs, 3, size, size]),
        };
        if given.shape() != expected {
            return Err(Error::shape(what, expected, given.shape()));
        }
        Ok(())
    }

    /// The parameter of a batch whose first pair is number `first`: `[N, ..]`.
    pub(crate) fn initial_parameter(&self, first: usize, pairs: &[Pair]) -> Tensor<4> {
        let on_device = |values: Vec<f32>, [channels, height, width]: [usize; 3]| {
            let shape = [pairs.len(), channels, height, width];
            Tensor::from_data(TensorData::new(values, shape), self.device())
        };
        let given = |all: &Array4<f32>| {
            let of_batch = all.axis_iter(Axis(0)).skip(first).take(pairs.len());
            of_batch
                .flat_map(|one| one.iter().copied().collect::<Vec<_>>())
                .collect()
        };
        let (shape, size) = (self.pictures.shape(), self.pictures.size());
        match &self.request.initial {
            Initial::Noise => {
                let recipe = &self.request.recipe;
                let std = recipe.init_std.unwrap_or(self.pictures.noise_std());
                let noise = |pair| {
                    normals(recipe, "initial spectrum", pair, None)
                        .take(shape.iter().product())
                        .map(|value| (value * std) as f32)
                };
                on_device(pairs.iter().flat_map(noise).collect(), shape)
            }
            Initial::Parameters(parameters) => on_device(given(parameters), shape),
            Initial::Images(images) => {
                let images = on_device(given(images), [3, size, size]);
                self.pictures.parameter_of(images)
            }
        }
    }
}
