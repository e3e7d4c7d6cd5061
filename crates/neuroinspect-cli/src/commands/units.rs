//! Units of layers: what `visualize` and `debug` share.

use anyhow::{Result, bail};
use neuroinspect::{
    ClassTexts, GuideSource, PictureFolder, TopRequest, UnitInputs, UnitsConfig, UnitsSeen,
    core::{Classifier, Direction, Observer, Unit, UnitKind},
    datasets::ImageDataset,
    illusion::{Objective, Recipe},
    look_at_units,
    report::UnitFindings,
    units_of_layer,
};

use crate::{
    args::{UnitArgs, UnitName},
    config::UnitChoice,
    console::{Console, warn},
    inputs::Setup,
};

/// The file of the top images that were found.
const TOP_IMAGES: &str = "top-images.json";

/// The units that the command line names; says of each direction whether it is normalised.
pub(crate) fn named(args: &UnitArgs, classifier: &dyn Classifier) -> Result<Vec<Unit>> {
    let mut units = Vec::new();
    for UnitName { layer, kind } in &args.units {
        let Some(layer) = layer.as_ref().or(args.layer.as_ref()) else {
            bail!("--unit needs the layer: LAYER/UNIT, or --layer NAME");
        };
        match kind {
            Some(kind) => units.push(Unit::new(layer, kind.clone())),
            None => units.extend(units_of_layer(layer, classifier)?),
        }
    }
    for file in &args.directions {
        let Some(layer) = &args.layer else {
            bail!("--direction needs --layer NAME");
        };
        let direction = Direction::read(file)?;
        let is_normalised = match direction.is_normalised() {
            true => "normalised",
            false => "not normalised, and taken as it is",
        };
        warn(format_args!(
            "{direction}: {} numbers of length {:.4}, {is_normalised}",
            direction.values.len(),
            direction.length()
        ));
        units.push(Unit::new(layer, UnitKind::Direction(direction)));
    }
    Ok(units)
}

/// A recipe for units that are pictured by themselves: where its objective asks for a class, the unit
/// alone.
pub(crate) fn without_class(recipe: Recipe) -> Recipe {
    match recipe.objective.needs_class() {
        true => recipe.with_objective(Objective::Neuron),
        false => recipe,
    }
}

/// What of the options is recorded as such: the others are those of pictures.
pub(crate) fn choice(config: &UnitsConfig) -> UnitChoice {
    UnitChoice {
        units: config.units.clone(),
        top: config.top,
    }
}

/// What units are looked at with.
pub(crate) struct Looking<'a> {
    pub(crate) setup: &'a Setup<'a>,
    pub(crate) dataset: Option<&'a dyn ImageDataset>,
    pub(crate) config: &'a UnitsConfig,
    pub(crate) guide: Option<&'a ClassTexts<'a>>,
    pub(crate) judge: Option<&'a dyn Classifier>,
    pub(crate) pictures: PictureFolder,
    /// Folder of the pictures' files, within that of the results.
    pub(crate) folder: &'static str,
}

impl Looking<'_> {
    /// Looks for top images, which an earlier run may have found, and makes the pictures.
    pub(crate) fn run(
        &self,
        console: &mut Console,
        on_unit: &mut dyn FnMut(UnitFindings),
    ) -> neuroinspect::Result<UnitsSeen> {
        let Self {
            setup,
            dataset,
            config,
            ..
        } = self;
        let extraction = dataset.map(|dataset| setup.extraction(dataset));
        let top = extraction.as_ref().map(|extraction| {
            let asked = TopRequest {
                units: &config.units,
                count: config.top,
            };
            let request = setup.kept_in(TOP_IMAGES);
            let observer: &mut dyn Observer = console;
            setup
                .folder
                .top_images(extraction, asked, &request, observer)
        });
        let top = top.transpose()?;
        console.clear();
        if let Some(top) = &top {
            for skipped in &top.skipped {
                warn(format_args!("skipped '{}': {}", skipped.id, skipped.reason));
            }
            if top.reused {
                let path = setup.folder.join(TOP_IMAGES);
                let path = path.display();
                warn(format_args!(
                    "top images taken from '{path}': nothing has changed"
                ));
            }
        }
        let inputs = UnitInputs {
            classifier: setup.loaded.model.as_ref(),
            guide: self.guide.map(|guide| guide as &dyn GuideSource),
            judge: self.judge,
            real: extraction
                .as_ref()
                .zip(top.as_ref().map(|top| top.top.as_slice())),
            pictures: Some(&self.pictures),
            folder: self.folder,
        };
        look_at_units(&inputs, config, console, on_unit)
    }
}
