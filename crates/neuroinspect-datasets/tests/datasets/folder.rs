//! Listing image folders: what counts, in which order, under which names, and what is refused.

use std::{error::Error as _, fs, ops::ControlFlow, path::Path};

use image::{Rgb, RgbImage};
use neuroinspect_core::{ClassId, Progress, Silent};
use neuroinspect_datasets::{
    Error, ImageDataset, ImageFolder, ImageFolderConfig, Sample,
    scenes::{Scenes, ScenesConfig},
    write_image_folder,
};
use tempfile::TempDir;

/// A folder with the files named; images are 2 x 2 and tell their place in the list by red.
fn tree(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (number, file) in files.iter().enumerate() {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match file.ends_with("png") || file.ends_with("PNG") {
            true => RgbImage::from_pixel(2, 2, Rgb([number as u8, 0, 0]))
                .save_with_format(path, image::ImageFormat::Png)
                .unwrap(),
            false => fs::write(path, "not an image").unwrap(),
        }
    }
    root
}

fn open(root: &TempDir) -> Result<ImageFolder, Error> {
    ImageFolder::open(root, &ImageFolderConfig::default())
}

fn ids(folder: &ImageFolder) -> Vec<&str> {
    let samples = folder.samples().iter();
    samples.map(|sample| sample.id.as_str()).collect()
}

fn labels(folder: &ImageFolder) -> Vec<usize> {
    let samples = folder.samples().iter();
    samples.map(|sample| sample.label.0).collect()
}

fn in_order<const N: usize>(root: &TempDir, order: [&str; N]) -> Result<ImageFolder, Error> {
    let config = ImageFolderConfig::default().with_class_order(order);
    ImageFolder::open(root, &config)
}

fn named(root: &TempDir, names: &str, config: ImageFolderConfig) -> Result<ImageFolder, Error> {
    let file = root.path().join("names");
    fs::write(&file, names).unwrap();
    ImageFolder::open(root, &config.with_class_names_file(file))
}

/// The reason in a refused file of names.
fn names_refusal(root: &TempDir, names: &str) -> String {
    match named(root, names, ImageFolderConfig::default()) {
        Err(Error::Core(neuroinspect_core::Error::Format { path, reason, .. })) => {
            assert_eq!(path, root.path().join("names"));
            reason
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn images_come_by_class_then_by_id() {
    let root = tree(&[
        "b/2.png",
        "b/10.PNG",
        "a/deep/er/x.png",
        "a/z.png",
        "B/1.png",
        "a/notes.txt",
        "a/.hidden.png",
        ".git/1.png",
        "a/.cache/1.png",
        "stray.png",
        "empty/notes.txt",
    ]);
    let folder = open(&root).unwrap();
    // Upper case before lower case; a class without images keeps its place.
    assert_eq!(folder.class_names(), ["B", "a", "b", "empty"]);
    assert_eq!(
        ids(&folder),
        [
            "B/1.png",
            "a/deep/er/x.png",
            "a/z.png",
            "b/10.PNG",
            "b/2.png"
        ]
    );
    assert_eq!(labels(&folder), [0, 1, 1, 2, 2]);
    assert!(folder.group_names().is_empty());
    let name = root.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(folder.name(), name);

    let reds: Vec<u8> = (0..5)
        .map(|index| folder.image(index).unwrap().get_pixel(0, 0).0[0])
        .collect();
    assert_eq!(reds, [4, 2, 3, 1, 0]);
    assert_eq!(folder.paths()[1], root.path().join("a/deep/er/x.png"));
    let error = folder.image(5).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("sample 5 is out of range: data set '{name}' has 5 samples")
    );
}

#[test]
fn the_first_images_of_each_class_can_be_read_alone() {
    let root = tree(&[
        "a/2.png",
        "a/1.png",
        "a/3.png",
        "b/7.png",
        "b/deep/5.png",
        "c/1.png",
    ]);
    let config = ImageFolderConfig::default().with_images_per_class(2_usize);
    let folder = ImageFolder::open(root.path(), &config).unwrap();
    let first = ["a/1.png", "a/2.png", "b/7.png", "b/deep/5.png", "c/1.png"];
    assert_eq!(ids(&folder), first);
    assert_eq!(labels(&folder), [0, 0, 1, 1, 2]);
    assert!(folder.paths()[1].ends_with("a/2.png"));
    assert_ne!(folder.fingerprint(), open(&root).unwrap().fingerprint());
}

#[test]
fn every_known_extension_counts() {
    let root = tree(&[
        "a/1.jpg",
        "a/2.JPEG",
        "a/3.webp",
        "a/4.bmp",
        "a/5.gif",
        "a/6.tiff",
        "a/7",
        "a/8.jpg.txt",
    ]);
    let folder = open(&root).unwrap();
    assert_eq!(
        ids(&folder),
        ["a/1.jpg", "a/2.JPEG", "a/3.webp", "a/4.bmp", "a/5.gif"]
    );
}

#[test]
fn a_name_can_be_given() {
    let root = tree(&["a/1.png"]);
    let config = ImageFolderConfig::default().with_name("birds");
    let folder = ImageFolder::open(&root, &config).unwrap();
    assert_eq!(folder.name(), "birds");
    // `..` has no name of its own.
    let folder = ImageFolder::open(root.path().join("a/.."), &ImageFolderConfig::default());
    let name = root.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(folder.unwrap().name(), name);
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;

    let outside = tree(&["pictures/2.png"]);
    let root = tree(&["a/1.png"]);
    symlink(outside.path().join("pictures"), root.path().join("b")).unwrap();
    symlink(root.path(), root.path().join("c")).unwrap();
    symlink(root.path().join("a"), root.path().join("a/again")).unwrap();
    symlink(root.path().join("nowhere"), root.path().join("a/.gone")).unwrap();
    symlink(
        root.path().join("nowhere"),
        root.path().join("a/labels.json"),
    )
    .unwrap();
    let folder = open(&root).unwrap();
    assert_eq!(folder.class_names(), ["a", "b"]);
    assert_eq!(ids(&folder), ["a/1.png", "b/2.png"]);

    symlink(root.path().join("nowhere"), root.path().join("a/2.png")).unwrap();
    let folder = open(&root).unwrap();
    assert_eq!(ids(&folder), ["a/1.png", "a/2.png", "b/2.png"]);
    let error = folder.image(1).unwrap_err();
    assert!(error.to_string().contains("a/2.png"), "{error}");

    // Of a folder it is not known how many images are gone.
    symlink(root.path().join("nowhere"), root.path().join("a/more")).unwrap();
    let error = open(&root).unwrap_err();
    assert!(error.to_string().contains("a/more"), "{error}");
}

#[test]
fn roots_that_are_no_data_set_are_refused() {
    let empty = tempfile::tempdir().unwrap();
    let error = open(&empty).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "'{}' has no class folders; expected one folder of images per class",
            empty.path().display()
        )
    );
    assert!(matches!(
        open(&tree(&["1.png", "2.png"])),
        Err(Error::NoClasses { .. })
    ));
    assert!(matches!(
        open(&tree(&["a/notes.txt", "b/notes.txt"])),
        Err(Error::NoImages { classes: 2, .. })
    ));

    let config = ImageFolderConfig::default();
    let unreadable = |path: &Path| match ImageFolder::open(path, &config) {
        Err(Error::Core(error @ neuroinspect_core::Error::Read { .. })) => {
            assert!(error.to_string().contains(&path.display().to_string()));
            error.source().unwrap().to_string()
        }
        other => panic!("{other:?}"),
    };
    let root = tree(&["a/1.png"]);
    unreadable(&root.path().join("missing"));
    assert_eq!(unreadable(&root.path().join("a/1.png")), "not a directory");
}

#[test]
fn an_order_maps_folders_onto_the_models_classes() {
    let root = tree(&["dog/1.png", "cat/1.png"]);
    let folder = in_order(&root, ["frog", "dog", "cat"]).unwrap();
    assert_eq!(folder.class_names(), ["frog", "dog", "cat"]);
    assert_eq!(ids(&folder), ["dog/1.png", "cat/1.png"]);
    assert_eq!(labels(&folder), [1, 2]);
    assert_eq!(folder.samples()[0].label, ClassId(1));

    let error = in_order(&root, ["frog", "cat"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "class folder 'dog' in '{}' is none of the 2 classes in the order given; \
             remove the folder or name its class",
            root.path().display()
        )
    );
    let error = in_order(&root, ["cat", "dog", "cat"]).unwrap_err();
    assert!(
        error.to_string().contains("is both class 0 and class 2"),
        "{error}"
    );
}

#[test]
fn names_come_one_a_line() {
    let root = tree(&["n02/1.png", "n01/1.png"]);
    let folder = named(
        &root,
        "tench\n gold fish \n\n",
        ImageFolderConfig::default(),
    )
    .unwrap();
    assert_eq!(folder.class_names(), ["tench", "gold fish"]);
    assert_eq!(
        names_refusal(&root, "tench\n"),
        "it has 1 names for 2 class folders; without tabs, expected a name per folder"
    );
}

#[test]
fn names_come_by_folder() {
    let root = tree(&["n02/1.png", "n01/1.png"]);
    let two_columns = "n02\tgoldfish\nn01\ttench\n";
    let three_columns = "index\tsynset\tname\n0\tn01\ttench\r\n1\tn02\tgoldfish\r\n2\tn03\tshark\n";
    for names in [two_columns, three_columns] {
        let folder = named(&root, names, ImageFolderConfig::default()).unwrap();
        assert_eq!(folder.class_names(), ["tench", "goldfish"]);
    }
    // An order of folders takes its names from the file, one of names finds its folders by it.
    let by_folder = ImageFolderConfig::default().with_class_order(["n03", "n02", "n01"]);
    let by_name = ImageFolderConfig::default().with_class_order(["shark", "goldfish", "tench"]);
    for config in [by_folder, by_name] {
        let folder = named(&root, three_columns, config).unwrap();
        assert_eq!(folder.class_names(), ["shark", "goldfish", "tench"]);
        assert_eq!(ids(&folder), ["n02/1.png", "n01/1.png"]);
        assert_eq!(labels(&folder), [1, 2]);
    }
}

#[test]
fn files_of_names_that_do_not_fit_are_refused() {
    let root = tree(&["n02/1.png", "n01/1.png"]);
    for (names, reason) in [
        ("n01\ttench\n", "it has no name for class folder 'n02'"),
        (
            "n01\ttench\nn02\n",
            "line 2 has 1 columns; expected folder and name, \
             or index, folder and name, with tabs between",
        ),
        ("n01\ttench\nn01\tcarp\n", "line 2 names folder 'n01' again"),
    ] {
        assert_eq!(names_refusal(&root, names), reason);
    }
    let missing = ImageFolderConfig::default().with_class_names_file(root.path().join("missing"));
    assert!(matches!(
        ImageFolder::open(&root, &missing),
        Err(Error::Core(neuroinspect_core::Error::Read { .. }))
    ));
}

#[test]
fn one_name_for_two_folders_is_fine_until_it_must_tell_them_apart() {
    let root = tree(&["n01/1.png", "n02/1.png"]);
    let names = "n01\tcrane\nn02\tcrane\n";
    let folder = named(&root, names, ImageFolderConfig::default()).unwrap();
    assert_eq!(folder.class_names(), ["crane", "crane"]);
    let by_name = ImageFolderConfig::default().with_class_order(["crane", "crane"]);
    let error = named(&root, names, by_name).unwrap_err();
    assert!(error.to_string().contains("give folder names"), "{error}");
    // Nor may they become one class.
    let by_name = ImageFolderConfig::default().with_class_order(["crane"]);
    let error = named(&root, names, by_name).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "class folder 'n02' in '{}' is class 0 ('crane') of the order given, and so is 'n01'; \
             give folder names there, or names to the folders that tell them apart",
            root.path().display()
        )
    );
}

/// The reason in a refused file of groups.
fn groups_refusal(root: &TempDir, lines: &str) -> String {
    fs::write(root.path().join("groups.tsv"), lines).unwrap();
    match open(root) {
        Err(Error::Core(neuroinspect_core::Error::Format { path, reason, .. })) => {
            assert_eq!(path, root.path().join("groups.tsv"));
            reason
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_of_groups_says_which_image_is_in_which() {
    let root = tree(&["a/1.png", "a/deep/2.png", "b/1.png"]);
    assert!(open(&root).unwrap().group_names().is_empty());
    let before = open(&root).unwrap().fingerprint();
    let lines =
        "b/1.png\ton water\na/1.png\ton land\na/deep/2.png\ton water\n\nc/gone.png\ton ice\n";
    fs::write(root.path().join("groups.tsv"), lines).unwrap();
    let folder = open(&root).unwrap();
    assert_eq!(folder.group_names(), ["on land", "on water"]);
    let groups = folder.groups_of(&[0, 1, 2]).unwrap().unwrap();
    assert_eq!(groups.of_sample(), [0, 1, 1]);
    assert_ne!(folder.fingerprint(), before);

    // As editors on Windows write it.
    let marked = format!("\u{feff}{}", lines.replace('\n', "\r\n"));
    fs::write(root.path().join("groups.tsv"), marked).unwrap();
    let marked = open(&root).unwrap();
    assert_eq!(marked.group_names(), folder.group_names());
    let groups = marked.groups_of(&[0, 1, 2]).unwrap().unwrap();
    assert_eq!(groups.of_sample(), [0, 1, 1]);

    // One without a group is named when groups are asked for.
    fs::write(root.path().join("groups.tsv"), "b/1.png\ton water\n").unwrap();
    let folder = open(&root).unwrap();
    let error = folder.groups_of(&[0, 1, 2]).unwrap_err();
    assert!(matches!(error, Error::MissingGroup { sample, .. } if sample == "a/1.png"));
}

#[test]
fn a_file_of_groups_that_is_none_is_refused_with_its_line() {
    let root = tree(&["a/1.png", "b/1.png"]);
    for (lines, reason) in [
        (
            "a/1.png\tx\nb/1.png x\n",
            "line 2 has no tab; expected the image's path below this folder, a tab, and its group",
        ),
        (
            "a/1.png\tx\na/1.png\ty\n",
            "line 2 gives image 'a/1.png' a group again",
        ),
        (
            "a\\1.png\tx\n",
            "none of its lines names an image; the first image is 'a/1.png'",
        ),
        (
            "\n",
            "it has no lines; remove it where images have no groups",
        ),
    ] {
        assert_eq!(groups_refusal(&root, lines), reason);
    }
}

#[test]
fn a_data_set_written_as_a_folder_is_read_as_it_was() {
    let scenes = Scenes::new(ScenesConfig::test().with_samples(25)).unwrap();
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("scenes");
    // As a run that was killed leaves it.
    let ghost = place.path().join(".neuroinspect-unfinished-scenes/ghost");
    fs::create_dir_all(&ghost).unwrap();
    fs::write(ghost.join("1.png"), "half").unwrap();
    write_image_folder(&scenes, &root, &mut Silent).unwrap();
    let names = fs::read_dir(place.path()).unwrap().count();
    assert_eq!(names, 1, "nothing else is left");

    let order = ImageFolderConfig::default().with_class_order(scenes.class_names());
    let folder = ImageFolder::open(&root, &order).unwrap();
    assert_eq!(folder.class_names(), scenes.class_names());
    assert_eq!(folder.samples().len(), 25);
    let group_of = |dataset: &dyn ImageDataset, index: usize| {
        let group = dataset.samples()[index].group.unwrap();
        dataset.group_names()[group].clone()
    };
    for (index, sample) in folder.samples().iter().enumerate() {
        let written = sample
            .id
            .split_once('/')
            .unwrap()
            .1
            .strip_suffix(".png")
            .unwrap();
        let written: usize = written.parse().unwrap();
        assert_eq!(sample.label, scenes.samples()[written].label);
        assert_eq!(group_of(&folder, index), group_of(&scenes, written));
        assert_eq!(folder.image(index).unwrap(), scenes.image(written).unwrap());
    }

    let error = write_image_folder(&scenes, &root, &mut Silent).unwrap_err();
    assert!(
        matches!(error, Error::Core(neuroinspect_core::Error::Write { .. })),
        "{error}"
    );
}

#[test]
fn a_folder_that_is_not_finished_is_not_there() {
    let scenes = Scenes::new(ScenesConfig::test().with_samples(25)).unwrap();
    let place = tempfile::tempdir().unwrap();
    let mut stop = |progress: Progress<'_>| match progress.done {
        7 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let error = write_image_folder(&scenes, place.path().join("scenes"), &mut stop).unwrap_err();
    assert!(neuroinspect_core::is_cancellation(&error));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn names_that_would_be_read_otherwise_are_not_written() {
    struct Named {
        classes: Vec<String>,
        groups: Vec<String>,
        samples: Vec<Sample>,
    }
    impl ImageDataset for Named {
        fn name(&self) -> &str {
            "named"
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
        fn image(&self, _: usize) -> Result<RgbImage, Error> {
            Ok(RgbImage::new(1, 1))
        }
    }
    let place = tempfile::tempdir().unwrap();
    let write = |classes: [&str; 2], group: &str| {
        let sample = Sample {
            id: "one".to_owned(),
            label: ClassId(0),
            group: Some(0),
        };
        let dataset = Named {
            classes: classes.map(str::to_owned).to_vec(),
            groups: vec![group.to_owned()],
            samples: vec![sample],
        };
        write_image_folder(&dataset, place.path().join("named"), &mut Silent)
    };
    for classes in [
        ["a/b", "c"],
        ["a", "a"],
        ["", "b"],
        [".a", "b"],
        ["a\tb", "c"],
        ["a", "b "],
    ] {
        let error = write(classes, "group").unwrap_err();
        assert!(
            matches!(error, Error::ClassFolder { .. }),
            "{classes:?}: {error}"
        );
    }
    for group in ["", "on land ", "on\tland", "on\nland"] {
        let error = write(["a", "b"], group).unwrap_err().to_string();
        assert!(error.starts_with("name of a group = "), "{error}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    write(["a", "b"], "on land, or so").unwrap();
}

#[test]
fn outlines_are_called_as_their_images_are() {
    let root = tree(&["a/1.png", "a/deep/2.png", "b/1.png"]);
    let outlines = tree(&["b/1.png", "a/1.png"]);
    let config = ImageFolderConfig::default().with_outlines(outlines.path());
    let folder = ImageFolder::open(root.path(), &config).unwrap();
    let red = |index| {
        folder
            .outline(index)
            .unwrap()
            .map(|it| it.get_pixel(0, 0).0[0])
    };
    assert_eq!([red(0), red(1), red(2)], [Some(1), None, Some(0)]);
    assert!(matches!(
        folder.outline(3),
        Err(Error::SampleOutOfRange { index: 3, .. })
    ));
    assert_eq!(open(&root).unwrap().outline(0).unwrap(), None);

    // An image of another format has one, too; a file that is no image is an error.
    fs::rename(root.path().join("a/1.png"), root.path().join("a/1.jpg")).unwrap();
    fs::write(outlines.path().join("b/1.png"), "not an image").unwrap();
    let folder = ImageFolder::open(root.path(), &config).unwrap();
    assert!(folder.outline(0).unwrap().is_some());
    assert!(matches!(folder.outline(2), Err(Error::Decode { .. })));

    // Those of other images are none.
    let others = tree(&["c/1.png"]);
    let config = ImageFolderConfig::default().with_outlines(others.path());
    let error = ImageFolder::open(root.path(), &config)
        .unwrap_err()
        .to_string();
    let expected = others.path().join("a/1.png");
    assert!(error.contains(&expected.display().to_string()), "{error}");
}
