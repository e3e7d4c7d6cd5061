//! Words for neurons, made on demand out of a list of words.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use neuroinspect::{
    ImageSource,
    concepts::{LabelConfig, LabelRequest, UnitLabel, embed_words, label_units},
    core::{ActivationTable, ImageTextEncoder, NeuronId, io::sha256_of_bytes},
    datasets::OnCorrupt,
    embed_images,
    models::{clip::Clip, prompts::PromptTemplates},
    report::{Schema, read_json, write_json},
};
use serde::{Deserialize, Serialize};

use crate::{
    jobs::{Failure, Running},
    session::Session,
    studio::Studio,
};

const FILE: &str = "labels.json";
const SCHEMA: Schema = Schema::new("neuroinspect.studio-labels", 1);

/// The words that neurons were given last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Labels {
    /// What tells the network and the images that they are of from others.
    of: String,
    /// What was chosen from.
    pub(crate) words: Vec<String>,
    /// By neuron.
    units: Vec<UnitLabel>,
}

/// The words that neurons were given last, kept over the end of the process.
pub(crate) struct LabelStore {
    path: PathBuf,
    labels: Mutex<Option<Arc<Labels>>>,
}

impl Labels {
    /// A neuron's words, the best first.
    pub(crate) fn of(&self, neuron: NeuronId) -> impl Iterator<Item = &str> {
        let label = self.units.get(neuron.0);
        let words = label.into_iter().flat_map(|label| &label.labels);
        words.map(|scored| scored.word.as_str())
    }
}

impl LabelStore {
    /// Those in a studio's folder.
    pub(crate) fn open(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let labels = read_json(&path, SCHEMA).ok().map(Arc::new);
        Self {
            path,
            labels: Mutex::new(labels),
        }
    }

    /// The labels there are of this network on these images.
    pub(crate) fn get(&self, studio: &Studio, session: &Session) -> Option<Arc<Labels>> {
        let labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        labels
            .clone()
            .filter(|labels| labels.of == of(studio, session))
    }

    fn set(&self, labels: Labels) -> neuroinspect::Result<()> {
        write_json(&self.path, SCHEMA, &labels)?;
        let mut current = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(labels));
        Ok(())
    }
}

fn of(studio: &Studio, session: &Session) -> String {
    format!("{} {}", studio.network, session.key)
}

/// What the encoder makes of the images: from the studio's folder, where other words were asked for before.
fn embeddings(
    studio: &Studio,
    session: &Session,
    clip: &Clip,
    running: &mut Running<'_>,
) -> neuroinspect::Result<ActivationTable> {
    let opened = &studio.opened;
    let origin = &opened.origin;
    let of = format!(
        "{} {} {} {:?} {:?}",
        env!("CARGO_PKG_VERSION"),
        session.key,
        clip.name(),
        origin.encoder_sha256,
        origin.encoder_config_sha256
    );
    let name = format!("embeddings-{}.safetensors", sha256_of_bytes(of.as_bytes()));
    let path = opened.own_folder().join(name);
    let known = ActivationTable::load(&path).ok();
    let same = |known: &ActivationTable| known.sample_ids() == session.table.sample_ids();
    if let Some(known) = known.filter(same) {
        return Ok(known);
    }
    let images = ImageSource {
        dataset: &*opened.dataset,
        indices: &session.indices,
    };
    // Rows of images and of features must be of the same samples.
    let loader = opened.loader.clone().with_on_corrupt(OnCorrupt::Fail);
    let embedded = embed_images(clip, images, &loader, running)?.table;
    // Of data without a fingerprint nobody could take them up again.
    if session.table.provenance().dataset_sha256.is_some() {
        embedded.save(&path)?;
    }
    Ok(embedded)
}

/// Gives every neuron words: those that the image-text encoder sees in the images that activate it.
pub(crate) fn make(
    studio: &Studio,
    words: &[String],
    running: &mut Running<'_>,
) -> Result<(), Failure> {
    let opened = &studio.opened;
    let session = studio
        .session()
        .map_err(|_| "the features of the images are not there")?;
    let Some(encoder) = &opened.encoder else {
        return Err("words need CLIP: start the studio with --clip-weights FILE".into());
    };
    let embedded = embeddings(studio, session, &encoder.clip, running)?;
    let templates = PromptTemplates::new(["{}"])?;
    let embedded_words = embed_words(&encoder.clip, &templates, words.to_vec(), running)?;
    let images = embedded.values()?;
    let request = LabelRequest {
        activations: session.table.activations(),
        images: images.view(),
        words: &embedded_words,
        queries: &[],
    };
    let labels = label_units(&request, &LabelConfig::default(), running)?;
    studio.labels.set(Labels {
        of: of(studio, session),
        words: words.to_vec(),
        units: labels.units,
    })?;
    running.made();
    Ok(())
}
