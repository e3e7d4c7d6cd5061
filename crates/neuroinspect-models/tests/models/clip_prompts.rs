//! Prompt templates and class embeddings.

use std::sync::Mutex;

use burn::tensor::{Device, Tensor, TensorData};
use neuroinspect_core::{
    ClassId, CopyEncoder, Error as CoreError, ImageTextEncoder, InputSpec, Precision,
};
use neuroinspect_models::{
    Error,
    prompts::{ClassEmbeddingConfig, PromptTemplates, class_embeddings, class_text, zero_shot},
};

/// An encoder whose embedding of a text is `[length, 1]`, and which remembers batch sizes.
struct Lengths {
    input: InputSpec,
    /// In half precision it is 1024 times that, of which the squares are infinite.
    precision: Precision,
    batches: Mutex<Vec<usize>>,
}

impl Lengths {
    fn new() -> Self {
        Self {
            input: InputSpec::new(1),
            precision: Precision::F32,
            batches: Mutex::default(),
        }
    }
}

impl CopyEncoder for Lengths {
    fn encoder_copy(
        &self,
        _: &Device,
        precision: Precision,
    ) -> Result<Box<dyn ImageTextEncoder>, CoreError> {
        Err(CoreError::Precision { precision })
    }
}

/// A length of `[10 * 1024, 1024]` is none of half precision.
#[test]
fn embeddings_in_half_precision_are_averaged_in_single() {
    let templates = PromptTemplates::parts32();
    let texts = ["cat".to_owned()];
    let config = ClassEmbeddingConfig::default();
    let embeddings = |encoder: &dyn ImageTextEncoder| {
        let found = class_embeddings(encoder, &templates, &texts, &config).unwrap();
        assert_eq!(found.dtype(), burn::tensor::DType::F32);
        found
    };
    let expected = embeddings(&Lengths::new());
    let found = embeddings(&Lengths {
        precision: Precision::F16,
        ..Lengths::new()
    });
    let difference: f32 = (found - expected).abs().max().into_scalar();
    assert!(difference < 1e-3, "{difference}");
}

impl ImageTextEncoder for Lengths {
    fn name(&self) -> &str {
        "lengths"
    }
    fn input(&self) -> &InputSpec {
        &self.input
    }
    fn encode_images(&self, images: Tensor<4>) -> Tensor<2> {
        images.flatten(1, 3)
    }
    fn encode_texts(&self, texts: &[String]) -> neuroinspect_core::Result<Tensor<2>> {
        self.batches.lock().unwrap().push(texts.len());
        let rows = texts.iter().flat_map(|text| [text.len() as f32, 1.0]);
        let rows = matrix(rows.collect(), 2);
        Ok(match self.precision {
            Precision::F16 => Precision::F16.cast(rows * 1024.0),
            _ => rows,
        })
    }
    fn device(&self) -> Device {
        Device::flex()
    }
}

fn matrix(values: Vec<f32>, width: usize) -> Tensor<2> {
    let shape = [values.len() / width, width];
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn the_lists_are_what_their_names_say() {
    let imagenet = PromptTemplates::imagenet80();
    assert_eq!(imagenet.as_slice().len(), 80);
    assert_eq!(imagenet.as_slice()[0], "a bad photo of a {}.");
    assert_eq!(imagenet.as_slice()[79], "a tattoo of the {}.");
    assert_eq!(PromptTemplates::parts32().as_slice().len(), 32);
    for list in [imagenet, PromptTemplates::parts32()] {
        let mut sorted = list.as_slice().to_vec();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), list.as_slice().len(), "no template twice");
        let one = |template: &String| template.matches("{}").count() == 1;
        assert!(list.as_slice().iter().all(one));
    }
}

#[test]
fn class_texts_carry_their_domain() {
    assert_eq!(class_text(None, "apple_pie"), "apple pie");
    assert_eq!(class_text(Some("food"), "steak"), "food, steak");
    assert_eq!(class_text(Some("flower"), "sweet_pea"), "flower, sweet pea");
}

#[test]
fn templates_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.txt");
    std::fs::write(&path, "# mine\n\na {} on a plate\r\n  the {}  \n").unwrap();
    let templates = PromptTemplates::from_file(&path).unwrap();
    assert_eq!(templates.fill("steak"), ["a steak on a plate", "the steak"]);

    std::fs::write(&path, "# mine\na {}\n\na steak\n").unwrap();
    let error = PromptTemplates::from_file(&path).unwrap_err();
    assert!(matches!(&error, Error::Template { line: 4, template, .. } if template == "a steak"));
    assert!(error.to_string().contains("mine.txt"), "{error}");

    std::fs::write(&path, "# nothing\n").unwrap();
    let error = PromptTemplates::from_file(&path).unwrap_err();
    assert!(matches!(error, Error::NoTemplates { .. }), "{error}");

    let error = PromptTemplates::from_file(folder.path().join("none.txt")).unwrap_err();
    assert!(
        matches!(error, Error::Core(CoreError::Read { .. })),
        "{error}"
    );
}

#[test]
fn templates_of_ones_own_are_checked() {
    let error = PromptTemplates::new(["a {}", "a photo"]).unwrap_err();
    assert!(matches!(error, Error::Template { line: 2, .. }), "{error}");
    let error = PromptTemplates::new(Vec::<String>::new()).unwrap_err();
    assert!(matches!(error, Error::NoTemplates { .. }), "{error}");
    assert!(serde_json::from_str::<PromptTemplates>(r#"["no place"]"#).is_err());
    let list = PromptTemplates::new(["a {}"]).unwrap();
    let json = serde_json::to_string(&list).unwrap();
    assert_eq!(
        serde_json::from_str::<PromptTemplates>(&json).unwrap(),
        list
    );
}

#[test]
fn class_embeddings_are_means_of_unit_vectors() {
    let templates = PromptTemplates::new(["{}", "12345 {}"]).unwrap();
    let classes = texts(&["x", "xyz"]);
    let unit = |length: f32| [length, 1.0].map(|it| it / length.hypot(1.0));
    let mean = |a: f32, b: f32| {
        let ([a0, a1], [b0, b1]) = (unit(a), unit(b));
        [(a0 + b0) / 2.0, (a1 + b1) / 2.0]
    };
    let expected = [mean(1.0, 7.0), mean(3.0, 9.0)];

    let config = ClassEmbeddingConfig::default();
    let found = class_embeddings(&Lengths::new(), &templates, &classes, &config).unwrap();
    let found: Vec<f32> = found.try_into_vec_as().unwrap();
    for (found, expected) in found.iter().zip(expected.as_flattened()) {
        // A handful of f32 roundings of values below 1.
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn batches_hold_as_many_prompts_as_asked_for_and_change_nothing() {
    let templates = PromptTemplates::new(["{}", "a {}", "the {}"]).unwrap();
    let classes = texts(&["cat", "horse", "hippopotamus", "ox", "ant"]);
    let embed = |batch_size| {
        let encoder = Lengths::new();
        let config = ClassEmbeddingConfig::default().with_batch_size(batch_size);
        let found = class_embeddings(&encoder, &templates, &classes, &config).unwrap();
        let found: Vec<f32> = found.try_into_vec_as().unwrap();
        (found, encoder.batches.into_inner().unwrap())
    };
    let (whole, batches) = embed(256);
    assert_eq!(batches, [15]);
    for (batch_size, expected) in [
        (2, vec![2, 1, 2, 1, 2, 1, 2, 1, 2, 1]),
        (3, vec![3; 5]),
        (7, vec![6, 6, 3]),
    ] {
        let (found, batches) = embed(batch_size);
        assert_eq!(batches, expected);
        assert_eq!(found, whole, "batches of {batch_size}");
    }
}

#[test]
fn nothing_to_embed_is_an_error() {
    let templates = PromptTemplates::parts32();
    let config = ClassEmbeddingConfig::default();
    let none = class_embeddings(&Lengths::new(), &templates, &[], &config);
    assert!(matches!(none, Err(Error::Core(CoreError::Empty { .. }))));
    let config = config.with_batch_size(0);
    let none = class_embeddings(&Lengths::new(), &templates, &texts(&["x"]), &config);
    assert!(matches!(
        none,
        Err(Error::Core(CoreError::InvalidOption { .. }))
    ));
}

#[test]
fn zero_shot_takes_the_nearest_class_by_angle() {
    // The second class is longer: by dot product it would win everywhere.
    let classes = matrix(vec![1.0, 0.0, 3.0, 3.0], 2);
    let images = matrix(vec![5.0, 1.0, 0.1, 0.1, -1.0, 2.0], 2);
    let found = zero_shot(images.clone(), classes).unwrap();
    assert_eq!(found, [0, 1, 1].map(ClassId));
    let wrong = zero_shot(images, matrix(vec![1.0, 2.0, 3.0], 3));
    assert!(matches!(wrong, Err(Error::Core(CoreError::Shape { .. }))));
}
