//! `apply`: an edit file to a checkpoint, forth or back.

use anyhow::{Result, bail};
use neuroinspect::{
    core::{ClassId, Seed},
    editing::{Edit, Recipe},
};
use serde::Serialize;

use crate::{
    args::{ApplyArgs, Common, ModelArgs},
    model,
    output::{self, OutFolder},
    session::Outcome,
};

/// What an edit file holds, but for the values.
#[derive(Serialize)]
struct Shown<'a> {
    recipe: &'a Recipe,
    /// Classes and neurons of the layer it is for.
    shape: [usize; 2],
    changed_classes: &'a [ClassId],
    largest_weight_change: f32,
    largest_bias_change: f32,
    sha256_before: &'a str,
    sha256_after: &'a str,
}

impl<'a> Shown<'a> {
    fn of(edit: &'a Edit) -> Self {
        let (largest_weight_change, largest_bias_change) = edit.largest_change();
        Self {
            recipe: edit.recipe(),
            shape: edit.shape(),
            changed_classes: edit.changed_classes(),
            largest_weight_change,
            largest_bias_change,
            sha256_before: edit.sha256_before(),
            sha256_after: edit.sha256_after(),
        }
    }
}

pub(crate) fn run(common: &Common, args: &ApplyArgs) -> Result<Outcome> {
    let edit = Edit::load(&args.edit)?;
    let (Some(model), Some(weights)) = (&args.model, &args.weights) else {
        output::print(common.json, &Shown::of(&edit), |_| format!("{edit}\n"))?;
        return Ok(Outcome::Finished);
    };
    let out = OutFolder::create(&common.out)?;
    let device = common.device.open()?;
    let model = ModelArgs {
        model: model.clone(),
        weights: weights.clone(),
        input: args.input.clone(),
        partial: args.partial,
    };
    let mut loaded = model::classifier(&model, &device, Seed(common.seed))?;
    if !loaded.report.missing.is_empty() || !loaded.report.mismatched.is_empty() {
        bail!(
            "'{}' lacks tensors of {} (above): what would be written in their place is random",
            model.weights.display(),
            model.model,
        );
    }
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
        let unchanged = match changed.sha256() == layer.sha256() {
            true => ", unchanged: the decision layer is so already",
            false => "",
        };
        format!("written to {}{unchanged}\n", path.display())
    })?;
    Ok(Outcome::Finished)
}
