//! Concepts: what mistakes lack, what sways a class and what neurons mean, in words.
//!
//! All of `neuroinspect-concepts`, and how folders of images and word lists come to it.

use std::collections::BTreeMap;

use ndarray::Array2;
use neuroinspect_core::{
    ActivationTable, ClassId, Error as CoreError, ImageTextEncoder, Observer, Progress, read_back,
};
use neuroinspect_models::prompts::{ClassEmbeddingConfig, PromptTemplates, class_embeddings};

pub use neuroinspect_concepts::*;

/// Words embedded between two looks at the observer.
const WORDS_AT_ONCE: usize = 64;

/// The folder of images of a concept that do not show it.
const NEGATIVES: &str = "negatives";

/// Images of a concept, by their rows in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConceptSamples {
    /// What the concept is called.
    pub name: String,
    /// Images that show it.
    pub positives: Vec<usize>,
    /// Images that do not.
    pub negatives: Vec<usize>,
}

/// The samples of each concept of a data set whose classes are concepts: those of its class are positive, but
/// for those in a folder `negatives` within the class's (`water/negatives/3.jpg`, beside
/// `water/positives/7.jpg`, as CCE's program has them). Where there is no such folder, the positive ones of all
/// other concepts are negative.
///
/// # Errors
///
/// When there is not one label for each sample, or a label has no name.
pub fn concept_samples(
    table: &ActivationTable,
    labels: &[ClassId],
    names: &[String],
) -> crate::Result<Vec<ConceptSamples>> {
    if labels.len() != table.len() {
        let what = "labels of the samples of concepts";
        return Err(CoreError::length(what, table.len(), labels.len()).into());
    }
    let mut negatives = BTreeMap::<ClassId, Vec<usize>>::new();
    let mut positives = BTreeMap::<ClassId, Vec<usize>>::new();
    for (sample, (id, &label)) in table.sample_ids().iter().zip(labels).enumerate() {
        label.check(names.len())?;
        let side = match id.split('/').nth(1) == Some(NEGATIVES) {
            true => &mut negatives,
            false => &mut positives,
        };
        side.entry(label).or_default().push(sample);
    }
    let of_others = |concept: ClassId| {
        let others = positives.iter().filter(|(label, _)| **label != concept);
        others.flat_map(|(_, samples)| samples).copied().collect()
    };
    let concept = |(index, name): (usize, &String)| ConceptSamples {
        name: name.clone(),
        positives: positives.get(&ClassId(index)).cloned().unwrap_or_default(),
        negatives: (negatives.get(&ClassId(index)).cloned())
            .unwrap_or_else(|| of_others(ClassId(index))),
    };
    Ok(names.iter().enumerate().map(concept).collect())
}

/// Learns a concept of each of these samples of a table.
///
/// # Errors
///
/// As [`learn_concept`], for the first concept that cannot be learned.
pub fn learn_bank(
    table: &ActivationTable,
    concepts: &[ConceptSamples],
    config: &LearningConfig,
    observer: &mut dyn Observer,
) -> crate::Result<ConceptBank> {
    let progress = |done| Progress {
        stage: "learning concepts",
        done,
        total: concepts.len(),
    };
    let mut learned = Vec::with_capacity(concepts.len());
    for samples in concepts {
        let [positives, negatives] = [
            table.rows(&samples.positives)?,
            table.rows(&samples.negatives)?,
        ];
        let request = ConceptRequest {
            name: &samples.name,
            positives: positives.view(),
            negatives: negatives.view(),
        };
        // Within a concept there is nothing to show.
        let mut within = |_: Progress<'_>| observer.update(progress(learned.len()));
        let concept = learn_concept(&request, config, &mut within)?;
        learned.push(concept);
        observer.proceed_unless_done(progress(learned.len()))?;
    }
    Ok(ConceptBank::new(learned)?.with_provenance(table.provenance().clone()))
}

/// Embeds words, each put into the templates: the mean of what the encoder makes of its texts. CLIP-Dissect's
/// program takes the bare word, which is the template `{}`.
///
/// # Errors
///
/// When there is no word or one is there twice, a word cannot be tokenized, the encoder fails, or the observer
/// asks to stop.
pub fn embed_words(
    encoder: &dyn ImageTextEncoder,
    templates: &PromptTemplates,
    words: Vec<String>,
    observer: &mut dyn Observer,
) -> crate::Result<Words> {
    let config = ClassEmbeddingConfig::default();
    let mut values = Vec::new();
    for (block, some) in words.chunks(WORDS_AT_ONCE).enumerate() {
        let embeddings = class_embeddings(encoder, templates, some, &config)?;
        values.extend(read_back(embeddings, "the embeddings of words")?);
        observer.proceed_unless_done(Progress {
            stage: "embedding words",
            done: block * WORDS_AT_ONCE + some.len(),
            total: words.len(),
        })?;
    }
    let shape = (words.len(), values.len() / words.len().max(1));
    let found = values.len();
    let embeddings = Array2::from_shape_vec(shape, values)
        .map_err(|_| CoreError::shape("the embeddings of words", shape, found))?;
    Ok(Words::new(words, embeddings)?)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use neuroinspect_core::Provenance;

    use super::*;

    #[test]
    fn negatives_are_those_of_the_folder_or_of_the_other_concepts() {
        let ids = [
            "fur/1.jpg",
            "fur/2.jpg",
            "water/negatives/1.jpg",
            "water/positives/1.jpg",
            "water/positives/negatives.jpg",
        ];
        let values = Array2::zeros((ids.len(), 1));
        let ids = ids.map(String::from).to_vec();
        let table = ActivationTable::of_samples(ids, values, Provenance::new("toy", None)).unwrap();
        let labels = [0, 0, 1, 1, 1].map(ClassId);
        let names = ["fur", "water"].map(String::from);
        let found = concept_samples(&table, &labels, &names).unwrap();
        let rows = found
            .iter()
            .map(|it| (&it.positives[..], &it.negatives[..]));
        let rows: Vec<_> = rows.collect();
        assert_eq!(rows, [(&[0, 1][..], &[3, 4][..]), (&[3, 4], &[2])]);
        assert!(concept_samples(&table, &labels[1..], &names).is_err());
        assert!(concept_samples(&table, &labels, &names[..1]).is_err());
    }
}
