//! Finding things by what people call them.

use crate::{ClassId, Error, Result};

/// Least similarity of two names, from 0 to 1, at which one is suggested for the other.
const MIN_SIMILARITY: f64 = 0.8;

/// Least number of characters of a text that is suggested the names that contain it.
const MIN_PART_LENGTH: usize = 3;

/// Prefix that says that an index follows, even where the whole text is the name of a class.
const INDEX_PREFIX: &str = "index:";

/// Most class names that a message lists.
const MAX_LISTED: usize = 12;

/// The name most like `text`, upper and lower case alike, if any is like enough to be meant.
///
/// A name that holds all of `text` and more is meant before one that is spelt like it, the shortest
/// first: `cifar_resnet20` by `resnet20`, not `resnet50`.
pub fn nearest_name<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    let names: Vec<(String, &str)> = names
        .into_iter()
        .map(|name| (name.to_lowercase(), name))
        .collect();
    let holding = names
        .iter()
        .filter(|(lower, _)| text.chars().count() >= MIN_PART_LENGTH && lower.contains(&text));
    if let Some((_, name)) = holding.min_by_key(|(lower, _)| lower.len()) {
        return Some(name);
    }
    names
        .iter()
        .map(|(lower, name)| (strsim::jaro_winkler(&text, lower), *name))
        .filter(|(likeness, _)| *likeness >= MIN_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// Resolves a class by its name, or by its index when no class bears that name.
///
/// A number that several classes bear as their name is the index of one of them, or none. Where a
/// name stands in the way of an index, `index:5` says that the index is meant, whatever the names are.
///
/// # Errors
///
/// [`Error::AmbiguousClass`] when several classes bear the name (ImageNet has two that are called
/// "crane"), [`Error::UnknownClass`] with the nearest name when none does and it is no index,
/// [`Error::ClassOutOfRange`] for an index that is too large.
///
/// ```
/// use neuroinspect_core::{ClassId, class_by_name_or_index};
///
/// let names = ["heron", "crane", "crane"].map(String::from);
/// assert_eq!(class_by_name_or_index(&names, "heron")?, ClassId(0));
/// assert_eq!(class_by_name_or_index(&names, "2")?, ClassId(2));
/// assert!(class_by_name_or_index(&names, "crane").is_err());
/// # Ok::<(), neuroinspect_core::Error>(())
/// ```
pub fn class_by_name_or_index(class_names: &[String], text: &str) -> Result<ClassId> {
    let index = text.strip_prefix(INDEX_PREFIX).map(str::parse);
    if let Some(Ok(index)) = index {
        return class_of_index(class_names, index);
    }
    let bearers: Vec<usize> = (0..class_names.len())
        .filter(|&class| class_names[class] == text)
        .collect();
    match (&bearers[..], text.parse()) {
        (&[class], _) => Ok(ClassId(class)),
        ([_, ..], Ok(class)) if bearers.contains(&class) => Ok(ClassId(class)),
        ([], Ok(index)) => class_of_index(class_names, index),
        ([], Err(_)) => Err(Error::UnknownClass {
            name: text.to_owned(),
            hint: hint(class_names, text),
        }),
        _ => {
            let shown = |&class: &usize| {
                let index = class.to_string();
                let is_name = class_names.contains(&index);
                format!("{}{index}", if is_name { INDEX_PREFIX } else { "" })
            };
            let indices: Vec<String> = bearers.iter().map(shown).collect();
            Err(Error::AmbiguousClass {
                name: text.to_owned(),
                indices: indices.join(", "),
                classes: bearers.into_iter().map(ClassId).collect(),
            })
        }
    }
}

/// What [`class_by_name_or_index`] finds a class by: its name where that tells it from the others, else `index:` and its
/// index.
///
/// ```
/// use neuroinspect_core::{ClassId, class_argument};
///
/// let names = ["heron", "crane", "crane"].map(String::from);
/// assert_eq!(class_argument(&names, ClassId(0)), "heron");
/// assert_eq!(class_argument(&names, ClassId(2)), "index:2");
/// ```
pub fn class_argument(class_names: &[String], class: ClassId) -> String {
    let name = class_names.get(class.0);
    let tells = |name: &&String| {
        let bearers = class_names.iter().filter(|other| other == name);
        bearers.count() == 1
            && class_by_name_or_index(class_names, name).is_ok_and(|it| it == class)
    };
    name.filter(tells)
        .map_or_else(|| format!("{INDEX_PREFIX}{class}"), String::clone)
}

fn class_of_index(class_names: &[String], index: usize) -> Result<ClassId> {
    let class = ClassId(index);
    class.check(class_names.len())?;
    Ok(class)
}

fn hint(class_names: &[String], text: &str) -> String {
    let classes = class_names.len();
    if let Some(nearest) = nearest_name(text, class_names.iter().map(String::as_str)) {
        return format!("did you mean '{nearest}'? (an index below {classes} will do, too)");
    }
    let hint = format!("give a name or an index below {classes}");
    if classes > MAX_LISTED {
        return hint;
    }
    format!("{hint}; the names are: {}", class_names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(names: &[String], text: &str) -> String {
        class_by_name_or_index(names, text).unwrap_err().to_string()
    }

    #[test]
    fn a_name_of_several_classes_is_refused_with_their_indices() {
        let names = ["crane", "heron", "crane"].map(String::from);
        assert_eq!(
            refusal(&names, "crane"),
            "2 classes are named 'crane'; give one of their indices: 0, 2"
        );
        // A name goes before an index, also one that is a number.
        let names = ["1", "0", "2", "2"].map(String::from);
        for (text, class) in [("1", 0), ("0", 1), ("2", 2), ("3", 3), ("index:0", 0)] {
            let found = class_by_name_or_index(&names, text).unwrap();
            assert_eq!(found, ClassId(class), "{text}");
        }
    }

    #[test]
    fn every_class_can_be_asked_for_in_a_way_that_the_message_names() {
        // Both indices of "7" are names of other classes.
        let names = ["7", "7", "0", "1", "index:2"].map(String::from);
        for class in 0..names.len() {
            let text = class_argument(&names, ClassId(class));
            let found = class_by_name_or_index(&names, &text).unwrap();
            assert_eq!(found, ClassId(class), "{text}");
        }
        assert_eq!(class_argument(&names, ClassId(2)), "0");
        assert_eq!(class_argument(&[], ClassId(2)), "index:2");
        assert_eq!(
            refusal(&names, "7"),
            "2 classes are named '7'; give one of their indices: index:0, index:1"
        );
        for (text, class) in [
            ("0", 2),
            ("index:0", 0),
            ("index:1", 1),
            ("index:2", 2), // Also where that is the name of a class.
            ("index:4", 4),
            ("index:3", 3),
        ] {
            let found = class_by_name_or_index(&names, text).unwrap();
            assert_eq!(found, ClassId(class), "{text}");
        }
        assert!(matches!(
            class_by_name_or_index(&names, "index:5"),
            Err(Error::ClassOutOfRange { .. })
        ));
        assert!(matches!(
            class_by_name_or_index(&names, "index:x"),
            Err(Error::UnknownClass { .. })
        ));
    }

    #[test]
    fn the_nearest_name_is_found_whatever_its_case() {
        let names = ["great white shark", "Tench", "goldfish"];
        assert_eq!(nearest_name("GOLDFISH", names), Some("goldfish"));
        assert_eq!(nearest_name("tench", names), Some("Tench"));
        assert_eq!(nearest_name("TENCHES", names), Some("Tench"));
        assert_eq!(nearest_name("xyz", names), None);
    }

    #[test]
    fn a_name_that_holds_all_of_the_text_is_nearest() {
        let names = ["resnet50", "cifar_resnet200", "cifar_resnet20", "ten"];
        assert_eq!(nearest_name("ResNet20", names), Some("cifar_resnet20"));
        assert_eq!(nearest_name("resnet", names), Some("resnet50"));
        assert_eq!(nearest_name("en", names), None, "too short a part");
    }

    #[test]
    fn an_unknown_name_brings_the_nearest_or_the_names_there_are() {
        let names = ["great white shark", "tench", "goldfish"].map(String::from);
        assert_eq!(
            refusal(&names, "Gold fish"),
            "no class is named 'Gold fish'; did you mean 'goldfish'? (an index below 3 will do, too)"
        );
        assert_eq!(
            refusal(&names, "xyz"),
            "no class is named 'xyz'; give a name or an index below 3; \
             the names are: great white shark, tench, goldfish"
        );
        let many: Vec<_> = (0..1000).map(|i| format!("class number {i}")).collect();
        assert_eq!(
            refusal(&many, "xyz"),
            "no class is named 'xyz'; give a name or an index below 1000"
        );
        assert!(matches!(
            class_by_name_or_index(&names, "3"),
            Err(Error::ClassOutOfRange { .. })
        ));
    }
}
