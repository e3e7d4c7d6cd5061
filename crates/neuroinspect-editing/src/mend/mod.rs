//! Which mend helps, if any: chosen without a group label.

mod cells;
mod choice;
mod lbfgs;
mod outcome;
mod result;
mod solver;
mod words;

use std::collections::{BTreeMap, btree_map::Entry};

use derive_setters::Setters;
use neuroinspect_core::{ClassId, DecisionLayer, Error as CoreError, NeuronId, Observer, Progress};
use serde::{Deserialize, Serialize};

pub use self::{
    cells::Evidence,
    result::{
        Candidate, CandidateKind, ChosenOn, FrontierPoint, Gain, Interval, MendResult, Yardstick,
    },
};

use self::{
    choice::{Judge, Samples},
    outcome::Outcome,
    solver::{Problem, Union},
};
use crate::{
    Citation, ControlBy, DecisionMethod, Fitted, MethodInput, Result, TrainingConfig,
    methods::{FromArguments, MethodArguments},
    suspects,
    triage::suspects_among,
};

/// Parts that samples are divided into: what is fitted on four is judged on the fifth.
const FOLDS: usize = 5;

/// Strengths by which a layer is held to the one as it is.
const LAMBDAS: [f64; 3] = [1e-2, 1e-3, 1e-4];
const LAMBDA_OF_SILENCE: f64 = 1e-3;

/// Which parts of all neurons are silenced: a sixth, a third, half.
const SILENCED: [usize; 3] = [6, 3, 2];

/// How many times what it gains by groups a mend may cost on data like the validation samples: then it is
/// the better layer where three quarters of the data are like the groups.
///
/// Mistakes that fall on all classes alike are no proof of a shortcut. Classes that are equally like each
/// other make such mistakes too, and a mend by them would gain little and cost much.
const MOST_COST: f64 = 3.0;

/// Suspects that a result lists.
const LISTED: usize = 30;

/// Chooses how to mend a layer, or to leave it, without looking at a group label; then mends it so.
///
/// Candidates are decision layers fitted by one convex problem, a logistic regression held to the layer
/// as it is: on training and validation samples, on the validation samples alone, with the neurons first
/// [suspected](suspects) taken for 0, and with samples weighted so that every cell of class and class
/// taken for counts alike. Each is judged by predictions for samples that it was not fitted on, and by whose
/// labels no neuron was suspected. Cells are told by layers fitted on the other folds, so that every label has a
/// part in the weights that the last candidate is fitted and judged by: these are not cross-fitted.
///
/// The accuracy that counts is that over the cells where mistakes are blamed on a shortcut
/// ([`Evidence`]), and that on the validation samples otherwise. For no class, the candidate of highest mean
/// class accuracy is taken; for a class, of all candidates with a bias on it that of its highest accuracy
/// whose mean is within half a point of the best. A simpler one is taken where it is within a standard error
/// of the best. What the choice gains is estimated by making it without each fold and measuring it there;
/// where that is not [sure](Gain::is_sure), the layer is left as it is.
///
/// That mistakes mislead all classes alike is evidence of a shortcut, no proof, and one that misleads two
/// classes alone is not seen: who knows of it asks for [groups](YardstickChoice::Groups). A mend by groups costs
/// accuracy on data like the validation samples. With a thousand validation samples of which one in twenty
/// contradicts the shortcut it was often not found; about 1500 were needed. Classes of fewer than five
/// validation samples do not count; where the class asked for is one, nothing is recommended.
///
/// Beside the tables a mend holds about 300 bytes a sample. It fits about 70 layers, each of which looks at all
/// samples up to some hundred times.
///
/// The validation samples should be like the data that the layer will meet: a correlation that is total
/// there as well is seen by nobody who looks at no group label.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct Mend {
    /// The class to be helped; `None`: all of them.
    pub class: Option<ClassId>,
    /// By what to choose; automatic.
    pub yardstick: YardstickChoice,
    /// Plain retraining so, on training and validation samples, is what the mend is
    /// [compared](crate::EditSession::mend) with. Its seed divides and draws samples.
    pub training: TrainingConfig,
}

/// By what to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum YardstickChoice {
    /// By groups where mistakes are blamed on a shortcut and the mend costs at most three times what it
    /// gains, and else by data.
    #[default]
    Automatic,
    /// By groups: for who knows of a shortcut. Of two or three classes none can be told.
    Groups,
    /// By data.
    Data,
}

/// A mended layer, and why it is that.
#[derive(Clone, Debug, PartialEq)]
pub struct Mended {
    /// The layer; the one as it was where nothing is recommended.
    pub layer: DecisionLayer,
    /// What was chosen, among what, and what that rests on.
    pub result: MendResult,
}

impl Mended {
    /// The layer, and as [derived](Fitted::derived) numbers which candidate it is: its `lambda` under its
    /// kind's name, 0 for `nothing`, its `bias`, and how many neurons are `silenced`.
    pub(crate) fn into_fitted(self) -> Fitted {
        let candidate = self.result.recommended.unwrap_or(Candidate::NOTHING);
        let mut fitted = Fitted::new(self.layer)
            .with_derived(candidate.kind.name(), candidate.lambda.unwrap_or(0.0));
        if candidate.bias != 0.0 {
            fitted = fitted.with_derived("bias", candidate.bias);
        }
        match candidate.silenced.len() {
            0 => fitted,
            silenced => fitted.with_derived("silenced", silenced as f64),
        }
    }
}

impl Mend {
    /// The name it is recorded under.
    pub const NAME: &'static str = "auto";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str =
        "Tries several mends and chooses by samples they were not fitted on.";

    const STAGE: &'static str = "choosing a mend";

    /// For a class, or for all of them.
    pub fn new(class: Option<ClassId>) -> Self {
        Self {
            class,
            ..Self::default()
        }
    }

    /// Chooses, and mends. The observer hears of each layer fitted, and can stop the work.
    ///
    /// # Errors
    ///
    /// When the class is out of range, the device fails, or the observer asks to stop.
    pub fn mend(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Mended> {
        let mended = self.mend_each(&[self.class], input, observer)?.pop();
        Ok(mended.ok_or_else(|| CoreError::empty("classes to mend a layer for"))?)
    }

    /// The same for each of some classes, or for all of them where there is none, in place of its own: the
    /// candidates are fitted once. Beside the tables it holds some 300 bytes a sample and class asked for.
    ///
    /// # Errors
    ///
    /// As [`mend`](Self::mend).
    pub fn mend_each(
        &self,
        classes: &[Option<ClassId>],
        input: &MethodInput<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Mended>> {
        for class in classes.iter().flatten() {
            input.layer().check_class(*class)?;
        }
        let union = Union::new(input, self.training.seed)?;
        self.mend_by(&union, classes, input, observer)
    }

    fn mend_by(
        &self,
        union: &Union<'_>,
        asked: &[Option<ClassId>],
        input: &MethodInput<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Mended>> {
        let layer = input.layer();
        let classes: Vec<_> = asked.iter().map(|it| it.map(|it| it.0)).collect();
        let suspected = suspected(union, input)?;
        let candidates = candidates(&suspected[FOLDS], layer.neurons());
        let mut done = 0;
        let total = cells::FITS + (candidates.len() - 1) * FOLDS + asked.len();
        let mut proceed = || -> Result<()> {
            done += 1;
            let stage = Self::STAGE;
            Ok(observer.proceed(Progress { stage, done, total })?)
        };
        let taken_for = cells::taken_for(union, &mut proceed)?;
        let labels = union.of_samples(&union.labels);
        let evidence = Evidence::new(&labels, &taken_for, union.classes());
        let cells = evidence.weights(&labels, &taken_for);
        let fits = Fits {
            union,
            layer,
            suspected,
            balanced: balanced(&union.of_rows(&cells), union),
        };
        let mut outcomes = vec![union.all_outcomes(layer, &classes)?];
        for candidate in &candidates[1..] {
            outcomes.push(union.out_of_fold(&classes, |fold| {
                proceed()?;
                fits.fit(candidate, Some(fold))
            })?);
        }
        let judged = Candidates {
            input,
            labels,
            folds: union.of_samples(&union.folds),
            training_samples: union.training_samples(),
            classes: union.classes(),
            candidates,
            evidence,
            cells,
        };
        // On all samples those alone are fitted that are recommended, each once.
        let mut layers = BTreeMap::from([(0, layer.clone())]);
        let mended = asked.iter().enumerate().map(|(index, &class)| {
            let outcomes = outcomes.iter().map(|it| &it[index][..]).collect();
            proceed()?;
            self.choose(class, &judged, outcomes, |candidate| {
                Ok(match layers.entry(candidate) {
                    Entry::Occupied(known) => known.get().clone(),
                    Entry::Vacant(place) => {
                        let layer = fits.fit(&judged.candidates[candidate], None)?;
                        place.insert(layer).clone()
                    }
                })
            })
        });
        mended.collect()
    }

    /// What is chosen for a class by the `outcomes` of each candidate, and the layer.
    fn choose(
        &self,
        class: Option<ClassId>,
        Candidates {
            input,
            labels,
            folds,
            training_samples,
            classes,
            candidates,
            evidence,
            cells,
        }: &Candidates<'_>,
        outcomes: Vec<&[Outcome]>,
        layer_of: impl FnOnce(usize) -> Result<DecisionLayer>,
    ) -> Result<Mended> {
        let seed = self.training.seed;
        let (first, classes) = (*training_samples, *classes);
        let ones = vec![1.0; labels.len() - first];
        let data = Samples {
            labels: &labels[first..],
            folds: &folds[first..],
            weights: &ones,
            outcomes: outcomes.iter().map(|it| &it[first..]).collect(),
            classes,
        };
        let groups = Samples {
            labels,
            folds,
            weights: cells,
            outcomes,
            classes,
        };
        let judge = |samples| Judge::new(candidates, samples, class, seed);
        let data = judge(data);
        let groups = judge(groups).counting_as(&data);
        let judged = judged(&groups, &data, self.yardstick, evidence);
        let too_few = data.too_few();
        let mut suspects = suspects(input, class)?;
        suspects.truncate(LISTED);

        let layer = match judged.recommended {
            None => input.layer().clone(),
            Some((candidate, bias)) => {
                let layer = layer_of(candidate)?;
                let mut biases = layer.bias().to_owned();
                if let Some(class) = class {
                    biases[class.0] += bias as f32;
                }
                DecisionLayer::new(layer.weight().to_owned(), biases)?
            }
        };
        let at = |point: &FrontierPoint| judged.recommended == Some((point.candidate, point.bias));
        let result = MendResult {
            class,
            recommended_at: judged.frontier.iter().position(at),
            recommended: judged
                .recommended
                .map(|(it, bias)| candidates[it].with_bias(bias)),
            best: candidates[judged.best.0].with_bias(judged.best.1),
            asked: self.yardstick,
            yardstick: judged.yardstick,
            gain: judged.gain,
            gain_by_the_other: judged.gain_by_the_other,
            evidence: evidence.clone(),
            frontier: judged.frontier,
            candidates: candidates.clone(),
            suspects,
            samples: [first, labels.len() - first],
            chosen_on: ChosenOn::Validation,
            too_few,
            seed,
        };
        Ok(Mended { layer, result })
    }
}

/// The candidates; what is chosen of them depends on the class asked for.
struct Candidates<'a> {
    input: &'a MethodInput<'a>,
    /// The class of each sample, and the fold it is in.
    labels: Vec<usize>,
    folds: Vec<usize>,
    /// How many of them are of the training table: the first.
    training_samples: usize,
    /// Number of classes.
    classes: usize,
    candidates: Vec<Candidate>,
    evidence: Evidence,
    /// The weight of each sample by its cell.
    cells: Vec<f64>,
}

/// What candidates are fitted by.
struct Fits<'a> {
    union: &'a Union<'a>,
    layer: &'a DecisionLayer,
    /// The neurons, the most suspect first: by the validation samples outside of each fold, and by all.
    suspected: Vec<Vec<NeuronId>>,
    /// The weights of rows by the cells of their samples.
    balanced: Vec<f64>,
}

impl Fits<'_> {
    /// The layer of a candidate, without a bias: of the samples outside of a fold, or of all.
    fn fit(&self, candidate: &Candidate, fold: Option<usize>) -> Result<DecisionLayer> {
        let union = self.union;
        let weight = |row: usize| match candidate.kind {
            _ if Some(union.folds[row]) == fold => 0.0,
            CandidateKind::PlainValidation if row < union.training() => 0.0,
            CandidateKind::Balanced => self.balanced[row],
            _ => 1.0,
        };
        let suspected = self.suspected[fold.unwrap_or(FOLDS)].iter();
        let silenced = suspected.take(candidate.silenced.len());
        union.solve(&Problem {
            weights: &(0..union.len()).map(weight).collect::<Vec<_>>(),
            lambda: candidate.lambda.unwrap_or(0.0),
            start: Some(self.layer),
            silenced: &silenced.copied().collect::<Vec<_>>(),
        })
    }
}

/// The neurons, the most suspect first: by the validation samples outside of each fold, and by all.
fn suspected(union: &Union<'_>, input: &MethodInput<'_>) -> Result<Vec<Vec<NeuronId>>> {
    let folds = &union.folds[union.training()..];
    let order = |fold: usize| -> Result<_> {
        let suspects = suspects_among(input, None, |sample| folds[sample] != fold)?;
        Ok(suspects.iter().map(|suspect| suspect.neuron).collect())
    };
    // No sample is in the last.
    (0..=FOLDS).map(order).collect()
}

/// What was chosen: candidates by their indices, with a bias.
struct Judged {
    recommended: Option<(usize, f64)>,
    best: (usize, f64),
    yardstick: Yardstick,
    gain: Gain,
    gain_by_the_other: Gain,
    frontier: Vec<FrontierPoint>,
}

/// Chooses by groups where mistakes are blamed on a shortcut, or that is asked for; where that is not
/// sure to help by data.
fn judged<'a>(
    groups: &Judge<'a>,
    data: &Judge<'a>,
    asked: YardstickChoice,
    evidence: &Evidence,
) -> Judged {
    let by = |yardstick| {
        let (judge, other) = match yardstick {
            Yardstick::Groups => (groups, data),
            Yardstick::Data => (data, groups),
        };
        let (choice, gain) = judge.judge();
        let best = (choice.0, judge.biases[choice.1]);
        Judged {
            // Where the folds' choices help and the choice on all samples is to do nothing, nothing is recommended.
            recommended: (gain.is_sure() && data.can_tell() && best != (0, 0.0)).then_some(best),
            best,
            yardstick,
            gain,
            gain_by_the_other: other.gain(choice),
            frontier: frontier(groups, data),
        }
    };
    if asked == YardstickChoice::Groups {
        return by(Yardstick::Groups);
    }
    if asked == YardstickChoice::Automatic && evidence.blames_a_shortcut() {
        let judged = by(Yardstick::Groups);
        let cost = -judged.gain_by_the_other.mean.estimate;
        if judged.recommended.is_some() && cost <= MOST_COST * judged.gain.mean.estimate {
            return judged;
        }
    }
    by(Yardstick::Data)
}

/// Every candidate with every bias.
fn frontier(groups: &Judge<'_>, data: &Judge<'_>) -> Vec<FrontierPoint> {
    let biases = data.biases.iter().enumerate();
    let points =
        (0..data.candidates().len()).flat_map(|it| biases.clone().map(move |bias| (it, bias)));
    points
        .map(|(candidate, (bias, &value))| {
            let (of_groups, of_data) = (
                groups.worth((candidate, bias)),
                data.worth((candidate, bias)),
            );
            FrontierPoint {
                candidate,
                bias: value,
                class: of_data.0,
                class_by_groups: of_groups.0,
                mean: of_data.1,
                mean_by_groups: of_groups.1,
            }
        })
        .collect()
}

impl FromArguments for Mend {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            training: arguments.training.clone(),
            ..Self::new(arguments.class)
        })
    }
}

impl DecisionMethod for Mend {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        None
    }

    fn describe(&self) -> String {
        "chooses what helps by samples it was not fitted on".to_owned()
    }

    fn class(&self) -> Option<ClassId> {
        self.class
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn control(&self) -> ControlBy {
        ControlBy::Both
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        Ok(self.mend(input, observer)?.into_fitted())
    }
}

/// All candidates, the simplest first.
fn candidates(suspects: &[NeuronId], neurons: usize) -> Vec<Candidate> {
    let fitted = |kind, lambda, silenced: &[NeuronId]| Candidate {
        kind,
        lambda: Some(lambda),
        silenced: silenced.to_vec(),
        bias: 0.0,
    };
    let mut candidates = vec![Candidate::NOTHING];
    let of_lambdas = |kind| LAMBDAS.map(|lambda| fitted(kind, lambda, &[]));
    candidates.extend(of_lambdas(CandidateKind::Plain));
    candidates.extend(of_lambdas(CandidateKind::PlainValidation));
    // Without mistakes there are no suspects; of few neurons some parts are none, or alike.
    let mut counts = SILENCED.map(|part| neurons / part).to_vec();
    counts.dedup();
    for count in counts
        .into_iter()
        .filter(|&count| count > 0 && count <= suspects.len())
    {
        candidates.push(fitted(
            CandidateKind::Silence,
            LAMBDA_OF_SILENCE,
            &suspects[..count],
        ));
    }
    candidates.extend(of_lambdas(CandidateKind::Balanced));
    candidates
}

/// The weights of rows, scaled so that every class has the same in sum.
fn balanced(weights: &[f64], union: &Union<'_>) -> Vec<f64> {
    let mut sums = vec![0.0; union.classes()];
    let pairs = || weights.iter().zip(&union.labels);
    pairs().for_each(|(weight, &label)| sums[label] += weight);
    pairs()
        .map(|(weight, &label)| weight / sums[label])
        .collect()
}

#[cfg(test)]
mod tests;
