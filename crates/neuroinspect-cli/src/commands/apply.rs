//! `apply`: an edit file to a checkpoint, forth or back.

use anyhow::{Context, Result, bail};
use neuroinspect::{
    core::ClassId,
    editing::{LayerPatch, MethodRecord},
    report::Schema,
};
use serde::Serialize;

use crate::{
    args::{ApplyArgs, Common, FormatArgs, LoadingArgs},
    exit::Exit,
    model::{self, Named, has_all_weights},
    options::Options,
    output::{open_folder, print},
};

const PATCH: Schema = Schema::new("neuroinspect.edit-file", 2);
const APPLIED: Schema = Schema::new("neuroinspect.applied", 1);

/// What an edit file holds, but for the values.
#[derive(Serialize)]
struct Shown<'a> {
    /// The classifier it is for.
    model: &'a str,
    /// The version of neuroinspect that made it.
    version: &'a str,
    method: &'a MethodRecord,
    /// Classes and neurons of the layer it is for.
    shape: [usize; 2],
    changed_classes: &'a [ClassId],
    largest_weight_change: f32,
    largest_bias_change: f32,
    sha256_before: &'a str,
    sha256_after: &'a str,
}

impl<'a> Shown<'a> {
    fn of(patch: &'a LayerPatch) -> Self {
        let (largest_weight_change, largest_bias_change) = patch.largest_change();
        Self {
            model: patch.model(),
            version: patch.version(),
            method: patch.method(),
            shape: patch.shape(),
            changed_classes: patch.changed_classes(),
            largest_weight_change,
            largest_bias_change,
            sha256_before: patch.sha256_before(),
            sha256_after: patch.sha256_after(),
        }
    }
}

pub(crate) fn run(common: &Common, options: &Options, args: &ApplyArgs) -> Result<Exit> {
    let patch = LayerPatch::load(&args.edit).context(
        "--edit takes what `edit`, `mend`, `debug` or `demo` wrote: edit.safetensors, mend.safetensors, \
         report-edit.safetensors",
    )?;
    let Some(model) = &args.model else {
        print(common.json, PATCH, &Shown::of(&patch), |_| {
            format!("{patch}\n")
        })?;
        return Ok(Exit::Finished);
    };
    let folder = open_folder(common)?;
    let device = common.device().open()?;
    let named = Named::open(common, model, args.weights.as_deref())?;
    let loading = LoadingArgs {
        input: args.input.clone(),
        partial: args.partial,
        head: args.head.clone(),
        format: FormatArgs { precision: None },
    };
    let mut loaded = model::classifier(&named, &loading, options, &device)?;
    if !has_all_weights(&loaded) {
        bail!(
            "'{}' lacks tensors of {} (above): what would be written in their place is random",
            named.weights.unwrap_or_default().display(),
            named.model,
        );
    }
    let layer = loaded.model.decision_layer()?;
    let changed = match args.revert {
        true => patch.revert(&layer),
        false => patch.apply(&layer),
    };
    // Before the hashes of layers, which say no more.
    let (made_for, found) = (patch.model(), loaded.model.name());
    let changed = match made_for == found {
        true => changed?,
        false => changed
            .with_context(|| format!("the edit was made for {made_for}, and this is {found}"))?,
    };
    let name = if args.revert { "reverted" } else { "edited" };
    let path = match model::onnx(&named.model, &loading.head, Some(loaded.model.input()))? {
        Some(onnx) => {
            let path = folder.join(format!("{name}.onnx"));
            onnx.save(&path, &changed)?;
            path
        }
        None => {
            let path = folder.join(format!("{name}.safetensors"));
            loaded.model.set_decision_layer(&changed)?;
            loaded.model.save(&path)?;
            path
        }
    };
    let written = serde_json::json!({
        "weights": path.to_string_lossy(),
        "decision_layer_sha256": changed.sha256(),
    });
    print(common.json, APPLIED, &written, |_| {
        let unchanged = match changed.sha256() == layer.sha256() {
            true => ", unchanged: the decision layer is so already",
            false => "",
        };
        format!("written to {}{unchanged}\n", path.display())
    })?;
    Ok(Exit::Finished)
}
