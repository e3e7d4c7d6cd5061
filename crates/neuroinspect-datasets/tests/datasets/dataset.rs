//! What holds of any data set: its groups and its fingerprint.

use std::{fs, time::Duration};

use image::{Rgb, RgbImage};
use neuroinspect_core::{ClassId, Error as CoreError};
use neuroinspect_datasets::{
    Error, ImageDataset, ImageFolder, ImageFolderConfig, Result, Sample, fingerprint_of,
    scenes::{Scenes, ScenesConfig},
};

/// Grey images of one class, in groups.
#[derive(Clone)]
struct Greys {
    classes: Vec<String>,
    groups: Vec<String>,
    samples: Vec<Sample>,
}

impl Greys {
    fn new(groups: &[&str], of_sample: &[Option<usize>]) -> Self {
        let sample = |(index, &group): (usize, &Option<usize>)| Sample {
            id: format!("grey-{index}"),
            label: ClassId(0),
            group,
        };
        Self {
            classes: vec!["grey".into()],
            groups: groups.iter().copied().map(str::to_owned).collect(),
            samples: of_sample.iter().enumerate().map(sample).collect(),
        }
    }
}

impl ImageDataset for Greys {
    fn name(&self) -> &str {
        "greys"
    }
    fn class_names(&self) -> &[String] {
        &self.classes
    }
    fn group_names(&self) -> &[String] {
        &self.groups
    }
    fn samples(&self) -> &[Sample] {
        &self.samples
    }
    fn image(&self, index: usize) -> Result<RgbImage> {
        self.sample(index)?;
        Ok(RgbImage::from_pixel(4, 4, Rgb([index as u8; 3])))
    }
    fn fingerprint(&self) -> Option<String> {
        Some(fingerprint_of(self, std::iter::empty::<&str>()))
    }
}

/// Images of which only their owner knows where they come from.
struct Unknown(Greys);

impl ImageDataset for Unknown {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn class_names(&self) -> &[String] {
        self.0.class_names()
    }
    fn samples(&self) -> &[Sample] {
        self.0.samples()
    }
    fn image(&self, index: usize) -> Result<RgbImage> {
        self.0.image(index)
    }
}

/// Equal ids do not say that the images are equal.
#[test]
fn a_data_set_has_no_fingerprint_unless_it_gives_one() {
    assert_eq!(Unknown(Greys::new(&[], &[None])).fingerprint(), None);
}

#[test]
fn groups_come_in_the_order_asked_for() {
    let greys = Greys::new(&["dark", "bright"], &[Some(0), Some(1), Some(1)]);
    let groups = greys.groups_of(&[2, 0]).unwrap().unwrap();
    assert_eq!(groups.names(), ["dark", "bright"]);
    assert_eq!(groups.of_sample(), [1, 0]);
    let none = Greys::new(&[], &[None, None]);
    assert_eq!(none.groups_of(&[0, 1]).unwrap(), None);
}

#[test]
fn a_sample_without_a_group_is_refused_by_name() {
    let greys = Greys::new(&["dark", "bright"], &[Some(0), None, Some(1)]);
    let error = greys.groups_of(&[0, 1, 2]).unwrap_err();
    assert!(
        matches!(&error, Error::MissingGroup { sample, .. } if sample == "grey-1"),
        "{error}"
    );
    assert!(error.to_string().contains("dark, bright"), "{error}");
    // One that is not asked for does no harm.
    assert!(greys.groups_of(&[0, 2]).is_ok());

    for groups in [&["dark"][..], &[]] {
        let greys = Greys::new(groups, &[Some(0), Some(1)]);
        let error = greys.groups_of(&[1]).unwrap_err();
        assert!(
            matches!(&error, Error::UnknownGroup { sample, group: 1, .. } if sample == "grey-1"),
            "{error}"
        );
    }
    let twice = Greys::new(&["dark", "dark"], &[Some(0)]);
    assert!(matches!(
        twice.groups_of(&[0]),
        Err(Error::Core(CoreError::DuplicateName { .. }))
    ));
}

#[test]
fn a_fingerprint_changes_with_whatever_decides_the_samples() {
    let greys = Greys::new(&["dark", "bright"], &[Some(0), Some(1)]);
    let original = greys.fingerprint().unwrap();
    assert_eq!(original, greys.clone().fingerprint().unwrap());
    let changes: [fn(&mut Greys); 6] = [
        |greys| greys.classes[0] = "gray".into(),
        |greys| greys.groups[0] = "black".into(),
        |greys| greys.samples[0].id = "grey-9".into(),
        |greys| greys.samples[0].label = ClassId(1),
        |greys| greys.samples[0].group = Some(1),
        |greys| {
            greys.samples.pop();
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = greys.clone();
        change(&mut changed);
        assert_ne!(changed.fingerprint().unwrap(), original, "change {number}");
    }
}

#[test]
fn scenes_of_another_seed_have_another_fingerprint() {
    let of = |seed| {
        let config = ScenesConfig::test().with_samples(10);
        let scenes = Scenes::new(config.with_seed(neuroinspect_core::Seed(seed))).unwrap();
        scenes.fingerprint().unwrap()
    };
    assert_eq!(of(0), of(0));
    assert_ne!(of(0), of(1));
}

#[test]
fn a_file_changed_or_replaced_changes_the_fingerprint() {
    let root = tempfile::tempdir().unwrap();
    let image = root.path().join("cat/1.png");
    fs::create_dir(root.path().join("cat")).unwrap();
    RgbImage::new(4, 4).save(&image).unwrap();
    let fingerprint = || {
        let folder = ImageFolder::open(&root, &ImageFolderConfig::default()).unwrap();
        folder.fingerprint()
    };
    let original = fingerprint().unwrap();
    assert_eq!(fingerprint().unwrap(), original);

    let file = fs::File::options().append(true).open(&image).unwrap();
    let changed = file.metadata().unwrap().modified().unwrap();
    file.set_modified(changed + Duration::from_secs(1)).unwrap();
    let touched = fingerprint().unwrap();
    assert_ne!(touched, original);
    // The same time, another length.
    std::io::Write::write_all(&mut &file, b"more").unwrap();
    file.set_modified(changed).unwrap();
    let longer = fingerprint().unwrap();
    assert!(longer != original && longer != touched);

    let folder = ImageFolder::open(&root, &ImageFolderConfig::default()).unwrap();
    fs::remove_file(&image).unwrap();
    assert_eq!(folder.fingerprint(), None);
}

/// Opening a named pipe waits until somebody writes into it.
#[cfg(unix)]
#[test]
fn a_pipe_or_a_folder_in_an_images_place_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let class = root.path().join("cat");
    fs::create_dir(&class).unwrap();
    RgbImage::new(4, 4).save(class.join("1.png")).unwrap();
    let pipe = class.join("2.png");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let folder = ImageFolder::open(&root, &ImageFolderConfig::default()).unwrap();
    let ids: Vec<_> = folder.samples().iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["cat/1.png", "cat/2.png"]);
    for error in [
        folder.image(1).unwrap_err(),
        neuroinspect_datasets::open_image(&pipe).unwrap_err(),
    ] {
        assert!(error.to_string().contains("cat/2.png"), "{error}");
    }
    let error = neuroinspect_datasets::open_image(&class).unwrap_err();
    assert!(error.to_string().contains("cat'"), "{error}");

    let config = ImageFolderConfig::default().with_class_names_file(&pipe);
    let error = ImageFolder::open(&root, &config).unwrap_err();
    assert!(error.to_string().contains("cat/2.png"), "{error}");
}
