//! What threads share can be sent to and shared with them: a type that cannot does not compile here.

use neuroinspect_editing::{
    DecisionMethod, EditSession, Edited, Error, LayerTensors, LossAndGradient, Sampling,
};

fn is_shareable<T: Send + Sync + ?Sized + 'static>() {}

#[test]
fn what_threads_share_is_send_and_sync() {
    is_shareable::<EditSession>();
    is_shareable::<Edited>();
    is_shareable::<Error>();
    is_shareable::<LayerTensors>();
    is_shareable::<LossAndGradient>();
    is_shareable::<dyn DecisionMethod>();
    is_shareable::<dyn Sampling>();
}
