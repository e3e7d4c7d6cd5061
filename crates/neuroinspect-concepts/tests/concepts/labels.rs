//! Labels by planted truth, and what is refused.

use ndarray::{Array2, Axis, Slice, array};
use neuroinspect_concepts::{
    LabelConfig, LabelRequest, RankReorder, Similarity, SoftWpmi, UnitLabels, Words, Wpmi,
    label_units,
};
use neuroinspect_core::{ActivationTable, Error as CoreError, Provenance, Silent};
use neuroinspect_testing::assert_close;

use crate::made;

const WORDS: [&str; 4] = ["water", "grass", "fur", "sky"];
/// Images that show each word.
const EACH: usize = 12;

/// Images of one word each, and a unit for each word that fires for its images; one more unit is dead.
fn probing() -> (ActivationTable, Array2<f32>, Words) {
    let images = EACH * WORDS.len();
    let mut embeddings = made("image noise", images, WORDS.len()) * 0.2;
    let mut activations = made("activation noise", images, WORDS.len() + 1) * 0.1;
    for image in 0..images {
        let word = image / EACH;
        embeddings[[image, word]] += 1.0;
        activations[[image, word]] += 1.0;
    }
    activations.column_mut(WORDS.len()).fill(0.0);
    let activations = ActivationTable::new(activations, Provenance::new("toy", None)).unwrap();
    let words = Words::new(WORDS.map(String::from).to_vec(), Array2::eye(WORDS.len())).unwrap();
    (activations, embeddings, words)
}

fn label(config: &LabelConfig) -> neuroinspect_concepts::Result<UnitLabels> {
    let (activations, images, words) = probing();
    let asked = ["fur".to_owned(), "water".to_owned()];
    let request = LabelRequest {
        activations: &activations,
        images: images.view(),
        words: &words,
        queries: &asked,
    };
    label_units(&request, config, &mut Silent)
}

/// All five, their images no more than show a word.
fn similarities() -> [Similarity; 5] {
    [
        Similarity::CosSimilarity,
        Similarity::CosSimilarityCubed,
        Similarity::RankReorder(RankReorder {
            top_share: 0.5,
            ..RankReorder::default()
        }),
        Similarity::Wpmi(Wpmi {
            top_images: EACH,
            ..Wpmi::default()
        }),
        Similarity::SoftWpmi(SoftWpmi {
            top_images: EACH,
            ..SoftWpmi::default()
        }),
    ]
}

#[test]
fn every_similarity_finds_the_word_of_a_unit_and_the_unit_of_a_word() {
    for similarity in similarities() {
        let config = LabelConfig::default()
            .with_similarity(similarity.clone())
            .with_images(3);
        let labels = label(&config).unwrap();
        assert_eq!(labels.units.len(), WORDS.len() + 1);
        for (unit, word) in labels.units.iter().zip(WORDS) {
            assert_eq!(unit.labels[0].word, word, "{similarity:?}");
            assert_eq!(unit.labels.len(), WORDS.len());
            for image in &unit.top_images {
                let image: usize = image.parse().unwrap();
                assert_eq!(image / EACH, unit.unit);
            }
            assert_eq!(unit.top_images.len(), 3);
        }
        // The dead unit has scores, and they are numbers.
        let dead = &labels.units[WORDS.len()];
        assert!(dead.labels.iter().all(|label| label.score.is_finite()));
        for (query, unit) in labels.queries.iter().zip([2, 0]) {
            // A dead unit that is never wrong about an order comes before one that is.
            let alive = query.units.iter().find(|it| it.unit != WORDS.len());
            let first = alive.unwrap();
            assert_eq!((first.unit, first.words_above), (unit, 0), "{similarity:?}");
        }
        let json = serde_json::to_string(&labels).unwrap();
        assert!(json.contains(r#""word":"water""#));
    }
}

#[test]
fn the_result_does_not_depend_on_how_many_words_are_taken_at_a_time() {
    for similarity in similarities() {
        let config = LabelConfig::default().with_similarity(similarity);
        let whole = label(&config).unwrap();
        let one_by_one = label(&config.with_words_at_once(1)).unwrap();
        assert_eq!(one_by_one.queries.len(), whole.queries.len());
        for (one, other) in one_by_one.units.iter().zip(&whole.units) {
            assert_eq!(one.top_images, other.top_images);
            for (one, other) in one.labels.iter().zip(&other.labels) {
                assert_eq!(one.word, other.word);
                // Products of matrices of other shapes are summed in another order.
                assert_close(one.score, other.score, 1e-5, 1e-6);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let message = |config: &LabelConfig| label(config).unwrap_err().to_string();
    // The published hundred images are more than there are.
    let said = message(&LabelConfig::default());
    assert!(
        said.starts_with("top_images = 100: expected at most"),
        "{said}"
    );
    let reorder = RankReorder {
        top_share: 0.03,
        ..RankReorder::default()
    };
    let said = message(&LabelConfig::default().with_similarity(Similarity::RankReorder(reorder)));
    assert!(said.starts_with("top_share = 0.03"), "{said}");
    for config in [
        LabelConfig::default().with_labels(0),
        LabelConfig::default().with_words_at_once(0),
    ] {
        assert!(message(&config).contains("at least 1"));
    }

    let (activations, images, words) = probing();
    let config = LabelConfig::default().with_similarity(Similarity::CosSimilarity);
    let label = |images: Array2<f32>, asked: &[String]| {
        let request = LabelRequest {
            activations: &activations,
            images: images.view(),
            words: &words,
            queries: asked,
        };
        let labels = label_units(&request, &config, &mut Silent);
        labels.unwrap_err().to_string()
    };
    let said = label(images.clone(), &["lava".to_owned()]);
    assert!(said.contains("'lava' among them"), "{said}");
    let mut dark = images.clone();
    dark.row_mut(5).fill(0.0);
    assert_eq!(
        label(dark, &[]),
        "the embedding of '5': expected a direction, found zero"
    );
    let said = label(images.slice_axis(Axis(0), Slice::from(1..)).to_owned(), &[]);
    assert!(said.contains("of the image embeddings"), "{said}");

    let twice = ["a", "a"].map(String::from).to_vec();
    let error = Words::new(twice, Array2::eye(2)).unwrap_err();
    assert!(error.to_string().contains("'a' is there twice"));
    let words = |embeddings| Words::new(vec!["a".to_owned()], embeddings).unwrap_err();
    assert!(words(array![[f32::NAN, 1.0]]).to_string().contains("'a'"));
    let error = words(Array2::eye(2));
    let neuroinspect_concepts::Error::Core(CoreError::Length { .. }) = error else {
        unreachable!("{error}")
    };
    assert!(Words::new(Vec::new(), Array2::zeros((0, 2))).is_err());
}
