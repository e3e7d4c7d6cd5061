//! From findings to a report: the pictures that go with the numbers.

use std::{collections::BTreeMap, fmt};

use neuroinspect_core::{ClassId, FeatureTable, Metrics, NeuronId};
use neuroinspect_counterfactual::RankedNeuron;
use neuroinspect_datasets::{ImageDataset, thumbnail};
use neuroinspect_illusion::{Objective, Pair};
use neuroinspect_report::{
    Confusion, ContextResponse, DebugSummary, Edit, IllusionPictures, NeuronPictures, Ranking,
    Report, Run, Sample, Timing, Visualization, to_rgb_image,
};

use crate::{Extracted, Findings, Result};

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
    /// Where the edit file is, relative to the report, and how it is applied.
    pub edit_file: Option<EditFile>,
    /// How neurons answer to a planted context, where there is one.
    pub context_responses: BTreeMap<NeuronId, ContextResponse>,
}

/// Where an edit file is and how it is applied.
#[derive(Clone, Debug)]
pub struct EditFile {
    /// Its path, relative to the report.
    pub path: String,
    /// A command or a line of code that applies it.
    pub how_to_apply: String,
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
    /// # Errors
    ///
    /// When an image to be shown cannot be read.
    pub fn report(self, findings: &Findings) -> Result<Report> {
        let table = &self.extracted.table;
        let class = findings.class;
        let mistakes: Vec<usize> = findings
            .explanation
            .outcomes
            .iter()
            .map(|outcome| outcome.sample)
            .collect();
        let shown = &mistakes[..mistakes.len().min(MISTAKES_SHOWN)];
        Ok(Report {
            mistakes: self.samples(shown, None)?,
            neurons: self.neurons(findings)?,
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
                failures: findings.failures.clone(),
                run: self.run(findings),
            },
        })
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

    fn neurons(&self, findings: &Findings) -> Result<Vec<NeuronPictures>> {
        let table = &self.extracted.table;
        let pictures = |&Pair { neuron, class }: &Pair| {
            let illusion = findings
                .illusions
                .iter()
                .find(|illusion| illusion.pair.neuron == neuron);
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
                top_of_class: self.samples(&of_class, Some(neuron))?,
                top_overall: self.samples(&overall, Some(neuron))?,
            })
        };
        findings.pairs.iter().map(pictures).collect()
    }

    fn samples(&self, rows: &[usize], neuron: Option<NeuronId>) -> Result<Vec<Sample>> {
        let table = &self.extracted.table;
        let sample = |&row: &usize| {
            let image = self.dataset.image(self.extracted.indices[row])?;
            let small = image.width().max(image.height()) <= THUMBNAIL;
            Ok(Sample {
                id: table.sample_ids()[row].clone(),
                label: table.labels()[row],
                prediction: table.predictions()[row],
                activation: neuron.map(|neuron| table.features()[[row, neuron.0]]),
                image: if small {
                    image
                } else {
                    thumbnail(&image, THUMBNAIL)?
                },
            })
        };
        rows.iter().map(sample).collect()
    }

    fn edit(&self, findings: &Findings) -> Option<Edit> {
        let mending = findings.mending.as_ref()?;
        Some(Edit {
            neurons: findings.neurons.clone(),
            objective: "probability ratio".into(),
            target: Some(mending.edited.target),
            epochs: mending.edited.epochs.len(),
            evaluated_on: evaluated_on(mending.comparison.before.samples, mending.trained_on),
            before: mending.comparison.before.clone(),
            after: mending.comparison.after.clone(),
            control: mending.control.clone(),
            file: self.edit_file.as_ref().map(|file| file.path.clone()),
            how_to_apply: self
                .edit_file
                .as_ref()
                .map(|file| file.how_to_apply.clone()),
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

/// What an edit was measured on, as an honest reader needs to know it.
fn evaluated_on(samples: usize, trained_on: usize) -> String {
    match trained_on {
        0 => format!("{samples} samples not trained on"),
        all if all == samples => format!("{samples} samples, all of them trained on as well"),
        some => format!("{samples} samples, {some} of which were trained on as well"),
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
            objective: Some(objective_name(findings.objective).to_owned()),
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
