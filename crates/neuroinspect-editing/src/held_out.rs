//! Samples that nothing is chosen on.

use burn::tensor::Device;
use neuroinspect_core::{ClassId, DecisionLayer, Error as CoreError, Metrics, Observer};

use crate::{
    DecisionMethod, DeviceTable, Fitted, Mend, Mended, MethodInput, MethodRecord, Result, Samples,
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
/// let table = DeviceTable::new(table, &device, Storage::Device)?;
/// let input = MethodInput::new(&table, &table, &layer)?;
/// let chosen = Chosen::by(&Retrain::default(), &input, &mut Silent)?;
/// let measured = held_out.measure(&[chosen], &device)?;
/// assert_eq!(measured[0].metrics.accuracy, 1.0);
/// # Ok::<(), neuroinspect_editing::Error>(())
/// ```
#[derive(Debug)]
pub struct HeldOut(Samples);

/// What a layer says of held-out samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The class predicted for each sample.
    pub predictions: Vec<ClassId>,
    /// Their metrics.
    pub metrics: Metrics,
}

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

    /// What each layer says, in their order.
    ///
    /// # Errors
    ///
    /// When a layer does not fit the samples, there are none, or the device fails.
    pub fn measure(self, chosen: &[Chosen], device: &Device) -> Result<Vec<Measurement>> {
        if self.0.is_empty() {
            return Err(CoreError::empty("samples to measure on").into());
        }
        let storage = Storage::of(&self.0);
        let table = DeviceTable::new(self.0, device, storage)?;
        let measurement = |chosen: &Chosen| {
            table.samples().table().check_layer(chosen.layer())?;
            let predictions = table.predicted(chosen.layer())?;
            let predictions: Vec<_> = predictions.into_iter().map(ClassId).collect();
            let (labels, groups) = (table.labels(), table.groups());
            let metrics = Metrics::new(labels, &predictions, table.classes(), groups)?;
            Ok(Measurement {
                predictions,
                metrics,
            })
        };
        chosen.iter().map(measurement).collect()
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

    /// The layers that [`Mend`] makes for each of some classes, or for all of them where there is none, with
    /// what they rest on.
    ///
    /// # Errors
    ///
    /// As [`Mend::mend_each`].
    pub fn by_mend(
        mend: &Mend,
        classes: &[Option<ClassId>],
        input: &MethodInput<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Self>> {
        let mended = mend.mend_each(classes, input, observer)?.into_iter();
        let chosen = mended.zip(classes).map(|(mended, &class)| {
            let fitted = Mended::into_fitted(mended);
            let method = MethodRecord::new(&mend.clone().with_class(class), &fitted)?;
            Ok(Self { fitted, method })
        });
        chosen.collect()
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
