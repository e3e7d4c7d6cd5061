//! What all requests share.

use std::{
    fs,
    sync::{Arc, OnceLock},
};

use neuroinspect::{
    core::{ClassId, NeuronId, Observer, io::sha256_of_bytes},
    illusion::Objective,
};
use serde_json::json;

use crate::{
    Error, Opened, Result,
    expression::written,
    jobs::{JobState, Jobs},
    labels::LabelStore,
    pictures::PictureStore,
    places::Places,
    refusal::Refusal,
    session::Session,
    trials::{Asked, Trial, Trials},
    work::Work,
};

/// What all requests share.
pub(crate) type App = Arc<Studio>;

/// The studio: what it was opened on, and what has been done since.
pub(crate) struct Studio {
    pub(crate) opened: Opened,
    /// SHA-256 of all that tells the classifier, as it is looked at, from others: names of pictures and addresses of masks have
    /// it.
    pub(crate) network: String,
    pub(crate) trials: Trials,
    /// Work in the background.
    pub(crate) jobs: Jobs,
    /// The pictures there are.
    pub(crate) pictures: PictureStore,
    /// The words that neurons were given.
    pub(crate) labels: LabelStore,
    /// Where in real images neurons are active.
    pub(crate) places: Places,
    session: OnceLock<Session>,
}

fn network(opened: &Opened) -> neuroinspect::Result<String> {
    let classifier = &opened.classifier;
    let decides = json!([
        opened.origin.classifier_sha256,
        classifier.name(),
        classifier.input(),
        classifier.decision_layer()?.sha256(),
        classifier.map_layer(),
    ]);
    Ok(sha256_of_bytes(decides.to_string().as_bytes()))
}

impl Studio {
    /// Makes the folder of its own, where it is missing. Without an encoder, what needs one is left out of the
    /// objective to begin with.
    pub(crate) fn new(mut opened: Opened) -> Result<Self> {
        let objective = &mut opened.config.recipe.objective;
        if opened.encoder.is_none()
            && let Some(unguided) = objective.without_guide()
        {
            *objective = unguided;
        }
        let path = opened.own_folder();
        let made = fs::create_dir_all(&path);
        made.map_err(|source| Error::File {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            network: network(&opened)?,
            trials: Trials::open(&path),
            jobs: Jobs::open(&path)?,
            pictures: PictureStore::open(&path)?,
            labels: LabelStore::open(&path),
            places: Places::default(),
            opened,
            session: OnceLock::new(),
        })
    }

    /// The samples as the classifier sees them, once their features are there.
    pub(crate) fn session(&self) -> Result<&Session, Refusal> {
        self.session.get().ok_or_else(|| self.no_session())
    }

    /// Why there is no session: its features are being computed, or that came to no end.
    fn no_session(&self) -> Refusal {
        let jobs = self.jobs.list();
        let last = jobs.iter().rfind(|job| job.order.work == Work::Features);
        match last.map(|job| (job.state, &job.note)) {
            Some((JobState::Failed, note)) => {
                let reason = note.as_deref().unwrap_or("for no reason given");
                Refusal::NoFeatures(format!(
                    "computing the features of the images failed: {reason}"
                ))
            }
            Some((JobState::Cancelled, _)) => {
                Refusal::NoFeatures("computing the features of the images was cancelled".to_owned())
            }
            None => Refusal::NoFeatures("nobody computes the features of the images".to_owned()),
            _ => Refusal::NotReady,
        }
    }

    /// Takes features from the folder or computes them: the work of `Work::Features`.
    pub(crate) fn open_session(&self, observer: &mut dyn Observer) -> neuroinspect::Result<()> {
        if self.session.get().is_none() {
            let session = Session::open(&self.opened, observer)?;
            // Of two that came to their end at once, the first is kept: they are alike.
            let _ = self.session.set(session);
        }
        Ok(())
    }

    /// The edit that is asked for: trained now, unless it is remembered.
    pub(crate) fn attempt(
        &self,
        asked: Asked,
        observer: &mut dyn Observer,
    ) -> Result<Arc<Trial>, Refusal> {
        self.trials.attempt(self.session()?, asked, observer)
    }

    /// A first answer to what is asked, where the edit itself takes longer.
    pub(crate) fn first(
        &self,
        asked: Asked,
        observer: &mut dyn Observer,
    ) -> Result<Option<Arc<Trial>>, Refusal> {
        self.trials.first(self.session()?, asked, observer)
    }

    /// A class out of an address.
    pub(crate) fn class(&self, class: usize) -> Result<(ClassId, &str), Refusal> {
        let name = self.opened.class_names().get(class);
        let name = name.ok_or_else(|| Refusal::NotFound(format!("there is no class {class}")))?;
        Ok((ClassId(class), name))
    }

    /// A neuron out of an address.
    pub(crate) fn neuron(&self, neuron: usize) -> Result<NeuronId, Refusal> {
        let neuron = NeuronId(neuron);
        let known = self.session()?.layer.check_neuron(neuron);
        known.map_err(|error| Refusal::NotFound(error.to_string()))?;
        Ok(neuron)
    }

    /// An objective as the picture lab reads it.
    pub(crate) fn objective(&self, objective: &Objective) -> String {
        let written = written(objective, self.opened.class_names());
        written.unwrap_or_else(|| objective.to_string())
    }

    /// What a class is called.
    pub(crate) fn class_name(&self, class: ClassId) -> &str {
        let name = self.opened.class_names().get(class.0);
        name.map_or("", String::as_str)
    }
}

/// Does work that takes more than a moment where it holds up no other request.
pub(crate) async fn apart<T: Send + 'static>(
    studio: &App,
    work: impl FnOnce(&Studio) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let studio = Arc::clone(studio);
    let done = tokio::task::spawn_blocking(move || work(&studio)).await;
    done.unwrap_or_else(|error| Err(Refusal::failed(&error)))
}
