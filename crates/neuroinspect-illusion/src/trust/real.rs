//! Real images that pictures are compared with.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, Array3, ArrayView1, Axis};
use neuroinspect_core::{LayerInfo, LayerKind, Unit, UnitKind};

use super::{
    LayerLikeness, PathLikeness, Recognition, Trust, Verdict,
    continuity::{Asked, continuity},
    layer::Layer,
    look::{BATCH, Looked, joined, look},
};
use crate::{
    Error, Illusion, PreparedClassifier, Result,
    likeness::{chance_of_higher, ranks},
    select::highest,
};

/// Layers of a path, at most.
const PATH_LAYERS: usize = 6;
/// The last of them decide: earlier ones are alike in pictures of units that have little in common.
const LAST_LAYERS: usize = 2;
/// Layers of fewer channels have too few to correlate over.
const LEAST_CHANNELS: usize = 8;
/// Of the real images, one in so many is among those that activate a unit most.
const STRONGEST_PART: usize = 20;
/// A unit whose values on real images differ by less than this part of them is not moved by them.
const LEAST_RANGE: f32 = 1e-4;
/// As many are, at least.
const LEAST_STRONGEST: usize = 8;

/// What a classifier, and a second network as a judge, make of real images, so that pictures can be
/// [compared](Self::trust) with them.
///
/// Of each image there are as many numbers as the layers compared have channels, and its pixels, a byte each, to be
/// mixed with pictures: 150 kB at a side of 224. A few hundred images say enough, and are looked at once for all
/// pictures.
#[derive(Debug)]
pub struct RealImages {
    /// Those of paths, by name.
    layers: BTreeMap<String, Layer>,
    /// Names of the layers of the path to a layer.
    paths: BTreeMap<String, Vec<String>>,
    /// The units that are pictured in place of neurons, and each unit's activation: `[N, U]`.
    units: Vec<Unit>,
    activations: Array2<f32>,
    /// `[N, K]`.
    logits: Array2<f32>,
    judge: Option<Layer>,
    /// `[3, S, S]` each.
    images: Vec<Array3<u8>>,
}

/// What was measured of a picture by itself, before its doubts.
struct Measured {
    trust: Trust,
    /// The real images that activate the unit most; none where none moves it.
    strongest: Vec<usize>,
    /// The unit's range over real images.
    range: f32,
}

impl RealImages {
    /// As many images say enough, and cost little beside a picture.
    pub const ENOUGH: usize = 128;

    /// Looks at images, each as the classifier sees it: `[3, S, S]` in `[0, 1]`, `S` its input's side. `units`
    /// are those that are pictured; where there are none, neurons are. The judge sees the same, resized to its
    /// own input.
    ///
    /// `None` where there are too few images: fewer than twice the 8 that are compared with the others.
    ///
    /// # Errors
    ///
    /// When an image has another shape, the classifier does not have the units, or a device fails.
    pub fn new(
        classifier: &PreparedClassifier,
        judge: Option<&PreparedClassifier>,
        units: &[Unit],
        images: &mut dyn Iterator<Item = Array3<f32>>,
    ) -> Result<Option<Self>> {
        let paths = paths(classifier, units)?;
        let layers: BTreeSet<&str> = paths.values().flatten().map(String::as_str).collect();
        let names: Vec<&str> = layers.into_iter().collect();
        let mut looked: Option<Looked> = None;
        let mut judged: Option<Array2<f32>> = None;
        let mut kept = Vec::new();
        let side = classifier.input().size;
        loop {
            let batch: Vec<Array3<f32>> = (&mut *images).take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            if let Some(odd) = batch.iter().find(|image| image.dim() != (3, side, side)) {
                let expected = [3, side, side];
                return Err(Error::shape(
                    "an image to compare with",
                    expected,
                    odd.shape(),
                ));
            }
            let views: Vec<_> = batch.iter().map(|image| image.view()).collect();
            let of_batch = look(classifier, &views, &names, units)?;
            let bytes = |image: &Array3<f32>| image.mapv(|it| (it * 255.0).round() as u8);
            kept.extend(batch.iter().map(bytes));
            looked = Some(match looked {
                Some(before) => before.and(of_batch)?,
                None => of_batch,
            });
            if let Some(judge) = judge {
                let of_batch = judge.features_of(&views)?;
                judged = Some(match judged {
                    Some(before) => joined(&before, &of_batch)?,
                    None => of_batch,
                });
            }
        }
        let Some(looked) = looked.filter(|it| it.features.nrows() >= 2 * LEAST_STRONGEST) else {
            return Ok(None);
        };
        let logits = classifier.decision_layer().logits(looked.features.view())?;
        let activations = match units.is_empty() {
            true => looked.features,
            false => looked.units,
        };
        let layers = names.iter().map(|&name| name.to_owned());
        let layers = layers
            .zip(looked.layers.into_iter().map(Layer::new))
            .collect();
        Ok(Some(Self {
            layers,
            paths,
            units: units.to_vec(),
            activations,
            logits,
            judge: judged.map(Layer::new),
            images: kept,
        }))
    }

    /// How far pictures can be trusted, each of a neuron or of one of the units given before. One forward
    /// pass of either network for each, and of the classifier one for each mixture with a real image.
    ///
    /// # Errors
    ///
    /// When the networks are others than before, a picture is of a neuron, a unit or a class that they do not
    /// have or is not square, or a device fails.
    pub fn trust(
        &self,
        classifier: &PreparedClassifier,
        judge: Option<&PreparedClassifier>,
        illusions: &[Illusion],
    ) -> Result<Vec<Trust>> {
        let names: Vec<&str> = self.layers.keys().map(String::as_str).collect();
        let mut all = Vec::with_capacity(illusions.len());
        for batch in illusions.chunks(BATCH) {
            let views: Vec<_> = batch.iter().map(|one| one.image.view()).collect();
            let looked = look(classifier, &views, &names, &[])?;
            let judged = judge.map(|judge| judge.features_of(&views)).transpose()?;
            let mut measured = Vec::with_capacity(batch.len());
            for (row, illusion) in batch.iter().enumerate() {
                let values = looked.layers.iter().map(|layer| layer.row(row).to_vec());
                let values: BTreeMap<&str, Vec<f32>> = names.iter().copied().zip(values).collect();
                let judged = judge.zip(judged.as_ref());
                let judged = judged.map(|(judge, features)| (judge, features.row(row)));
                measured.push(self.of_picture(classifier, illusion, &values, judged)?);
            }
            let asked = measured
                .iter()
                .zip(batch)
                .map(|(measured, illusion)| Asked {
                    illusion,
                    strongest: &measured.strongest,
                    range: measured.range,
                });
            let asked: Vec<Asked<'_>> = asked.collect();
            let continuity = continuity(classifier, &self.images, &asked)?;
            for ((measured, continuity), illusion) in
                measured.into_iter().zip(continuity).zip(batch)
            {
                let trust = Trust {
                    continuity,
                    ..measured.trust
                };
                all.push(trust.judged(illusion));
            }
        }
        Ok(all)
    }

    fn of_picture(
        &self,
        classifier: &PreparedClassifier,
        illusion: &Illusion,
        values: &BTreeMap<&str, Vec<f32>>,
        judged: Option<(&PreparedClassifier, ArrayView1<'_, f32>)>,
    ) -> Result<Measured> {
        let mut trust = Trust::without_real(illusion);
        let column = match &illusion.unit {
            None => Some(illusion.pair.neuron.0),
            Some(unit) => self.units.iter().position(|other| other == unit),
        };
        let (Some(column), true) = (column, self.units.is_empty() == illusion.unit.is_none())
        else {
            let what = "units that real images were looked at for";
            return Err(Error::shape(what, self.units.len(), "another unit"));
        };
        let judged_features = judged.as_ref().map(|(_, features)| features.len());
        self.check(illusion, values, judged_features)?;
        let own = match &illusion.unit {
            Some(unit) => &*unit.layer,
            None => classifier.penultimate(),
        };
        let but = match illusion.unit.as_ref().map(|unit| &unit.kind) {
            Some(UnitKind::Direction(_)) => None,
            Some(kind) => Some(kind.channel()),
            None => Some(illusion.pair.neuron.0),
        };
        let real = self.activations.column(column);
        let count = (real.len() / STRONGEST_PART).max(LEAST_STRONGEST);
        let strongest = highest(real.iter().copied(), count);
        trust.real_images = real.len();
        trust.percentile = Some(percentile(real, illusion.activation));
        let of_class = self.logits.column(illusion.pair.class.0);
        trust.logit_percentile = Some(percentile(of_class, illusion.logit));
        // Where they do not move it either, there are none that activate it most.
        let moved = real.iter().any(|other| *other != real[0]);
        let path = self.paths.get(own).filter(|_| moved);
        trust.path = path.map(|path| {
            let compare = |name: &String| {
                let (layer, values) = (self.layers.get(name)?, values.get(&**name)?);
                let but = but.filter(|_| name == own);
                Some(layer.compare(name, values, &strongest, but))
            };
            let layers: Vec<LayerLikeness> = path.iter().filter_map(compare).collect();
            PathLikeness {
                score: layers[layers.len().saturating_sub(LAST_LAYERS)..]
                    .iter()
                    .map(|it| it.chance)
                    .fold(0.0, f32::max),
                strongest: strongest.len(),
                layers,
            }
        });
        if let (Some(layer), Some(values), Some(agreement)) =
            (self.layers.get(own), values.get(own), illusion.agreement)
        {
            let real = layer.plain_ranks.dot(&ArrayView1::from(&ranks(values)));
            trust.agreement_percentile = Some(percentile(real.view(), agreement.similarity));
        }
        if let (Some(layer), Some((judge, features)), true) = (&self.judge, judged, moved) {
            let likenesses = layer.likenesses(&features.to_vec(), None);
            let same = judge.decision_layer().classes() == self.logits.ncols();
            let class = illusion.pair.class.0;
            let judged = same.then(|| -> Result<_> {
                let logits = judge
                    .decision_layer()
                    .logits(features.insert_axis(Axis(0)))?;
                let own = logits[[0, class]];
                let shares = logits.row(0).mapv(|other| (other - own).exp());
                let others = logits
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != class);
                let first = others.map(|(_, &logit)| logit).all(|other| other < own);
                Ok((shares.sum().recip(), first))
            });
            let judged = judged.transpose()?;
            trust.recognition = Some(Recognition {
                judge: judge.name().to_owned(),
                chance: chance_of_higher(&likenesses, &strongest),
                probability: judged.map(|(probability, _)| probability),
                recognised: judged.map(|(_, recognised)| recognised),
            });
        }
        let (least, most) = real
            .iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), &it| {
                (least.min(it), most.max(it))
            });
        // Rounding by itself moves no unit, and a picture that shows nothing has no way to be looked at.
        let moves = most - least > LEAST_RANGE * most.abs().max(least.abs());
        let shows = trust.verdict != Verdict::Nothing;
        Ok(Measured {
            trust,
            strongest: if moves && shows {
                strongest
            } else {
                Vec::new()
            },
            range: most - least,
        })
    }

    /// Whether a picture, its values of layers by name, and the number of the judge's features are of the
    /// networks that looked at the real images.
    fn check(
        &self,
        illusion: &Illusion,
        values: &BTreeMap<&str, Vec<f32>>,
        judged_features: Option<usize>,
    ) -> Result<()> {
        if self.units.is_empty() {
            illusion.pair.neuron.check(self.activations.ncols())?;
        }
        illusion.pair.class.check(self.logits.ncols())?;
        for (name, layer) in &self.layers {
            let known = layer.plain_ranks.ncols();
            let found = values.get(&**name).map_or(0, Vec::len);
            if known != found {
                return Err(Error::shape(
                    format!("channels of layer '{name}'"),
                    known,
                    found,
                ));
            }
        }
        if let (Some(layer), Some(found)) = (&self.judge, judged_features)
            && layer.plain_ranks.ncols() != found
        {
            let known = layer.plain_ranks.ncols();
            return Err(Error::shape("features of the judge", known, found));
        }
        Ok(())
    }
}

/// Percentage of numbers that are as high or lower.
fn percentile(numbers: ArrayView1<'_, f32>, number: f32) -> f32 {
    let count = numbers.iter().filter(|&&other| other <= number).count();
    (100.0 * count as f64 / numbers.len().max(1) as f64) as f32
}

/// For each layer that is pictured, the layers on the way to it.
fn paths(classifier: &PreparedClassifier, units: &[Unit]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut pictured: BTreeSet<&str> = units.iter().map(|unit| &*unit.layer).collect();
    if pictured.is_empty() {
        pictured.insert(classifier.penultimate());
    }
    let all = classifier.layers()?;
    let paths = pictured
        .into_iter()
        .map(|own| (own.to_owned(), path(&all, own)));
    Ok(paths.collect())
}

/// The layers on the way to a layer, itself the last: at most [`PATH_LAYERS`], spread evenly over the
/// maps and tokens before it that have enough channels.
pub(crate) fn path(all: &[LayerInfo], own: &str) -> Vec<String> {
    let before = all.iter().take_while(|layer| layer.name != own);
    let maps = before
        .filter(|layer| layer.channels >= LEAST_CHANNELS && layer.kind != LayerKind::Features);
    let maps: Vec<&str> = maps.map(|layer| layer.name.as_str()).collect();
    let count = maps.len().min(PATH_LAYERS - 1);
    let spread = (1..=count).map(|place| maps[place * maps.len() / count - 1].to_owned());
    spread.chain([own.to_owned()]).collect()
}
