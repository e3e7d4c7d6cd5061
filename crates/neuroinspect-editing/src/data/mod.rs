//! What a decision layer is edited and measured on.

mod device_table;
mod edit_data;
mod samples;

pub use device_table::{DeviceTable, LayerTensors, SampleBatch, Storage};
pub(crate) use device_table::{indices, predictions};
pub use edit_data::EditData;
pub use samples::Samples;
pub(crate) use samples::image_of_view;
