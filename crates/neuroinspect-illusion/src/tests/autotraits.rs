//! The crate's types can be sent to and shared with other threads.

use crate::{
    AppearanceDistance, Augmentation, Continuity, CoreRelevance, Coupling, Diverged, Error,
    Execution, Guide, Illusion, Illusions, ImageParameter, ImaginaryPart, Initial, Magnitudes,
    Networks, Objective, Occlusion, OptimizationState, Pair, PreparedClassifier, PreparedGuide,
    RealAppearance, RealImages, Recipe, Request, Restart, SeedAgreement, Shortfall, TracePoint,
    TransformDraw, Trust, Unmoved, UnmovedCause, Work,
};

fn is_shareable<T: Send + Sync + 'static>() {}

/// A type that cannot does not compile here.
#[test]
fn public_types_are_send_and_sync() {
    is_shareable::<AppearanceDistance>();
    is_shareable::<Augmentation>();
    is_shareable::<Continuity>();
    is_shareable::<CoreRelevance>();
    is_shareable::<Coupling>();
    is_shareable::<Diverged>();
    is_shareable::<Error>();
    is_shareable::<Execution>();
    is_shareable::<Guide<'static>>();
    is_shareable::<Illusion>();
    is_shareable::<Illusions>();
    is_shareable::<ImageParameter>();
    is_shareable::<ImaginaryPart>();
    is_shareable::<Initial>();
    is_shareable::<Magnitudes>();
    is_shareable::<Networks>();
    is_shareable::<Objective>();
    is_shareable::<Occlusion>();
    is_shareable::<OptimizationState>();
    is_shareable::<Pair>();
    is_shareable::<PreparedClassifier>();
    is_shareable::<PreparedGuide>();
    is_shareable::<Recipe>();
    is_shareable::<Request>();
    is_shareable::<Restart>();
    is_shareable::<Shortfall>();
    is_shareable::<TracePoint>();
    is_shareable::<TransformDraw>();
    is_shareable::<RealAppearance>();
    is_shareable::<RealImages>();
    is_shareable::<SeedAgreement>();
    is_shareable::<Trust>();
    is_shareable::<Unmoved>();
    is_shareable::<UnmovedCause>();
    is_shareable::<Work<'static>>();
}
