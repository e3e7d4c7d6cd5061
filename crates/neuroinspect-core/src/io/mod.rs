//! Files: written whole or not at all, told apart by their hash, tensors among them.
//!
//! Tensors are kept as safetensors with one metadata key that holds one JSON object: what the file
//! is ([`TensorFormat`]), and what else is to be said of it. With a single key, equal content makes
//! equal bytes.

mod atomic;
mod hash;
mod regular;
mod tensor_file;
mod write_tensors;

pub use atomic::{is_unfinished, write_atomically, write_private};
pub(crate) use hash::hexadecimal;
pub use hash::{sha256_of_bytes, sha256_of_file};
pub use regular::{open_regular, read_text, without_byte_order_mark};
pub use tensor_file::{TensorFile, TensorFormat};
pub use write_tensors::{NamedTensor, write_safetensors, write_tensors};
