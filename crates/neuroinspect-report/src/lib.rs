//! Pictures, JSON and HTML reports out of neuroinspect's results.

mod error;
mod html;
mod picture;
mod report;
mod summary;

pub use error::{Error, Result};
pub use picture::{apply_mask, contact_sheet, save_png, to_rgb_image};
pub use report::{IllusionPictures, NeuronPictures, Report, Sample};
pub use summary::{
    Confusion, ContextResponse, DebugSummary, Edit, EvaluationSummary, RankedNeuron, Ranking, Run,
    SkippedImage, Timing, Visualization,
};
