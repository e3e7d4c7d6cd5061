//! Top images that an earlier run found, taken up again.

use std::fs;

use neuroinspect_core::{Observer, Unit};
use neuroinspect_datasets::Skipped;
use neuroinspect_report::{Schema, TopImages, write_json};
use serde::{Deserialize, Serialize};

use super::{FeatureRequest, RunFolder, features::Origin, remove};
use crate::{Extraction, Result, TopRequest, top_images};

const KEPT: Schema = Schema::new("neuroinspect.top-images", 1);

/// What was found, and what of.
#[derive(Serialize, Deserialize)]
struct Found {
    #[serde(flatten)]
    asked: Asked,
    top: Vec<TopImages>,
}

/// What decides what is found.
#[derive(PartialEq, Serialize, Deserialize)]
struct Asked {
    origin: Origin,
    units: Vec<Unit>,
    count: usize,
}

/// Top images, and whether an earlier run had found them.
#[derive(Clone, Debug, PartialEq)]
pub struct FolderTopImages {
    /// For each unit those that activate it most.
    pub top: Vec<TopImages>,
    /// The samples left out, with the reason.
    pub skipped: Vec<Skipped>,
    /// Whether they were taken from the folder.
    pub reused: bool,
}

impl RunFolder {
    /// The [`top_images`] of an extraction: those that an earlier run left in the folder, if they would
    /// come out the same, and otherwise looked for and kept in the request's file, which is JSON.
    ///
    /// # Errors
    ///
    /// As [`top_images`], and when they cannot be written.
    pub fn top_images(
        &self,
        extraction: &Extraction<'_>,
        asked: TopRequest<'_>,
        request: &FeatureRequest,
        observer: &mut dyn Observer,
    ) -> Result<FolderTopImages> {
        let path = self.join(&request.file);
        let provenance = extraction.provenance("several");
        let origin = Origin::of(&provenance, extraction, request);
        let of = origin.map(|origin| Asked {
            origin,
            units: asked.units.to_vec(),
            count: asked.count,
        });
        let found = fs::read(&path).ok();
        let found = found.and_then(|json| serde_json::from_slice::<Found>(&json).ok());
        if let Some(found) = found.filter(|found| of.as_ref() == Some(&found.asked)) {
            return Ok(FolderTopImages {
                top: found.top,
                skipped: Vec::new(),
                reused: true,
            });
        }
        let (top, skipped) = top_images(extraction, asked, observer)?;
        let found = match of.filter(|_| skipped.is_empty()) {
            Some(asked) => {
                let found = Found { asked, top };
                write_json(path, KEPT, &found)?;
                found.top
            }
            None => {
                remove(&path)?;
                top
            }
        };
        Ok(FolderTopImages {
            top: found,
            skipped,
            reused: false,
        })
    }
}
