//! What was found of units of a classifier's layers.

use ndarray::{Array2, Array3, ArrayView3, Axis};
use neuroinspect_core::{ClassId, Unit, UnitKind};
use neuroinspect_illusion::{Illusion, Trust, Unmoved};
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    validate::{check_file, finite},
};

/// Longest name of a picture's file before its ending: systems end at 255 bytes.
const LONGEST_NAME: usize = 120;

/// A unit of a layer: its picture, and the real images that activate it most.
///
/// As JSON it holds no pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnitFindings {
    /// The unit.
    pub unit: Unit,
    /// The class that it is pictured within, where it is pictured within one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassId>,
    /// Its picture; `None` where the optimisation left the finite numbers.
    pub picture: Option<UnitPicture>,
    /// The real images that activate it most, where there were images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real: Option<TopImages>,
}

/// The picture of a unit, and what the networks see in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnitPicture {
    /// The picture: `[3, S, S]`, red, green, blue in `[0, 1]`; empty where it was not kept.
    #[serde(skip)]
    pub image: Array3<f32>,
    /// Where the unit is active by its layer's map: `[S, S]`, 1 there and the recipe's reduction
    /// elsewhere. `None` where the layer does not say.
    #[serde(skip)]
    pub mask: Option<Array2<f32>>,
    /// Activation of the unit on the picture.
    pub activation: f32,
    /// Logit of the class on the picture, where it was made within one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit: Option<f32>,
    /// Probability of that class on the picture, in `[0, 1]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f32>,
    /// Similarity of the picture and that class's text, where a guide was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_similarity: Option<f32>,
    /// Why no step moved the unit, where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmoved: Option<Unmoved>,
    /// How far the picture can be trusted, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// Optimisation steps it has had.
    pub steps: usize,
    /// PNG of the picture, relative to the JSON.
    pub file: String,
    /// PNG of the picture times its mask, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked_file: Option<String>,
}

/// The real images that activate a unit most, among all that were looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TopImages {
    /// How many images were looked at.
    pub images: usize,
    /// The unit's mean activation over them.
    pub mean: f32,
    /// Those that activate it most, strongest first, the earlier one first among equals.
    pub top: Vec<TopImage>,
}

/// A real image, and how it activates a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TopImage {
    /// Index in the data set.
    pub index: usize,
    /// Its id, such as its path.
    pub id: String,
    /// Its true class.
    pub label: ClassId,
    /// The unit's activation.
    pub activation: f32,
    /// Percentage of the images that activate the unit as much or less.
    pub percentile: f32,
    /// The part of the image around the place where the unit is most active, where its layer says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// The image as the classifier sees it: `[3, S, S]` in `[0, 1]`; empty where it was not kept.
    #[serde(skip)]
    pub image: Array3<f32>,
    /// Where the unit is active in it, as [`UnitPicture::mask`].
    #[serde(skip)]
    pub mask: Option<Array2<f32>>,
}

/// A part of an image as the classifier sees it, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Crop {
    /// Its first column.
    pub left: usize,
    /// Its first row.
    pub top: usize,
    /// Number of columns.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

impl Crop {
    /// That part of an image `[3, H, W]`; `None` where it is not within.
    pub fn of<'a>(&self, mut image: ArrayView3<'a, f32>) -> Option<ArrayView3<'a, f32>> {
        let (_, height, width) = image.dim();
        let (rows, columns) = (
            self.top..self.top + self.height,
            self.left..self.left + self.width,
        );
        let within = rows.end <= height && columns.end <= width;
        within.then(|| {
            image.slice_axis_inplace(Axis(1), rows.into());
            image.slice_axis_inplace(Axis(2), columns.into());
            image
        })
    }
}

impl UnitPicture {
    /// The picture of a unit that is in place `place` among those looked at, with the usual file names in a
    /// folder, relative to that of the JSON.
    pub fn new(illusion: Illusion, unit: &Unit, place: usize, folder: &str) -> Self {
        let name = file_name(unit, place);
        let within = |ending: &str| format!("{folder}/{name}{ending}");
        Self {
            file: within(".png"),
            masked_file: illusion.mask.is_some().then(|| within("-masked.png")),
            image: illusion.image,
            mask: illusion.mask,
            activation: illusion.activation,
            logit: None,
            probability: None,
            clip_similarity: illusion.clip_similarity,
            unmoved: illusion.unmoved,
            trust: None,
            steps: illusion.steps,
        }
    }

    /// Whether a file is called as pictures of units are: `unit-1-layer3.5-channel-17.png`.
    pub fn is_file_name(name: &str) -> bool {
        let place = name
            .strip_suffix(".png")
            .and_then(|name| name.strip_prefix("unit-"))
            .and_then(|name| name.split_once('-'));
        let is_name = |name: &str| !name.contains(['/', '\\']);
        place.is_some_and(|(place, rest)| place.parse::<usize>().is_ok() && is_name(rest))
    }
}

/// What the picture of a unit is called, without the ending.
fn file_name(unit: &Unit, place: usize) -> String {
    let kind = match &unit.kind {
        UnitKind::Position {
            channel,
            row,
            column,
        } => format!("channel-{channel}-at-{row}-{column}"),
        kind => kind.to_string(),
    };
    let name = format!("{}-{kind}", unit.layer);
    let plain = |c: char| match c.is_ascii_alphanumeric() || ".-_".contains(c) {
        true => c,
        false => '-',
    };
    let name: String = name.chars().map(plain).take(LONGEST_NAME).collect();
    format!("unit-{}-{name}", place + 1)
}

impl UnitFindings {
    /// Checks that classes are among `classes` and that numbers are finite.
    pub(crate) fn validate(&self, classes: usize) -> Result<()> {
        let labels = self.real.iter().flat_map(|real| &real.top);
        let labels = labels.map(|image| image.label);
        for class in labels.chain(self.class) {
            class.check(classes)?;
        }
        let of = |what: &str| format!("{what} of {}", self.unit);
        if let Some(picture) = &self.picture {
            let scores = [picture.logit, picture.probability, picture.clip_similarity];
            let scores = scores.into_iter().flatten().chain([picture.activation]);
            finite(of("activation or score"), scores.map(f64::from))?;
            for path in [&picture.file].into_iter().chain(&picture.masked_file) {
                check_file(path)?;
            }
        }
        if let Some(real) = &self.real {
            let top = real
                .top
                .iter()
                .flat_map(|it| [it.activation, it.percentile]);
            finite(of("activation"), top.chain([real.mean]).map(f64::from))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use neuroinspect_core::Direction;

    use super::*;

    #[test]
    fn files_are_called_by_place_layer_and_unit() {
        let direction = UnitKind::Direction(Direction::new("round things", &[1.0]));
        let position = UnitKind::Position {
            channel: 17,
            row: 3,
            column: 4,
        };
        for (layer, kind, expected) in [
            (
                "layer3.5",
                UnitKind::Channel(17),
                "unit-1-layer3.5-channel-17",
            ),
            ("/a/Conv:0", position, "unit-1--a-Conv-0-channel-17-at-3-4"),
            ("fc", direction, "unit-1-fc-direction-round-things"),
        ] {
            let found = file_name(&Unit::new(layer, kind), 0);
            assert_eq!(found, expected);
            assert!(UnitPicture::is_file_name(&(found + "-masked.png")));
        }
        for name in [
            "unit-x-a.png",
            "unit-1-a.jpg",
            "unit-1-/../../a.png",
            "units.png",
            "neuron-1-a.png",
        ] {
            assert!(!UnitPicture::is_file_name(name), "{name}");
        }
    }
}
