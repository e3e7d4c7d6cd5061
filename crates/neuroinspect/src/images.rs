//! The real images that go into a report.

mod parts;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use image::RgbImage;
use neuroinspect_core::{DecisionLayer, Error as CoreError, InputSpec, NeuronId};
use neuroinspect_counterfactual::Error::NoShifts;
use neuroinspect_datasets::{ImageDataset, thumbnail};
use neuroinspect_illusion::Pair;
use neuroinspect_report::{Findings, NeuronImages, RealImage, RealImages, Report, StageFailure};

pub use self::parts::ActiveParts;
use self::parts::seen;
use crate::{DebugInputs, ImageSource, Result};

/// Real images shown beside a neuron's picture, of the class and of all classes.
const TOP_SHOWN: usize = 4;
const STAGE: &str = "showing real images";
/// Side of a real image in a report, in pixels; a smaller image is shown as it is.
const THUMBNAIL: u32 = 192;

impl DebugInputs<'_> {
    /// A report of what was found with these inputs, ready to be written into a folder.
    ///
    /// An image that can no longer be read is left out, and stands among the images' failures.
    ///
    /// # Errors
    ///
    /// When the findings are not of these inputs, or the decision layer cannot be read.
    pub fn report<'f>(&self, findings: &'f Findings) -> Result<Report<'f>> {
        self.report_with(findings, &mut ReadImages::default())
    }

    /// [`report`](Self::report), reading no image that has been read.
    pub(crate) fn report_with<'f>(
        &self,
        findings: &'f Findings,
        read: &mut ReadImages,
    ) -> Result<Report<'f>> {
        Ok(Report {
            findings,
            images: self.real_images(findings, read)?,
        })
    }

    /// The real images of a report, reading none that has been read.
    pub(crate) fn real_images(
        &self,
        findings: &Findings,
        read: &mut ReadImages,
    ) -> Result<RealImages> {
        self.check(findings)?;
        let Some(source) = self.images else {
            let alone = |&pair: &Pair| NeuronImages {
                pair,
                top_of_class: Vec::new(),
                top_overall: Vec::new(),
            };
            return Ok(RealImages {
                neurons: findings.pairs.iter().map(alone).collect(),
                ..RealImages::default()
            });
        };
        let mut reader = Reader {
            inputs: self,
            source,
            layer: self.classifier.decision_layer()?,
            threshold: findings.recipe.mask_threshold,
            read,
            failures: Vec::new(),
        };
        let mistakes = findings.explanation.counterfactuals.iter();
        let shown: Vec<usize> = mistakes
            .take(RealImages::MISTAKES_SHOWN)
            .map(|counterfactual| counterfactual.sample)
            .collect();
        let tops = reader.tops(&findings.pairs)?;
        reader.look(&tops);
        let neurons = tops
            .iter()
            .map(|(pair, tops)| reader.neuron(*pair, tops))
            .collect::<Result<_>>()?;
        Ok(RealImages {
            neurons,
            mistakes: reader.samples(&shown, None)?,
            failures: reader.failures,
        })
    }

    /// Checks that what is to be shown together was found together.
    fn check(&self, findings: &Findings) -> Result<()> {
        let table = self.table;
        findings.class.check(table.classes())?;
        let explanation = &findings.explanation;
        if explanation.shifts.is_empty() && !explanation.counterfactuals.is_empty() {
            return Err(NoShifts {
                class: findings.class,
            }
            .into());
        }
        let neurons = explanation.shifts.ncols();
        if neurons != table.neurons() {
            let what = "neurons of the features that the findings are shown with";
            return Err(CoreError::length(what, neurons, table.neurons()).into());
        }
        let mistakes = findings.explanation.counterfactuals.iter();
        if let Some(strange) = mistakes.map(|it| it.sample).find(|&it| it >= table.len()) {
            return Err(CoreError::OutOfRange {
                what: "a mistake in the findings, among the samples they are shown with: sample"
                    .to_owned(),
                index: strange,
                length: table.len(),
            }
            .into());
        }
        if let Some(source) = self.images
            && source.indices.len() != table.len()
        {
            let what = "samples of the images that the findings are shown with";
            return Err(CoreError::length(what, table.len(), source.indices.len()).into());
        }
        Ok(())
    }
}

/// What a report shows of real images, or why it cannot: a report that is written again and again reads each
/// once.
#[derive(Debug, Default)]
pub(crate) struct ReadImages {
    /// By row.
    images: HashMap<usize, Result<ReadImage, StageFailure>>,
    /// Where a neuron is most active, by row.
    crops: HashMap<(usize, NeuronId), Result<Option<RgbImage>, StageFailure>>,
    /// What looks for it, once it is needed.
    parts: Option<ActiveParts>,
}

/// A real image in the sizes that it is needed in.
#[derive(Debug)]
struct ReadImage {
    shown: RgbImage,
    /// As the classifier sees it.
    seen: RgbImage,
}

/// Gathers the real images of a report.
struct Reader<'a> {
    inputs: &'a DebugInputs<'a>,
    source: ImageSource<'a>,
    layer: DecisionLayer,
    /// What counts as active.
    threshold: f64,
    read: &'a mut ReadImages,
    failures: Vec<StageFailure>,
}

impl Reader<'_> {
    /// The rows shown of each neuron: of the class, and of all.
    fn tops(&self, pairs: &[Pair]) -> Result<Vec<(Pair, [Vec<usize>; 2])>> {
        let both = |&Pair { neuron, class }: &Pair| [(neuron, Some(class)), (neuron, None)];
        let asked: Vec<_> = pairs.iter().flat_map(both).collect();
        let table = self.inputs.table;
        let mut found = table.top_activating_each(&asked, TOP_SHOWN)?.into_iter();
        let tops = pairs.iter().map(|&pair| {
            let mut next = || found.next().unwrap_or_default();
            (pair, [next(), next()])
        });
        Ok(tops.collect())
    }

    fn neuron(
        &mut self,
        pair: Pair,
        [of_class, overall]: &[Vec<usize>; 2],
    ) -> Result<NeuronImages> {
        Ok(NeuronImages {
            pair,
            top_of_class: self.samples(of_class, Some(pair.neuron))?,
            top_overall: self.samples(overall, Some(pair.neuron))?,
        })
    }

    /// The samples of these rows whose images can be read.
    fn samples(&mut self, rows: &[usize], neuron: Option<NeuronId>) -> Result<Vec<RealImage>> {
        let table = self.inputs.table;
        let features = table.activations().rows(rows)?;
        let predictions = self.layer.predict(features.view())?;
        let mut samples = Vec::with_capacity(rows.len());
        for (place, (&row, prediction)) in rows.iter().zip(predictions).enumerate() {
            if let Some(image) = self.image(row) {
                samples.push(RealImage {
                    id: table.sample_ids()[row].clone(),
                    label: table.labels()[row],
                    prediction,
                    activation: neuron.map(|neuron| features[[place, neuron.0]]),
                    crop: neuron.and_then(|neuron| self.crop(row, neuron)),
                    image,
                });
            }
        }
        Ok(samples)
    }

    /// The image of a row; `None`, and a note of why, when it cannot be read.
    fn image(&mut self, row: usize) -> Option<RgbImage> {
        let ImageSource { dataset, indices } = self.source;
        let spec = self.inputs.classifier.input();
        let read = self.read.images.entry(row).or_insert_with(|| {
            let read = read_image(dataset, indices[row], spec);
            read.map_err(|error| StageFailure::of(STAGE, &error))
        });
        match read {
            Ok(image) => Some(image.shown.clone()),
            Err(failure) => {
                let failure = failure.clone();
                self.fail(failure)
            }
        }
    }

    /// The part of a row's image where a neuron is most active; `None` where the classifier does not say, and,
    /// with a note of why, when it cannot be told.
    fn crop(&mut self, row: usize, neuron: NeuronId) -> Option<RgbImage> {
        match self.read.crops.get(&(row, neuron))?.clone() {
            Ok(crop) => crop,
            Err(failure) => self.fail(failure),
        }
    }

    /// Finds the parts of the images shown where neurons are most active: the classifier sees each image once, whatever
    /// the number of neurons that it is shown of.
    fn look(&mut self, tops: &[(Pair, [Vec<usize>; 2])]) {
        let mut wanted = BTreeMap::<usize, BTreeSet<NeuronId>>::new();
        for (pair, rows) in tops {
            for &row in rows.iter().flatten() {
                if !self.read.crops.contains_key(&(row, pair.neuron)) {
                    wanted.entry(row).or_default().insert(pair.neuron);
                }
            }
        }
        for (row, neurons) in wanted {
            self.image(row);
            let neurons: Vec<_> = neurons.into_iter().collect();
            let crops: Vec<_> = match self.parts(row, &neurons) {
                Ok(crops) => crops.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(StageFailure::of(STAGE, &error)); neurons.len()],
            };
            let places = neurons.into_iter().map(|neuron| (row, neuron));
            self.read.crops.extend(places.zip(crops));
        }
    }

    fn parts(&mut self, row: usize, neurons: &[NeuronId]) -> Result<Vec<Option<RgbImage>>> {
        // Only of images that were read.
        let Some(Ok(image)) = self.read.images.get(&row) else {
            return Ok(vec![None; neurons.len()]);
        };
        let parts = match self.read.parts.take() {
            Some(parts) => parts,
            None => ActiveParts::of(self.inputs.classifier)?,
        };
        let found = parts.most_active(&image.seen, neurons, self.threshold);
        self.read.parts = Some(parts);
        found
    }

    /// Notes a failure, once.
    fn fail<T>(&mut self, failure: StageFailure) -> Option<T> {
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
        None
    }
}

fn read_image(dataset: &dyn ImageDataset, index: usize, spec: &InputSpec) -> Result<ReadImage> {
    let image = dataset.image(index)?;
    let seen = seen(&image, spec)?;
    let shown = match image.width().max(image.height()) <= THUMBNAIL {
        true => image,
        false => thumbnail(&image, THUMBNAIL)?,
    };
    Ok(ReadImage { shown, seen })
}
