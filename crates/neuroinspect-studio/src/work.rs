//! What is done in the background.

use neuroinspect::{core::Error as CoreError, editing::Control};
use serde::{Deserialize, Serialize};

use crate::{
    jobs::{Failure, Job, JobState, Order, Running},
    labels,
    pictures::{self, PictureOrder},
    refusal::Refusal,
    studio::Studio,
    trials::{Asked, edits},
};

/// Work as it stands in the list of jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// The features of the images: all else needs them.
    Features,
    /// Takes the pictures that an earlier run of another command kept in the folder.
    KeptPictures,
    /// Makes pictures.
    Pictures(Box<PictureOrder>),
    /// Gives neurons words.
    Labels {
        /// The words to choose from.
        words: Vec<String>,
    },
    /// Trains what edits are held against, before anybody asks for one.
    Control,
    /// Trains an edit that takes longer than a page waits for.
    Edit(Box<Asked>),
}

impl Work {
    /// Of what waits, the least goes first: features, as all else needs them, then what a page is waiting for.
    pub(crate) fn turn(&self) -> u8 {
        match self {
            Self::Features => 0,
            Self::Control | Self::Edit(_) => 1,
            _ => 2,
        }
    }
}

/// Queues what a studio begins with: its features, and pictures that are in its folder already.
///
/// Features are begun again even where they failed the last time: a page has nothing without them.
pub(crate) fn at_start(studio: &Studio) -> neuroinspect::Result<()> {
    queue_features(studio)?;
    if pictures::any_kept(studio) {
        studio.jobs.queue(Order {
            title: "pictures of earlier runs".to_owned(),
            page: "/lab".to_owned(),
            work: Work::KeptPictures,
        })?;
    }
    Ok(())
}

/// Queues the features of the images.
pub(crate) fn queue_features(studio: &Studio) -> neuroinspect::Result<()> {
    studio.jobs.queue(Order {
        title: "features of the images".to_owned(),
        page: "/".to_owned(),
        work: Work::Features,
    })?;
    Ok(())
}

/// Queues the control of edits of which nothing else is asked, where these are trained in seconds: the first of them
/// finds it. One that was begun more than once and failed is not begun again by itself: it may be what ended the program.
fn queue_control(studio: &Studio) -> neuroinspect::Result<()> {
    let session = studio.session();
    let takes_seconds = session.is_ok_and(|session| session.edits_take_seconds(None));
    let jobs = studio.jobs.list();
    let last = jobs.iter().rfind(|job| job.order.work == Work::Control);
    let is_tried = |job: &Job| job.state == JobState::Failed && job.starts > 1;
    if takes_seconds && !last.is_some_and(is_tried) {
        studio.jobs.queue(Order {
            title: "plain retraining, to compare edits with".to_owned(),
            page: "/mend".to_owned(),
            work: Work::Control,
        })?;
    }
    Ok(())
}

fn train_control(studio: &Studio, running: &mut Running<'_>) -> Result<(), Failure> {
    let session = studio.session().map_err(Refusal::reason)?;
    if !session.edits_take_seconds(None) {
        // It was queued by an earlier process, of other images or with other options.
        return Ok(());
    }
    let edits = edits(session).map_err(Refusal::reason)?;
    match edits.control(&session.editing.training, running) {
        Control::Measured(_) => Ok(()),
        Control::Stopped => Err(CoreError::cancelled("retraining").into()),
        Control::Failed(reason) => Err(reason.into()),
    }
}

/// Does a piece of work.
pub(crate) fn run(studio: &Studio, work: &Work, running: &mut Running<'_>) -> Result<(), Failure> {
    match work {
        Work::Features => {
            studio.open_session(running)?;
            // The features are there all the same, and an edit trains its control where nobody has.
            let _ = queue_control(studio);
            Ok(())
        }
        Work::KeptPictures => pictures::take_kept(studio, running),
        Work::Pictures(order) => pictures::make(studio, order, running),
        Work::Labels { words } => labels::make(studio, words, running),
        Work::Control => train_control(studio, running),
        Work::Edit(asked) => match studio.attempt((**asked).clone(), running) {
            Ok(_) => Ok(()),
            Err(Refusal::Stopped) => Err(CoreError::cancelled("training").into()),
            Err(refusal) => Err(refusal.reason().into()),
        },
    }
}
