//! `check`: what is there, what is missing, what is not as published.

use neuroinspect_core::Silent;
use neuroinspect_datasets::published::{
    Content, PublishedCheck, PublishedConfig, check, published_named,
};
use neuroinspect_testing::files::Folder;

use super::fixtures;

fn checked(name: &str, folder: &Folder) -> PublishedCheck {
    check(name, folder, &PublishedConfig::default(), &mut Silent).unwrap()
}

#[test]
fn missing_images_are_counted_and_named_with_their_lines() {
    let folder = fixtures::waterbirds();
    for name in ["001.Albatross/a.jpg", "002.Sparrow/c.jpg"] {
        std::fs::remove_file(folder.path(name)).unwrap();
    }
    let found = checked("waterbirds", &folder);
    assert!(!found.is_complete());
    assert_eq!(found.missing_images, 2);
    assert_eq!(found.files[0].content, Content::Absent);
    let problems = &found.problems;
    assert!(
        problems[0].ends_with("line 2: image '001.Albatross/a.jpg' is not there"),
        "{problems:?}"
    );
    assert!(
        problems[1].ends_with("line 4: image '002.Sparrow/c.jpg' is not there"),
        "{problems:?}"
    );
    assert_eq!(
        problems[2],
        "part 'train' has 2 images, and 4795 as published"
    );
    assert_eq!(found.parts[2].images, 1);
    assert_eq!(problems.len(), 5);
}

#[test]
fn a_data_set_without_published_counts_is_complete_when_all_is_there() {
    let found = checked("lego", &fixtures::lego());
    assert!(found.is_complete(), "{:?}", found.problems);
    assert_eq!(found.parts[0].images, 16);
    let found = checked("celeba", &fixtures::waterbirds());
    assert!(
        found.problems[0].contains("list_attr_celeba.txt"),
        "{:?}",
        found.problems
    );
    assert!(found.parts.is_empty());
}

#[test]
fn a_file_is_compared_with_its_published_checksum() {
    let folder = fixtures::celeba();
    let zip = fixtures::zip_of_folder(&folder.path("img_align_celeba"), "img_align_celeba/");
    folder.write("img_align_celeba.zip", zip);
    let found = checked("celeba", &folder);
    let Content::Differs {
        expected,
        found: md5,
    } = &found.files[0].content
    else {
        panic!("{:?}", found.files);
    };
    assert_eq!(expected, "00d2c5bc6d35e252742224ab0c1e8fcb");
    assert_eq!(md5.len(), 32);
    assert!(found.problems[0].starts_with("'img_align_celeba.zip' has the MD5"));
    assert!(
        check(
            "celeba",
            folder.path("none"),
            &PublishedConfig::default(),
            &mut Silent
        )
        .unwrap()
        .problems[0]
            .contains("none")
    );
}

#[test]
fn checksums_are_those_of_md5() {
    let file = published_named("waterbirds").unwrap().files[0];
    let folder = Folder::new();
    let path = folder.write("abc", "abc");
    let content = |md5| {
        let file = neuroinspect_datasets::published::PublishedFile { md5, ..file };
        neuroinspect_datasets::published::check_file(&path, &file, &mut Silent).unwrap()
    };
    // RFC 1321, appendix A.5.
    assert_eq!(
        content(Some("900150983cd24fb0d6963f7d28e17f72")),
        Content::AsPublished
    );
    assert_eq!(content(None), Content::Unknown);
}
