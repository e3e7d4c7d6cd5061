//! JSON Schemas, out of the types.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::Schema;

/// The JSON Schema, draft 2020-12, of what [`to_json`](crate::to_json) writes of a struct: its keys with their
/// documentation, before them `schema` and `schema_version`, which have one value each.
///
/// Keys that it does not name are allowed, as they may be added without another version.
///
/// ```
/// use neuroinspect_report::{Evaluation, Schema, json_schema};
///
/// let schema = json_schema::<Evaluation>(Schema::EVALUATION);
/// assert_eq!(schema["properties"]["accuracy"]["type"], "number");
/// assert_eq!(schema["properties"]["schema_version"]["const"], 2);
/// ```
pub fn json_schema<T: JsonSchema>(schema: Schema) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut root = settings.into_generator().into_root_schema_for::<T>();
    let keys = root.ensure_object();
    keys.insert("title".to_owned(), json!(schema.name));
    let marks = [
        ("schema", json!({ "const": schema.name })),
        ("schema_version", json!({ "const": schema.version })),
    ];
    for (key, value) in marks {
        if let Value::Array(required) = keys.entry("required").or_insert_with(|| json!([])) {
            required.push(json!(key));
        }
        if let Value::Object(properties) = keys.entry("properties").or_insert_with(|| json!({})) {
            properties.insert(key.to_owned(), value);
        }
    }
    let mut root = root.to_value();
    tidy(&mut root, Place::Value);
    root
}

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// It describes a value.
    Value,
    /// It is one of several that a value may be.
    Choice,
}

/// Makes a schema that was derived from what a reader accepts, and from documentation of Rust, one of what is written.
fn tidy(schema: &mut Value, place: Place) {
    let Value::Object(keys) = schema else {
        return;
    };
    if let Some(Value::String(text)) = keys.get_mut("description") {
        *text = plain(text);
    }
    // What is read where nothing is written.
    keys.remove("default");
    // A choice has one key and no other. Elsewhere it is a reader that refuses further keys.
    if place == Place::Value && keys.get("additionalProperties") == Some(&Value::Bool(false)) {
        keys.remove("additionalProperties");
    }
    for (key, value) in keys.iter_mut() {
        match (key.as_str(), value) {
            ("properties" | "$defs", Value::Object(schemas)) => all(schemas),
            ("items" | "additionalProperties", schema) => tidy(schema, Place::Value),
            ("prefixItems", Value::Array(schemas)) => {
                for schema in schemas {
                    tidy(schema, Place::Value);
                }
            }
            ("oneOf" | "anyOf", Value::Array(schemas)) => {
                for schema in schemas {
                    tidy(schema, Place::Choice);
                }
            }
            _ => {}
        }
    }
}

fn all(schemas: &mut Map<String, Value>) {
    for (_, schema) in schemas {
        tidy(schema, Place::Value);
    }
}

/// A text of documentation with a line for each paragraph, without examples, without where its links lead, which are
/// names of Rust, and with [JSON's](in_json) for those in the text.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    // Every second part is within a fence.
    let text: String = text.split("```").step_by(2).collect();
    let mut rest = &*text;
    while let Some((before, linked)) = rest.split_once('[') {
        plain += before;
        let Some((name, after)) = linked.split_once(']') else {
            plain.push('[');
            rest = linked;
            continue;
        };
        let target = after.strip_prefix('(').and_then(|it| it.split_once(')'));
        match target {
            Some((target, after)) if !target.contains("://") => {
                plain += name;
                rest = after;
            }
            // `[N, D]` and `[0, 1]` are shapes and intervals.
            None if name.starts_with('`') && !plain.ends_with('`') => {
                plain += name;
                rest = after;
            }
            _ => {
                plain.push('[');
                rest = linked;
            }
        }
    }
    plain += rest;
    let plain = in_json(&plain);
    let paragraphs = plain.split("\n\n");
    let lines = paragraphs.map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
    let lines = lines.filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n\n")
}

/// A text that calls what is in a file as it stands there: `None` is a key that is null or absent, and `Objective::Neuron`
/// the text `neuron`.
fn in_json(text: &str) -> String {
    let mut all = String::new();
    // Every second part is code.
    for (place, part) in text.split('`').enumerate() {
        let is_name = |it: char| it.is_ascii_alphanumeric() || "_:".contains(it);
        match (place % 2, part.rsplit_once("::")) {
            (1, _) if part == "None" => {
                let begins = all.is_empty() || all.ends_with(". ") || all.ends_with("\n\n");
                all += if begins { "Null" } else { "null" };
                all += " or absent";
            }
            (1, Some((_, name))) if part.chars().all(is_name) => {
                let mut snake = String::new();
                for it in name.chars() {
                    if it.is_ascii_uppercase() && !snake.is_empty() {
                        snake.push('_');
                    }
                    snake.push(it.to_ascii_lowercase());
                }
                all += &format!("`{snake}`");
            }
            (1, _) => all += &format!("`{part}`"),
            _ => all += part,
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_of_rust_becomes_text() {
        let text = "The [`Metrics`](crate::Metrics) of\n[all](Self::all) samples, `[N, D]` or [0, 1],\n\
                    [`None`] for [the paper](https://arxiv.org/abs/2310.07184).\n\n```\nlet x = [0];\n\ny\n```\n\nMore [";
        let expected = "The `Metrics` of all samples, `[N, D]` or [0, 1], null or absent for \
                        [the paper](https://arxiv.org/abs/2310.07184).\n\nMore [";
        assert_eq!(plain(text), expected);
        let text = "`None`: none. Default [`Coupling::PerImage`](x); `None` where\n`x: f32`, see [`Recipe::steps`]; `None`: 0.";
        let expected = "Null or absent: none. Default `per_image`; null or absent where `x: f32`, see `steps`; null or absent: 0.";
        assert_eq!(plain(text), expected);
    }

    #[test]
    fn further_keys_are_allowed_but_for_those_of_a_choice() {
        #[derive(JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        struct Strict {
            choice: Choice,
        }

        impl Default for Strict {
            fn default() -> Self {
                Self {
                    choice: Choice::Held(1),
                }
            }
        }

        #[derive(JsonSchema, serde::Serialize)]
        enum Choice {
            Held(u32),
            #[expect(dead_code, reason = "it is a shape")]
            Named(String),
        }

        let schema = json_schema::<Strict>(Schema::new("neuroinspect.test", 3));
        assert!(schema.get("additionalProperties").is_none());
        assert_eq!(
            schema["required"],
            json!(["choice", "schema", "schema_version"])
        );
        assert_eq!(
            schema["properties"]["schema"],
            json!({ "const": "neuroinspect.test" })
        );
        assert!(schema["properties"]["choice"].get("default").is_none());
        for choice in schema["$defs"]["Choice"]["oneOf"].as_array().unwrap() {
            assert_eq!(choice["additionalProperties"], false);
        }
    }
}
