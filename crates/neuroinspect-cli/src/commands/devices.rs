//! `devices`: which devices this build has, and whether they answer.

use anyhow::Result;
use neuroinspect::{
    core::{DeviceName, Error},
    report::Schema,
};
use serde::Serialize;

use crate::{args::Common, exit::Exit, output::print};

const SCHEMA: Schema = Schema::new("neuroinspect.devices", 1);

#[derive(Serialize)]
struct Listed {
    devices: Vec<Device>,
}

#[derive(Serialize)]
struct Device {
    device: DeviceName,
    available: bool,
    /// Why not, if not.
    reason: Option<String>,
}

pub(crate) fn run(common: &Common) -> Result<Exit> {
    let device = |device: DeviceName| {
        let reason = device.open().err().map(|error| match error {
            Error::DeviceUnavailable { reason, .. } => reason,
            other => other.to_string(),
        });
        Device {
            device,
            available: reason.is_none(),
            reason,
        }
    };
    let devices = DeviceName::compiled().into_iter().map(device).collect();
    print(common.json, SCHEMA, &Listed { devices }, |listed| {
        let line = |item: &Device| match &item.reason {
            None => format!("{:<8} ready\n", item.device.to_string()),
            Some(reason) => format!("{:<8} {reason}\n", item.device.to_string()),
        };
        listed.devices.iter().map(line).collect()
    })?;
    Ok(Exit::Finished)
}
