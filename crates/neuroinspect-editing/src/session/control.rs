//! What plain retraining comes to, which an edit is held against.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use neuroinspect_core::{Metrics, Observer, is_cancellation, is_flex, with_causes};

use super::{EditSession, beside::beside};
use crate::{
    Control, ControlBy, DecisionMethod, DeviceTable, Fitted, MethodInput, Result, Retrain,
    TrainingConfig,
};

/// What controls came to, by their samples and their training.
pub(super) type Controls = Mutex<Vec<(ControlBy, TrainingConfig, TrainedOnce)>>;

/// Metrics of a control, once it is trained; locked while it is.
type TrainedOnce = Arc<Mutex<Option<Metrics>>>;

impl EditSession {
    /// The layer of a method, and its control where that was trained beside it: on the CPU, where neither of them alone
    /// keeps all cores at work.
    pub(super) fn fit(
        &self,
        method: &dyn DecisionMethod,
        observer: &mut dyn Observer,
    ) -> Result<(Fitted, Option<Control>)> {
        let input = self.input()?;
        let beside_it =
            method.control() == ControlBy::Training && is_flex(self.train.device()) && !is_worker();
        let Some(training) = method.training().filter(|_| beside_it) else {
            return Ok((method.fit(&input, observer)?, None));
        };
        let known = self.control_of(ControlBy::Training, training);
        if locked_now(&known).is_none_or(|known| known.is_some()) {
            // One that is known is not trained again, and one that another thread trains is waited for later.
            return Ok((method.fit(&input, observer)?, None));
        }
        let control = |observer: &mut dyn Observer| {
            // An epoch later another thread may have come first.
            let known = locked_now(&known)?;
            Some(self.retrained_into(Some(known), ControlBy::Training, training, observer))
        };
        let edit = |observer: &mut dyn Observer| method.fit(&input, observer);
        beside(edit, control, observer)
    }

    /// What plain retraining comes to: trained once for each training, then remembered.
    ///
    /// Of two threads that ask for the same at once, one trains and the other waits for it, without
    /// its observer being called; where the first is stopped or fails, the other trains. A thread of a rayon pool
    /// waits for no other, and trains by itself what another one trains.
    pub fn control(&self, training: &TrainingConfig, observer: &mut dyn Observer) -> Control {
        self.retrained(ControlBy::Training, training, observer)
    }

    pub(super) fn retrained(
        &self,
        by: ControlBy,
        training: &TrainingConfig,
        observer: &mut dyn Observer,
    ) -> Control {
        // The list is free again at once: another control need not wait for this one.
        let of_training = self.control_of(by, training);
        let known = match is_worker() {
            true => locked_now(&of_training),
            false => Some(locked(&of_training)),
        };
        self.retrained_into(known, by, training, observer)
    }

    /// The same, remembered where `known` is there.
    fn retrained_into(
        &self,
        mut known: Option<MutexGuard<'_, Option<Metrics>>>,
        by: ControlBy,
        training: &TrainingConfig,
        observer: &mut dyn Observer,
    ) -> Control {
        if let Some(metrics) = known.as_deref().and_then(Option::as_ref) {
            return Control::Measured(metrics.clone());
        }
        let mut retrain = || {
            let both = match by {
                ControlBy::Both => {
                    let both = self.data.train().joined(self.data.validation())?;
                    let storage = self.storage_of(&both);
                    Some(DeviceTable::new(both, self.train.device(), storage)?)
                }
                ControlBy::Training | ControlBy::Itself => None,
            };
            let train = both.as_ref().unwrap_or(&self.train);
            let input = MethodInput::new(train, &self.validation, &self.layer)?;
            let fitted = Retrain::new(training.clone()).fit(&input, observer)?;
            self.measure(&fitted.layer)
        };
        match retrain() {
            Ok(metrics) => {
                if let Some(known) = &mut known {
                    **known = Some(metrics.clone());
                }
                Control::Measured(metrics)
            }
            Err(error) if is_cancellation(&error) => Control::Stopped,
            Err(error) => Control::Failed(with_causes(&error)),
        }
    }

    /// Where the control of a training is remembered.
    fn control_of(&self, by: ControlBy, training: &TrainingConfig) -> TrainedOnce {
        let mut controls = locked(&self.controls);
        let mut all = controls.iter();
        let known = all.find(|(of, config, _)| *of == by && config == training);
        if let Some((.., known)) = known {
            return Arc::clone(known);
        }
        let new = TrainedOnce::default();
        controls.push((by, training.clone(), Arc::clone(&new)));
        new
    }
}

/// Whether this thread is one of a rayon pool. Matrix products on the CPU are computed by one: where all its threads wait
/// for a training, or a thread comes to wait for what it is itself in the midst of, nothing goes on.
fn is_worker() -> bool {
    rayon::current_thread_index().is_some()
}

/// What a thread that panicked has left is whole: it is written in one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same, unless it has to be waited for.
fn locked_now<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
