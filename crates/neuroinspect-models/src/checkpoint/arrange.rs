//! Tensors of a file made of others, when they are read.

use std::ops::Range;

use burn::tensor::{Bytes, DType, Shape, TensorData};
use burn_store::{
    bridge,
    burn_pack::{Error, Tensor},
};

/// Tensors one below the other, along their first axis.
pub(crate) fn stacked(tensors: [&Tensor; 3]) -> Tensor {
    let [first, ..] = tensors;
    let dtype = first.dtype;
    let mut shape = first.shape.to_vec();
    if let Some(rows) = shape.first_mut() {
        *rows = tensors.iter().filter_map(|it| it.shape.first()).sum();
    }
    let (name, parts) = (first.name.clone(), tensors.map(Tensor::clone));
    let declared = shape.clone();
    bridge::deferred(name, dtype, Shape::from(shape), None, move || {
        let mut bytes = Vec::new();
        for part in &parts {
            let data = bridge::to_data(part)?;
            if data.dtype() != dtype {
                let (first, other) = (&parts[0].name, &part.name);
                let reason = format!("'{first}' and '{other}' differ in their number formats");
                return Err(Error::ValidationError(reason));
            }
            bytes.extend_from_slice(data.as_bytes());
        }
        from_bytes(bytes, &declared, dtype)
    })
}

/// Some rows of a tensor, counted along its first axis, in a shape of as many numbers.
pub(crate) fn rows(tensor: &Tensor, range: Range<usize>, shape: Vec<usize>) -> Tensor {
    let (name, dtype, source) = (tensor.name.clone(), tensor.dtype, tensor.clone());
    let declared = shape.clone();
    bridge::deferred(name, dtype, Shape::from(shape), None, move || {
        let data = bridge::to_data(&source)?;
        let row = source.shape.iter().skip(1).product::<usize>() * dtype.size();
        let given = data.as_bytes().get(range.start * row..range.end * row);
        let short = || Error::ValidationError(format!("'{}' is too short", source.name));
        from_bytes(given.ok_or_else(short)?.to_vec(), &declared, dtype)
    })
}

/// A matrix with its axes exchanged; any other tensor as it is.
pub(crate) fn transposed(tensor: &Tensor) -> Tensor {
    let [rows, columns] = tensor.shape[..] else {
        return tensor.clone();
    };
    let (name, dtype, source) = (tensor.name.clone(), tensor.dtype, tensor.clone());
    let shape = [columns, rows];
    bridge::deferred(name, dtype, Shape::from(shape), None, move || {
        let data = bridge::to_data(&source)?;
        let (given, size) = (data.as_bytes(), dtype.size());
        let mut bytes = Vec::with_capacity(given.len());
        for column in 0..columns {
            for row in 0..rows {
                let start = (row * columns + column) * size;
                bytes.extend_from_slice(&given[start..start + size]);
            }
        }
        from_bytes(bytes, &shape, dtype)
    })
}

fn from_bytes(bytes: Vec<u8>, shape: &[usize], dtype: DType) -> Result<TensorData, Error> {
    TensorData::try_from_bytes(Bytes::from_bytes_vec(bytes), shape.to_vec(), dtype)
        .map_err(|error| Error::ValidationError(format!("{error:?}")))
}
