//! Models that the command line names as they are called on the hub, `hf://OWNER/NAME`.

use std::path::PathBuf;

use anyhow::Result;
use neuroinspect::models::clip::ClipConfig;
#[cfg(feature = "hub")]
use neuroinspect::models::hub::{Hub, HubConfig};

#[cfg(feature = "hub")]
use crate::console::Console;
use crate::{args::Common, model::Named};

/// Whether this is the name of a model on the hub.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with("hf://")
}

/// A classifier of the hub; its weights are downloaded if they are asked for.
#[cfg(feature = "hub")]
pub(crate) fn classifier(common: &Common, name: &str, with_weights: bool) -> Result<Named> {
    let mut console = Console::start(common.quiet)?;
    let found = hub(common)?.classifier(&name.parse()?, &mut console)?;
    let weights = match with_weights {
        true => Some(found.weights(&mut console)?),
        false => None,
    };
    Ok(Named {
        model: found.architecture,
        weights,
        input: Some(found.input),
        classes: Some(found.classes).filter(|&classes| classes > 0),
        class_names: found.class_names,
    })
}

/// A CLIP of the hub, and its weights.
#[cfg(feature = "hub")]
pub(crate) fn clip(common: &Common, name: &str) -> Result<(ClipConfig, PathBuf)> {
    let mut console = Console::start(common.quiet)?;
    let found = hub(common)?.clip(&name.parse()?, &mut console)?;
    let weights = found.weights(&mut console)?;
    Ok((found.config, weights))
}

#[cfg(feature = "hub")]
fn hub(common: &Common) -> Result<Hub> {
    let mut config = HubConfig::from_env()?;
    config.offline |= common.offline;
    Ok(Hub::new(config)?)
}

#[cfg(not(feature = "hub"))]
pub(crate) fn classifier(_: &Common, name: &str, _: bool) -> Result<Named> {
    Err(not_built_in(name))
}

#[cfg(not(feature = "hub"))]
pub(crate) fn clip(_: &Common, name: &str) -> Result<(ClipConfig, PathBuf)> {
    Err(not_built_in(name))
}

#[cfg(not(feature = "hub"))]
fn not_built_in(name: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "'{name}' is on the hub, which this build cannot ask: install it with --features hub"
    )
}
