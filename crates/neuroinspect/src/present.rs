//! From findings to a report: the pictures that go with the numbers.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use image::RgbImage;
use neuroinspect_core::{ClassId, Error as CoreError, FeatureTable, Metrics, NeuronId};
use neuroinspect_counterfactual::RankedNeuron;
use neuroinspect_datasets::{ImageDataset, thumbnail};
use neuroinspect_illusion::{Objective, Pair};
use neuroinspect_report::{
    Confusion, ContextResponse, DebugSummary, Edit, IllusionPictures, NeuronPictures, Ranking,
    Report, Run, Sample, StageFailure, Timing, Visualization, to_rgb_image,
};

use crate::{Extracted, Findings, Mending, Result, findings::with_causes};

/// Mistakes shown in a report.
const MISTAKES_SHOWN: usize = 24;
/// Real images shown beside a neuron's picture, of the class and of all classes.
const TOP_SHOWN: usize = 4;
/// Side of a real image in a report, in pixels; a smaller image is shown as it is.
const THUMBNAIL: u32 = 192;

/// What a report shows beside the findings.
#[derive(Clone)]
pub struct Presentation<'a> {
    /// The images.
    pub dataset: &'a dyn ImageDataset,
    /// Their features, as the findings were found on.
    pub extracted: &'a Extracted,
    /// How it was made.
    pub run: Run,
    /// Where the edit file is, relative to the report, and how it is applied. Saving
    /// [`Mending::edit`](crate::Mending::edit) there is the caller's.
    pub edit_file: Option<EditFile>,
    /// How neurons answer to a planted context, where there is one.
    pub context_responses: BTreeMap<NeuronId, ContextResponse>,
}

/// Where an edit file is and how it is applied.
#[derive(Clone, Debug)]
pub struct EditFile {
    /// Its path, relative to the report.
    pub path: String,
    /// A command or a line of code that applies it, where it can be applied so.
    pub how_to_apply: Option<String>,
}

impl fmt::Debug for Presentation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dataset = self.dataset.name();
        f.debug_struct("Presentation")
            .field("dataset", &dataset)
            .finish_non_exhaustive()
    }
}

impl Presentation<'_> {
    /// A report of `findings`, ready to be written into a folder.
    ///
    /// An image that can no longer be read is left out, and stands among the report's failures.
    ///
    /// # Errors
    ///
    /// When the findings are not of these features and images.
    pub fn report(&self, findings: &Findings) -> Result<Report> {
        self.check(findings)?;
        let table = &self.extracted.table;
        let class = findings.class;
        let mistakes: Vec<usize> = findings
            .explanation
            .outcomes
            .iter()
            .map(|outcome| outcome.sample)
            .collect();
        let shown = &mistakes[..mistakes.len().min(MISTAKES_SHOWN)];
        let mut images = Images::default();
        let neurons = self.neurons(findings, &mut images)?;
        Ok(Report {
            mistakes: self.samples(shown, None, &mut images),
            neurons,
            summary: DebugSummary {
                class,
                class_name: table.class_names()[class.0].clone(),
                class_names: table.class_names().to_vec(),
                group_names: table
                    .groups()
                    .map_or_else(Vec::new, |groups| groups.names.clone()),
                samples: table.samples_of(class)?.len(),
                mistakes: mistakes.len(),
                confusions: confusions(findings),
                unflipped: findings.ranking.unflipped,
                metrics: Metrics::of(table)?,
                ranking: Ranking {
                    insufficient: self.ranked(&findings.ranking.insufficient),
                    excessive: self.ranked(&findings.ranking.excessive),
                },
                visualizations: visualizations(findings, table)?,
                edit: self.edit(findings),
                interrupted: findings.interrupted,
                failures: findings
                    .failures
                    .iter()
                    .cloned()
                    .chain(images.failures)
                    .collect(),
                run: self.run(findings),
            },
        })
    }

    /// Checks that what is to be shown together was found together.
    fn check(&self, findings: &Findings) -> Result<()> {
        let table = &self.extracted.table;
        table.check_class(findings.class)?;
        let neurons = findings.explanation.shifts.ncols();
        let of_neurons = "neurons of the features that the findings are shown with";
        if neurons != table.neurons() {
            return Err(CoreError::shape(of_neurons, neurons, table.neurons()).into());
        }
        let outcomes = findings.explanation.outcomes.iter();
        let most = outcomes
            .map(|outcome| outcome.sample + 1)
            .max()
            .unwrap_or(0);
        if most > table.len() || self.extracted.indices.len() != table.len() {
            let of_samples = "samples of the features that the findings are shown with";
            let expected = format!("at least {most}, and an index of each");
            return Err(CoreError::shape(of_samples, expected, table.len()).into());
        }
        Ok(())
    }

    fn ranked(&self, neurons: &[RankedNeuron]) -> Vec<neuroinspect_report::RankedNeuron> {
        let line = |ranked: &RankedNeuron| neuroinspect_report::RankedNeuron {
            neuron: ranked.neuron,
            prec_at_5: ranked.prec_at_5,
            importance: ranked.importance,
            context_response: self.context_responses.get(&ranked.neuron).cloned(),
        };
        neurons.iter().map(line).collect()
    }

    fn neurons(&self, findings: &Findings, images: &mut Images) -> Result<Vec<NeuronPictures>> {
        let table = &self.extracted.table;
        let mut pictures = |pair: &Pair| {
            let &Pair { neuron, class } = pair;
            let illusion = findings
                .illusions
                .iter()
                .find(|illusion| illusion.pair == *pair);
            let of_class = table.top_activating(neuron, Some(class), TOP_SHOWN)?;
            let overall = table.top_activating(neuron, None, TOP_SHOWN)?;
            Ok(NeuronPictures {
                neuron,
                class,
                illusion: illusion
                    .map(|illusion| {
                        Ok::<_, crate::Error>(IllusionPictures {
                            image: to_rgb_image(illusion.image.view())?,
                            masked_image: to_rgb_image(illusion.masked_image().view())?,
                        })
                    })
                    .transpose()?,
                top_of_class: self.samples(&of_class, Some(neuron), images),
                top_overall: self.samples(&overall, Some(neuron), images),
            })
        };
        findings.pairs.iter().map(&mut pictures).collect()
    }

    /// The samples of these rows whose images can be read.
    fn samples(
        &self,
        rows: &[usize],
        neuron: Option<NeuronId>,
        images: &mut Images,
    ) -> Vec<Sample> {
        let table = &self.extracted.table;
        let sample = |&row: &usize| {
            let image = images.get(self.dataset, self.extracted.indices[row])?;
            Some(Sample {
                id: table.sample_ids()[row].clone(),
                label: table.labels()[row],
                prediction: table.predictions()[row],
                activation: neuron.map(|neuron| table.features()[[row, neuron.0]]),
                image,
            })
        };
        rows.iter().filter_map(sample).collect()
    }

    fn edit(&self, findings: &Findings) -> Option<Edit> {
        let mending = findings.mending.as_ref()?;
        Some(Edit {
            neurons: findings.neurons.clone(),
            objective: "probability ratio".into(),
            target: Some(mending.edited.target),
            epochs: mending.edited.epochs.len(),
            evaluated_on: evaluated_on(mending),
            also_trained_on: mending.also_trained_on,
            chosen_from: mending.chosen_from,
            before: mending.comparison.before.clone(),
            after: mending.comparison.after.clone(),
            control: mending.control.metrics().cloned(),
            layer_sha256: Some(mending.edit.sha256_after().to_owned()),
            file: self.edit_file.as_ref().map(|file| file.path.clone()),
            how_to_apply: self
                .edit_file
                .as_ref()
                .and_then(|file| file.how_to_apply.clone()),
        })
    }

    fn run(&self, findings: &Findings) -> Run {
        let mut run = self.run.clone();
        run.timings
            .extend(findings.timings.iter().map(|(stage, time)| Timing {
                stage: (*stage).to_owned(),
                seconds: time.as_secs_f64(),
            }));
        run
    }
}

/// Real images as a report shows them, each read once.
#[derive(Default)]
struct Images {
    read: HashMap<usize, Option<RgbImage>>,
    failures: Vec<StageFailure>,
}

impl Images {
    /// The image of a sample; `None`, and a note of why, when it cannot be read.
    fn get(&mut self, dataset: &dyn ImageDataset, index: usize) -> Option<RgbImage> {
        let read = self.read.entry(index).or_insert_with(|| {
            let image = dataset.image(index).and_then(|image| {
                let small = image.width().max(image.height()) <= THUMBNAIL;
                match small {
                    true => Ok(image),
                    false => thumbnail(&image, THUMBNAIL),
                }
            });
            match image {
                Ok(image) => Some(image),
                Err(error) => {
                    self.failures.push(StageFailure {
                        stage: "showing real images".into(),
                        reason: with_causes(&error),
                    });
                    None
                }
            }
        });
        read.clone()
    }
}

/// What an edit was measured on, as an honest reader needs to know it.
fn evaluated_on(mending: &Mending) -> String {
    let samples = mending.comparison.before.samples;
    let trained_on = match mending.also_trained_on {
        0 => format!("{samples} samples not trained on"),
        all if all == samples => format!("{samples} samples, all of them trained on as well"),
        some => format!("{samples} samples, {some} of which were trained on as well"),
    };
    match mending.chosen_from {
        0 => trained_on,
        mistakes => format!(
            "{trained_on} (among them {mistakes} of the mistakes that the neurons were chosen from)"
        ),
    }
}

/// What pictures optimised for `objective` are called.
fn objective_name(objective: Objective) -> &'static str {
    if objective == Objective::Guided {
        "CLIP-Illusion"
    } else if objective == Objective::ClassConditional {
        "neuron and class, without CLIP"
    } else {
        "feature visualization"
    }
}

fn confusions(findings: &Findings) -> Vec<Confusion> {
    let mut counts = BTreeMap::<ClassId, usize>::new();
    for outcome in &findings.explanation.outcomes {
        *counts.entry(outcome.predicted).or_default() += 1;
    }
    let mut confusions: Vec<_> = counts
        .into_iter()
        .map(|(class, count)| Confusion { class, count })
        .collect();
    confusions.sort_by_key(|confusion| std::cmp::Reverse(confusion.count));
    confusions
}

fn visualizations(findings: &Findings, table: &FeatureTable) -> Result<Vec<Visualization>> {
    let line = |(illusion, &relevance): (&neuroinspect_illusion::Illusion, &Option<f32>)| {
        let neuron = illusion.pair.neuron;
        let top = table.top_activating(neuron, None, 1)?;
        Ok(Visualization {
            objective: Some(objective_name(findings.illusion_config.objective).to_owned()),
            steps: illusion.steps,
            steps_planned: findings.illusion_config.steps,
            top_real_activation: top.first().map(|&row| table.features()[[row, neuron.0]]),
            clip_similarity: illusion.clip_similarity,
            core_relevance: relevance,
            ..Visualization::new(neuron, illusion.pair.class, illusion.activation)
        })
    };
    findings
        .illusions
        .iter()
        .zip(&findings.core_relevance)
        .map(line)
        .collect()
}
