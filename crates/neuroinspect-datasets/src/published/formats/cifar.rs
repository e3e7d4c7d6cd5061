//! CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in their binary version.

use neuroinspect_core::Error as CoreError;

use crate::{
    Result,
    published::{
        PublishedConfig,
        files::Files,
        listing::{Item, Listed, Listing, names},
    },
};

/// Bytes of an image: 32 x 32 pixels in three colours.
const PIXELS: usize = 3 * 32 * 32;

/// Lists the five training batches, then the test batch, in their order.
pub(in crate::published) fn list_10(files: &Files, _: &PublishedConfig) -> Result<Listing> {
    let training = (1..=5).map(|number| (0, format!("data_batch_{number}.bin")));
    let batches: Vec<_> = training.chain([(1, "test_batch.bin".to_owned())]).collect();
    list(files, &batches, "batches.meta.txt", (0, 1))
}

/// Lists `train.bin`, then `test.bin`, by the fine labels or the coarse ones.
pub(in crate::published) fn list_100(files: &Files, config: &PublishedConfig) -> Result<Listing> {
    let batches = [(0, "train.bin".to_owned()), (1, "test.bin".to_owned())];
    let (label, names) = match config.label.as_deref().unwrap_or("fine") {
        "fine" => (1, "fine_label_names.txt"),
        "coarse" => (0, "coarse_label_names.txt"),
        other => return Err(PublishedConfig::wrong("label", other, "fine or coarse")),
    };
    list(files, &batches, names, (label, 2))
}

/// Lists files of records: `labels` bytes, of which number `label` is the class, then the pixels.
fn list(
    files: &Files,
    batches: &[(usize, String)],
    class_names: &str,
    (label, labels): (usize, usize),
) -> Result<Listing> {
    let mut listing = Listing::new(&["train", "test"]);
    let text = files.text(class_names, "CIFAR's names of classes")?.text;
    listing.class_names = names(&text)
        .into_iter()
        .map(|name| name.replace('_', " "))
        .collect();
    let record = labels + PIXELS;
    for (part, name) in batches {
        let (path, bytes) = files.bytes(name)?;
        let wrong = |reason| CoreError::Format {
            path: path.clone(),
            expected: "a batch of CIFAR's binary version",
            reason,
        };
        if bytes.is_empty() || bytes.len() % record != 0 {
            let length = bytes.len();
            let reason =
                format!("it has {length} bytes, which are no whole images of {record} bytes");
            return Err(wrong(reason).into());
        }
        let origin = listing.origin(&path);
        let stem = name.trim_end_matches(".bin");
        for (number, image) in bytes.chunks_exact(record).enumerate() {
            let class = usize::from(image[label]);
            let classes = listing.class_names.len();
            if class >= classes {
                let reason = format!(
                    "image {number} is of class {class}; there are {classes}, counted from 0"
                );
                return Err(wrong(reason).into());
            }
            listing.items.push(Item {
                id: format!("{stem}/{number:05}"),
                label: class,
                group: None,
                part: *part,
                image: Listed::Pixels {
                    file: listing.pixels.len(),
                    at: number * record + labels,
                },
                origin: (origin, 0),
            });
        }
        listing.pixels.push((path, bytes));
    }
    Ok(listing)
}
