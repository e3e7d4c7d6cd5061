//! Edits that were tried: what was asked for, and what it came to.
//!
//! The last ones are remembered, so that to go back to one is to be answered at once; those that are kept stand in
//! the studio's folder and are there again after a restart. An edit is named by all that decides it, so that a page that is
//! open speaks of the same one after a restart, too, and edits of other data are not taken for those of this.
//!
//! Where the samples are many, an edit is trained for as many epochs as take some seconds, unless more are asked for. What
//! takes longer has a first answer where a part of the samples is enough for one: to be looked at until the edit itself is there,
//! and never kept or taken along.

mod asked;
mod given;
mod size;
mod store;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use neuroinspect::{
    core::{DecisionLayer, Error as CoreError, Metrics, Observer, io::sha256_of_bytes},
    editing::{Control, EditResult, EditSession, Edited, LayerPatch},
};

pub(crate) use self::{
    asked::{Asked, choice_name, offered},
    given::Given,
    size::{Part, Parts, epochs_at_once, takes_seconds},
};
use crate::{Result, refusal::Refusal, session::Session, words::counted};

/// Edits that are remembered beside those kept: so many, or of large layers as many as take so many bytes, but enough
/// for those that are drawn together.
const REMEMBERED: usize = 24;
const REMEMBERED_BYTES: usize = 256 * 1024 * 1024;
const DRAWN: usize = 8;
/// Digits of a name.
const NAME: usize = 12;

/// An edit that was tried.
pub(crate) struct Trial {
    /// Of all that decides it.
    pub(crate) name: String,
    /// [`Session::data`] of what it was tried on.
    data: String,
    pub(crate) asked: Asked,
    pub(crate) patch: LayerPatch,
    pub(crate) result: EditResult,
    /// What of the samples it learnt from, where that were not all.
    pub(crate) part: Option<Part>,
    kept: AtomicBool,
}

/// All that were tried, the latest last.
pub(crate) struct Trials {
    folder: PathBuf,
    all: Mutex<Tried>,
}

struct Tried {
    trials: Vec<Arc<Trial>>,
    /// Data and name of all that were tried by this process, or kept by an earlier one.
    looked_at: BTreeSet<(String, String)>,
}

/// The name of what is asked on some data.
fn name_of(data: &str, asked: &Asked) -> String {
    let mut sha256 = sha256_of_bytes(format!("{data}\0{}", asked.query()).as_bytes());
    sha256.truncate(NAME);
    sha256
}

/// Without its control an edit is judged otherwise: whoever asks again is to get both. Where the control failed the edit
/// stands, and its page says so.
fn whole(edited: Edited) -> Result<Edited, Refusal> {
    match &edited.result.control {
        Some(Control::Stopped) => Err(CoreError::cancelled("retraining, for the control").into()),
        Some(Control::Failed(_) | Control::Measured(_)) | None => Ok(edited),
    }
}

impl Trial {
    fn new(
        session: &Session,
        name: String,
        asked: Asked,
        edited: Edited,
        part: Option<Part>,
    ) -> Self {
        Self {
            name,
            data: session.data.clone(),
            asked,
            patch: edited.patch,
            result: edited.result,
            part,
            kept: AtomicBool::new(false),
        }
    }

    /// Itself, unless it is a first answer.
    ///
    /// # Errors
    ///
    /// That what is taken along or kept is trained on all samples.
    pub(crate) fn whole(&self) -> Result<&Self, Refusal> {
        match self.part {
            None => Ok(self),
            Some(part) => Err(Refusal::Bad(format!(
                "this is a first answer, trained on {part} samples: the edit itself, trained on all of them, can be \
                 kept and taken along"
            ))),
        }
    }

    /// Whether it stands in the folder.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::SeqCst)
    }

    pub(crate) fn after(&self) -> &Metrics {
        &self.result.comparison.after
    }

    /// Why there is no control to hold it against, where that failed.
    pub(crate) fn failed_control(&self) -> Option<&str> {
        match &self.result.control {
            Some(Control::Failed(reason)) => Some(reason),
            _ => None,
        }
    }

    /// The edited layer.
    pub(crate) fn layer(&self, before: &DecisionLayer) -> Result<DecisionLayer, Refusal> {
        Ok(self.patch.apply(before)?)
    }

    /// What it is called among those that are shown together: by what tells it from the others as a rule, and a part of
    /// its name, which always does.
    pub(crate) fn title(&self) -> String {
        let name = self.name.get(..4).unwrap_or(&self.name);
        let name = match self.asked.is_by_ratio() {
            true => {
                let neurons = counted(self.asked.neurons.len(), "neuron");
                format!("\u{3bb} {}, {neurons} ({name})", self.asked.lambda)
            }
            false => format!("{} ({name})", self.asked.method.replace('_', " ")),
        };
        match self.part {
            Some(part) => format!("{name}, on {part} samples"),
            None => name,
        }
    }
}

impl Trials {
    /// Those that are kept in a folder.
    pub(crate) fn open(folder: &Path) -> Self {
        let trials = store::load(folder);
        let looked_at = trials.iter().map(|it| (it.data.clone(), it.name.clone()));
        Self {
            folder: folder.to_owned(),
            all: Mutex::new(Tried {
                looked_at: looked_at.collect(),
                trials,
            }),
        }
    }

    /// The edit that is asked for: tried now, unless it is remembered. All that is not asked is as in
    /// [`Session::editing`].
    pub(crate) fn attempt(
        &self,
        session: &Session,
        asked: Asked,
        observer: &mut dyn Observer,
    ) -> Result<Arc<Trial>, Refusal> {
        let name = name_of(&session.data, &asked);
        let known = self.get(session, &name).ok();
        if let Some(known) = known.filter(|it| it.failed_control().is_none()) {
            return Ok(known);
        }
        let method = asked.method(&session.editing)?;
        let edited = whole(edits(session)?.edit(method.as_ref(), observer)?)?;
        self.add(session, Trial::new(session, name, asked, edited, None))
    }

    /// A first answer to what is asked, out of a part of the samples; `None` where the edit itself is remembered, or is
    /// made about as soon.
    pub(crate) fn first(
        &self,
        session: &Session,
        asked: Asked,
        observer: &mut dyn Observer,
    ) -> Result<Option<Arc<Trial>>, Refusal> {
        let known = |name: &str| {
            let known = self.get(session, name).ok();
            known.filter(|it| it.failed_control().is_none())
        };
        if known(&name_of(&session.data, &asked)).is_some() {
            return Ok(None);
        }
        let method = asked.method(&session.editing)?;
        let edits = edits(session)?;
        let Some(part) = method.training().and_then(|it| Part::of(edits.data(), it)) else {
            return Ok(None);
        };
        let name = format!("{}-part", name_of(&session.data, &asked));
        if let Some(known) = known(&name) {
            return Ok(Some(known));
        }
        let session_of_part = session
            .parts
            .session(edits, part, session.editing.training.seed)?;
        let edited = whole(session_of_part.edit(method.as_ref(), observer)?)?;
        let trial = Trial::new(session, name, asked, edited, Some(part));
        Ok(Some(self.add(session, trial)?))
    }

    /// Remembers an edit, and forgets the oldest where there are too many. Where it was remembered meanwhile, as it was asked
    /// for twice at once, that one holds; one whose control failed is replaced, in its files, too, where it is kept.
    fn add(&self, session: &Session, trial: Trial) -> Result<Arc<Trial>, Refusal> {
        let trial = Arc::new(trial);
        let mut all = self.all();
        let is = |known: &&Arc<Trial>| known.name == trial.name && known.data == trial.data;
        if let Some(known) = all.trials.iter().find(is).cloned() {
            if known.failed_control().is_none() {
                return Ok(known);
            }
            if known.is_kept() {
                store::save(&self.folder, &trial)?;
                trial.kept.store(true, Ordering::SeqCst);
            }
            all.trials.retain(|it| !Arc::ptr_eq(it, &known));
        }
        // A first answer and the edit itself are one that was looked at.
        let name = name_of(&trial.data, &trial.asked);
        all.looked_at.insert((trial.data.clone(), name));
        all.trials.push(Arc::clone(&trial));
        let passing = all.trials.iter().filter(|trial| !trial.is_kept()).count();
        // The layer before and the one after it.
        let bytes = 2 * size_of::<f32>() * session.layer.weight().len();
        let most = (REMEMBERED_BYTES / bytes.max(1)).clamp(DRAWN, REMEMBERED);
        // Of those that are kept no longer there may be several.
        let mut too_many = passing.saturating_sub(most);
        all.trials.retain(|trial| {
            let goes = too_many > 0 && !trial.is_kept();
            too_many -= usize::from(goes);
            !goes
        });
        Ok(trial)
    }

    /// One of them, tried on this data.
    pub(crate) fn get(&self, session: &Session, name: &str) -> Result<Arc<Trial>, Refusal> {
        self.all().get(session, name)
    }

    /// Those that are kept, tried on this data.
    pub(crate) fn kept(&self, session: &Session) -> Vec<Arc<Trial>> {
        let all = self.all();
        let kept = all.trials.iter().filter(|it| it.is_kept());
        kept.filter(|it| it.data == session.data).cloned().collect()
    }

    /// How many edits were looked at on this data: by this process, or kept by an earlier one.
    pub(crate) fn looked_at(&self, session: &Session) -> usize {
        let all = self.all();
        let of_this = all
            .looked_at
            .iter()
            .filter(|(data, _)| *data == session.data);
        of_this.count()
    }

    /// Keeps one, so that it is there after a restart, or no longer.
    pub(crate) fn keep(&self, session: &Session, name: &str, keep: bool) -> Result<(), Refusal> {
        // One after the other, so that file and flag say the same.
        let all = self.all();
        let trial = all.get(session, name)?;
        trial.whole()?;
        match keep {
            true => store::save(&self.folder, &trial)?,
            false => {
                let removed = store::remove(&self.folder, &trial.name);
                removed.map_err(|error| Refusal::failed(&error))?;
            }
        }
        trial.kept.store(keep, Ordering::SeqCst);
        Ok(())
    }

    fn all(&self) -> MutexGuard<'_, Tried> {
        // What a thread that panicked has left is whole: a trial is added in one step.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tried {
    fn get(&self, session: &Session, name: &str) -> Result<Arc<Trial>, Refusal> {
        let is = |trial: &&Arc<Trial>| trial.name == name && trial.data == session.data;
        let trial = self.trials.iter().rev().find(is);
        trial.cloned().ok_or_else(|| {
            Refusal::NotFound("this edit is not remembered: ask for it again".to_owned())
        })
    }
}

/// What edits are tried on.
pub(crate) fn edits(session: &Session) -> Result<&EditSession, Refusal> {
    let edits = session.edits.as_ref();
    edits.map_err(|reason| Refusal::Bad(format!("no edit can be tried: {reason}")))
}
