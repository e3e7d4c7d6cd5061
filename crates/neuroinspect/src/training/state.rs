//! Where a training stands, in files: a run that was stopped or killed goes on there.
//!
//! A step's weights and the optimiser's state have files of their own, named after the step; a small
//! file says which of them count, and is replaced last, so that at any moment it speaks of files that
//! are whole.

use std::{fs, path::PathBuf};

use burn::{
    module::{Module, ModuleMapper, Param, ParamId},
    tensor::{Bytes, Tensor},
};
use burn_optim::ModuleOptimizer;
use neuroinspect_core::{
    Classifier, DeviceName, Error as CoreError, InputSpec, Precision,
    io::{sha256_of_bytes, sha256_of_file, write_atomically},
};
use neuroinspect_editing::Keep;
use neuroinspect_models::{
    Checkpoint, GraphClassifier, PretrainedClassifier, Strictness, checkpoint,
};
use neuroinspect_report::{Error as ReportError, Schema, write_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Epoch, TrainConfig, Training};
use crate::{
    Error, ImageSource, Result,
    run_folder::{program_state, remove_from},
};

const STATE: Schema = Schema::new("neuroinspect.training-state", 1);
const STATE_FILE: &str = "state.json";
/// What follows the step in the names of its files.
const WEIGHTS: &str = ".weights.safetensors";
const OPTIMIZER: &str = ".optimizer.bpk";

/// What decides all bits of a training.
#[derive(Debug, Serialize)]
pub(super) struct Origin {
    program: String,
    device: DeviceName,
    model: String,
    input: InputSpec,
    /// SHA-256 of the weights it starts from.
    start_sha256: String,
    config: TrainConfig,
    /// Fingerprints of data sets and hashes of the samples' indices.
    train: [String; 2],
    validation: [String; 2],
}

impl Origin {
    /// `None` when a training cannot be told from others.
    pub(super) fn of(training: &Training<'_>, device: DeviceName) -> Result<Option<Self>> {
        let source = |ImageSource { dataset, indices }: ImageSource<'_>| {
            let bytes: Vec<u8> = indices.iter().flat_map(|it| it.to_le_bytes()).collect();
            Some([dataset.fingerprint()?, sha256_of_bytes(&bytes)])
        };
        let (Some(program), Some(train), Some(validation)) = (
            program_state(),
            source(training.train),
            source(training.validation),
        ) else {
            return Ok(None);
        };
        let model = &training.model;
        Ok(Some(Self {
            program,
            device,
            model: model.name().to_owned(),
            input: model.input().clone(),
            start_sha256: sha256_of_weights(model)?,
            config: training.config.clone(),
            train,
            validation,
        }))
    }
}

fn sha256_of_weights(model: &GraphClassifier) -> Result<String> {
    let file = tempfile::NamedTempFile::new().map_err(|source| CoreError::Write {
        path: std::env::temp_dir(),
        source,
    })?;
    model.save(file.path())?;
    Ok(sha256_of_file(file.path())?)
}

/// Where a training stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Steps done.
    pub(super) step: usize,
    /// Epochs done, with what they came to.
    pub(super) epochs: Vec<Epoch>,
    /// Sum of the losses of the steps of the epoch under way.
    pub(super) loss: f32,
    /// The epoch whose weights are kept so far, from 1, and the step after it.
    pub(super) kept: Option<(usize, usize)>,
}

/// With fractions as [`texts`].
#[derive(Serialize, Deserialize)]
struct State {
    /// An [`Origin`].
    origin: Value,
    /// A [`Standing`].
    standing: Value,
}

fn to_value(value: &impl Serialize) -> Result<Value> {
    let value = serde_json::to_value(value).map_err(|source| ReportError::Json {
        schema: STATE.name,
        source,
    })?;
    Ok(texts(value))
}

/// The first value that differs between two: its name with those of the objects around it, and what it is
/// in each.
fn difference(name: &str, ours: &Value, theirs: &Value) -> Option<[String; 3]> {
    let (Value::Object(fields), Value::Object(others)) = (ours, theirs) else {
        let [ours, theirs] = [ours, theirs].map(|value| match value {
            // The state of a program is several texts in one.
            Value::String(text) => text.replace('\0', ", "),
            other => other.to_string(),
        });
        return (ours != theirs).then(|| [name.to_owned(), ours, theirs]);
    };
    let only_theirs = others.keys().filter(|name| !fields.contains_key(*name));
    fields.keys().chain(only_theirs).find_map(|field| {
        let name = match name {
            "" => field.clone(),
            name => format!("{name}.{field}"),
        };
        difference(&name, &ours[field], &theirs[field])
    })
}

/// Fractions as texts: serde_json reads some numbers a unit in the last place off, and what is taken up
/// is to be what was kept.
fn texts(value: Value) -> Value {
    each(value, &|leaf| match leaf {
        Value::Number(number) if number.is_f64() => Value::String(number.to_string()),
        other => other,
    })
}

/// The fractions back from their texts; there are no other texts in a [`Standing`].
fn fractions(value: Value) -> Value {
    each(value, &|leaf| match &leaf {
        Value::String(text) => text.parse::<f64>().map_or(leaf, Value::from),
        _ => leaf,
    })
}

/// A value with other leaves.
fn each(value: Value, change: &dyn Fn(Value) -> Value) -> Value {
    match value {
        Value::Array(values) => values
            .into_iter()
            .map(|value| each(value, change))
            .collect(),
        Value::Object(values) => {
            let values = values.into_iter();
            values
                .map(|(key, value)| (key, each(value, change)))
                .collect()
        }
        leaf => change(leaf),
    }
}

/// A training taken up.
pub(super) struct TakenUp<M> {
    pub(super) standing: Standing,
    pub(super) model: M,
    pub(super) optimizer: ModuleOptimizer,
    /// The model kept so far, where it is not to be the last.
    pub(super) kept: Option<M>,
}

/// The folder that a training's state is kept in.
#[derive(Debug)]
pub(super) struct StateFolder {
    path: PathBuf,
    /// Name of the model.
    model: String,
    origin: Value,
}

impl StateFolder {
    pub(super) fn new(path: PathBuf, origin: &Origin) -> Result<Self> {
        Ok(Self {
            path,
            model: origin.model.clone(),
            origin: to_value(origin)?,
        })
    }

    fn state(&self) -> Option<State> {
        let state = fs::read(self.path.join(STATE_FILE)).ok()?;
        serde_json::from_slice(&state).ok()
    }

    /// Refuses a folder that holds another training, which would be lost.
    pub(super) fn check(&self) -> Result<()> {
        let Some(State { origin, .. }) = self.state() else {
            return Ok(());
        };
        match difference("", &self.origin, &origin) {
            None => Ok(()),
            Some([what, ours, theirs]) => Err(Error::OtherTraining {
                path: self.path.clone(),
                what,
                ours,
                theirs,
            }),
        }
    }

    /// Takes up where an earlier run of this very training stands; `None` where there is none, or files
    /// of it are not whole. `model` is one like it, as training begins.
    pub(super) fn load<M: Module + Clone>(
        &self,
        model: &M,
        config: &TrainConfig,
    ) -> Option<TakenUp<M>> {
        let State { standing, .. } = self.state()?;
        let standing: Standing = serde_json::from_value(fractions(standing)).ok()?;
        let mut optimizer = config.optimizer();
        if standing.epochs.len() < config.epochs {
            let bytes = fs::read(self.optimizer_file(standing.step)).ok()?;
            optimizer = optimizer.from_bytes(Bytes::from_bytes_vec(bytes)).ok()?;
        }
        let kept = standing.kept.filter(|_| config.keep != Keep::Last);
        let kept = match kept {
            Some((_, step)) => Some(self.weights(model, step)?),
            None => None,
        };
        Some(TakenUp {
            model: numbered(self.weights(model, standing.step)?),
            optimizer,
            kept,
            standing,
        })
    }

    /// A model like this one with the weights after a step.
    fn weights<M: Module + Clone>(&self, model: &M, step: usize) -> Option<M> {
        // A clone would share the running statistics of batch normalisations.
        let mut loaded = model.valid().train();
        let checkpoint = Checkpoint::open(self.weights_file(step)).ok()?;
        checkpoint
            .apply(&mut loaded, &self.model, Strictness::Strict)
            .ok()?;
        Some(loaded)
    }

    /// Keeps where the training stands, and removes what was kept before it.
    pub(super) fn save<M: Module>(
        &self,
        model: &M,
        optimizer: &ModuleOptimizer,
        standing: &Standing,
    ) -> Result<()> {
        let step = standing.step;
        checkpoint::save(model, None, Precision::F32, self.weights_file(step))?;
        let bytes = optimizer.into_bytes().map_err(|error| {
            let path = self.optimizer_file(step);
            let source = std::io::Error::other(error.to_string());
            CoreError::Write { path, source }
        })?;
        write_atomically(self.optimizer_file(step), |out| out.write_all(&bytes))?;
        let state = State {
            origin: self.origin.clone(),
            standing: to_value(standing)?,
        };
        write_json(self.path.join(STATE_FILE), STATE, &state)?;
        let kept = standing.kept.map(|(_, step)| step);
        let counts = [
            Some(self.weights_file(step)),
            Some(self.optimizer_file(step)),
            kept.map(|step| self.weights_file(step)),
        ];
        remove_from(&self.path, |name| {
            let counts = counts.iter().flatten().any(|path| path.ends_with(name));
            is_of_a_step(name) && !counts
        })
    }

    fn weights_file(&self, step: usize) -> PathBuf {
        self.path.join(format!("{step:09}{WEIGHTS}"))
    }

    fn optimizer_file(&self, step: usize) -> PathBuf {
        self.path.join(format!("{step:09}{OPTIMIZER}"))
    }
}

/// Whether a file is called as those of a step are: no other file of the folder is removed.
fn is_of_a_step(name: &str) -> bool {
    let step = name.strip_suffix(WEIGHTS);
    let step = step.or_else(|| name.strip_suffix(OPTIMIZER));
    step.is_some_and(|step| step.len() >= 9 && step.bytes().all(|it| it.is_ascii_digit()))
}

/// Parameters numbered in their order: an optimiser's state goes by these numbers, and has to find the
/// parameters of another run's model.
pub(super) fn numbered<M: Module>(model: M) -> M {
    struct Numbers(u64);
    impl ModuleMapper for Numbers {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (_, value, mapper) = param.consume();
            self.0 += 1;
            Param::from_mapped_value(ParamId::from(self.0), value, mapper)
        }
    }
    model.map(&mut Numbers(0))
}
