//! Oxford 102 Flowers (Nilsback and Zisserman 2008): images by number, labels and parts in MATLAB files.

use neuroinspect_core::Error as CoreError;

use crate::{
    Result,
    published::{
        PublishedConfig,
        files::Files,
        listing::{Item, Listed, Listing, names},
        matlab,
    },
};

const EXPECTED: &str = "a MATLAB file of Flowers-102";

/// Lists training, validation and test images in turn, each in the order of its array in `setid.mat`.
pub(in crate::published) fn list(files: &Files, _: &PublishedConfig) -> Result<Listing> {
    let mut listing = Listing::new(&["train", "validation", "test"]);
    listing.class_names = names(include_str!("../classes/flowers.txt"));
    let (path, bytes) = files.bytes("imagelabels.mat")?;
    let (set_path, set_bytes) = files.bytes("setid.mat")?;
    let format = |path, reason| CoreError::Format {
        path,
        expected: EXPECTED,
        reason,
    };
    let read = |path: &std::path::PathBuf, bytes: &[u8], array: &str| {
        let mut arrays = matlab::arrays(bytes).map_err(|reason| format(path.clone(), reason))?;
        let found = arrays.remove(array);
        found.ok_or_else(|| {
            format(
                path.clone(),
                format!("it has no array '{array}' of numbers"),
            )
        })
    };
    let labels = read(&path, &bytes, "labels")?;
    listing.origin(set_path.clone());
    for (part, array) in ["trnid", "valid", "tstid"].into_iter().enumerate() {
        for (place, number) in read(&set_path, &set_bytes, array)?.into_iter().enumerate() {
            let place = place + 1;
            let image = counted(number, labels.len());
            let image = image.ok_or_else(|| {
                let last = labels.len();
                let reason = format!(
                    "number {place} of '{array}' is {number}; expected one from 1 to {last}"
                );
                format(set_path.clone(), reason)
            })?;
            let label = counted(labels[image], listing.class_names.len());
            let label = label.ok_or_else(|| {
                let (value, last) = (labels[image], listing.class_names.len());
                let place = image + 1;
                let reason =
                    format!("number {place} of 'labels' is {value}; expected one from 1 to {last}");
                format(path.clone(), reason)
            })?;
            let id = format!("jpg/image_{:05}.jpg", image + 1);
            listing.items.push(Item {
                image: Listed::Named(id.clone()),
                id,
                label,
                group: None,
                part,
                origin: (0, 0),
            });
        }
    }
    Ok(listing)
}

/// A number that counts from 1, counted from 0.
fn counted(number: f64, count: usize) -> Option<usize> {
    let whole = number.fract() == 0.0 && number >= 1.0 && number <= count as f64;
    whole.then(|| number as usize - 1)
}
