//! Units of any layer: their pictures, and the real images that activate them most.

mod config;
mod crop;
mod top;

use std::collections::BTreeMap;

use neuroinspect_core::{ClassId, Classifier, Observer, Unit, is_cancellation};
use neuroinspect_illusion::{Illusion, Networks, Request, Trust, visualize_each};
use neuroinspect_report::{StageFailure, TopImages, UnitFindings, UnitPicture};

use self::top::Looker;
pub use self::{
    config::{UnitsConfig, units_of_layer},
    crop::around_peak,
    top::{TopRequest, top_images},
};
use crate::{Extraction, GuideSource, ImageSource, Kept, PictureFolder, Result, trust::Comparison};

/// What units are looked at with.
#[derive(Clone, Copy)]
pub struct UnitInputs<'a> {
    /// The classifier. It is not changed: all is computed on copies.
    pub classifier: &'a dyn Classifier,
    /// What guides pictures that are made within a class, if anything does.
    pub guide: Option<&'a dyn GuideSource>,
    /// A second network that has no part in the pictures, to judge them.
    pub judge: Option<&'a dyn Classifier>,
    /// The real images, and for each unit those that activate it most
    /// ([`top_images`]), in the order of the units.
    pub real: Option<(&'a Extraction<'a>, &'a [TopImages])>,
    /// Where finished pictures are kept, and taken from when they were made before.
    pub pictures: Option<&'a PictureFolder>,
    /// Folder of the pictures' files, relative to that of the JSON.
    pub folder: &'a str,
}

impl std::fmt::Debug for UnitInputs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnitInputs")
            .field("classifier", &self.classifier.name())
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// What came of looking at units, beside what was handed over.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitsSeen {
    /// How many of the pictures had been made by an earlier run.
    pub reused: usize,
    /// After how many steps pictures that an earlier run had under way went on, where some did.
    pub resumed_at: Option<usize>,
    /// Whether the observer stopped the work before its end.
    pub interrupted: bool,
    /// Pictures that left the finite numbers, and real images that can no longer be read.
    pub failures: Vec<StageFailure>,
}

/// Pictures units, and looks for where they are active in the real images that activate them most.
///
/// `on_unit` is handed each as soon as its [batch](neuroinspect_illusion::Execution::batch_size) of
/// pictures has ended, in their order; one whose picture left the finite numbers comes without it,
/// at the end. The real images are read again for it, and no more of them are in memory at a time than
/// [`UnitsConfig::top`].
///
/// ```
/// use neuroinspect::{
///     UnitInputs, UnitsConfig, core::{Direction, Unit, UnitKind}, look_at_units,
///     models::init_classifier, prelude::*,
/// };
///
/// # fn main() -> neuroinspect::Result<()> {
/// # let device = neuroinspect::burn::tensor::Device::flex();
/// let model = init_classifier("cifar_resnet20", 10, &device)?;
/// let stripes = Direction::new("stripes", &[0.25; 16]);
/// let units = vec![
///     Unit::new("layer2.0.conv1", UnitKind::Channel(17)),
///     Unit::new("layer1", UnitKind::Direction(stripes)),
/// ];
/// let mut config = UnitsConfig::default().with_units(units);
/// config.recipe = config.recipe.with_steps(2); // 450 unless told otherwise
/// let inputs = UnitInputs {
///     classifier: &model,
///     guide: None,
///     judge: None,
///     real: None,
///     pictures: None,
///     folder: "units",
/// };
/// let mut files = Vec::new();
/// let seen = look_at_units(&inputs, &config, &mut Silent, &mut |unit| {
///     files.extend(unit.picture.map(|picture| picture.file));
/// })?;
/// assert!(seen.failures.is_empty());
/// assert_eq!(files[0], "units/unit-1-layer2.0.conv1-channel-17.png");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`UnitsConfig::check`] and [`visualize`](neuroinspect_illusion::visualize), and when there are not
/// top images for each unit. That a real image can no longer be read is among the failures.
pub fn look_at_units(
    inputs: &UnitInputs<'_>,
    config: &UnitsConfig,
    observer: &mut dyn Observer,
    on_unit: &mut dyn FnMut(UnitFindings),
) -> Result<UnitsSeen> {
    config.check(inputs.classifier)?;
    if let Some((_, top)) = inputs.real {
        let (expected, found) = (config.units.len(), top.len());
        if expected != found {
            let what = "top images of units";
            return Err(neuroinspect_core::Error::length(what, expected, found).into());
        }
    }
    match pictures(inputs, config, observer, on_unit) {
        Err(error) if is_cancellation(&error) => Ok(UnitsSeen {
            interrupted: true,
            ..UnitsSeen::default()
        }),
        seen => seen,
    }
}

fn pictures(
    inputs: &UnitInputs<'_>,
    config: &UnitsConfig,
    observer: &mut dyn Observer,
    on_unit: &mut dyn FnMut(UnitFindings),
) -> Result<UnitsSeen> {
    let UnitsConfig {
        units,
        class,
        recipe,
        execution,
        ..
    } = config;
    let guide = match (inputs.guide, class) {
        (Some(source), Some(class)) if recipe.objective.needs_guide() => {
            Some(source.guide(&[*class], observer)?)
        }
        _ => None,
    };
    let device = inputs.classifier.device();
    let networks = Networks::new(inputs.classifier, guide.as_ref(), &device, recipe.precision)?;
    // Without one in the objective, the class is no matter.
    let within = class.unwrap_or(ClassId(0));
    let request =
        Request::of_units(units.clone(), within, recipe.clone()).with_execution(*execution);
    let real = inputs.real;
    let mut looker = real
        .map(|(extraction, _)| Looker::new(extraction, recipe))
        .transpose()?;
    let mut waiting: BTreeMap<usize, &Unit> = units.iter().enumerate().collect();
    let mut failures = Vec::new();
    let mut look = |place: usize, illusion: Option<(Illusion, Trust)>| {
        let unit = &units[place];
        let picture = illusion.map(|(illusion, trust)| {
            let scores = class.map(|_| (illusion.logit, illusion.probability));
            UnitPicture {
                logit: scores.map(|(logit, _)| logit),
                probability: scores.map(|(_, probability)| probability),
                trust: Some(match class {
                    Some(_) => trust,
                    None => trust.without_class(),
                }),
                ..UnitPicture::new(illusion, unit, place, inputs.folder)
            }
        });
        let real = match (&mut looker, real) {
            (Some(looker), Some((_, top))) => {
                let seen = looker.look(unit, &top[place]).unwrap_or_else(|error| {
                    failures.push(StageFailure::of("showing real images", &error));
                    top[place].clone()
                });
                Some(seen)
            }
            _ => None,
        };
        on_unit(UnitFindings {
            unit: unit.clone(),
            class: *class,
            picture,
            real,
        });
    };
    let indices = real.map(|(extraction, _)| extraction.all_indices());
    let indices = indices.unwrap_or_default();
    let images = real.map(|(extraction, _)| ImageSource {
        dataset: extraction.dataset,
        indices: &indices,
    });
    let comparison = Comparison::new(&networks, inputs.judge, units, images)?;
    let mut untrusted = None;
    let mut on_batch = |mut batch: Vec<Illusion>| {
        for illusion in &mut batch {
            let place = units
                .iter()
                .position(|unit| illusion.unit.as_ref() == Some(unit));
            if let (Some(unmoved), Some(place), Some((_, top))) =
                (&mut illusion.unmoved, place, real)
                && let Some(highest) = top[place].top.first()
            {
                unmoved.on_real(highest.activation, top[place].mean, top[place].images);
            }
        }
        let trusts = comparison.trust(&networks, &batch).unwrap_or_else(|error| {
            untrusted.get_or_insert(error);
            batch.iter().map(Trust::without_real).collect()
        });
        for (illusion, trust) in batch.into_iter().zip(trusts) {
            let same = |(_, unit): &(&usize, &&Unit)| illusion.unit.as_ref() == Some(**unit);
            let place = waiting.iter().find(same).map(|(&place, _)| place);
            if let Some(place) = place {
                waiting.remove(&place);
                look(place, Some((illusion, trust)));
            }
        }
    };
    let kept: Kept = match inputs.pictures {
        Some(folder) => folder.visualize(&networks, &request, observer, &mut on_batch)?,
        None => visualize_each(&networks, &request, observer, &mut on_batch)?.into(),
    };
    let mut diverged = Vec::new();
    if !kept.shortfall.interrupted {
        for (place, unit) in waiting {
            look(place, None);
            diverged.push(StageFailure {
                stage: "visualizing".to_owned(),
                reason: format!(
                    "the picture of {unit} left the finite numbers; lower the learning rate or \
                     check the network's weights"
                ),
            });
        }
    }
    failures.extend(diverged);
    if let Some(error) = untrusted {
        failures.push(StageFailure::of(
            "measuring how far pictures can be trusted",
            &error,
        ));
    }
    Ok(UnitsSeen {
        reused: kept.reused,
        resumed_at: kept.resumed_at,
        interrupted: kept.shortfall.interrupted,
        failures,
    })
}
