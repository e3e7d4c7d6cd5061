//! Animations of the optimisation.

use std::{cell::RefCell, collections::BTreeMap};

use image::RgbImage;
use neuroinspect::{
    Result,
    illusion::{BatchKeeper, Illusion, Illusions, Networks, OptimizationState, Pair, Request},
    report::to_rgb_image,
};

/// Frames of an animation, at most, the finished picture among them.
pub(super) const FRAMES: usize = 48;

/// The pictures of each pair on their way.
pub(super) type Frames = RefCell<BTreeMap<Pair, Vec<RgbImage>>>;

/// Keeps each checkpoint's pictures as frames, and hands finished pictures over.
pub(super) struct FrameKeeper<'a> {
    pub(super) networks: &'a Networks,
    pub(super) request: &'a Request,
    pub(super) frames: &'a Frames,
    /// Why there are no more frames.
    pub(super) failed: Option<neuroinspect::Error>,
    pub(super) on_batch: &'a mut dyn FnMut(Vec<Illusion>),
}

impl FrameKeeper<'_> {
    fn keep(&self, state: &OptimizationState) -> Result<()> {
        for (pair, picture) in state.pictures(self.networks, self.request)? {
            let picture = to_rgb_image(picture.view())?;
            self.frames
                .borrow_mut()
                .entry(pair)
                .or_default()
                .push(picture);
        }
        Ok(())
    }
}

impl BatchKeeper for FrameKeeper<'_> {
    fn go_on(&mut self, _: &[Pair]) -> Option<OptimizationState> {
        None
    }

    fn checkpoint(&mut self, state: OptimizationState) {
        if self.failed.is_none() {
            self.failed = self.keep(&state).err();
        }
    }

    fn finish(&mut self, batch: Illusions) {
        (self.on_batch)(batch.finished);
    }
}
