//! An atlas as a folder to be browsed: what the units of a layer mean within classes.

use std::path::Path;

use neuroinspect_core::{DeviceName, io::write_atomically};
use serde::{Deserialize, Serialize};

use crate::{Result, Run, Schema, UnitFindings, html, write_json};

/// What an atlas holds: every unit of a layer within each of its classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AtlasIndex {
    /// The layer.
    pub layer: String,
    /// Names of the model's classes.
    pub class_names: Vec<String>,
    /// The units, each once for each of its classes, one after the other.
    pub entries: Vec<AtlasEntry>,
    /// How it was made.
    pub run: Run,
}

/// A unit within a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AtlasEntry {
    /// The unit, the class and the picture, whose files are relative to the atlas's folder.
    #[serde(flatten)]
    pub found: UnitFindings,
    /// The device that made the picture: devices differ in the last bits.
    pub device: DeviceName,
    /// Words for the unit, the best first, where there are some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

impl AtlasIndex {
    /// Name of the file of the index itself.
    pub const JSON_FILE: &str = "index.json";
    /// Name of the file of the page for people.
    pub const HTML_FILE: &str = "index.html";
    /// Name of the file of the table, in Parquet, that a build with the feature `parquet` writes.
    const PARQUET_FILE: &str = "index.parquet";

    /// Whether a file of an atlas's folder is one that [`write`](Self::write) writes.
    pub fn is_file(name: &str) -> bool {
        [Self::JSON_FILE, Self::HTML_FILE, Self::PARQUET_FILE].contains(&name)
    }

    /// Writes the page, with the feature `parquet` the table, and last the JSON, beside the pictures.
    ///
    /// # Errors
    ///
    /// When a class or a number is out of range, a picture's name leads out of the folder, or a file cannot
    /// be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        for entry in &self.entries {
            entry.found.validate(self.class_names.len())?;
        }
        let page = html::atlas_page(self)?.into_string();
        write_atomically(folder.join(Self::HTML_FILE), |out| {
            out.write_all(page.as_bytes())
        })?;
        #[cfg(feature = "parquet")]
        {
            let table = crate::parquet::table(self)?;
            write_atomically(folder.join(Self::PARQUET_FILE), |out| out.write_all(&table))?;
        }
        write_json(folder.join(Self::JSON_FILE), Schema::ATLAS, self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use neuroinspect_core::{ClassId, NeuronId, Seed, Unit, UnitKind};
    use neuroinspect_illusion::{Restart, Trust, Unmoved, UnmovedCause, Verdict};
    use serde_json::Value;

    use super::*;
    use crate::{UnitPicture, read_json};

    /// Two neurons within two classes each, whose first picture of the second diverged.
    pub(crate) fn index() -> AtlasIndex {
        let entry = |neuron: usize, class: usize| {
            let file = format!(
                "pictures/unit-{}-pool-neuron-{neuron}.png",
                2 * neuron + class
            );
            let picture = UnitPicture {
                image: Default::default(),
                mask: None,
                activation: 1.5 + neuron as f32,
                logit: Some(0.25),
                probability: Some(0.5),
                clip_similarity: None,
                trust: ((neuron, class) == (0, 0)).then_some(Trust {
                    verdict: Verdict::Doubtful,
                    doubts: vec!["other seeds show something else".to_owned()],
                    real_images: 128,
                    percentile: Some(99.0),
                    path: None,
                    continuity: None,
                    agreement: None,
                    agreement_percentile: None,
                    recognition: None,
                    logit_percentile: None,
                }),
                unmoved: ((neuron, class) == (0, 1)).then_some(Unmoved {
                    activation: 0.0,
                    cause: UnmovedCause::BeyondRelu,
                    restart: Restart::DidNotMove,
                }),
                steps: 7,
                masked_file: Some(file.replace(".png", "-masked.png")),
                file,
            };
            AtlasEntry {
                found: UnitFindings {
                    unit: Unit::new("pool", UnitKind::Feature(NeuronId(neuron))),
                    class: Some(ClassId(class)),
                    picture: ((neuron, class) != (1, 0)).then_some(picture),
                    real: None,
                },
                device: "flex".parse().unwrap(),
                labels: ["water", "a </script> & more"].map(String::from)[..2 * (1 - neuron)]
                    .to_vec(),
            }
        };
        AtlasIndex {
            layer: "pool".to_owned(),
            class_names: vec!["<b>cat</b>".to_owned(), "dog".to_owned()],
            entries: vec![entry(0, 0), entry(0, 1), entry(1, 0), entry(1, 1)],
            run: Run::new("net", "no images", "flex", Seed(0)),
        }
    }

    #[test]
    fn an_index_is_read_as_it_was_written_and_beside_it_is_the_page() {
        let folder = tempfile::tempdir().unwrap();
        let index = index();
        index.write(&folder).unwrap();
        let path = folder.path().join(AtlasIndex::JSON_FILE);
        assert_eq!(
            read_json::<AtlasIndex>(&path, Schema::ATLAS).unwrap(),
            index
        );
        let other = read_json::<AtlasIndex>(&path, Schema::UNITS).unwrap_err();
        let expected =
            "holds no neuroinspect.units in version 1: its schema is \"neuroinspect.atlas\"";
        assert!(other.to_string().contains(expected), "{other}");

        let page = folder.path().join(AtlasIndex::HTML_FILE);
        let page = std::fs::read_to_string(page).unwrap();
        assert!(!page.contains("<b>cat"), "escaped");
        // Data, script, and nothing of what is in them ends an element.
        assert_eq!(page.matches("</script>").count(), 2);
        let (_, data) = page.split_once("id=\"atlas\">").unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["classes"][0], "<b>cat</b>");
        let units = data["units"].as_array().unwrap();
        assert_eq!(units.len(), 2);
        assert_eq!(units[0]["id"], "unit-0");
        assert_eq!(units[0]["labels"][1], "a </script> & more");
        let doubt = "doubtful: other seeds show something else";
        assert_eq!(units[0]["pictures"][0]["trust"], doubt);
        assert_eq!(units[0]["pictures"][0]["verdict"], "doubtful");
        assert_eq!(units[0]["pictures"][1]["trust"], Value::Null);
        assert_eq!(units[0]["pictures"][0]["unmoved"], Value::Null);
        let said = units[0]["pictures"][1]["unmoved"].as_str().unwrap();
        assert!(said.contains("beyond a ReLU"), "{said}");
        assert_eq!(units[1]["pictures"][0]["file"], Value::Null);
        assert_eq!(units[1]["pictures"][1]["class"], 1);
        assert_eq!(units[1]["pictures"][1]["activation"], 2.5);
    }

    #[test]
    fn what_cannot_be_shown_is_refused_before_a_file_is_written() {
        let folder = tempfile::tempdir().unwrap();
        for change in [
            (|index| index.entries[0].found.class = Some(ClassId(2))) as fn(&mut AtlasIndex),
            |index| {
                if let Some(picture) = &mut index.entries[0].found.picture {
                    "../strange.png".clone_into(&mut picture.file);
                }
            },
        ] {
            let mut index = index();
            change(&mut index);
            assert!(index.write(&folder).is_err());
            assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        }
    }
}
