//! A module's parameters as PyTorch names and lays them out.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};

/// Shape of every parameter and buffer of a module under PyTorch's name, without initialising any.
pub fn parameter_shapes(module: &impl Module) -> BTreeMap<String, Vec<usize>> {
    let mut visitor = Shapes::default();
    module.visit(&mut visitor);
    visitor.shapes
}

/// Names follow the rules of burn-store's `PyTorchToBurnAdapter`, which moves the values.
#[derive(Default)]
struct Shapes {
    path: Vec<String>,
    containers: Vec<String>,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, container: &str) {
        // The variant of an enum is no part of the name.
        if !container.starts_with("Enum:") {
            self.path.push(name.to_owned());
        }
        self.containers.push(container.to_owned());
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.path.pop();
        }
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let container = self.containers.last().map_or("", String::as_str);
        let mut shape = param.lazy_shape().to_vec();
        let mut path = self.path.clone();
        if let Some(name) = path.last_mut() {
            match (container, name.as_str()) {
                ("Struct:BatchNorm" | "Struct:LayerNorm", "gamma") => *name = "weight".into(),
                ("Struct:BatchNorm" | "Struct:LayerNorm", "beta") => *name = "bias".into(),
                ("Struct:Linear", "weight") => shape.reverse(),
                _ => {}
            }
        }
        self.shapes.insert(path.join("."), shape);
    }
}
