//! Weights in another number format.

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{DType, Tensor},
};

use crate::graph::Network;

/// Casts all weights and buffers; inputs and values are cast on the way in and out by
/// [`evaluate`](Network::evaluate).
pub fn cast(network: &Network, dtype: DType) -> Network {
    network.with_own_buffers().map(&mut Cast(dtype))
}

struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let requires = tensor.is_require_grad();
            tensor.detach().cast(self.0).set_require_grad(requires)
        })
    }
}
