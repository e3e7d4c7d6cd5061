//! `apply`: an edit file to a checkpoint, forth or back.

use anyhow::Result;
use neuroinspect::editing::Edit;

use crate::{
    args::{ApplyArgs, Common, ModelArgs},
    model,
    output::{self, OutFolder},
    session::Outcome,
};

pub(crate) fn run(common: &Common, args: &ApplyArgs) -> Result<Outcome> {
    let edit = Edit::load(&args.edit)?;
    let (Some(model), Some(weights)) = (&args.model, &args.weights) else {
        output::print(common.json, edit.recipe(), |_| edit.to_string())?;
        return Ok(Outcome::Finished);
    };
    let out = OutFolder::create(&common.out)?;
    let device = common.device.open()?;
    let model = ModelArgs {
        model: model.clone(),
        weights: weights.clone(),
        partial: args.partial,
    };
    let mut loaded = model::classifier(&model, &device)?;
    let layer = loaded.model.decision_layer()?;
    let changed = match args.revert {
        true => edit.revert(&layer)?,
        false => edit.apply(&layer)?,
    };
    loaded.model.set_decision_layer(&changed)?;
    let path = out.join(if args.revert {
        "reverted.safetensors"
    } else {
        "edited.safetensors"
    });
    loaded.model.save(&path)?;
    let written = serde_json::json!({ "weights": path.to_string_lossy(), "decision_layer_sha256": changed.sha256() });
    output::print(common.json, &written, |_| {
        format!("written to {}\n", path.display())
    })?;
    Ok(Outcome::Finished)
}
