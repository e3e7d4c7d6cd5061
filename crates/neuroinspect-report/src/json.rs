//! JSON that says what it is.

use std::path::Path;

use neuroinspect_core::io::{read_text, write_atomically};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Error, Result};

/// Which kind of JSON a file holds, and in which version.
///
/// The version rises when what was there is named differently or means something else; what is added
/// leaves it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Schema {
    /// Its name.
    #[serde(rename = "schema")]
    pub name: &'static str,
    /// Its version.
    #[serde(rename = "schema_version")]
    pub version: u32,
}

impl Schema {
    /// [`Findings`](crate::Findings).
    pub const FINDINGS: Self = Self::new("neuroinspect.findings", 4);
    /// An [`Evaluation`](crate::Evaluation).
    pub const EVALUATION: Self = Self::new("neuroinspect.evaluation", 2);

    /// A `UnitReport`.
    pub const UNITS: Self = Self::new("neuroinspect.units", 1);
    /// A `CheckReport`.
    pub const CHECK: Self = Self::new("neuroinspect.check", 1);
    /// An `AtlasIndex`.
    pub const ATLAS: Self = Self::new("neuroinspect.atlas", 1);

    /// A kind of JSON.
    pub const fn new(name: &'static str, version: u32) -> Self {
        Self { name, version }
    }
}

#[derive(Serialize)]
struct Document<'a, T> {
    #[serde(flatten)]
    schema: Schema,
    #[serde(flatten)]
    value: &'a T,
}

/// A value as indented JSON, `schema` and `schema_version` before its own keys.
///
/// # Errors
///
/// [`Error::Json`] when the value is not an object in JSON.
pub fn to_json<T: Serialize>(schema: Schema, value: &T) -> Result<String> {
    let mut json = serde_json::to_string_pretty(&Document { schema, value }).map_err(|source| {
        Error::Json {
            schema: schema.name,
            source,
        }
    })?;
    json.push('\n');
    Ok(json)
}

/// Writes a value as [`to_json`] gives it, whole or not at all.
///
/// # Errors
///
/// As [`to_json`], and when the file cannot be written.
pub fn write_json<T: Serialize>(path: impl AsRef<Path>, schema: Schema, value: &T) -> Result<()> {
    let json = to_json(schema, value)?;
    write_atomically(path, |out| out.write_all(json.as_bytes()))?;
    Ok(())
}

/// Reads what [`write_json`] wrote.
///
/// # Errors
///
/// When the file cannot be read, and [`Error::NotJson`] when it does not hold what is expected.
pub fn read_json<T: DeserializeOwned>(path: impl AsRef<Path>, schema: Schema) -> Result<T> {
    let path = path.as_ref();
    let refuse = |reason: String| Error::NotJson {
        path: path.to_owned(),
        expected: schema.name,
        version: schema.version,
        reason,
    };
    let text = read_text(path)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    let (name, version) = (&value["schema"], &value["schema_version"]);
    if name != schema.name || *version != schema.version {
        return Err(refuse(format!("its schema is {name} in version {version}")));
    }
    serde_json::from_value(value).map_err(|error| refuse(error.to_string()))
}
