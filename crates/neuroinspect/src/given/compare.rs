//! What given pictures are compared with.

use image::imageops::{FilterType, resize};
use ndarray::Array3;
use neuroinspect_core::{Classifier, Observer, Precision, Progress};
use neuroinspect_datasets::preprocess;
use neuroinspect_illusion::{Networks, PreparedClassifier, RealAppearance, RealImages, Verdict};

use super::{GivenPictures, GivenPicturesTrust, GivenTrust, MeanTrust, RealTrust};
use crate::{Comparison, ImageSource, Result};

/// Real images that a judge is asked about: of so many the share that it takes for their class is known to
/// a percent or so.
const JUDGED: usize = 1024;
/// Real images that a judge sees in one go.
const BATCH: usize = 64;
const STAGE: &str = "judging real images";

/// Real images and a judge, which pictures that other programs made are compared with.
#[derive(Debug)]
pub struct GivenComparison {
    comparison: Comparison,
    appearance: RealAppearance,
    real: RealTrust,
}

impl GivenComparison {
    /// Looks at [as many images as say enough](RealImages::ENOUGH), evenly chosen, and asks the judge
    /// about up to 1024; those that cannot be read are left out. The judge is to have no part in any picture,
    /// neither as the classifier nor as what guides it.
    ///
    /// # Errors
    ///
    /// As [`Comparison::new`]; when no image can be read, or the observer asks to stop.
    pub fn new(
        networks: &Networks,
        judge: Option<&dyn Classifier>,
        images: ImageSource<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let classifier = &networks.classifier;
        let ImageSource { dataset, indices } = images;
        let read = |index: usize| preprocess(&dataset.image(index).ok()?, classifier.input()).ok();
        let evenly = |most: usize| {
            let count = indices.len().min(most);
            (0..count).map(move |place| indices[place * indices.len() / count])
        };
        let seen: Vec<Array3<f32>> = evenly(RealImages::ENOUGH).filter_map(read).collect();
        let appearance = RealAppearance::measure(seen.iter().map(|it| it.view()))?;
        let mut real = RealTrust {
            images: seen.len(),
            appearance: appearance.typical(),
            judged: 0,
            recognised: Vec::new(),
        };
        if let Some(judge) = judge {
            let judge = PreparedClassifier::new(judge, classifier.device(), Precision::F32)?;
            let classes = classifier.decision_layer().classes();
            if judge.decision_layer().classes() == classes {
                let mut counts = vec![(0, 0); classes];
                let chosen: Vec<usize> = evenly(JUDGED).collect();
                for batch in chosen.chunks(BATCH) {
                    observer.proceed(Progress {
                        stage: STAGE,
                        done: real.judged,
                        total: chosen.len(),
                    })?;
                    let labelled =
                        |&index: &usize| Some((dataset.samples().get(index)?.label, read(index)?));
                    let batch: Vec<_> = batch.iter().filter_map(labelled).collect();
                    let views: Vec<_> = batch.iter().map(|(_, image)| image.view()).collect();
                    let features = judge.features_of(&views)?;
                    let predicted = judge.decision_layer().predict(features.view())?;
                    for ((label, _), predicted) in batch.iter().zip(predicted) {
                        label.check(classes)?;
                        counts[label.0].0 += usize::from(predicted == *label);
                        counts[label.0].1 += 1;
                        real.judged += 1;
                    }
                }
                let share =
                    |(right, all): (usize, usize)| (all > 0).then(|| right as f64 / all as f64);
                real.recognised = counts.into_iter().map(share).collect();
            }
        }
        Ok(Self {
            comparison: Comparison::new(networks, judge, &[], Some(images))?,
            appearance,
            real,
        })
    }

    /// What was measured of real images.
    pub fn real(&self) -> &RealTrust {
        &self.real
    }

    /// Measures pictures that were made in one way.
    ///
    /// # Errors
    ///
    /// When a picture is of a neuron or a class that the classifier does not have, or a device fails.
    pub fn compare(
        &self,
        networks: &Networks,
        given: &GivenPictures,
    ) -> Result<GivenPicturesTrust> {
        let pixels = |image: &image::RgbImage| {
            let (width, height) = image.dimensions();
            let shape = (3, height as usize, width as usize);
            Array3::from_shape_fn(shape, |(channel, row, column)| {
                f32::from(image.get_pixel(column as u32, row as u32).0[channel]) / 255.0
            })
        };
        let side = self.appearance.side() as u32;
        let distance = |image: &image::RgbImage| -> Result<_> {
            let image = match image.width() == side {
                true => pixels(image),
                false => pixels(&resize(image, side, side, FilterType::Triangle)),
            };
            Ok(self.appearance.distance(image.view())?)
        };
        let pictures = given.pictures.iter();
        let pictures = pictures.map(|picture| (picture.pair, pixels(&picture.image)));
        let illusions = networks.classifier.look_at(pictures.collect())?;
        let similarities = networks.classifier.similarities(&illusions)?;
        let trusts = self.comparison.trust(networks, &illusions)?;
        let mut all = Vec::with_capacity(trusts.len());
        for (row, (picture, trust)) in given.pictures.iter().zip(trusts).enumerate() {
            let others = given.pictures.iter().enumerate();
            let others = others.filter(|(other, it)| *other != row && it.pair == picture.pair);
            let agreement =
                mean(others.map(|(other, _)| Some(f64::from(similarities[row][other]))));
            all.push(GivenTrust {
                file: picture.file.clone(),
                pair: picture.pair,
                seed: picture.seed,
                activation: illusions[row].activation,
                logit: illusions[row].logit,
                probability: illusions[row].probability,
                appearance: distance(&picture.image)?,
                agreement: agreement.map(|it| it as f32),
                trust,
            });
        }
        let mut mean = self.mean(&all);
        let rows = (0..all.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
        let unlike = rows.filter(|&(one, other)| all[one].pair != all[other].pair);
        mean.agreement_by_chance =
            self::mean(unlike.map(|(one, other)| Some(f64::from(similarities[one][other]))));
        Ok(GivenPicturesTrust {
            name: given.name.clone(),
            mean,
            pictures: all,
        })
    }

    fn mean(&self, all: &[GivenTrust]) -> MeanTrust {
        let of = |number: &dyn Fn(&GivenTrust) -> Option<f32>| {
            mean(all.iter().map(|one| number(one).map(f64::from)))
        };
        let recognition = |one: &GivenTrust| one.trust.recognition.clone();
        let recognised = of(&|one| {
            let recognised = recognition(one)?.recognised?;
            Some(f32::from(u8::from(recognised)))
        });
        let classes = all.iter().map(|one| one.pair.class.0);
        let of_real = mean(classes.map(|class| self.real.recognised.get(class).copied().flatten()));
        let normalised = |one: &GivenTrust| {
            let layers = one.trust.path.as_ref()?.layers.iter();
            mean(layers.map(|layer| layer.normalised.map(f64::from))).map(|it| it as f32)
        };
        MeanTrust {
            pictures: all.len(),
            recognised,
            recognised_over_real: recognised
                .zip(of_real.filter(|real| *real > 0.0))
                .map(|(own, real)| own / real),
            judge_chance: of(&|one| Some(recognition(one)?.chance)),
            path: of(&|one| Some(one.trust.path.as_ref()?.score)),
            path_normalised: of(&normalised),
            percentile: of(&|one| one.trust.percentile),
            activation: of(&|one| Some(one.activation)).unwrap_or_default(),
            logit: of(&|one| Some(one.logit)).unwrap_or_default(),
            agreement: of(&|one| one.agreement),
            agreement_by_chance: None,
            colour: of(&|one| Some(one.appearance.colour)).unwrap_or_default(),
            spectrum: of(&|one| Some(one.appearance.spectrum)).unwrap_or_default(),
            trusted: of(&|one| Some(f32::from(u8::from(one.trust.verdict == Verdict::Trusted))))
                .unwrap_or_default(),
        }
    }
}

/// The mean of the numbers that there are.
fn mean(numbers: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = numbers
        .flatten()
        .fold((0.0, 0), |(sum, count), it| (sum + it, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
