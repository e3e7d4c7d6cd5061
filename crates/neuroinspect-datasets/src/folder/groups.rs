//! Which group each image of a folder is in.

use std::{collections::HashMap, fs, io::Read, path::Path};

use neuroinspect_core::{Error as CoreError, io::open_regular};

use super::GROUPS_FILE;
use crate::{Result, Sample};

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
        path,
        expected: "the groups of images",
        reason,
    })?;
    let mut names: Vec<_> = of_id.values().map(|&group| group.to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    for sample in samples {
        let group = of_id.get(sample.id.as_str());
        sample.group = group.and_then(|&group| names.iter().position(|name| name == group));
    }
    Ok(names)
}

/// The group of each id.
fn parse(text: &str) -> Result<HashMap<&str, &str>, String> {
    let mut of_id = HashMap::new();
    let lines = text.lines().map(str::trim_end).enumerate();
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
