//! Samples that nothing is chosen on.

use burn::tensor::Device;
use neuroinspect_core::{DecisionLayer, Metrics, Observer};

use crate::{
    DecisionMethod, DeviceTable, Fitted, LayerTensors, MethodInput, MethodRecord, Result, Samples,
    Storage,
};

/// Samples to measure on once everything is chosen.
///
/// They cannot be looked at: they are only measured on, all at once, with layers that were
/// [chosen](Chosen) before, and are gone then. Neurons, strengths, epochs, methods and seeds are chosen
/// on training and validation samples, or not honestly.
///
/// ```
/// use burn::tensor::Device;
/// # use ndarray::array;
/// # use neuroinspect_core::{ActivationTable, ClassId, DecisionLayer, FeatureTable, InputSpec, Provenance, Silent};
/// use neuroinspect_editing::{Chosen, DeviceTable, HeldOut, MethodInput, Retrain, Storage};
///
/// # let layer = DecisionLayer::new(array![[1.0], [-1.0]], array![0.0, 0.0])?;
/// # let activations = ActivationTable::new(array![[1.0], [-1.0]], Provenance::new("toy", InputSpec::new(8)))?;
/// # let table = FeatureTable::new(activations, vec![ClassId(0), ClassId(1)], vec!["a".into(), "b".into()])?;
/// let held_out = HeldOut::new(table.clone());
/// let device = Device::flex();
/// let table = DeviceTable::new(table, &device, Storage::Device);
/// let input = MethodInput::new(&table, &table, &layer)?;
/// let chosen = Chosen::by(&Retrain::default(), &input, &mut Silent)?;
/// let metrics = held_out.measure(&[chosen], &device)?;
/// assert_eq!(metrics[0].accuracy, 1.0);
/// # Ok::<(), neuroinspect_editing::Error>(())
/// ```
#[derive(Debug)]
pub struct HeldOut(Samples);

/// A layer that a method has made of training and validation samples, and that changes no more.
#[derive(Clone, Debug)]
pub struct Chosen {
    fitted: Fitted,
    method: MethodRecord,
}

impl HeldOut {
    /// Samples to be measured on later.
    pub fn new(samples: impl Into<Samples>) -> Self {
        Self(samples.into())
    }

    /// The metrics of each layer, in their order.
    ///
    /// # Errors
    ///
    /// When a layer does not fit the samples, there are none, or the device fails.
    pub fn measure(self, chosen: &[Chosen], device: &Device) -> Result<Vec<Metrics>> {
        let storage = Storage::of(&self.0);
        let table = DeviceTable::new(self.0, device, storage);
        let metrics = chosen.iter().map(|chosen| {
            table.samples().table().check_layer(chosen.layer())?;
            let layer = LayerTensors::of(chosen.layer(), device);
            table.metrics(table.chunks().map(|batch| layer.logits(batch.features)))
        });
        metrics.collect()
    }
}

impl Chosen {
    /// The layer that a method makes.
    ///
    /// # Errors
    ///
    /// As [`DecisionMethod::fit`].
    pub fn by(
        method: &dyn DecisionMethod,
        input: &MethodInput<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let fitted = method.fit(input, observer)?;
        let method = MethodRecord::new(method, &fitted)?;
        Ok(Self { fitted, method })
    }

    /// The layer.
    pub fn layer(&self) -> &DecisionLayer {
        &self.fitted.layer
    }

    /// How it was made.
    pub fn method(&self) -> &MethodRecord {
        &self.method
    }
}
