//! Real files.

use neuroinspect_core::Seed;
use neuroinspect_datasets::{
    ImageDataset,
    published::{Published, PublishedConfig},
};
use neuroinspect_testing::{files::Folder, real_data};

use super::fixtures::open;

#[test]
#[ignore = "needs real images"]
fn metashifts_own_subsets_make_a_data_set() {
    let folder = Folder::new();
    let pickle = std::fs::read(real_data::path(
        "metashift-attributes-candidate-subsets.pkl",
    ))
    .unwrap();
    folder.write("attributes-candidate-subsets.pkl", &pickle);
    let config = PublishedConfig::default()
        .with_context("dog(black)")
        .with_seed(Seed(42));
    // Its images are elsewhere: each missing one is named until all are there.
    let error = Published::open("metashift", &folder, &config)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("image 'images/") && error.ends_with("is not there"),
        "{error}"
    );
    // The texts of digits in the pickle are the images' numbers.
    for (at, _) in pickle.iter().enumerate().filter(|(_, byte)| **byte == b'X') {
        let length = pickle.get(at + 1).copied().unwrap_or_default();
        let text = pickle
            .get(at + 5..at + 5 + usize::from(length))
            .unwrap_or_default();
        if !text.is_empty() && text.iter().all(u8::is_ascii_digit) {
            folder.write(format!("images/{}.jpg", str::from_utf8(text).unwrap()), "");
        }
    }
    let pets = Published::open("metashift", &folder, &config).unwrap();
    assert_eq!(
        pets.class_names(),
        ["bear", "bird", "cat", "dog", "elephant"]
    );
    let split = pets.split().unwrap();
    // 100 of each class; dog(black) has 172.
    assert_eq!(split.samples_of("train").unwrap().len(), 500);
    assert_eq!(split.samples_of("validation").unwrap().len(), 500);
    let test = split.samples_of("test").unwrap();
    let dogs: Vec<_> = test
        .into_iter()
        .map(|it| &pets.samples()[it])
        .filter(|it| it.label.0 == 3)
        .collect();
    assert!(dogs.len() > 500, "{}", dogs.len());
    assert!(dogs.iter().all(|dog| dog.group == Some(6)));
}

#[test]
#[ignore = "needs real images"]
fn imagenets_folders_are_read_from_a_tar() {
    let images = open("imagenet", real_data::path("imagenet-sample-256.tar"));
    assert_eq!(images.samples().len(), 1000);
    assert_eq!(images.samples()[999].label.0, 999);
    assert_eq!(images.samples()[0].id, "n01440764/n01440764.jpg");
    let image = images.image(0).unwrap();
    assert_eq!(image.width().min(image.height()), 256);
}
