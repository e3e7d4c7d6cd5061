//! Where the paper and its authors' code disagree, as switches.

use std::fmt;

use neuroinspect_counterfactual::{
    CounterfactualConfig, Floor, Overlap, PenaltyScale, RankingConfig, Votes,
};
use neuroinspect_editing::{EditConfig, Keep, RatioForm, RatioNorm, Schedule, Target, Ties};
use neuroinspect_illusion::{Augmentation, Coupling, Recipe};
use serde::{Deserialize, Serialize};

/// Whose way an experiment goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// Declares [`Switches`] and [`Switch`]: of each a field with its type, the variant, and the disagreement in a sentence.
macro_rules! switches {
    ($($(#[$doc:meta])* $field:ident: $kind:ty, $switch:ident, $disagreement:literal;)*) => {
        /// Each disagreement of paper and code that changes a number, and that this library can do in more ways
        /// than one. [`Mode`] sets all of them; a [ledger](super::LedgerRow) says what one by itself is worth.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct Switches {
            $($(#[$doc])* pub $field: $kind,)*
        }

        /// One field of [`Switches`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "each is the field of its name")]
        pub enum Switch {
            $($switch,)*
        }

        impl Switch {
            /// All of them.
            pub const ALL: [Self; [$(Self::$switch),*].len()] = [$(Self::$switch),*];

            /// The name of the field of [`Switches`].
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$switch => stringify!($field),)*
                }
            }

            /// The disagreement, in a sentence.
            pub fn disagreement(self) -> &'static str {
                match self {
                    $(Self::$switch => $disagreement,)*
                }
            }
        }

        impl Switches {
            /// The same, with one switch as it stands in others.
            pub(super) fn with(mut self, switch: Switch, other: &Self) -> Self {
                match switch {
                    $(Switch::$switch => self.$field = other.$field,)*
                }
                self
            }
        }
    };
}

switches! {
    /// Whether the images of a batch pull on each other.
    coupling: Coupling, Coupling,
        "The paper's objective is of one image; the code multiplies a column by a row, so that every image of \
         a batch is weighted by the mean similarity of all.";
    /// The scale of the penalties of a counterfactual.
    penalty_scale: PenaltyScale, PenaltyScale,
        "The paper prints the norms of a counterfactual as they are, the code divides them by the number of \
         neurons.";
    /// Whether a counterfactual's activations stay at or above 0.
    floor: Floor, Floor,
        "Paper and code let a counterfactual make an activation negative, which none is after a rectifier.";
    /// Which shifts vote for insufficient neurons.
    votes: Votes, Votes,
        "By the paper a neuron is insufficient where more of it would have helped; the code takes the largest \
         shifts whatever their sign.";
    /// Whether a neuron whose prec@5 is just 3 % is listed.
    lists_at_limit: bool, ListsAtLimit,
        "The paper lists neurons from a prec@5 of 3 % on, the code those above it.";
    /// What becomes of neurons in both lists.
    overlap: Overlap, Overlap,
        "The code leaves a neuron out that stands in both lists; the paper does not speak of it.";
    /// Whether the importances behind an automatic target are taken at the mean features of the class
    /// alone.
    importances_of_class: bool, ImportancesOfClass,
        "The code takes importances at the mean features of all classes, where those of the class itself are \
         at hand; the paper does not say of which.";
    /// How the learning rate goes; Waterbirds has a constant one in all modes.
    schedule: Schedule, Schedule,
        "The warm-up that the code means to do is stepped by the batch within the epoch, so that the rate \
         rises anew in every epoch and never falls.";
    /// One ratio for all neurons together or for each.
    ratio_form: RatioForm, RatioForm,
        "The paper has a probability ratio for each neuron, the code one for all of them zeroed at once.";
    /// How the ratios of a batch become one number.
    ratio_norm: RatioNorm, RatioNorm,
        "The norm over a batch grows with the square root of its size; as a root mean square, weighted so \
         that a full batch and one ratio a sample weigh the same, it does not.";
    /// Which epoch is kept.
    keep: Keep, Keep,
        "Paper and code keep the epoch that is most accurate on validation samples, which may be the one \
         edited least; the last epoch is no choice.";
    /// Which of equally good epochs is kept.
    ties: Ties, Ties,
        "Among equally good epochs the code means to keep the one of smaller penalty, and keeps the later.";
    /// Whether the first epochs, two on MetaShift and one on Waterbirds, cannot be kept.
    skips_epochs: bool, SkipsEpochs,
        "The code never keeps the first epochs.";
    /// The weight of the penalty on Waterbirds.
    waterbirds_lambda3: f64, WaterbirdsLambda3,
        "On Waterbirds the paper has a penalty weight of 0.001, the code and its README 0.01.";
    /// Epochs in which the layer to begin with is trained, where one is for a fine-grained set.
    layer_epochs: usize, LayerEpochs,
        "The paper trains for 20 epochs, and so does one of the README's commands; its tables have 30.";
    /// How its learning rate goes.
    layer_schedule: Schedule, LayerSchedule,
        "The code's rate falls to a tenth unless told otherwise, and its README's commands have it fall to a \
         twentieth.";
    /// Whether the training samples of MetaShift's class with the attribute are drawn with replacement.
    draws_again: bool, DrawsAgain,
        "The code draws the training images of the class with the attribute with replacement, so that some \
         are there several times and others never.";
    /// Whether samples of that class that were chosen on are measured on, too.
    measures_chosen: bool, MeasuresChosen,
        "The code measures on all images of the class without the attribute, those among them that epochs \
         were chosen on.";
    /// Whose mistakes concepts are scored on.
    scored_mistakes: ScoredMistakes, ScoredMistakes,
        "The paper compares prec@3 before and after an edit over different mistakes: those that are left.";
    /// Least and largest factor by which a picture is resized at each step.
    resize: (f64, f64), Resize,
        "By the paper a picture is resized by factors from 0.7, in the code from 0.6; up to 1.2 in both.";
    /// The same in feature visualization.
    fv_resize: (f64, f64), FvResize,
        "The code's feature visualization is resized by factors from 0.7, where its CLIP-Illusion is from \
         0.6: the two are not compared alike.";
    /// What holds the class back in a picture.
    guard: Guard, Guard,
        "The paper speaks of a guard against excessive activation of the class. The code has none; an earlier \
         version multiplied the class's weight by the activation, held between 0 and 1.";
    /// What becomes of the mean of a class's prompts.
    prompts: Prompts, Prompts,
        "The paper's similarity is a cosine; the code leaves the mean of a class's prompts as short as it is.";
    /// The weight of the class's logit in feature visualization.
    fv_class: f64, FvClass,
        "The paper's feature visualization is of the neuron alone, the code's has a tenth of the class's \
         logit in it.";
    /// What a mask leaves of a picture where the neuron is not active.
    mask_reduction: f64, MaskReduction,
        "The paper masks out where a neuron is not active; the code leaves half of the picture's light.";
}

/// What holds the class back, so that a picture of a neuron is not one of the class alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ScoredMistakes {
    /// Those of each layer itself, so that every row is of other samples.
    OfEachLayer,
    /// Those of the layer before, explained again with each layer.
    #[default]
    OfLayerBefore,
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
                floor: Floor::None,
                votes: Votes::BySign,
                lists_at_limit: true,
                overlap: Overlap::Keep,
                importances_of_class: false,
                schedule: Schedule::Warmup,
                ratio_form: RatioForm::PerNeuron,
                ratio_norm: RatioNorm::L2,
                keep: Keep::Accuracy,
                ties: Ties::SmallerPenalty,
                skips_epochs: false,
                waterbirds_lambda3: 0.001,
                layer_epochs: 20,
                layer_schedule: Schedule::Cosine,
                draws_again: false,
                measures_chosen: false,
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
                floor: Floor::None,
                votes: Votes::UncheckedInsufficient,
                lists_at_limit: false,
                overlap: Overlap::Drop,
                importances_of_class: false,
                schedule: Schedule::OriginalWarmup,
                ratio_form: RatioForm::Joint,
                ratio_norm: RatioNorm::L2,
                keep: Keep::Accuracy,
                ties: Ties::Later,
                skips_epochs: true,
                waterbirds_lambda3: 0.01,
                layer_epochs: 30,
                layer_schedule: Schedule::CosineToTwentieth,
                draws_again: true,
                measures_chosen: true,
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
                floor: Floor::None,
                votes: Votes::BySign,
                lists_at_limit: false,
                overlap: Overlap::Keep,
                importances_of_class: false,
                schedule: Schedule::Warmup,
                ratio_form: RatioForm::PerNeuron,
                ratio_norm: RatioNorm::RootMeanSquare,
                keep: Keep::Last,
                ties: Ties::SmallerPenalty,
                skips_epochs: false,
                waterbirds_lambda3: 0.001,
                layer_epochs: 20,
                layer_schedule: Schedule::Cosine,
                draws_again: false,
                measures_chosen: false,
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

impl Switches {
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
    /// it stands in the next of the others, or where it stands alike in all modes, as it stands in none. `None`
    /// where it cannot stand otherwise.
    pub fn flipped(mode: Mode, switch: Switch) -> Option<Self> {
        let own = mode.switches();
        let others = mode.others().map(Mode::switches);
        let flipped = others.into_iter().chain([Self::in_no_mode()]);
        let mut flipped = flipped.map(|other| own.with(switch, &other));
        flipped.find(|flipped| *flipped != own)
    }

    /// What neither paper nor code does, and is open to question in both.
    fn in_no_mode() -> Self {
        Self {
            floor: Floor::Automatic,
            importances_of_class: true,
            ..Mode::Fixed.switches()
        }
    }

    /// The options of a counterfactual explanation. The code's has no limit on its steps, and may never end; one
    /// is set in all modes.
    pub(super) fn counterfactual(&self) -> CounterfactualConfig {
        CounterfactualConfig::default()
            .with_penalty_scale(self.penalty_scale)
            .with_floor(self.floor)
    }

    /// The options of a ranking.
    pub(super) fn ranking(&self) -> RankingConfig {
        let ranking = RankingConfig::default();
        let limit = ranking.min_precision;
        ranking
            .with_min_precision(match self.lists_at_limit {
                // What is above this is the limit or above it.
                true => limit.next_down(),
                false => limit,
            })
            .with_votes(self.votes)
            .with_overlap(self.overlap)
    }

    /// The rule of a target that is not given.
    pub(super) fn target(&self) -> Target {
        match self.importances_of_class {
            true => Target::AutoOfClass,
            false => Target::Auto,
        }
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
