//! A module's parameters as PyTorch names and lays them out.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Bool, Bytes, DType, Int, Shape, Tensor},
};
use burn_store::{BurnToPyTorchAdapter, ModuleAdapter, ModuleContext, burn_pack};

use crate::{Error, Result, graph::REWRITTEN};

/// Shape of every parameter and buffer of a module under PyTorch's name, without initialising any.
pub fn parameter_shapes(module: &impl Module) -> BTreeMap<String, Vec<usize>> {
    shapes(&targets(module))
}

/// The shapes of parameters by their names.
pub(super) fn shapes(targets: &BTreeMap<String, Target>) -> BTreeMap<String, Vec<usize>> {
    let targets = targets.iter();
    targets
        .map(|(name, target)| (name.clone(), target.shape.clone()))
        .collect()
}

/// What a tensor goes into.
pub(super) struct Target {
    pub(super) shape: Vec<usize>,
    pub(super) kind: Kind,
}

/// What a parameter holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Int,
    Bool,
}

/// Every parameter and buffer of a module under PyTorch's name, without initialising any.
pub(super) fn targets(module: &impl Module) -> BTreeMap<String, Target> {
    let mut visitor = Targets::default();
    module.visit(&mut visitor);
    visitor.targets
}

/// Checks that a module has the weights that are loaded and saved: one rewritten by passes has others.
pub(super) fn check_weights(module: &impl Module) -> Result<()> {
    let mut visitor = Targets::default();
    module.visit(&mut visitor);
    match visitor.rewritten {
        true => Err(Error::Rewritten),
        false => Ok(()),
    }
}

/// Writes into the running statistics of batch normalisations what training has put aside for them.
///
/// Burn keeps a thread's last update apart until its next one, and a visitor or mapper does not see
/// it: saved, the statistics would be a step behind, and loaded ones would be overwritten by it.
pub(super) fn synchronize_statistics(module: &impl Module) {
    // There is no other way in. To go it draws the initial weights of a module not used yet, which
    // is for nothing if others are to be loaded, and such a module has not been trained.
    let mut used = Used(false);
    module.visit(&mut used);
    if used.0 {
        drop(module.valid());
    }
}

/// Whether a weight has got its value; running statistics always have.
struct Used(bool);

impl ModuleVisitor for Used {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 |= D > 1 && param.is_initialized();
    }
}

/// Follows the path through a module as burn-store does, and leaves names and layout to it.
#[derive(Default)]
struct Targets {
    path: Vec<String>,
    containers: Vec<String>,
    targets: BTreeMap<String, Target>,
    rewritten: bool,
}

impl Targets {
    fn add(&mut self, shape: Shape, kind: Kind) {
        let values = shape.num_elements();
        let tensor = burn_pack::Tensor::deferred(
            self.path.join("."),
            DType::F32,
            shape,
            None,
            values * size_of::<f32>(),
            || Ok(Bytes::from_bytes_vec(Vec::new())),
        );
        let tensor = BurnToPyTorchAdapter.adapt(tensor, ModuleContext::new(&self.containers));
        let shape = tensor.shape.to_vec();
        self.targets.insert(tensor.name, Target { shape, kind });
    }
}

impl ModuleVisitor for Targets {
    fn enter_module(&mut self, name: &str, container: &str) {
        // The variant of an enum is no part of the name.
        if !container.starts_with("Enum:") {
            self.path.push(name.to_owned());
        }
        self.rewritten |= container == REWRITTEN;
        self.containers.push(container.to_owned());
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.path.pop();
        }
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(param.lazy_shape(), Kind::Float);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(param.lazy_shape(), Kind::Int);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.add(param.lazy_shape(), Kind::Bool);
    }
}
