//! The command line.

mod atlas;
mod check;
mod concepts;
mod data;
mod editing;
mod features;
mod groups;
#[cfg(test)]
mod pages;
mod repro;
#[cfg(feature = "studio")]
mod studio;
mod training;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use atlas::{AtlasArgs, AtlasCommand, MakeArgs, MergeArgs, StatusArgs};
pub(crate) use check::GuardArgs;
pub(crate) use concepts::{ConceptsCommand, LabelArgs, LackArgs, LearnArgs, TcavArgs};
pub(crate) use data::{CheckArgs, DataCommand, GetArgs};
pub(crate) use editing::{ApplyArgs, EditArgs, LeaderboardArgs, MendArgs};
pub(crate) use features::{
    ComputeArgs, FeaturesArgs, FeaturesCommand, FeaturesStatusArgs, TableArgs,
};
pub(crate) use groups::{
    ClipArgs, Common, DataArgs, EditingArgs, FormatArgs, HeadArgs, IllusionArgs, JudgeArgs,
    LoadingArgs, ModelArgs, ParameterName, ReadingArgs, SourceArgs, UnitArgs,
};
pub(crate) use repro::ReproArgs;
#[cfg(feature = "studio")]
pub(crate) use studio::StudioArgs;
pub(crate) use training::{CorruptArgs, OptimizerName, TrainArgs};
use values::at_least_1;
pub(crate) use values::{NamedValue, Network, NeuronList, ObjectiveName, UnitName};

/// Why an image classifier is wrong, what its neurons mean, and how to correct it.
///
/// Implements NeuroInspect (arXiv 2310.07184). Start with `neuroinspect demo`.
#[derive(Debug, Parser)]
#[command(
    name = "neuroinspect",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 done; 1 something was not as needed (see the message); \
                        2 command line not understood; 3 `check` failed; 130 stopped by Ctrl-C, finished work kept."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show all three stages on the built-in scenes with a planted false correlation
    Demo(DemoArgs),
    /// Explain a class's mistakes, edit the decision layer, visualize the neurons, write a report
    #[command(
        after_help = "Example: neuroinspect debug --model resnet50 --weights resnet50.pth \
                            --data photos/val --train photos/train --class heron\n\
                            The same command after it was stopped or killed goes on: what was \
                            visualized by then is not made again."
    )]
    Debug(DebugArgs),
    /// Look at mistakes, see their neurons and try edits on a page that this machine serves
    #[cfg(feature = "studio")]
    #[command(after_help = "Examples: neuroinspect studio\n\
                            neuroinspect studio neuroinspect-out\n\
                            neuroinspect studio --model resnet50 --weights resnet50.pth \
                            --data photos/val --train photos/train\n\
                            Open the printed address in a browser. Ctrl-C ends it; what was made is kept in \
                            the folder for the next time.")]
    Studio(StudioArgs),
    /// Measure accuracy: average, per class, worst class
    #[command(
        after_help = "Example: neuroinspect evaluate --model resnet50 --weights resnet50.pth \
                            --data photos/val"
    )]
    Evaluate(EvaluateArgs),
    /// Guard a classifier: limits to its accuracies, and what changed against an earlier check
    #[command(
        after_help = "Example: neuroinspect check --model resnet50 --weights resnet50.pth --data photos/val \
                            --fail-below worst_group=0.8,class.heron=0.7 --junit check.xml\n\
                            Exit codes: 0 all passed; 3 a check failed; 1 it could not be checked."
    )]
    Check(GuardArgs),
    /// Rank the neurons behind a class's mistakes
    #[command(
        after_help = "Example: neuroinspect explain --model resnet50 --weights resnet50.pth \
                            --data photos/val --class heron"
    )]
    Explain(ExplainArgs),
    /// Visualize neurons within classes, or units of any layer
    #[command(
        after_help = "Example: neuroinspect visualize --model resnet50 --weights resnet50.pth \
                            --data photos/val --neurons 17,240 --class heron\n\
                            Units of other layers: neuroinspect visualize --model resnet50 --weights \
                            resnet50.pth --data photos/val --layer layer3.5 --unit channel:17 --unit \
                            layer1/3,10,12 --direction stripes.json\n\
                            Without --class each unit is visualized by itself. With --data, the images \
                            that activate each most are found, too, and where in them it is active."
    )]
    Visualize(VisualizeArgs),
    /// Measure pictures of neurons that any program made: how far they can be trusted
    #[command(
        after_help = "Example: neuroinspect trust --model resnet50 --weights resnet50.pth --data photos/val \
                            --judge resnet101 --judge-weights resnet101.pth --pictures made-elsewhere\n\
                            Pictures are called neuron-3-class-7.png, with the class's index, or \
                            neuron-3-class-7-seed-1.png where there are several of a neuron and a class; in \
                            folders of --pictures those of one way each, which are compared. The judge is to have \
                            had no part in them, as a guide neither."
    )]
    Trust(TrustArgs),
    /// Visualize every unit of a layer within its top classes, on several devices and machines
    #[command(
        after_help = "Example: neuroinspect atlas --model resnet50 --weights resnet50.pth \
                            --classes imagenet.txt --out atlas\n\
                            As a Slurm array: neuroinspect atlas ... --plan 8; then sbatch --array=0-7 with the \
                            same command in each job; then neuroinspect atlas merge --out atlas\n\
                            The same command after it was stopped or killed goes on. See docs/atlas.md."
    )]
    Atlas(Box<AtlasArgs>),
    /// Compute the features of images for other commands, on several machines where there are many
    #[command(
        after_help = "Example: neuroinspect features --model resnet50 --weights resnet50.pth --data photos/val\n\
                            Images to learn from: neuroinspect features ... --data photos/train --training\n\
                            As a Slurm array: neuroinspect features ... --plan 8; then sbatch --array=0-7 with the \
                            same command in each job; then neuroinspect features merge\n\
                            Other commands with the same model, images and --out take them up. See docs/features.md."
    )]
    Features(Box<FeaturesArgs>),
    /// Give neurons, or the channels of any layer, words, and find those that a word goes with
    #[command(
        after_help = "Example: neuroinspect label --model resnet50 --weights resnet50.pth \
                            --data photos/val --clip ViT-B-32 --clip-weights clip.safetensors \
                            --words 20k.txt --find water --find watermark"
    )]
    Label(LabelArgs),
    /// Learn concepts from images, and find those that mistakes lack or that sway a class
    #[command(subcommand)]
    Concepts(ConceptsCommand),
    /// Edit the decision layer so that given neurons influence a class, or all classes, less, or by
    /// another method
    #[command(
        after_help = "Example: neuroinspect edit --model resnet50 --weights resnet50.pth \
                            --data photos/val --train photos/train --neurons 17,240 --class heron\n\
                            Of features made elsewhere: neuroinspect edit --table features.safetensors \
                            --method jtt\n\
                            Without --class, the mean of the probability ratios of all classes is \
                            brought to the target, as the paper does where all classes share the \
                            false correlation (Waterbirds); ratios of classes that a neuron speaks \
                            for and against can cancel in it."
    )]
    Edit(EditArgs),
    /// Mend the decision layer, without group labels, where samples that were not fitted on show that it helps
    #[command(
        after_help = "Example: neuroinspect mend --model resnet50 --weights resnet50.pth \
                            --data photos/val --train photos/train --class heron\n\
                            The samples of --data are not to be among those that the network was trained \
                            on, and like those that it will meet."
    )]
    Mend(MendArgs),
    /// Apply an edit file to a checkpoint, revert it, or show what it holds
    #[command(
        after_help = "Example: neuroinspect apply --edit neuroinspect-out/report-edit.safetensors \
                            --model resnet50 --weights resnet50.pth"
    )]
    Apply(ApplyArgs),
    /// Train a network, or its decision layer alone, on a folder of images
    #[command(
        after_help = "Example: neuroinspect train --model resnet50.a1_in1k --weights resnet50.safetensors \
                            --data photos/train --validation photos/val --recipe waterbirds\n\
                            The same command after it was stopped or killed goes on where it was. The \
                            network is written to model.safetensors, which --weights of the other \
                            commands reads."
    )]
    Train(TrainArgs),
    /// Corrupt images by their class, as Corrupted CIFAR-10: a false correlation to find
    #[command(
        after_help = "Example: neuroinspect corrupt --data cifar10/train --conflicting 0.05 --out cc/train\n\
                            The images are written to 'images' in the folder that --out names, with \
                            their groups beside them."
    )]
    Corrupt(CorruptArgs),
    /// Measure the spectra of images, for pictures that have the same magnitudes
    #[command(
        after_help = "Example: neuroinspect magnitudes --data photos/val --out spectra\n\
                            Then: neuroinspect visualize --parameter maco --magnitudes spectra/magnitudes.json ..."
    )]
    Magnitudes(MagnitudesArgs),
    /// List published data sets, check what is there of one, or download one
    #[command(
        subcommand,
        after_help = "Example: neuroinspect data check waterbirds waterbird_complete95_forest2water2.tar.gz\n\
                            Other commands read it by --data waterbirds/test:FOLDER_OR_ARCHIVE."
    )]
    Data(DataCommand),
    /// List the devices of this build, and whether they answer
    Devices,
    /// List the models that checkpoints can be loaded for, or the layers of one
    Models(ModelsArgs),
    /// List the methods of `edit`: the labels they learn from, and where they were published
    Methods,
    /// Compare all methods on the same samples, over several seeds
    #[command(
        after_help = "Example: neuroinspect leaderboard --scenes --table features.safetensors\n\
                            Results are written after each setting. The same command after it was \
                            stopped or killed goes on with the settings that are missing."
    )]
    Leaderboard(LeaderboardArgs),
    /// Repeat an experiment of the paper, a table or a figure, on its data or on a stand-in
    #[command(after_help = "Example: neuroinspect repro table-4\n\
                            On data: neuroinspect repro table-4 --data cifar10 --network \
                            cifar_resnet20=resnet20.th\n\
                            Results are written after each repetition. The same command after it was stopped \
                            or killed goes on with the repetitions that are missing.")]
    Repro(ReproArgs),
    /// Print the script by which a shell completes commands, options and their values
    #[command(after_help = "Example: neuroinspect completions bash > \
                            ~/.local/share/bash-completion/completions/neuroinspect")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page of the program or of a command, for `man`
    #[command(after_help = "Example: neuroinspect man concepts learn | man -l -")]
    Man {
        /// Words of the command; the program itself unless given
        command: Vec<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Optimisation steps per picture; 400 unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) iterations: Option<usize>,
    /// Only write the scenes, their objects' outlines, the classifier, the CLIP and lists of classes and words
    /// into this folder, to try other commands on
    #[arg(long, value_name = "DIR", conflicts_with = "iterations")]
    pub(crate) save_scenes: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct DebugArgs {
    /// The class whose mistakes are debugged: name or index
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: String,
    /// Images to edit on; without it, half of --data edits and the other half measures
    #[arg(long, value_name = "DIR")]
    pub(crate) train: Option<PathBuf>,
    /// Neurons to edit and visualize; `auto`, which holds unless given, takes the first --count of
    /// the ranking: both lists merged, those in the top 5 of most mistakes first, among equals the
    /// one that is too weak, then the lower number; `all` takes the whole ranking
    #[arg(long, value_name = "auto|all|N,N,..")]
    pub(crate) neurons: Option<NeuronList>,
    /// How many neurons `--neurons auto` takes; 5 unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) count: Option<usize>,
    /// How many of the neurons, from the first, are visualized; all unless given
    #[arg(long, value_name = "N")]
    pub(crate) pictures: Option<usize>,
    /// The objects' outlines in the images of --data: a folder of PNG files called as the images are, white on
    /// the object and black elsewhere. Suspected neurons then have one reason more: which share of where they
    /// are active lies outside of the object
    #[arg(long, value_name = "DIR", conflicts_with = "no_recommendation")]
    pub(crate) outlines: Option<PathBuf>,
    /// Recommend no other mend of the decision layer beside the edit, as `mend` would
    #[arg(long)]
    pub(crate) no_recommendation: bool,
    /// Words, one a line, that neurons are labelled with in the report: see `label`
    #[arg(long, value_name = "FILE", help_heading = "CLIP", requires = "encoder")]
    pub(crate) words: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) layers: UnitArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) clip: ClipArgs,
    #[command(flatten)]
    pub(crate) illusion: IllusionArgs,
    #[command(flatten)]
    pub(crate) editing: EditingArgs,
}

#[derive(Args, Debug)]
pub(crate) struct EvaluateArgs {
    /// Of a table that is split, the part to measure on; all samples unless given
    #[arg(long, value_name = "NAME", help_heading = "Table", requires = "table")]
    pub(crate) part: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The class whose mistakes are explained: name or index
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: String,
    /// Ask why samples are taken for this class, and not for --class: the smallest changes are those of
    /// the mistakes that are, and outdo this class alone: name or index
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) rival: Option<String>,
    /// Reproduce the original code's counterfactuals and votes
    #[arg(long)]
    pub(crate) original: bool,
    /// Of a table that is split, the part whose mistakes are explained; all samples unless given
    #[arg(long, value_name = "NAME", help_heading = "Table", requires = "table")]
    pub(crate) part: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct VisualizeArgs {
    /// Neurons; `auto`, which holds unless given, takes those of largest weight for --class
    #[arg(
        long,
        value_name = "auto|N,N,..",
        conflicts_with_all = ["layer", "units", "directions", "top"]
    )]
    pub(crate) neurons: Option<NeuronList>,
    /// Class, by name or index; without it, each neuron is visualized in the classes it speaks for
    /// most, and each unit of a layer by itself
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: Option<String>,
    /// How many neurons `auto` takes, or how many classes a neuron is visualized in without --class;
    /// 4 unless given
    #[arg(
        long,
        value_name = "N",
        value_parser = at_least_1,
        conflicts_with_all = ["layer", "units", "directions", "top"]
    )]
    pub(crate) count: Option<usize>,
    /// An image that the pictures start from, such as a mistaken photo: what would have to change in it for
    /// the neuron and the class, with a picture of the change where the neuron is active
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["layer", "units", "directions", "top"]
    )]
    pub(crate) start: Option<PathBuf>,
    /// Show each picture's optimisation as an animated PNG as well; pictures made before are made anew
    #[arg(long, conflicts_with_all = ["layer", "units", "directions", "top"])]
    pub(crate) animation: bool,
    #[command(flatten)]
    pub(crate) layers: UnitArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Folder of images: gives class names, and the real images to compare with
    #[arg(long, value_name = "DIR", help_heading = "Images")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    #[command(flatten)]
    pub(crate) clip: ClipArgs,
    #[command(flatten)]
    pub(crate) illusion: IllusionArgs,
}

#[derive(Args, Debug)]
pub(crate) struct TrustArgs {
    /// Folder of pictures, or of folders of them, one for each way they were made in: square PNG files of any
    /// size, called neuron-N-class-C.png or neuron-N-class-C-seed-S.png
    #[arg(long, value_name = "DIR")]
    pub(crate) pictures: PathBuf,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct MagnitudesArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Side that images are resized and cropped to, an even number of pixels; 128 unless given
    #[arg(long, value_name = "N")]
    pub(crate) size: Option<usize>,
}

#[derive(Args, Debug)]
pub(crate) struct ModelsArgs {
    /// List the layers of this model, or ONNX file, instead, in the order of computation: name, kind and
    /// channels
    #[arg(long, value_name = "NAME_OR_FILE")]
    pub(crate) layers: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use neuroinspect::{
        core::{Precision, Seed},
        datasets::{LoaderConfig, OnCorrupt},
        editing::{EditConfig, Keep, RatioForm, Target},
        illusion::{Execution, Recipe},
    };

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Defaults are the library's, and options have none: `--config` comes between the two.
    #[test]
    fn defaults_are_described_as_they_are() {
        let command = Cli::command();
        let debug = command.find_subcommand("debug").unwrap();
        let described = |option: &str, default: &str| {
            let mut arguments = debug.get_arguments().chain(command.get_arguments());
            let argument = arguments.find(|argument| argument.get_long() == Some(option));
            let argument = argument.unwrap_or_else(|| panic!("no --{option}"));
            assert!(argument.get_default_values().is_empty(), "--{option}");
            let help = argument.get_help().unwrap().to_string();
            let expected = format!("{default} unless given");
            assert!(help.contains(&expected), "--{option}: {help}");
        };
        let (recipe, execution) = (Recipe::default(), Execution::default());
        let (editing, loader) = (EditConfig::default(), LoaderConfig::default());
        described("iterations", &recipe.steps.to_string());
        described("picture-batch", &execution.batch_size.to_string());
        described("other-seeds", &execution.other_seeds.to_string());
        described("lambda", &editing.lambda3.to_string());
        described("epochs", &editing.training.epochs.to_string());
        described("learning-rate", &editing.training.learning_rate.to_string());
        described("patience", &editing.training.patience.unwrap().to_string());
        described("batch-size", &loader.batch_size.to_string());
        described("seed", &Seed::default().0.to_string());
        for (option, default, is_default) in [
            ("keep", "last", editing.training.keep == Keep::Last),
            ("ratio", "joint", editing.ratio_form == RatioForm::Joint),
            ("on-corrupt", "fail", loader.on_corrupt == OnCorrupt::Fail),
            ("precision", "f32", Precision::default() == Precision::F32),
        ] {
            described(option, default);
            assert!(is_default, "--{option}");
        }
        assert_eq!(editing.target, Target::Auto);
    }
}
