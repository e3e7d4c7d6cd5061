//! Where the paper and its authors' code disagree, as switches.

use std::fmt;

use neuroinspect_counterfactual::{
    CounterfactualConfig, Overlap, PenaltyScale, RankingConfig, Votes,
};
use neuroinspect_editing::{EditConfig, Keep, RatioForm, RatioNorm, Schedule, Ties};
use neuroinspect_illusion::{Augmentation, Coupling, Recipe};
use serde::{Deserialize, Serialize};

/// Whose way an experiment goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As the paper writes it.
    Paper,
    /// As its authors' code does it.
    Code,
    /// As it should be: what is an error in either is mended.
    #[default]
    Fixed,
}

/// Each disagreement of paper and code that changes a number, and that this library can do in more ways than
/// one. [`Mode`] sets all of them; a [ledger](super::LedgerRow) says what one by itself is worth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Switches {
    /// Whether the images of a batch pull on each other.
    pub coupling: Coupling,
    /// The scale of the penalties of a counterfactual.
    pub penalty_scale: PenaltyScale,
    /// Which shifts vote for insufficient neurons.
    pub votes: Votes,
    /// What becomes of neurons in both lists.
    pub overlap: Overlap,
    /// How the learning rate goes; Waterbirds has a constant one in all modes.
    pub schedule: Schedule,
    /// One ratio for all neurons together or for each.
    pub ratio_form: RatioForm,
    /// How the ratios of a batch become one number.
    pub ratio_norm: RatioNorm,
    /// Which epoch is kept.
    pub keep: Keep,
    /// Which of equally good epochs is kept.
    pub ties: Ties,
    /// Whether the first epochs, two on MetaShift and one on Waterbirds, cannot be kept.
    pub skips_epochs: bool,
    /// The weight of the penalty on Waterbirds.
    pub waterbirds_lambda3: f64,
    /// Whose mistakes concepts are scored on.
    pub scored_mistakes: ScoredMistakes,
    /// Least and largest factor by which a picture is resized at each step.
    pub resize: (f64, f64),
    /// The same in feature visualization.
    pub fv_resize: (f64, f64),
    /// What holds the class back in a picture.
    pub guard: Guard,
    /// What becomes of the mean of a class's prompts.
    pub prompts: Prompts,
    /// The weight of the class's logit in feature visualization.
    pub fv_class: f64,
    /// What a mask leaves of a picture where the neuron is not active.
    pub mask_reduction: f64,
}

/// What holds the class back, so that a picture of a neuron is not one of the class alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Nothing.
    #[default]
    None,
    /// The class's logit is multiplied by the neuron's activation, held between 0 and 1: while the neuron is
    /// silent, the class counts for nothing.
    Activation,
}

/// What becomes of the mean of the embeddings of a class's prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompts {
    /// It is left as it is, the shorter the less they agree.
    #[default]
    Mean,
    /// It is scaled to length 1, so that the similarity is a cosine.
    Normalised,
}

/// Which mistakes prec@3 and the concept score are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoredMistakes {
    /// Those of each layer itself, so that every row is of other samples.
    OfEachLayer,
    /// Those of the layer before, explained again with each layer.
    #[default]
    OfLayerBefore,
}

/// One field of [`Switches`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the field of its name")]
pub enum Switch {
    Coupling,
    PenaltyScale,
    Votes,
    Overlap,
    Schedule,
    RatioForm,
    RatioNorm,
    Keep,
    Ties,
    SkipsEpochs,
    WaterbirdsLambda3,
    ScoredMistakes,
    Resize,
    FvResize,
    Guard,
    Prompts,
    FvClass,
    MaskReduction,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Paper, Self::Code, Self::Fixed];

    /// How its switches stand.
    pub fn switches(self) -> Switches {
        match self {
            Self::Paper => Switches {
                coupling: Coupling::PerImage,
                penalty_scale: PenaltyScale::Unscaled,
                votes: Votes::BySign,
                overlap: Overlap::Keep,
                schedule: Schedule::Warmup,
                ratio_form: RatioForm::PerNeuron,
                ratio_norm: RatioNorm::L2,
                keep: Keep::Accuracy,
                ties: Ties::SmallerPenalty,
                skips_epochs: false,
                waterbirds_lambda3: 0.001,
                scored_mistakes: ScoredMistakes::OfEachLayer,
                resize: (0.7, 1.2),
                fv_resize: (0.7, 1.2),
                guard: Guard::Activation,
                prompts: Prompts::Normalised,
                fv_class: 0.0,
                mask_reduction: 0.0,
            },
            Self::Code => Switches {
                coupling: Coupling::WholeBatch,
                penalty_scale: PenaltyScale::PerNeuron,
                votes: Votes::UncheckedInsufficient,
                overlap: Overlap::Drop,
                schedule: Schedule::OriginalWarmup,
                ratio_form: RatioForm::Joint,
                ratio_norm: RatioNorm::L2,
                keep: Keep::Accuracy,
                ties: Ties::Later,
                skips_epochs: true,
                waterbirds_lambda3: 0.01,
                scored_mistakes: ScoredMistakes::OfEachLayer,
                resize: (0.6, 1.2),
                fv_resize: (0.7, 1.2),
                guard: Guard::None,
                prompts: Prompts::Mean,
                fv_class: 0.1,
                mask_reduction: 0.5,
            },
            Self::Fixed => Switches {
                coupling: Coupling::PerImage,
                penalty_scale: PenaltyScale::PerNeuron,
                votes: Votes::BySign,
                overlap: Overlap::Keep,
                schedule: Schedule::Warmup,
                ratio_form: RatioForm::PerNeuron,
                ratio_norm: RatioNorm::RootMeanSquare,
                keep: Keep::Last,
                ties: Ties::SmallerPenalty,
                skips_epochs: false,
                waterbirds_lambda3: 0.001,
                scored_mistakes: ScoredMistakes::OfLayerBefore,
                resize: (0.6, 1.2),
                fv_resize: (0.6, 1.2),
                guard: Guard::None,
                prompts: Prompts::Mean,
                fv_class: 0.0,
                mask_reduction: 0.5,
            },
        }
    }

    /// The modes in which a switch may stand otherwise, the first to be compared with first.
    fn others(self) -> [Self; 2] {
        match self {
            Self::Paper => [Self::Code, Self::Fixed],
            Self::Code => [Self::Fixed, Self::Paper],
            Self::Fixed => [Self::Code, Self::Paper],
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paper => "paper",
            Self::Code => "code",
            Self::Fixed => "fixed",
        })
    }
}

impl Switch {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Coupling,
        Self::PenaltyScale,
        Self::Votes,
        Self::Overlap,
        Self::Schedule,
        Self::RatioForm,
        Self::RatioNorm,
        Self::Keep,
        Self::Ties,
        Self::SkipsEpochs,
        Self::WaterbirdsLambda3,
        Self::ScoredMistakes,
        Self::Resize,
        Self::FvResize,
        Self::Guard,
        Self::Prompts,
        Self::FvClass,
        Self::MaskReduction,
    ];

    /// Those of finding neurons by their votes, and of editing by the probability ratio.
    pub(super) const OF_EDITING: &[Self] = &[
        Self::PenaltyScale,
        Self::Votes,
        Self::Overlap,
        Self::Schedule,
        Self::RatioForm,
        Self::RatioNorm,
        Self::Keep,
        Self::Ties,
        Self::SkipsEpochs,
    ];

    /// The name of the field of [`Switches`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Coupling => "coupling",
            Self::PenaltyScale => "penalty_scale",
            Self::Votes => "votes",
            Self::Overlap => "overlap",
            Self::Schedule => "schedule",
            Self::RatioForm => "ratio_form",
            Self::RatioNorm => "ratio_norm",
            Self::Keep => "keep",
            Self::Ties => "ties",
            Self::SkipsEpochs => "skips_epochs",
            Self::WaterbirdsLambda3 => "waterbirds_lambda3",
            Self::ScoredMistakes => "scored_mistakes",
            Self::Resize => "resize",
            Self::FvResize => "fv_resize",
            Self::Guard => "guard",
            Self::Prompts => "prompts",
            Self::FvClass => "fv_class",
            Self::MaskReduction => "mask_reduction",
        }
    }

    /// The disagreement, in a sentence.
    pub fn disagreement(self) -> &'static str {
        match self {
            Self::Coupling => {
                "The paper's objective is of one image; the code multiplies a column by a row, so that every \
                 image of a batch is weighted by the mean similarity of all."
            }
            Self::PenaltyScale => {
                "The paper prints the norms of a counterfactual as they are, the code divides them by the number \
                 of neurons."
            }
            Self::Votes => {
                "By the paper a neuron is insufficient where more of it would have helped; the code takes the \
                 largest shifts whatever their sign."
            }
            Self::Overlap => {
                "The code leaves a neuron out that stands in both lists; the paper does not speak of it."
            }
            Self::Schedule => {
                "The warm-up that the code means to do is stepped by the batch within the epoch, so that the rate \
                 rises anew in every epoch and never falls."
            }
            Self::RatioForm => {
                "The paper has a probability ratio for each neuron, the code one for all of them zeroed at once."
            }
            Self::RatioNorm => {
                "The norm over a batch grows with the square root of its size; as a root mean square, weighted so \
                 that a full batch and one ratio a sample weigh the same, it does not."
            }
            Self::Keep => {
                "Paper and code keep the epoch that is most accurate on validation samples, which may be the one \
                 edited least; the last epoch is no choice."
            }
            Self::Ties => {
                "Among equally good epochs the code means to keep the one of smaller penalty, and keeps the later."
            }
            Self::SkipsEpochs => "The code never keeps the first epochs.",
            Self::WaterbirdsLambda3 => {
                "On Waterbirds the paper has a penalty weight of 0.001, the code and its README 0.01."
            }
            Self::ScoredMistakes => {
                "The paper compares prec@3 before and after an edit over different mistakes: those that are left."
            }
            Self::Resize => {
                "By the paper a picture is resized by factors from 0.7, in the code from 0.6; up to 1.2 in both."
            }
            Self::FvResize => {
                "The code's feature visualization is resized by factors from 0.7, where its CLIP-Illusion is from \
                 0.6: the two are not compared alike."
            }
            Self::Guard => {
                "The paper speaks of a guard against excessive activation of the class. The code has none; an \
                 earlier version multiplied the class's weight by the activation, held between 0 and 1."
            }
            Self::Prompts => {
                "The paper's similarity is a cosine; the code leaves the mean of a class's prompts as short as it is."
            }
            Self::FvClass => {
                "The paper's feature visualization is of the neuron alone, the code's has a tenth of the class's \
                 logit in it."
            }
            Self::MaskReduction => {
                "The paper masks out where a neuron is not active; the code leaves half of the picture's light."
            }
        }
    }
}

impl Switches {
    /// The same, with one switch as it stands in others.
    pub(super) fn with(mut self, switch: Switch, other: &Self) -> Self {
        match switch {
            Switch::Coupling => self.coupling = other.coupling,
            Switch::PenaltyScale => self.penalty_scale = other.penalty_scale,
            Switch::Votes => self.votes = other.votes,
            Switch::Overlap => self.overlap = other.overlap,
            Switch::Schedule => self.schedule = other.schedule,
            Switch::RatioForm => self.ratio_form = other.ratio_form,
            Switch::RatioNorm => self.ratio_norm = other.ratio_norm,
            Switch::Keep => self.keep = other.keep,
            Switch::Ties => self.ties = other.ties,
            Switch::SkipsEpochs => self.skips_epochs = other.skips_epochs,
            Switch::WaterbirdsLambda3 => self.waterbirds_lambda3 = other.waterbirds_lambda3,
            Switch::ScoredMistakes => self.scored_mistakes = other.scored_mistakes,
            Switch::Resize => self.resize = other.resize,
            Switch::FvResize => self.fv_resize = other.fv_resize,
            Switch::Guard => self.guard = other.guard,
            Switch::Prompts => self.prompts = other.prompts,
            Switch::FvClass => self.fv_class = other.fv_class,
            Switch::MaskReduction => self.mask_reduction = other.mask_reduction,
        }
        self
    }

    /// How a switch stands, in a word.
    pub fn value(&self, switch: Switch) -> String {
        let fields = serde_json::to_value(self).unwrap_or_default();
        match &fields[switch.name()] {
            serde_json::Value::String(word) => word.replace('_', " "),
            serde_json::Value::Bool(true) => "yes".to_owned(),
            serde_json::Value::Bool(false) => "no".to_owned(),
            other => other.to_string(),
        }
    }

    /// A mode's switches with one of them flipped: as the code has it, or where that is the mode's own way, as
    /// it stands in the next of the others. `None` where it stands alike in all modes.
    pub fn flipped(mode: Mode, switch: Switch) -> Option<Self> {
        let own = mode.switches();
        let flipped = mode
            .others()
            .map(|other| own.with(switch, &other.switches()));
        flipped.into_iter().find(|flipped| *flipped != own)
    }

    /// The options of a counterfactual explanation. The code's has no limit on its steps, and may never end; one
    /// is set in all modes.
    pub(super) fn counterfactual(&self) -> CounterfactualConfig {
        CounterfactualConfig::default().with_penalty_scale(self.penalty_scale)
    }

    /// The options of a ranking.
    pub(super) fn ranking(&self) -> RankingConfig {
        RankingConfig::default()
            .with_votes(self.votes)
            .with_overlap(self.overlap)
    }

    /// An experiment's options of the ratio edit, with what is switched set. `skipped` epochs are never kept
    /// where any are.
    pub(super) fn editing(&self, base: EditConfig, skipped: usize) -> EditConfig {
        let training = base.training.clone();
        let lambda3 = match self.ratio_norm {
            RatioNorm::RootMeanSquare => base.lambda3 * (training.batch_size as f64).sqrt(),
            _ => base.lambda3,
        };
        let training = training
            .with_schedule(self.schedule)
            .with_keep(self.keep)
            .with_ties(self.ties)
            .with_skipped_epochs(if self.skips_epochs { skipped } else { 0 });
        base.with_ratio(self.ratio_form, self.ratio_norm)
            .with_lambda3(lambda3)
            .with_training(training)
    }

    /// A recipe of pictures, with what is switched set but for its objective.
    pub(super) fn recipe(&self, base: &Recipe) -> Recipe {
        base.clone()
            .with_coupling(self.coupling)
            .with_augmentation(Augmentation {
                scale: self.resize,
                ..base.augmentation
            })
            .with_mask(base.mask_threshold, self.mask_reduction)
    }
}
