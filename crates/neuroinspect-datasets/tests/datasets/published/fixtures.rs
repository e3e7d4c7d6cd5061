//! Tiny data sets in the exact formats.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use neuroinspect_datasets::{
    Error, ImageDataset,
    published::{Published, PublishedConfig},
};
use neuroinspect_testing::files::{Folder, gradient};
pub(crate) use neuroinspect_testing::published::{matlab, pickle};
use zip::write::SimpleFileOptions;

/// PNG bytes of a picture that tells its number: red is `40 * number` in the corner.
pub(crate) fn picture(number: usize) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    gradient(number, 0, 4)
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// A folder with these texts, and with a picture for each of these names, numbered in their order.
pub(crate) fn folder(texts: &[(&str, &str)], images: &[&str]) -> Folder {
    let folder = Folder::new();
    for (name, text) in texts {
        folder.write(name, text);
    }
    for (number, name) in images.iter().enumerate() {
        folder.write(name, picture(number));
    }
    folder
}

pub(crate) fn waterbirds() -> Folder {
    let metadata = "img_id,img_filename,y,split,place,place_filename\n\
        1,001.Albatross/a.jpg,1,0,1,/o/ocean/1.jpg\n\
        2,002.Sparrow/b.jpg,0,0,0,\"/b/forest, broadleaf/2.jpg\"\n\
        3,002.Sparrow/c.jpg,0,2,1,/o/ocean/3.jpg\n\
        4,001.Albatross/d.jpg,1,1,0,/b/forest/4.jpg\n";
    let images = [
        "001.Albatross/a.jpg",
        "002.Sparrow/b.jpg",
        "002.Sparrow/c.jpg",
        "001.Albatross/d.jpg",
    ];
    folder(&[("metadata.csv", metadata)], &images)
}

pub(crate) const ATTRIBUTES: &str = "3\n\
    Blond_Hair Male Smiling\n\
    000001.jpg -1  1  1\n\
    000002.jpg  1 -1 -1\n\
    000003.jpg -1 -1  1\n";
pub(crate) const PARTITION: &str = "000001.jpg 0\n000002.jpg 2\n000003.jpg 1\n";

pub(crate) fn celeba() -> Folder {
    let texts = [
        ("list_attr_celeba.txt", ATTRIBUTES),
        ("list_eval_partition.txt", PARTITION),
    ];
    let images = [1, 2, 3].map(|number| format!("img_align_celeba/00000{number}.jpg"));
    folder(&texts, &images.each_ref().map(String::as_str))
}

pub(crate) fn food() -> Folder {
    let lines = |from: usize, to: usize| -> String {
        let classes = ["apple_pie", "steak"].into_iter();
        let ids =
            classes.flat_map(|class| (from..to).map(move |number| format!("{class}/{number}\n")));
        ids.collect()
    };
    let (train, test) = (lines(0, 20), lines(20, 22));
    let texts = [
        ("food-101/meta/classes.txt", "apple_pie\nsteak\n"),
        ("food-101/meta/train.txt", train.as_str()),
        ("food-101/meta/test.txt", test.as_str()),
    ];
    let ids = train.lines().chain(test.lines());
    let images: Vec<String> = ids.map(|id| format!("food-101/images/{id}.jpg")).collect();
    folder(
        &texts,
        &images.iter().map(String::as_str).collect::<Vec<_>>(),
    )
}

pub(crate) fn flowers() -> Folder {
    let images = [1, 2, 3, 4].map(|number| format!("jpg/image_{number:05}.jpg"));
    let folder = folder(&[], &images.each_ref().map(String::as_str));
    folder.write("imagelabels.mat", matlab(&[("labels", &[102, 1, 4, 4])]));
    let sets: [(&str, &[u16]); 3] = [("trnid", &[3]), ("valid", &[1]), ("tstid", &[4, 2])];
    folder.write("setid.mat", matlab(&sets));
    folder
}

pub(crate) fn sun() -> Folder {
    let images = [
        "a/abbey/sun_a.jpg",
        "a/abbey/sun_b.jpg",
        "a/athletic_field/outdoor/sun_c.jpg",
    ];
    let texts = [
        ("ClassName.txt", "/a/abbey\n/a/athletic_field/outdoor\n"),
        (
            "Training_01.txt",
            "/a/abbey/sun_b.jpg\n/a/athletic_field/outdoor/sun_c.jpg\n",
        ),
        ("Testing_01.txt", "/a/abbey/sun_a.jpg\n"),
    ];
    folder(&texts, &images)
}

pub(crate) const FMOW: &str = "split,img_filename,category,country_code,timestamp\n\
    train,a,airport,FRA,2010-01-01T00:00:00Z\n\
    train,b,zoo,FRA,2014-01-01T00:00:00Z\n\
    val,c,zoo,USA,2013-06-01T00:00:00Z\n\
    seq,d,zoo,USA,2011-06-01T00:00:00Z\n\
    test,e,airport,ATA,2017-01-01T00:00:00Z\n\
    test,f,zoo,USA,2012-12-31T23:59:59Z\n\
    val,g,zoo,USA,2012-01-01T00:00:00Z\n\
    val,h,zoo,USA,2016-01-01T00:00:00Z\n\
    test,i,zoo,USA,2015-01-01T00:00:00Z\n";

pub(crate) fn fmow() -> Folder {
    let countries = "name,alpha-3,region\nFrance,FRA,Europe\n\"United States, the\",USA,Americas\nAntarctica,ATA,\n";
    let images = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|row| format!("images/rgb_img_{row}.png"));
    folder(
        &[
            ("rgb_metadata.csv", FMOW),
            ("country_code_mapping.csv", countries),
        ],
        &images.each_ref().map(String::as_str),
    )
}

pub(crate) fn metashift() -> Folder {
    let numbers: Vec<String> = (0..600).map(|number| number.to_string()).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let subsets = [
        ("cat(rug)", &numbers[400..]),
        ("cat(sofa)", &numbers[..60]),
        // The last ten are also dogs.
        ("cat(chair)", &numbers[40..110]),
        ("dog(chair)", &numbers[100..240]),
        ("dog(grass)", &numbers[200..400]),
        ("bobcat(rock)", &numbers[390..400]),
    ];
    let folder = Folder::new();
    folder.write("full-candidate-subsets.pkl", pickle(&subsets));
    for number in numbers {
        folder.write(format!("images/{number}.jpg"), "never decoded here");
    }
    folder
}

/// A record of CIFAR's: labels, then a picture whose every byte tells its plane and number.
fn record(labels: &[u8], number: u8) -> Vec<u8> {
    let planes = [0, 1, 2].map(|plane| [100 * plane + number; 1024]);
    [labels, planes.concat().as_slice()].concat()
}

pub(crate) fn cifar10() -> Folder {
    let folder = Folder::new();
    let names = "airplane\nautomobile\nbird\n\n";
    folder.write("cifar-10-batches-bin/batches.meta.txt", names);
    for batch in 1..=5 {
        let bytes = [record(&[batch % 3], batch), record(&[0], 10 + batch)].concat();
        folder.write(
            format!("cifar-10-batches-bin/data_batch_{batch}.bin"),
            bytes,
        );
    }
    folder.write("cifar-10-batches-bin/test_batch.bin", record(&[2], 50));
    folder
}

pub(crate) fn cifar100() -> Folder {
    let folder = folder(
        &[
            ("fine_label_names.txt", "apple\naquarium_fish\n"),
            ("coarse_label_names.txt", "fish\nfruit\n"),
        ],
        &[],
    );
    folder.write("train.bin", record(&[1, 0], 1));
    folder.write("test.bin", record(&[0, 1], 2));
    folder
}

/// Any class folders.
pub(crate) fn lego() -> Folder {
    let images: Vec<String> = ["brick", "plate"]
        .into_iter()
        .flat_map(|class| (0..10).map(move |number| format!("{class}/{number}.png")))
        .collect();
    folder(&[], &images.iter().map(String::as_str).collect::<Vec<_>>())
}

pub(crate) fn imagenet() -> Folder {
    folder(
        &[],
        &[
            "train/n01440764/b.JPEG",
            "train/n01440764/a.JPEG",
            "train/n02012849/c.JPEG",
            "val/n01443537/d.JPEG",
        ],
    )
}

/// Every file below a folder, by its path in it, in an order that is not theirs.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let name = entry
                .path()
                .strip_prefix(folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            files.push((name, std::fs::read(entry.path()).unwrap()));
        }
    }
    files.sort();
    files.reverse();
    files
}

/// The tar of a folder, its names below `top`.
pub(crate) fn tar_of(folder: &Path, top: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files(folder) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, format!("{top}{name}"), bytes.as_slice())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The folder as a zip, its names below `top`.
pub(crate) fn zip_of_folder(folder: &Path, top: &str) -> Vec<u8> {
    let files: Vec<_> = files(folder);
    let files: Vec<_> = files
        .iter()
        .map(|(name, bytes)| (format!("{top}{name}"), bytes))
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    zip_of(&files)
}

/// A file in a new folder.
pub(crate) fn written(name: &str, bytes: &[u8]) -> (Folder, PathBuf) {
    let folder = Folder::new();
    let path = folder.write(name, bytes);
    assert!(File::open(&path).is_ok());
    (folder, path)
}

pub(crate) fn open(name: &str, path: impl AsRef<Path>) -> Published {
    Published::open(name, path, &PublishedConfig::default()).unwrap()
}

pub(crate) fn error(name: &str, path: impl AsRef<Path>) -> Error {
    Published::open(name, path, &PublishedConfig::default()).unwrap_err()
}

/// Id, label, group and part of each sample.
pub(crate) fn listed(dataset: &Published) -> Vec<(&str, usize, Option<usize>, &str)> {
    let split = dataset.split().unwrap();
    let parts = split
        .of_sample()
        .iter()
        .map(|&part| split.names()[part].as_str());
    let samples = dataset.samples().iter().zip(parts);
    samples
        .map(|(sample, part)| (sample.id.as_str(), sample.label.0, sample.group, part))
        .collect()
}
