//! Archives: read in place as folders are, and none that is hostile.

use std::{fs, io::Write, path::Path};

use neuroinspect_core::Silent;
use neuroinspect_datasets::{ImageDataset, published::extract};
use neuroinspect_testing::files::Folder;

use super::fixtures::{self, error, gzip, listed, open, tar_of, written, zip_of, zip_of_folder};

#[test]
fn archives_are_read_as_the_folders_in_them() {
    let folder = fixtures::waterbirds();
    let birds = open("waterbirds", &folder);
    let top = "waterbird_complete95_forest2water2/";
    let tar = tar_of(folder.as_ref(), top);
    for (name, bytes) in [
        ("birds.tar", tar.clone()),
        ("birds.tar.gz", gzip(&tar)),
        ("flat.tgz", gzip(&tar_of(folder.as_ref(), "./"))),
        ("birds.zip", zip_of_folder(folder.as_ref(), top)),
    ] {
        let (_folder, path) = written(name, &bytes);
        let read = open("waterbirds", &path);
        // In the order of the metadata, though the archive has another.
        assert_eq!(listed(&read), listed(&birds), "{name}");
        for index in 0..birds.samples().len() {
            assert_eq!(read.image(index).unwrap(), birds.image(index).unwrap());
        }
        assert!(read.fingerprint().is_some());
        let beside = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "nothing is left beside the archive");
    }
}

#[test]
fn a_folder_of_published_files_is_a_data_set() {
    let folder = fixtures::celeba();
    let faces = open("celeba", &folder);
    let published = Folder::new();
    for name in ["list_attr_celeba.txt", "list_eval_partition.txt"] {
        published.write(name, folder.read(name));
    }
    let zip = zip_of_folder(&folder.path("img_align_celeba"), "img_align_celeba/");
    published.write("img_align_celeba.zip", zip);
    let read = open("celeba", &published);
    assert_eq!(listed(&read), listed(&faces));
    assert_eq!(read.image(2).unwrap(), faces.image(2).unwrap());

    let folder = fixtures::flowers();
    let published = Folder::new();
    for name in ["imagelabels.mat", "setid.mat"] {
        published.write(name, folder.read(name));
    }
    published.write("102flowers.tgz", gzip(&tar_of(&folder.path("jpg"), "jpg/")));
    let read = open("flowers102", &published);
    assert_eq!(
        read.image(0).unwrap(),
        open("flowers102", &folder).image(0).unwrap()
    );

    let (_folder, path) = written(
        "lego.zip",
        &zip_of_folder(fixtures::lego().as_ref(), "bricks/"),
    );
    assert_eq!(open("lego", &path).samples().len(), 20);
    let cifar = fixtures::cifar10();
    let (_folder, path) = written("cifar-10-binary.tar.gz", &gzip(&tar_of(cifar.as_ref(), "")));
    assert_eq!(
        open("cifar10", &path).image(3).unwrap().get_pixel(0, 0).0,
        [12, 112, 212]
    );
}

/// A tar with one entry of this kind, name and target, written byte by byte: builders refuse such names.
fn tar_with(name: &str, kind: tar::EntryType, target: &str) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_size(if target.is_empty() { 3 } else { 0 });
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    if target.is_empty() {
        bytes.extend(b"bad");
    }
    bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
    bytes
}

#[track_caller]
fn refused(name: &str, bytes: &[u8], message: &str) {
    let (folder, path) = written(name, bytes);
    let target = folder.path("data");
    fs::create_dir(&target).unwrap();
    let found = extract(&path, &target, &mut Silent).unwrap_err();
    let found = neuroinspect_core::with_causes(&found);
    assert!(
        found.contains(message),
        "{found}\n  does not contain\n{message}"
    );
    assert!(found.contains(name), "{found}");
    let read = neuroinspect_core::with_causes(&error("waterbirds", &path));
    assert!(read.contains(message), "{read}");
    let left: Vec<_> = fs::read_dir(&target).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!folder.path("escaped").exists());
}

#[test]
fn nothing_leaves_the_folder() {
    let escapes = [
        "../escaped",
        "a/../../escaped",
        "/escaped",
        "a\\..\\escaped",
        "c:escaped",
        "./",
    ];
    for name in escapes {
        let message = "would leave the folder that it is extracted to";
        refused(
            "evil.tar",
            &tar_with(name, tar::EntryType::Regular, ""),
            message,
        );
        if name != "./" {
            refused("evil.zip", &zip_of(&[(name, b"bad")]), message);
        }
    }
    for (kind, target) in [
        (tar::EntryType::Symlink, "../escaped"),
        (tar::EntryType::Symlink, "inside"),
        (tar::EntryType::Link, "/etc/passwd"),
        (tar::EntryType::Fifo, "x"),
    ] {
        refused(
            "links.tar",
            &tar_with("link", kind, target),
            "which is not extracted",
        );
    }
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.add_symlink("link", "../escaped", options).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    refused("links.zip", &bytes, "is a link, which is not extracted");
}

#[test]
fn bombs_are_refused_before_they_are_extracted() {
    let zeros = vec![0; 80 << 20];
    let zip = zip_of(&[("zeros", &zeros)]);
    assert!(zip.len() < 1 << 20);
    refused("bomb.zip", &zip, "it expands to more than");
    refused("bomb.tar.gz", &gzip(&zeros), "it expands to more than");
}

#[test]
fn what_is_no_archive_or_half_of_one_is_refused() {
    let folder = fixtures::waterbirds();
    let tar = tar_of(folder.as_ref(), "");
    refused(
        "note.tar",
        b"not an archive",
        "it is neither a tar, a tar.gz nor a zip",
    );
    refused("empty.zip", b"", "it is neither a tar, a tar.gz nor a zip");
    refused("half.tar", &tar[..700], "it is truncated within");
    let zipped = gzip(&tar);
    refused("half.tar.gz", &zipped[..zipped.len() / 2], "half.tar.gz");
    let zip = zip_of_folder(folder.as_ref(), "");
    refused("half.zip", &zip[..zip.len() / 2], "half.zip");
}

#[test]
fn an_archive_is_extracted_whole_or_not_at_all() {
    let folder = fixtures::waterbirds();
    let (at, path) = written("birds.tgz", &gzip(&tar_of(folder.as_ref(), "birds/")));
    let target = at.path("data");
    fs::create_dir(&target).unwrap();
    let made = extract(&path, &target, &mut Silent).unwrap();
    assert_eq!(made, [target.join("birds")]);
    assert_eq!(
        listed(&open("waterbirds", &made[0])),
        listed(&open("waterbirds", &folder))
    );

    // What is there is left as it is.
    fs::write(target.join("birds/metadata.csv"), "mine").unwrap();
    assert!(extract(&path, &target, &mut Silent).unwrap().is_empty());
    assert_eq!(
        fs::read(target.join("birds/metadata.csv")).unwrap(),
        b"mine"
    );
    assert_eq!(names(&target), ["birds"]);

    // A link in the folder leads nowhere.
    let other = at.path("other");
    fs::create_dir(&other).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path("."), other.join("birds")).unwrap();
        let before = fs::read_dir(&folder).unwrap().count();
        assert!(extract(&path, &other, &mut Silent).unwrap().is_empty());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), before);
    }

    // A damaged entry: half is not left either.
    let zip = zip_of(&[("a/1", b"fine"), ("a/2", &[7; 100])]);
    let mut damaged = zip.clone();
    let place = zip.windows(3).position(|it| it == b"a/2").unwrap() + 5;
    damaged[place] ^= 0xff;
    let (_folder, path) = written("damaged.zip", &damaged);
    let third = at.path("third");
    fs::create_dir(&third).unwrap();
    assert!(extract(&path, &third, &mut Silent).is_err());
    assert!(names(&third).is_empty());

    let mut stop = |_: neuroinspect_core::Progress<'_>| std::ops::ControlFlow::Break(());
    let (_folder, path) = written("fine.zip", &zip);
    let error = extract(&path, &third, &mut stop).unwrap_err();
    assert!(neuroinspect_core::is_cancellation(&error));
    assert!(names(&third).is_empty());
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn an_image_that_is_damaged_in_an_archive_is_named() {
    let folder = fixtures::waterbirds();
    let mut image = fs::File::create(folder.path("002.Sparrow/c.jpg")).unwrap();
    image.write_all(&fixtures::picture(2)[..40]).unwrap();
    let (_folder, path) = written("birds.tar", &tar_of(folder.as_ref(), ""));
    let birds = open("waterbirds", &path);
    let error = birds.image(2).unwrap_err().to_string();
    assert!(error.contains("birds.tar/002.Sparrow/c.jpg"), "{error}");
    assert!(birds.image(1).is_ok());
    assert!(birds.image(9).is_err());
}
