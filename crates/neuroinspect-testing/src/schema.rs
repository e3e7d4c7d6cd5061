//! JSON held to the JSON Schemas in `docs/schemas`.
//!
//! The part of draft 2020-12 that derived schemas are written in, and nothing besides: at another keyword it panics.
//! It is stricter than a validator in one thing: a key that the schema does not name is reported, though others may
//! have it, as a file of ours that has it is not described by its schema.

use std::{
    collections::BTreeSet,
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::pages::root;

/// Where the schemas are.
pub fn folder() -> PathBuf {
    root().join("docs/schemas")
}

/// The file of the schema that is called so, such as `neuroinspect.edit`.
pub fn file(name: &str) -> PathBuf {
    let short = name.strip_prefix("neuroinspect.").unwrap_or(name);
    folder().join(format!("{short}.json"))
}

/// Holds all files of JSON in a folder, and below, to their schemas. Files without one are passed over.
///
/// # Panics
///
/// When a file is not as its schema says.
pub fn check_all(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_json = path.extension().is_some_and(|it| it == "json");
        match path.symlink_metadata().unwrap().file_type() {
            kind if kind.is_dir() => check_all(&path),
            kind if kind.is_file() && is_json => check(&path),
            _ => {}
        }
    }
}

/// Holds a file to its schema, if it has one.
///
/// # Panics
///
/// When it is not as its schema says.
pub fn check(path: &Path) {
    let Ok(value) = serde_json::from_slice::<Value>(&fs::read(path).unwrap()) else {
        return;
    };
    let Some(name) = value.get("schema").and_then(Value::as_str) else {
        return;
    };
    let Ok(schema) = fs::read_to_string(file(name)) else {
        return;
    };
    let schema = serde_json::from_str(&schema).unwrap();
    let found = violations(&schema, &value);
    assert!(found.is_empty(), "{}: {found:#?}", path.display());
}

/// What of a value is not as a schema says, each with where it is.
pub fn violations(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let at = At {
        root: schema,
        path: String::new(),
    };
    at.whole(schema, value, &mut found);
    found
}

/// The keys of an object that a schema names; `None`: it allows any.
type Named<'a> = Option<BTreeSet<&'a str>>;

/// A place in a value.
struct At<'a> {
    root: &'a Value,
    path: String,
}

impl<'a> At<'a> {
    fn below(&self, step: impl Display) -> Self {
        Self {
            root: self.root,
            path: format!("{}/{step}", self.path),
        }
    }

    fn report(&self, what: impl Display, found: &mut Vec<String>) {
        found.push(format!("{}: {what}", self.path));
    }

    /// Holds a value to all that is said of it.
    fn whole(&self, schema: &'a Value, value: &Value, found: &mut Vec<String>) {
        let named = self.part(schema, value, found);
        if let (Some(named), Value::Object(keys)) = (named, value) {
            for key in keys.keys().filter(|key| !named.contains(key.as_str())) {
                self.report(format_args!("'{key}' is not named"), found);
            }
        }
    }

    /// Holds a value to a schema that others may stand beside.
    fn part(&self, schema: &'a Value, value: &Value, found: &mut Vec<String>) -> Named<'a> {
        let keywords = match schema {
            Value::Object(keywords) if !keywords.is_empty() => keywords,
            Value::Object(_) | Value::Bool(true) => return None,
            _ => {
                self.report("nothing is allowed here", found);
                return None;
            }
        };
        let mut named = Some(BTreeSet::new());
        for (keyword, said) in keywords {
            let fine = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "format" => true,
                "$ref" => {
                    let pointer = said.as_str().unwrap().strip_prefix('#').unwrap();
                    let schema = self.root.pointer(pointer).unwrap();
                    join(&mut named, self.part(schema, value, found));
                    true
                }
                "anyOf" | "oneOf" => {
                    let choices = said.as_array().unwrap();
                    join(
                        &mut named,
                        self.choice(choices, keyword == "oneOf", value, found),
                    );
                    true
                }
                "properties" => {
                    let properties = said.as_object().unwrap();
                    self.properties(properties, value, found);
                    join(
                        &mut named,
                        Some(properties.keys().map(String::as_str).collect()),
                    );
                    true
                }
                "additionalProperties" => {
                    let others = keywords.get("properties");
                    join(&mut named, self.others(said, others, value, found));
                    true
                }
                "required" => {
                    let keys = said.as_array().unwrap().iter();
                    let mut keys = keys.map(|key| key.as_str().unwrap());
                    value
                        .as_object()
                        .is_none_or(|value| keys.all(|key| value.contains_key(key)))
                }
                "items" | "prefixItems" => {
                    self.items(keyword, said, keywords, value, found);
                    true
                }
                "type" => match said {
                    Value::Array(types) => types.iter().any(|it| is_a(value, it)),
                    one => is_a(value, one),
                },
                "const" => value == said,
                "enum" => said.as_array().unwrap().contains(value),
                "minimum" => value.as_f64() >= said.as_f64() || !value.is_number(),
                "maximum" => value.as_f64() <= said.as_f64() || !value.is_number(),
                "minItems" => value
                    .as_array()
                    .is_none_or(|it| it.len() as u64 >= said.as_u64().unwrap()),
                "maxItems" => value
                    .as_array()
                    .is_none_or(|it| it.len() as u64 <= said.as_u64().unwrap()),
                other => panic!("{other} is no keyword that is known here"),
            };
            if !fine {
                self.report(format_args!("not of {keyword} {said}: {value}"), found);
            }
        }
        // A schema that says nothing of keys allows all: an object of any kind, for one.
        let silent = [
            "properties",
            "additionalProperties",
            "$ref",
            "anyOf",
            "oneOf",
        ];
        match silent.iter().any(|keyword| keywords.contains_key(*keyword)) {
            true => named,
            false => None,
        }
    }

    /// Holds a value to one of several schemas.
    fn choice(
        &self,
        choices: &'a [Value],
        one: bool,
        value: &Value,
        found: &mut Vec<String>,
    ) -> Named<'a> {
        let mut reasons = Vec::new();
        let mut named = Some(BTreeSet::new());
        let mut fitting = 0;
        for choice in choices {
            let mut wrong = Vec::new();
            let keys = self.part(choice, value, &mut wrong);
            match wrong.is_empty() {
                true => {
                    fitting += 1;
                    join(&mut named, keys);
                }
                false => reasons.extend(wrong),
            }
        }
        match fitting {
            0 => {
                self.report(format_args!("none of the choices: {reasons:?}"), found);
                // Which keys it would have is not known.
                named = None;
            }
            2.. if one => self.report(format_args!("{fitting} of the choices: {value}"), found),
            _ => {}
        }
        named
    }

    fn properties(
        &self,
        properties: &'a Map<String, Value>,
        value: &Value,
        found: &mut Vec<String>,
    ) {
        for (key, schema) in properties {
            if let Some(value) = value.get(key) {
                self.below(key).whole(schema, value, found);
            }
        }
    }

    /// Holds the keys to a schema that `properties` do not name.
    fn others(
        &self,
        schema: &'a Value,
        properties: Option<&Value>,
        value: &Value,
        found: &mut Vec<String>,
    ) -> Named<'a> {
        for (key, value) in value.as_object().into_iter().flatten() {
            if properties.is_none_or(|properties| properties.get(key).is_none()) {
                self.below(key).whole(schema, value, found);
            }
        }
        None
    }

    fn items(
        &self,
        keyword: &str,
        said: &'a Value,
        keywords: &'a Map<String, Value>,
        value: &Value,
        found: &mut Vec<String>,
    ) {
        let first = keywords.get("prefixItems").and_then(Value::as_array);
        let first = first.map_or(0, Vec::len);
        for (index, value) in value.as_array().into_iter().flatten().enumerate() {
            let schema = match keyword {
                "prefixItems" => said.get(index),
                _ => (index >= first).then_some(said),
            };
            if let Some(schema) = schema {
                self.below(index).whole(schema, value, found);
            }
        }
    }
}

fn join<'a>(named: &mut Named<'a>, others: Named<'a>) {
    match (named.as_mut(), others) {
        (Some(named), Some(others)) => named.extend(others),
        _ => *named = None,
    }
}

fn is_a(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("{other} is no type of JSON"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "$defs": {
                "Kind": {
                    "oneOf": [
                        { "type": "string", "enum": ["dead", "alive"] },
                        {
                            "type": "object",
                            "properties": { "held": { "type": "integer", "minimum": 0 } },
                            "required": ["held"],
                            "additionalProperties": false,
                        },
                    ],
                },
            },
            "type": "object",
            "properties": {
                "name": { "type": ["string", "null"] },
                "kind": { "$ref": "#/$defs/Kind" },
                "pair": {
                    "type": "array",
                    "prefixItems": [{ "type": "string" }, { "type": "number" }],
                    "minItems": 2,
                    "maxItems": 2,
                },
                "options": { "type": "object", "additionalProperties": { "type": "number" } },
                "anything": true,
            },
            "required": ["name"],
        })
    }

    #[test]
    fn what_fits_is_let_through() {
        for value in [
            json!({ "name": null }),
            json!({ "name": "x", "kind": "dead", "pair": ["x", 1.5] }),
            json!({ "name": "x", "kind": { "held": 3 }, "options": { "a": 1, "b": 0.5 } }),
            json!({ "name": "x", "anything": { "a": [1, "b"] } }),
        ] {
            assert_eq!(violations(&schema(), &value), [""; 0], "{value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_reported_where_it_stands() {
        for (value, place) in [
            (json!({}), ": not of required"),
            (json!([]), ": not of type"),
            (json!({ "name": 1 }), "/name: not of type"),
            (
                json!({ "name": "x", "kind": "lost" }),
                "/kind: none of the choices",
            ),
            (
                json!({ "name": "x", "kind": { "held": -1 } }),
                "/kind: none of the choices",
            ),
            (
                json!({ "name": "x", "kind": { "held": 1, "more": 1 } }),
                "/kind: none of the choices",
            ),
            (
                json!({ "name": "x", "pair": ["x"] }),
                "/pair: not of minItems",
            ),
            (
                json!({ "name": "x", "pair": ["x", "y"] }),
                "/pair/1: not of type",
            ),
            (
                json!({ "name": "x", "options": { "a": null } }),
                "/options/a: not of type",
            ),
            (json!({ "name": "x", "more": 1 }), ": 'more' is not named"),
        ] {
            let found = violations(&schema(), &value);
            assert_eq!(found.len(), 1, "{value}: {found:?}");
            assert!(found[0].starts_with(place), "{found:?}");
        }
    }
}
