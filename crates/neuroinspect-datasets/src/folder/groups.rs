//! Which group each image of a folder is in.

use std::{collections::HashMap, fs, io::Read, path::Path};

use neuroinspect_core::{
    Error as CoreError,
    io::{open_regular, without_byte_order_mark},
};

use super::GROUPS_FILE;
use crate::{Result, Sample};

const EXPECTED: &str = "the groups of images";

/// Sets the groups of samples where the root has a file of them; the names of the groups, in byte order.
pub(super) fn assign(root: &Path, samples: &mut [Sample]) -> Result<Vec<String>> {
    let path = root.join(GROUPS_FILE);
    if fs::symlink_metadata(&path).is_err() {
        return Ok(Vec::new());
    }
    let mut text = String::new();
    open_regular(&path)?
        .read_to_string(&mut text)
        .map_err(|source| CoreError::Read {
            path: path.clone(),
            source,
        })?;
    let of_id = parse(&text).map_err(|reason| CoreError::Format {
        path: path.clone(),
        expected: EXPECTED,
        reason,
    })?;
    let group_of = |sample: &Sample| of_id.get(sample.id.as_str()).copied();
    let mut names: Vec<_> = samples.iter().filter_map(group_of).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        let first = samples.first().map_or("", |sample| &sample.id);
        let reason = format!("none of its lines names an image; the first image is '{first}'");
        return Err(CoreError::Format {
            path,
            expected: EXPECTED,
            reason,
        }
        .into());
    }
    let group = |sample: &Sample| names.binary_search(&group_of(sample)?).ok();
    let groups: Vec<_> = samples.iter().map(group).collect();
    for (sample, group) in samples.iter_mut().zip(groups) {
        sample.group = group;
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// The group of each id.
fn parse(text: &str) -> Result<HashMap<&str, &str>, String> {
    let mut of_id = HashMap::new();
    let lines = without_byte_order_mark(text).lines().enumerate();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let line_number = number + 1;
        let Some((id, group)) = line.split_once('\t') else {
            return Err(format!(
                "line {line_number} has no tab; expected the image's path below this folder, a tab, \
                 and its group"
            ));
        };
        if of_id.insert(id, group).is_some() {
            return Err(format!(
                "line {line_number} gives image '{id}' a group again"
            ));
        }
    }
    match of_id.is_empty() {
        true => Err("it has no lines; remove it where images have no groups".to_owned()),
        false => Ok(of_id),
    }
}
