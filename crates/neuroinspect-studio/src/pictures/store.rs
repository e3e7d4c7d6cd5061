//! The pictures there are.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use neuroinspect::{
    Result,
    illusion::Illusion,
    report::{Schema, read_json, save_png, to_rgb_image, write_json},
};
use serde::{Deserialize, Serialize};

use super::Picture;
use crate::Error;

const FOLDER: &str = "pictures";
const SCHEMA: Schema = Schema::new("neuroinspect.studio-picture", 1);

/// A picture that is there to be looked at, and what the networks see in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptPicture {
    /// Its name: [`Picture::key`].
    pub(crate) key: String,
    pub(crate) picture: Picture,
    /// Activation of the neuron or the unit on it.
    pub(crate) activation: f32,
    /// Logit and probability of its class on it, where it is within one.
    pub(crate) logit: Option<f32>,
    pub(crate) probability: Option<f32>,
    /// Similarity of the picture and the class's text, where it was guided.
    pub(crate) clip_similarity: Option<f32>,
    /// Whether there is the picture times its mask, too.
    pub(crate) masked: bool,
    /// Its side in pixels.
    pub(crate) side: usize,
    /// When it was made, in seconds since 1970 (UTC).
    made: u64,
}

/// The pictures there are, each in files of its own: a picture is there when its record is, which is written last.
pub(crate) struct PictureStore {
    folder: PathBuf,
    known: Mutex<BTreeMap<String, Arc<KeptPicture>>>,
}

impl PictureStore {
    /// The pictures of a studio's folder. What is no record of one is passed over.
    pub(crate) fn open(folder: &Path) -> crate::Result<Self> {
        let folder = folder.join(FOLDER);
        let failed = |source| Error::File {
            path: folder.clone(),
            source,
        };
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut known = BTreeMap::new();
        for file in fs::read_dir(&folder).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            if path.extension().is_none_or(|it| it != "json") {
                continue;
            }
            let kept: Option<KeptPicture> = read_json(&path, SCHEMA).ok();
            // A file that was renamed would lead elsewhere.
            let own = kept.filter(|kept| path.file_stem().is_some_and(|stem| *stem == *kept.key));
            if let Some(kept) = own {
                known.insert(kept.key.clone(), Arc::new(kept));
            }
        }
        Ok(Self {
            folder,
            known: Mutex::new(known),
        })
    }

    /// The picture of a name.
    pub(crate) fn get(&self, key: &str) -> Option<Arc<KeptPicture>> {
        self.lock().get(key).cloned()
    }

    /// Those pictures that a condition holds for, in the order in which they were made.
    pub(crate) fn all(&self, is: impl Fn(&Picture) -> bool) -> Vec<Arc<KeptPicture>> {
        let known = self.lock();
        let kept = known.values().filter(|kept| is(&kept.picture));
        let mut kept: Vec<_> = kept.cloned().collect();
        kept.sort_by_key(|kept| kept.made);
        kept
    }

    /// The bytes of a picture that is there, or of the picture times its mask.
    pub(crate) fn png(&self, kept: &KeptPicture, masked: bool) -> crate::Result<Vec<u8>> {
        let path = self.file(&kept.key, masked);
        fs::read(&path).map_err(|source| Error::File { path, source })
    }

    /// Keeps a picture, in place of one of the same name.
    pub(super) fn add(&self, key: &str, picture: &Picture, made: &Illusion) -> Result<()> {
        save_png(self.file(key, false), &to_rgb_image(made.image.view())?)?;
        let masked = made.masked_image();
        if let Some(masked) = &masked {
            save_png(self.file(key, true), &to_rgb_image(masked.view())?)?;
        }
        let within = picture.class.map(|_| (made.logit, made.probability));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let kept = KeptPicture {
            key: key.to_owned(),
            picture: picture.clone(),
            activation: made.activation,
            logit: within.map(|(logit, _)| logit),
            probability: within.map(|(_, probability)| probability),
            clip_similarity: made.clip_similarity,
            masked: masked.is_some(),
            side: made.image.dim().1,
            made: now.unwrap_or_default().as_secs(),
        };
        write_json(self.folder.join(format!("{key}.json")), SCHEMA, &kept)?;
        self.lock().insert(key.to_owned(), Arc::new(kept));
        Ok(())
    }

    fn file(&self, key: &str, masked: bool) -> PathBuf {
        let ending = if masked { "-masked" } else { "" };
        self.folder.join(format!("{key}{ending}.png"))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<KeptPicture>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};
    use neuroinspect::{
        core::{ClassId, NeuronId},
        illusion::{Pair, Recipe},
    };

    use super::{super::Subject, *};

    fn picture(neuron: usize) -> Picture {
        Picture {
            subject: Subject::Neuron(NeuronId(neuron)),
            class: Some(ClassId(1)),
            recipe: Recipe::default(),
        }
    }

    fn made(mask: Option<Array2<f32>>) -> Illusion {
        Illusion {
            pair: Pair::default(),
            unit: None,
            image: Array3::from_elem((3, 4, 4), 0.5),
            mask,
            activation: 2.5,
            logit: 1.5,
            probability: 0.25,
            clip_similarity: None,
            unmoved: None,
            agreement: None,
            steps: 450,
            trace: Vec::new(),
        }
    }

    #[test]
    fn what_is_kept_is_there_when_the_folder_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = PictureStore::open(folder.path()).unwrap();
        let mask = Array2::from_elem((4, 4), 0.5);
        store.add("aa", &picture(3), &made(Some(mask))).unwrap();
        store.add("bb", &picture(4), &made(None)).unwrap();
        let kept = store.get("aa").unwrap();
        assert_eq!(
            (kept.activation, kept.logit, kept.side),
            (2.5, Some(1.5), 4)
        );
        let decoded = |kept: &KeptPicture, masked| {
            let png = store.png(kept, masked).unwrap();
            image::load_from_memory(&png).unwrap().to_rgb8().into_raw()
        };
        assert_eq!(decoded(&kept, false), [128; 48]);
        assert_eq!(decoded(&kept, true), [64; 48]);
        let other = store.get("bb").unwrap();
        assert!(!other.masked && store.png(&other, true).is_err());

        // Neither what a kill left half, nor what is called by another's name.
        let pictures = folder.path().join("pictures");
        fs::write(pictures.join("cc.json"), "{").unwrap();
        fs::copy(pictures.join("aa.json"), pictures.join("dd.json")).unwrap();
        // Nor what another version wrote.
        let record = fs::read_to_string(pictures.join("bb.json")).unwrap();
        let later = record.replace("\"schema_version\": 1", "\"schema_version\": 2");
        fs::write(pictures.join("ee.json"), later.replace("\"bb\"", "\"ee\"")).unwrap();
        let again = PictureStore::open(folder.path()).unwrap();
        assert_eq!(again.get("aa"), Some(kept));
        assert_eq!(
            ["cc", "dd", "ee"].map(|key| again.get(key)),
            [None, None, None]
        );
        let of_four = again.all(|picture| picture.subject == Subject::Neuron(NeuronId(4)));
        assert_eq!(of_four, [other]);
    }
}
