//! The crate's types can be sent to and shared with other threads.

use neuroinspect_illusion::{
    Augmentation, CoreRelevance, Coupling, Diverged, Error, Guide, Illusion, IllusionConfig,
    Illusions, ImaginaryPart, Initial, Objective, Pair, Shortfall, Spectrum, Squash, TracePoint,
    TransformDraw,
};

fn is_shareable<T: Send + Sync + 'static>() {}

/// A type that cannot does not compile here.
#[test]
fn public_types_are_send_and_sync() {
    is_shareable::<Augmentation>();
    is_shareable::<CoreRelevance>();
    is_shareable::<Coupling>();
    is_shareable::<Diverged>();
    is_shareable::<Error>();
    is_shareable::<Guide<'static>>();
    is_shareable::<Illusion>();
    is_shareable::<IllusionConfig>();
    is_shareable::<Illusions>();
    is_shareable::<ImaginaryPart>();
    is_shareable::<Initial>();
    is_shareable::<Objective>();
    is_shareable::<Pair>();
    is_shareable::<Shortfall>();
    is_shareable::<Spectrum>();
    is_shareable::<Squash>();
    is_shareable::<TracePoint>();
    is_shareable::<TransformDraw>();
}
