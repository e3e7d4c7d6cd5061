//! What the class folders are called and which class each is.

use std::{collections::HashMap, io::Read, path::Path};

use neuroinspect_core::io::{open_regular, without_byte_order_mark};

use crate::{Error, Result, folder::ImageFolderConfig};

/// The names of the classes, and for each class folder the index of its class.
pub(super) fn resolve(
    root: &Path,
    folders: &[String],
    config: &ImageFolderConfig,
) -> Result<(Vec<String>, Vec<usize>)> {
    let names = match &config.class_names_file {
        Some(path) => read_names(path, folders)?,
        None => HashMap::new(),
    };
    let name_of = |folder: &String| names.get(folder).unwrap_or(folder).clone();
    let Some(order) = &config.class_order else {
        let class_names = folders.iter().map(name_of).collect();
        return Ok((class_names, (0..folders.len()).collect()));
    };
    let labels = folders
        .iter()
        .map(|folder| {
            place(order, folder, &name_of(folder)).map_err(|reason| Error::ClassFolder {
                root: root.to_owned(),
                folder: folder.clone(),
                reason,
            })
        })
        .collect::<Result<Vec<usize>>>()?;
    let mut folder_of = HashMap::new();
    for (folder, &class) in folders.iter().zip(&labels) {
        if let Some(first) = folder_of.insert(class, folder) {
            return Err(Error::ClassFolder {
                root: root.to_owned(),
                folder: folder.clone(),
                reason: format!(
                    "is class {class} ('{}') of the order given, and so is '{first}'; \
                     give folder names there, or names to the folders that tell them apart",
                    order[class]
                ),
            });
        }
    }
    Ok((order.iter().map(name_of).collect(), labels))
}

/// Where in the model's classes a folder is.
fn place(order: &[String], folder: &str, name: &str) -> Result<usize, String> {
    let places_of = |text: &str| -> Vec<usize> {
        let places = order.iter().enumerate();
        places
            .filter_map(|(place, entry)| (entry == text).then_some(place))
            .collect()
    };
    let mut places = places_of(folder);
    if places.is_empty() {
        places = places_of(name);
    }
    match places[..] {
        [place] => Ok(place),
        [] => Err(format!(
            "is none of the {} classes in the order given; remove the folder or name its class",
            order.len()
        )),
        [first, second, ..] => Err(format!(
            "is both class {first} and class {second} in the order given; \
             give folder names there instead of class names"
        )),
    }
}

/// Reads a file of class names: class folder to name.
fn read_names(path: &Path, folders: &[String]) -> Result<HashMap<String, String>> {
    let mut text = String::new();
    open_regular(path)?
        .read_to_string(&mut text)
        .map_err(|source| neuroinspect_core::Error::Read {
            path: path.to_owned(),
            source,
        })?;
    parse_names(&text, folders).map_err(|reason| {
        let error = neuroinspect_core::Error::Format {
            path: path.to_owned(),
            expected: "a list of class names",
            reason,
        };
        error.into()
    })
}

fn parse_names(text: &str, folders: &[String]) -> Result<HashMap<String, String>, String> {
    let text = without_byte_order_mark(text);
    let lines = text.lines().map(str::trim_end).enumerate();
    let lines: Vec<(usize, &str)> = lines.filter(|(_, line)| !line.is_empty()).collect();
    if !text.contains('\t') {
        if lines.len() != folders.len() {
            return Err(format!(
                "it has {} names for {} class folders; without tabs, expected a name per folder",
                lines.len(),
                folders.len()
            ));
        }
        let names = lines.iter().map(|&(_, name)| name.trim().to_owned());
        return Ok(folders.iter().cloned().zip(names).collect());
    }
    let mut names = HashMap::new();
    for (number, line) in lines {
        let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
        let (folder, name) = match columns[..] {
            [folder, name] | [_, folder, name] => (folder, name),
            _ => {
                return Err(format!(
                    "line {} has {} columns; expected folder and name, \
                     or index, folder and name, with tabs between",
                    number + 1,
                    columns.len()
                ));
            }
        };
        if names.insert(folder.to_owned(), name.to_owned()).is_some() {
            return Err(format!("line {} names folder '{folder}' again", number + 1));
        }
    }
    match folders.iter().find(|folder| !names.contains_key(*folder)) {
        Some(folder) => Err(format!("it has no name for class folder '{folder}'")),
        None => Ok(names),
    }
}
