//! What given pictures are compared with.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use image::{
    RgbImage,
    imageops::{FilterType, resize},
};
use ndarray::{Array2, Array3, Axis};
use neuroinspect_core::{ClassId, Classifier, Error as CoreError, Observer, Progress, with_causes};
use neuroinspect_datasets::{OnCorrupt, Skipped, preprocess};
use neuroinspect_illusion::{
    LookedAt, Networks, Pair, PreparedClassifier, RealAppearance, visit_likenesses,
};

use super::{GivenPictures, GivenPicturesTrust, GivenTrust, MeanTrust, RealTrust, mean::mean};
use crate::{
    Comparison, ImageSource, Result,
    trust::{evenly, prepared, read_evenly},
};

/// Real images of a class that a judge is asked about. Of 128 that it takes for the class nine times in ten that share
/// has a standard error of 0.03.
const JUDGED: usize = 128;
/// Images that are held, and that a judge sees, at once.
const BATCH: usize = 64;
const STAGE: &str = "judging real images";

/// What [`GivenComparison`] is made of.
#[derive(Clone, Copy)]
pub struct GivenInputs<'a> {
    /// The classifier that the pictures are of.
    pub networks: &'a Networks,
    /// A second network. It is to have no part in any picture, neither as the classifier nor as what guides it.
    pub judge: Option<&'a dyn Classifier>,
    /// Real images.
    pub images: ImageSource<'a>,
    /// What becomes of those that cannot be read.
    pub on_corrupt: OnCorrupt,
    /// The pictures: the judge is asked about real images of their classes.
    pub given: &'a [GivenPictures],
}

impl fmt::Debug for GivenInputs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenInputs")
            .field("judge", &self.judge.map(Classifier::name))
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

/// Real images and a judge, which pictures that other programs made are compared with.
#[derive(Debug)]
pub struct GivenComparison {
    comparison: Comparison,
    appearance: RealAppearance,
    real: RealTrust,
    skipped: Vec<Skipped>,
}

impl GivenComparison {
    /// Looks at [as many images as say enough](neuroinspect_illusion::RealImages::ENOUGH), evenly chosen, and asks the judge
    /// about up to 128 of each class that pictures are of; those that cannot be read are [left out](Self::skipped), where
    /// that is asked for.
    ///
    /// # Errors
    ///
    /// As [`Comparison::new`]; when an image cannot be read that is not to be left out, or no image can, a picture is of a class that the classifier does not have, or
    /// the observer asks to stop.
    pub fn new(inputs: &GivenInputs<'_>, observer: &mut dyn Observer) -> Result<Self> {
        let &GivenInputs {
            networks,
            judge,
            images,
            ..
        } = inputs;
        let (mut seen, mut skipped, mut unread) = (Vec::new(), BTreeMap::new(), None);
        for (index, image) in read_evenly(networks, images) {
            match image {
                Ok(image) => seen.push(image),
                Err(error) if inputs.on_corrupt == OnCorrupt::Fail => return Err(error.into()),
                Err(error) => {
                    skipped.insert(index, with_causes(&error));
                    unread = unread.or(Some(error));
                }
            }
        }
        if let (true, Some(error)) = (seen.is_empty(), unread) {
            return Err(error.into());
        }
        let appearance = RealAppearance::measure(seen.iter().map(|it| it.view()))?;
        let judge = prepared(networks, judge)?;
        let mut real = RealTrust {
            images: seen.len(),
            appearance: appearance.typical(),
            ..RealTrust::default()
        };
        if let Some(judge) = &judge {
            skipped.extend(judge_real(inputs, judge, &mut real, observer)?);
        }
        let samples = images.dataset.samples();
        let skipped = skipped.into_iter().filter_map(|(index, reason)| {
            let id = samples.get(index)?.id.clone();
            Some(Skipped { index, id, reason })
        });
        Ok(Self {
            comparison: Comparison::of_images(networks, judge, &[], seen.into_iter())?,
            appearance,
            real,
            skipped: skipped.collect(),
        })
    }

    /// The images that could not be read, in their order.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// What was measured of real images.
    pub fn real(&self) -> &RealTrust {
        &self.real
    }

    /// Measures pictures that were made in one way, which are read some at a time.
    ///
    /// # Errors
    ///
    /// When a picture cannot be read, or is of a neuron or a class that the classifier does not have, or a device
    /// fails.
    pub fn compare(
        &self,
        networks: &Networks,
        given: &GivenPictures,
    ) -> Result<GivenPicturesTrust> {
        let mut all = Vec::with_capacity(given.pictures.len());
        let mut features = Array2::zeros((0, networks.classifier.decision_layer().neurons()));
        for batch in given.pictures.chunks(BATCH) {
            let images = batch.iter().map(|picture| picture.read());
            let images: Vec<RgbImage> = images.collect::<Result<_>>()?;
            let pictures = batch.iter().zip(&images);
            let pictures = pictures.map(|(picture, image)| (picture.pair, pixels(image)));
            let LookedAt {
                illusions,
                features: of_batch,
            } = networks.classifier.look_at(pictures.collect())?;
            let (expected, found) = (features.ncols(), of_batch.ncols());
            let appended = features.append(Axis(0), of_batch.view());
            appended.map_err(|_| CoreError::length("features", expected, found))?;
            let trusts = self.comparison.trust(networks, &illusions)?;
            let measured = batch.iter().zip(&images).zip(illusions).zip(trusts);
            for (((picture, image), illusion), trust) in measured {
                all.push(GivenTrust {
                    file: picture.file.clone(),
                    pair: picture.pair,
                    seed: picture.seed,
                    activation: illusion.activation,
                    logit: illusion.logit,
                    probability: illusion.probability,
                    appearance: self.appearance.distance(self.as_real(image).view())?,
                    agreement: None,
                    trust,
                });
            }
        }
        let pairs: Vec<Pair> = all.iter().map(|one| one.pair).collect();
        let (agreements, by_chance) = agreements(&pairs, &features);
        for (one, agreement) in all.iter_mut().zip(agreements) {
            one.agreement = agreement.map(|it| it as f32);
        }
        let mean = MeanTrust {
            agreement_by_chance: by_chance,
            ..MeanTrust::of(&all, &self.real.recognised)
        };
        Ok(GivenPicturesTrust {
            name: given.name.clone(),
            mean,
            pictures: all,
        })
    }

    /// A picture at the real images' side: `[3, S, S]`.
    fn as_real(&self, image: &RgbImage) -> Array3<f32> {
        let side = self.appearance.side() as u32;
        match image.width() == side {
            true => pixels(image),
            false => pixels(&resize(image, side, side, FilterType::Triangle)),
        }
    }
}

/// Asks the judge about real images of the classes that pictures are of, where it has the classifier's classes. Those that
/// cannot be read, and why, by their indices.
fn judge_real(
    inputs: &GivenInputs<'_>,
    judge: &PreparedClassifier,
    real: &mut RealTrust,
    observer: &mut dyn Observer,
) -> Result<BTreeMap<usize, String>> {
    let mut skipped = BTreeMap::new();
    let &GivenInputs {
        networks,
        images: ImageSource { dataset, indices },
        given,
        ..
    } = inputs;
    let classifier = &networks.classifier;
    let classes = classifier.decision_layer().classes();
    if judge.decision_layer().classes() != classes {
        return Ok(skipped);
    }
    let pictures = given.iter().flat_map(|way| &way.pictures);
    let wanted: BTreeSet<ClassId> = pictures.map(|picture| picture.pair.class).collect();
    let mut of_class: BTreeMap<ClassId, Vec<usize>> = BTreeMap::new();
    for class in wanted {
        class.check(classes)?;
        of_class.insert(class, Vec::new());
    }
    for &index in indices {
        let sample = dataset.samples().get(index);
        if let Some(images) = sample.and_then(|it| of_class.get_mut(&it.label)) {
            images.push(index);
        }
    }
    let chosen = of_class.iter();
    let chosen: Vec<(ClassId, usize)> = chosen
        .flat_map(|(&class, images)| evenly(images, JUDGED).map(move |index| (class, index)))
        .collect();
    let mut right = vec![0; classes];
    real.judged = vec![0; classes];
    for (done, batch) in chosen.chunks(BATCH).enumerate() {
        observer.proceed(Progress {
            stage: STAGE,
            done: done * BATCH,
            total: chosen.len(),
        })?;
        let read = |&(class, index): &(ClassId, usize)| {
            let image = dataset.image(index);
            match image.and_then(|image| preprocess(&image, classifier.input())) {
                Ok(image) => Some(Ok((class, image))),
                Err(error) if inputs.on_corrupt == OnCorrupt::Fail => Some(Err(error)),
                Err(error) => {
                    skipped.insert(index, with_causes(&error));
                    None
                }
            }
        };
        let batch: Vec<_> = batch.iter().filter_map(read).collect::<Result<_, _>>()?;
        let views: Vec<_> = batch.iter().map(|(_, image)| image.view()).collect();
        let features = judge.features_of(&views)?;
        let predicted = judge.decision_layer().predict(features.view())?;
        for ((class, _), predicted) in batch.iter().zip(predicted) {
            right[class.0] += usize::from(predicted == *class);
            real.judged[class.0] += 1;
        }
    }
    let share = |(right, all): (usize, &usize)| (*all > 0).then(|| right as f64 / *all as f64);
    real.recognised = right.into_iter().zip(&real.judged).map(share).collect();
    Ok(skipped)
}

/// How like to each picture the others of its pair are, on average, where there are others; and how like two of other
/// pairs are. Features: `[N, D]`.
fn agreements(pairs: &[Pair], features: &Array2<f32>) -> (Vec<Option<f64>>, Option<f64>) {
    let mut of_pictures = vec![Vec::new(); pairs.len()];
    let (mut unlike, mut count) = (0.0, 0_u64);
    visit_likenesses(features, |[one, other], likeness| {
        let likeness = f64::from(likeness);
        if pairs[one] == pairs[other] {
            of_pictures[one].push(likeness);
            of_pictures[other].push(likeness);
        } else {
            unlike += likeness;
            count += 1;
        }
    });
    let of_pictures = of_pictures.into_iter();
    let of_pictures = of_pictures.map(|all| mean(all.into_iter().map(Some)));
    let by_chance = (count > 0).then(|| unlike / count as f64);
    (of_pictures.collect(), by_chance)
}

/// `[3, H, W]` in `[0, 1]`.
fn pixels(image: &RgbImage) -> Array3<f32> {
    let (width, height) = image.dimensions();
    let shape = (3, height as usize, width as usize);
    Array3::from_shape_fn(shape, |(channel, row, column)| {
        f32::from(image.get_pixel(column as u32, row as u32).0[channel]) / 255.0
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use neuroinspect_core::NeuronId;

    use super::*;

    #[test]
    fn pictures_agree_with_those_of_their_pair() {
        let pair = |neuron, class| Pair {
            neuron: NeuronId(neuron),
            class: ClassId(class),
        };
        let pairs = [pair(0, 0), pair(0, 1), pair(0, 0), pair(0, 0)];
        let features = array![
            [1.0, 2.0, 3.0],
            [3.0, 2.0, 1.0],
            [2.0, 4.0, 9.0],
            [3.0, 2.0, 1.0]
        ];
        let (own, by_chance) = agreements(&pairs, &features);
        let near = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap() - expected).abs() < 1e-6, "{found:?}");
        };
        near(own[0], 0.0);
        assert_eq!(own[1], None);
        near(own[2], 0.0);
        near(own[3], -1.0);
        near(by_chance, -1.0 / 3.0);
        assert_eq!(agreements(&pairs[..1], &array![[1.0, 2.0]]).1, None);
    }
}
