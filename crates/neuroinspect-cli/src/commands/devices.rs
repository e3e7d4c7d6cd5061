//! `devices`: which devices this build has, and whether they answer.

use anyhow::Result;
use neuroinspect::core::DeviceName;
use serde::Serialize;

use crate::{args::Common, output, session::Outcome};

#[derive(Serialize)]
struct Listed {
    device: DeviceName,
    available: bool,
    /// Why not, if not.
    reason: Option<String>,
}

pub(crate) fn run(common: &Common) -> Result<Outcome> {
    let listed: Vec<_> = DeviceName::compiled()
        .into_iter()
        .map(|device| {
            let reason = device.open().err().map(|error| error.to_string());
            Listed {
                device,
                available: reason.is_none(),
                reason,
            }
        })
        .collect();
    output::print(common.json, &listed, |listed| {
        let line = |item: &Listed| match &item.reason {
            None => format!("{:<8} ready\n", item.device.to_string()),
            Some(reason) => format!("{:<8} {reason}\n", item.device.to_string()),
        };
        listed.iter().map(line).collect()
    })?;
    Ok(Outcome::Finished)
}
