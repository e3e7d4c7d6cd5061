//! Units of any layer: the images that activate them most, and their pictures.

use burn::tensor::{Device, Tensor, TensorData};
use neuroinspect::{
    Extraction, FeatureRequest, RunFolder, TopRequest, UnitInputs, UnitsConfig, burn,
    core::{Classifier, Direction, NeuronId, Silent, Unit, UnitKind},
    datasets::{ImageDataset, ImageFolder, ImageFolderConfig, LoaderConfig, preprocess},
    illusion::activation_mask,
    look_at_units,
    models::{
        Checkpoint, CifarResNetConfig, GraphClassifier, PretrainedClassifier, Strictness,
        checkpoint::parameter_shapes,
    },
    report::{TopImages, UnitFindings},
    top_images,
};
use neuroinspect_testing::{
    files::{Folder, safetensors_of},
    fill::made_up_weights,
};

const CLASSES: [&str; 3] = ["cat", "dog", "owl"];
const TOP: usize = 4;

fn model() -> GraphClassifier {
    let mut model = CifarResNetConfig::new(8, 3).init(&Device::flex()).unwrap();
    let weights = safetensors_of(&made_up_weights(parameter_shapes(&model)));
    let weights = Checkpoint::from_bytes("made-up weights", weights).unwrap();
    model.load(&weights, Strictness::Strict).unwrap();
    model
}

fn units() -> Vec<Unit> {
    let weights: Vec<f32> = (0..32).map(|it| 1.0 - 0.125 * it as f32).collect();
    vec![
        Unit::new("layer2", UnitKind::Channel(17)),
        Unit::new(
            "layer2",
            UnitKind::Position {
                channel: 17,
                row: 3,
                column: 4,
            },
        ),
        Unit::new("features", UnitKind::Feature(NeuronId(5))),
        Unit::new(
            "layer2",
            UnitKind::Direction(Direction::new("falling", &weights)),
        ),
    ]
}

fn asked(units: &[Unit]) -> TopRequest<'_> {
    TopRequest { units, count: TOP }
}

fn images() -> (Folder, ImageFolder) {
    let folder = Folder::of_images(&CLASSES, 7, 40);
    let images = ImageFolder::open(folder.path(""), &ImageFolderConfig::default()).unwrap();
    (folder, images)
}

/// The unit's activation for each image, one forward pass for each.
fn direct(unit: &Unit, images: &ImageFolder) -> Vec<f32> {
    let model = model();
    let input = Classifier::input(&model);
    let activation = |index: usize| {
        let pixels = preprocess(&images.image(index).unwrap(), input).unwrap();
        let shape = [1, 3, input.size, input.size];
        let pixels = TensorData::new(pixels.into_iter().collect::<Vec<_>>(), shape);
        let pixels = input.normalize(Tensor::from_data(pixels, &Device::flex()));
        let values = model.activations_at(pixels, &[&unit.layer]).unwrap();
        let activation = unit.activation(&values[0]).unwrap();
        activation.try_into_vec_as::<f32>().unwrap()[0]
    };
    (0..images.samples().len()).map(activation).collect()
}

fn assert_agree(top: &TopImages, unit: &Unit, images: &ImageFolder) {
    let values = direct(unit, images);
    assert_eq!((top.images, top.top.len()), (values.len(), TOP));
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    assert!(
        (top.mean - mean).abs() < 1e-4 * (1.0 + mean.abs()),
        "{unit}"
    );
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    for (place, (found, &expected)) in top.top.iter().zip(&order).enumerate() {
        let apart = (found.activation - values[expected]).abs();
        assert!(
            apart < 1e-4 * (1.0 + found.activation.abs()),
            "{unit}: {apart}"
        );
        let sample = &images.samples()[found.index];
        assert_eq!((&found.id, found.label), (&sample.id, sample.label));
        let higher = values.iter().filter(|&&value| value > values[found.index]);
        let lower = values.len() - higher.count();
        let percentile = 100.0 * lower as f32 / values.len() as f32;
        assert!(
            (found.percentile - percentile).abs() < 1e-3,
            "{unit}, {place}"
        );
    }
}

#[test]
fn top_images_are_those_of_a_direct_computation_whatever_the_batch() {
    let (_folder, images) = images();
    let (model, units) = (model(), units());
    for batch_size in [5, 64] {
        let loader = LoaderConfig::default().with_batch_size(batch_size);
        let extraction = Extraction::new(&model, &images).with_loader(loader);
        let (top, skipped) = top_images(&extraction, asked(&units), &mut Silent).unwrap();
        assert!(skipped.is_empty());
        for (top, unit) in top.iter().zip(&units) {
            assert_agree(top, unit, &images);
        }
    }
}

#[test]
fn top_images_are_kept_in_the_folder_and_taken_up_again() {
    let (_folder, images) = images();
    let (model, units) = (model(), units());
    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(&root, None).unwrap();
    let request = FeatureRequest {
        file: "top.json".to_owned(),
        device: "flex".parse().unwrap(),
        complete: true,
    };
    let find = |units: &[Unit], count| {
        let extraction = Extraction::new(&model, &images).with_weights_sha256("made-up");
        folder
            .top_images(
                &extraction,
                TopRequest { units, count },
                &request,
                &mut Silent,
            )
            .unwrap()
    };
    let first = find(&units, TOP);
    let again = find(&units, TOP);
    assert_eq!((first.reused, again.reused), (false, true));
    assert_eq!(first.top, again.top);
    assert!(!find(&units, TOP - 1).reused, "fewer are others");
    assert!(!find(&units[1..], TOP - 1).reused, "so are other units");
    assert!(find(&units[1..], TOP - 1).reused);
}

#[test]
fn units_are_seen_in_their_pictures_and_in_real_images() {
    let (_folder, images) = images();
    let (model, units) = (model(), units());
    let extraction = Extraction::new(&model, &images);
    let (top, _) = top_images(&extraction, asked(&units), &mut Silent).unwrap();
    let mut config = UnitsConfig::default()
        .with_units(units.clone())
        .with_top(TOP);
    config.recipe = config.recipe.with_steps(3);
    let inputs = UnitInputs {
        classifier: &model,
        guide: None,
        judge: Some(&model),
        real: Some((&extraction, &top)),
        pictures: None,
        folder: "units",
    };
    let mut found: Vec<UnitFindings> = Vec::new();
    let seen = look_at_units(&inputs, &config, &mut Silent, &mut |unit| found.push(unit)).unwrap();
    assert!(!seen.interrupted && seen.failures.is_empty());
    assert!(found.iter().map(|it| &it.unit).eq(&units));
    let mut judged = 0;
    for (unit, expected) in found.iter().zip(&top) {
        let picture = unit.picture.as_ref().unwrap();
        let located = unit.unit.layer == "layer2";
        assert_eq!(picture.mask.is_some(), located);
        // No class was asked for, and nothing is said of one.
        let trust = picture.trust.as_ref().unwrap();
        assert!(trust.percentile.is_some());
        assert_eq!((picture.logit, trust.logit_percentile), (None, None));
        if let Some(recognition) = &trust.recognition {
            judged += 1;
            assert_eq!(recognition.probability, None);
        }
        let real = unit.real.as_ref().unwrap();
        for (image, expected) in real.top.iter().zip(&expected.top) {
            assert_eq!(image.activation, expected.activation);
            assert_eq!(image.image.dim(), (3, 32, 32));
            assert_eq!(
                (image.mask.is_some(), image.crop.is_some()),
                (located, located)
            );
        }
    }
    assert!(judged > 0);
    // The mask of the first unit's first image, by the layer's map.
    let first = &found[0].real.as_ref().unwrap().top[0];
    let input = Classifier::input(&model);
    let pixels = TensorData::new(first.image.iter().copied().collect(), [1, 3, 32, 32]);
    let pixels = input.normalize(Tensor::from_data(pixels, &Device::flex()));
    let values = model.activations_at(pixels, &["layer2"]).unwrap();
    let map = units[0].map(&values[0]).unwrap().unwrap();
    let map = ndarray::Array2::from_shape_vec((16, 16), map.try_into_vec_as().unwrap()).unwrap();
    let expected = activation_mask(map.view(), 32, 0.5, 0.5);
    let same = expected.iter().zip(first.mask.as_ref().unwrap());
    let other = same.filter(|(a, b)| a != b).count();
    assert!(
        other <= 4,
        "{other} pixels differ, where rounding decides a few"
    );
}

/// What is not shown for it is said; the pictures are there.
#[test]
fn a_real_image_that_is_lost_is_noted() {
    let (folder, images) = images();
    let (model, units) = (model(), units());
    let extraction = Extraction::new(&model, &images);
    let (top, _) = top_images(&extraction, asked(&units), &mut Silent).unwrap();
    std::fs::remove_file(folder.path(&top[0].top[0].id)).unwrap();
    let mut config = UnitsConfig::default().with_units(units).with_top(TOP);
    config.recipe = config.recipe.with_steps(1);
    let inputs = UnitInputs {
        classifier: &model,
        guide: None,
        judge: None,
        real: Some((&extraction, &top)),
        pictures: None,
        folder: "units",
    };
    let mut found: Vec<UnitFindings> = Vec::new();
    let seen = look_at_units(&inputs, &config, &mut Silent, &mut |unit| found.push(unit)).unwrap();
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|unit| unit.picture.is_some()));
    assert_eq!(seen.failures[0].stage, "showing real images");
    let real = found[0].real.as_ref().unwrap();
    assert_eq!(real, &top[0], "without pixels");
}

#[test]
fn options_that_ask_for_a_class_are_refused_without_one() {
    let config = UnitsConfig::default().with_units(units());
    config.check(&model()).unwrap();
    let mut of_class = config.clone();
    of_class.recipe = neuroinspect::illusion::Recipe::default();
    let error = of_class.check(&model()).unwrap_err().to_string();
    assert!(error.contains("objective"), "{error}");
    let class = neuroinspect::core::ClassId(2);
    of_class.with_class(class).check(&model()).unwrap();
    let none = UnitsConfig::default().check(&model()).unwrap_err();
    assert!(none.to_string().contains("units"), "{none}");
}
