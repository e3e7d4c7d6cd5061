//! The crate's types can be sent to and shared with other threads.

use neuroinspect_editing::{
    Comparison, Edit, EditConfig, EditScope, Edited, EpochRecord, Error, Keep, Method, RatioForm,
    RatioNorm, Recipe, Schedule, Target, Ties,
};

fn is_shareable<T: Send + Sync + 'static>() {}

/// A type that cannot does not compile here.
#[test]
fn public_types_are_send_and_sync() {
    is_shareable::<Comparison>();
    is_shareable::<Edit>();
    is_shareable::<EditConfig>();
    is_shareable::<EditScope>();
    is_shareable::<Edited>();
    is_shareable::<EpochRecord>();
    is_shareable::<Error>();
    is_shareable::<Keep>();
    is_shareable::<Method>();
    is_shareable::<RatioForm>();
    is_shareable::<RatioNorm>();
    is_shareable::<Recipe>();
    is_shareable::<Schedule>();
    is_shareable::<Target>();
    is_shareable::<Ties>();
}
