//! What is damaged is refused with file and line.

use neuroinspect_datasets::published::{Published, PublishedConfig};

use super::fixtures::{self, ATTRIBUTES, FMOW, PARTITION, error, matlab, pickle};

/// Writes a file of a data set anew and checks the error: its file, and how it goes on.
#[track_caller]
fn refused(name: &str, folder: &neuroinspect_testing::files::Folder, expected: &str) {
    let found = error(name, folder).to_string();
    assert!(
        found.contains(expected),
        "{found}\n  does not contain\n{expected}"
    );
}

#[test]
fn a_wrong_row_of_waterbirds_is_named_by_its_line() {
    let header = "img_id,img_filename,y,split,place\n";
    let good = "1,001.Albatross/a.jpg,1,0,1\n";
    for (rows, message) in [
        (
            "2,002.Sparrow/b.jpg,2,0,0\n",
            "line 3: y is '2'; expected a number from 0 to 1",
        ),
        ("2,002.Sparrow/b.jpg,NaN,0,0\n", "line 3: y is 'NaN'"),
        ("2,002.Sparrow/b.jpg,1.0,0,0\n", "line 3: y is '1.0'"),
        (
            "2,002.Sparrow/b.jpg,0,3,0\n",
            "line 3: split is '3'; expected a number from 0 to 2",
        ),
        ("2,002.Sparrow/b.jpg,0,0,-1\n", "line 3: place is '-1'"),
        ("2,002.Sparrow/b.jpg,0,0\n", "line 3: CSV error"),
        ("2,,0,0,0\n", "line 3: img_filename is empty"),
        (
            "2,002.Sparrow/z.jpg,0,0,0\n",
            "line 3: image '002.Sparrow/z.jpg' is not there",
        ),
        (
            good,
            "line 3: '001.Albatross/a.jpg' is listed twice, first in line 2",
        ),
        (
            "2,../a.jpg,0,0,0\n",
            "line 3: it names the file \"../a.jpg\"",
        ),
        (
            "2,/etc/passwd,0,0,0\n",
            "line 3: it names the file \"/etc/passwd\"",
        ),
    ] {
        let folder = fixtures::waterbirds();
        folder.write("metadata.csv", format!("{header}{good}{rows}"));
        refused("waterbirds", &folder, message);
        refused("waterbirds", &folder, "metadata.csv'");
    }
    let folder = fixtures::waterbirds();
    folder.write("metadata.csv", "img_id,img_filename,label,split,place\n");
    refused(
        "waterbirds",
        &folder,
        "line 1: there is no column 'y'; there are: img_id, img_filename, label",
    );
    folder.write("metadata.csv", header);
    refused("waterbirds", &folder, "samples in waterbirds");
    folder.write("metadata.csv", b"img_id\xff\n");
    refused("waterbirds", &folder, "invalid utf-8");
    std::fs::remove_file(folder.path("metadata.csv")).unwrap();
    refused("waterbirds", &folder, "metadata.csv");
}

#[test]
fn a_wrong_row_of_celeba_is_named_by_its_line() {
    for (attributes, partition, message) in [
        (
            ATTRIBUTES.replace("-1 -1  1", "-1 0 1"),
            PARTITION.into(),
            "line 5: Male is '0'; expected 1 or -1",
        ),
        (
            ATTRIBUTES.replace("-1 -1  1", "NaN -1 1"),
            PARTITION.into(),
            "line 5: Blond_Hair is 'NaN'",
        ),
        (
            ATTRIBUTES.replace("-1 -1  1", "-1 -1"),
            PARTITION.into(),
            "line 5: '000003.jpg' has 2 attributes; expected 3",
        ),
        (
            ATTRIBUTES.replace("3\n", "4\n"),
            PARTITION.into(),
            "line 1: it has 4 images by this line, and 3 rows",
        ),
        (
            ATTRIBUTES.replace("3\n", "many\n"),
            PARTITION.into(),
            "line 1: 'many' is no number of images",
        ),
        (
            ATTRIBUTES.replace("Male", "Man"),
            PARTITION.into(),
            "line 2: there is no attribute 'Male'",
        ),
        (
            ATTRIBUTES.into(),
            PARTITION.replace(" 1\n", " 3\n"),
            "line 3: the part of '000003.jpg' is '3'",
        ),
        (
            ATTRIBUTES.into(),
            PARTITION.replace("3.jpg", "1.jpg"),
            "line 3: '000001.jpg' is given a part again",
        ),
        (
            ATTRIBUTES.into(),
            "000001.jpg 0\n".into(),
            "line 4: '000002.jpg' is in no part",
        ),
        (
            String::new(),
            PARTITION.into(),
            "line 1: '' is no number of images",
        ),
    ] {
        let folder = fixtures::celeba();
        folder.write("list_attr_celeba.txt", attributes);
        folder.write("list_eval_partition.txt", partition);
        refused("celeba", &folder, message);
    }
    let folder = fixtures::celeba();
    std::fs::remove_file(folder.path("img_align_celeba/000002.jpg")).unwrap();
    refused(
        "celeba",
        &folder,
        "line 4: image 'img_align_celeba/000002.jpg' is not there",
    );
}

#[test]
fn wrong_lists_are_named_by_their_lines() {
    let folder = fixtures::food();
    folder.write("food-101/meta/test.txt", "apple_pie/20\npie/1\n");
    refused(
        "food101",
        &folder,
        "test.txt' is not a list of Food-101's images: line 2: 'pie' is none of the 2 classes",
    );
    folder.write("food-101/meta/test.txt", "apple_pie\n");
    refused("food101", &folder, "line 1: 'apple_pie' is no class/number");
    folder.write("food-101/meta/test.txt", "apple_pie/0\n");
    refused(
        "food101",
        &folder,
        "line 1: 'apple_pie/0' is listed in another file, too",
    );

    let folder = fixtures::sun();
    folder.write("Testing_01.txt", "/a/abbey/sun_a.jpg\n/b/barn/x.jpg\n");
    refused(
        "sun397",
        &folder,
        "Testing_01.txt' is not a partition of SUN397: line 2: '/b/barn' is none of the 2",
    );

    for (wrong, message) in [
        (
            FMOW.replace("zoo,FRA", "moon,FRA").replace("2014", "2004"),
            "line 3: 'moon' is none of the 62 classes",
        ),
        (FMOW.replace("2017-01", "NaN"), "line 6: timestamp is 'NaN"),
        (
            FMOW.replace("seq,d", "sequel,d"),
            "line 5: split is 'sequel'",
        ),
        (
            FMOW.replace("timestamp", "time"),
            "line 1: there is no column 'timestamp'",
        ),
    ] {
        let folder = fixtures::fmow();
        folder.write("rgb_metadata.csv", wrong);
        refused("fmow", &folder, message);
    }
}

#[test]
fn wrong_matlab_files_and_numbers_in_them_are_named() {
    let folder = fixtures::flowers();
    folder.write("imagelabels.mat", matlab(&[("labels", &[103, 1, 4, 4])]));
    refused(
        "flowers102",
        &folder,
        "imagelabels.mat' is not a MATLAB file of Flowers-102: number 1 of 'labels' is 103; expected one from 1 to 102",
    );
    folder.write("imagelabels.mat", matlab(&[("labels", &[1, 0, 4, 4])]));
    refused("flowers102", &folder, "number 2 of 'labels' is 0");
    folder.write("imagelabels.mat", matlab(&[("labels", &[1, 1, 4])]));
    refused(
        "flowers102",
        &folder,
        "setid.mat' is not a MATLAB file of Flowers-102: number 1 of 'tstid' is 4; expected one from 1 to 3",
    );
    folder.write("imagelabels.mat", matlab(&[("names", &[1, 1, 4, 4])]));
    refused("flowers102", &folder, "it has no array 'labels' of numbers");
    folder.write(
        "imagelabels.mat",
        &matlab(&[("labels", &[1, 1, 4, 4])])[..140],
    );
    refused("flowers102", &folder, "it ends in the middle of an array");
    let folder = fixtures::flowers();
    let sets: [(&str, &[u16]); 3] = [("trnid", &[3]), ("valid", &[3]), ("tstid", &[4, 2])];
    folder.write("setid.mat", matlab(&sets));
    refused(
        "flowers102",
        &folder,
        "'jpg/image_00003.jpg' is listed twice",
    );
}

#[test]
fn wrong_batches_of_cifar_are_named() {
    let folder = fixtures::cifar10();
    let batch = "cifar-10-batches-bin/data_batch_3.bin";
    let mut bytes = folder.read(batch);
    bytes[3073] = 9;
    folder.write(batch, &bytes);
    refused(
        "cifar10",
        &folder,
        "data_batch_3.bin' is not a batch of CIFAR's binary version: image 1 is of class 9; there are 3",
    );
    folder.write(batch, &bytes[..6000]);
    refused(
        "cifar10",
        &folder,
        "it has 6000 bytes, which are no whole images of 3073 bytes",
    );
    std::fs::remove_file(folder.path(batch)).unwrap();
    refused("cifar10", &folder, "data_batch_3.bin");
}

#[test]
fn a_pickle_that_would_run_something_is_refused() {
    let folder = fixtures::metashift();
    let config = PublishedConfig::default()
        .with_classes(vec!["cat".to_owned()])
        .with_context("cat(sofa)");
    folder.write(
        "full-candidate-subsets.pkl",
        b"cposix\nsystem\n(X\x02\0\0\0lstR.",
    );
    let error = Published::open("metashift", &folder, &config)
        .unwrap_err()
        .to_string();
    assert!(error.contains("subsets.pkl' is not a pickle of MetaShift's subsets: at byte 0: it asks for posix.system"), "{error}");
    let others: Vec<String> = (1000..1101).map(|number| number.to_string()).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    folder.write(
        "full-candidate-subsets.pkl",
        pickle(&[("cat(sofa)", &["1", "../../2"]), ("cat(rug)", &others)]),
    );
    let error = Published::open("metashift", &folder, &config)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("it names the file \"images/../../2.jpg\""),
        "{error}"
    );
}

#[test]
fn wrong_class_folders_are_named() {
    let folder = fixtures::imagenet();
    folder.write("train/n99999999/x.JPEG", "");
    refused(
        "imagenet",
        &folder,
        "folder 'n99999999' is none of the 1000 classes",
    );
    let empty = neuroinspect_testing::files::Folder::new();
    refused("lego", &empty, "there are no images in folders");
}
