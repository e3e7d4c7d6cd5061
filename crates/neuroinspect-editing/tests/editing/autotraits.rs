//! The crate's types can be sent to and shared with other threads.

use neuroinspect_editing::{
    Batch, Change, Citation, ClassChange, Comparison, Conclusion, Control, CrossEntropy,
    DecisionMethod, DeviceTable, Direction, EditConfig, EditData, EditRecord, EditResult,
    EditScope, EditSession, Edited, EpochRecord, Error, Fitted, Keep, LabelsUsed, LayerPatch,
    LayerTensors, LossAndGradient, MethodRecord, Preview, RatioEdit, RatioForm, RatioNorm, Retrain,
    Samples, Sampling, Schedule, Shuffled, Storage, Target, Ties, TrainingConfig, Verdict,
    Weighted,
};

fn is_shareable<T: Send + Sync + ?Sized + 'static>() {}

/// A type that cannot does not compile here.
#[test]
fn public_types_are_send_and_sync() {
    is_shareable::<Batch>();
    is_shareable::<Change>();
    is_shareable::<Citation>();
    is_shareable::<ClassChange>();
    is_shareable::<Comparison>();
    is_shareable::<Conclusion>();
    is_shareable::<Control>();
    is_shareable::<CrossEntropy>();
    is_shareable::<DeviceTable>();
    is_shareable::<Direction>();
    is_shareable::<EditConfig>();
    is_shareable::<EditData>();
    is_shareable::<EditResult>();
    is_shareable::<EditScope>();
    is_shareable::<EditSession>();
    is_shareable::<Edited>();
    is_shareable::<EpochRecord>();
    is_shareable::<Error>();
    is_shareable::<LossAndGradient>();
    is_shareable::<Fitted>();
    is_shareable::<Keep>();
    is_shareable::<LabelsUsed>();
    is_shareable::<LayerPatch>();
    is_shareable::<LayerTensors>();
    is_shareable::<MethodRecord>();
    is_shareable::<Preview>();
    is_shareable::<RatioEdit>();
    is_shareable::<RatioForm>();
    is_shareable::<RatioNorm>();
    is_shareable::<EditRecord>();
    is_shareable::<Retrain>();
    is_shareable::<Samples>();
    is_shareable::<Schedule>();
    is_shareable::<Shuffled>();
    is_shareable::<Storage>();
    is_shareable::<Target>();
    is_shareable::<Ties>();
    is_shareable::<TrainingConfig>();
    is_shareable::<Verdict>();
    is_shareable::<Weighted>();
    is_shareable::<dyn DecisionMethod>();
    is_shareable::<dyn Sampling>();
}
