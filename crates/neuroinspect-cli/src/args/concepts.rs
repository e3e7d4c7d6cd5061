//! Options of concepts and labels.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use neuroinspect::concepts::{RankReorder, Similarity, SoftWpmi, Validity, Wpmi};

use super::{
    ClipArgs, DataArgs, ModelArgs, SourceArgs,
    values::{at_least_1, one_of, positive},
};

#[derive(Args, Debug)]
pub(crate) struct LabelArgs {
    /// Words to choose from, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) words: PathBuf,
    /// A word or phrase whose units are looked for; can be given several times
    #[arg(long, value_name = "TEXT")]
    pub(crate) find: Vec<String>,
    /// Layer whose units are labelled, as `models --layers MODEL` lists them; the decision layer's neurons unless
    /// given
    #[arg(long, value_name = "NAME")]
    pub(crate) layer: Option<String>,
    /// Units that are printed; the file has all
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    pub(crate) units: Vec<usize>,
    /// How a word's images are compared with a unit's; soft-wpmi unless given
    #[arg(long, value_enum)]
    pub(crate) similarity: Option<SimilarityName>,
    /// How many of the images that activate a unit most wpmi and soft-wpmi look at; 28 and 100 unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) top_images: Option<usize>,
    /// Words a unit is given; 5 unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) labels: Option<usize>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) clip: ClipArgs,
}

/// CLIP-Dissect's similarities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SimilarityName {
    /// Cosine of activations and image-text similarities
    CosSimilarity,
    /// Cosine of both centred and cubed
    CosSimilarityCubed,
    /// How little the order of the strongest images changes when they are put in the word's order
    RankReorder,
    /// Weighted pointwise mutual information of word and strongest images
    Wpmi,
    /// The same, with images among the strongest by a probability
    SoftWpmi,
}

impl From<SimilarityName> for Similarity {
    fn from(name: SimilarityName) -> Self {
        match name {
            SimilarityName::CosSimilarity => Self::CosSimilarity,
            SimilarityName::CosSimilarityCubed => Self::CosSimilarityCubed,
            SimilarityName::RankReorder => Self::RankReorder(RankReorder::default()),
            SimilarityName::Wpmi => Self::Wpmi(Wpmi::default()),
            SimilarityName::SoftWpmi => Self::SoftWpmi(SoftWpmi::default()),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConceptsCommand {
    /// Learn a concept from the images of each class folder, against those of the others or, where there
    /// is a folder `negatives` within it, those in there
    #[command(
        after_help = "Example: neuroinspect concepts learn --model resnet18 --weights resnet18.pth \
                            --data concepts\n\
                            The images of a concept are concepts/water/*.jpg, or concepts/water/positives/*.jpg \
                            and concepts/water/negatives/*.jpg."
    )]
    Learn(LearnArgs),
    /// Find which concepts would have made a class's mistakes right (CCE): prec@3 and concept score
    #[command(
        after_help = "Example: neuroinspect concepts explain --model resnet18 --weights resnet18.pth \
                            --data photos/val --class heron --bank concepts.safetensors"
    )]
    Explain(LackArgs),
    /// Test which concepts sway a class, against random images (TCAV)
    #[command(
        after_help = "Example: neuroinspect concepts tcav --model resnet18 --weights resnet18.pth \
                            --data photos/val --class heron --concepts concepts"
    )]
    Tcav(TcavArgs),
}

#[derive(Args, Debug)]
pub(crate) struct LearnArgs {
    /// Images of each side that a concept is learned from; 50 unless given. The others measure it
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) samples: Option<usize>,
    /// The weight C of the support vector machine's errors; 0.1 unless given
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) regularization: Option<f64>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct LackArgs {
    /// The class whose mistakes are explained: name or index
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: String,
    /// Concept bank: as `concepts learn` wrote it, or a converted one of CCE's
    #[arg(long, value_name = "FILE")]
    pub(crate) bank: PathBuf,
    /// The K of prec@K
    #[arg(long, value_name = "N", value_parser = at_least_1, default_value = "3")]
    pub(crate) top: usize,
    /// How far concepts can be added to an image or taken from it; kappa-mean unless given
    #[arg(long, value_parser = one_of::<Validity>([
        ("kappa-mean", "Not added where it is more than on average there, not taken where it is less"),
        ("kappa-zero", "Not added where it is there, not taken where it is not"),
        ("unbounded", "As far as the descent goes"),
    ]))]
    pub(crate) validity: Option<Validity>,
    /// Take the softmax twice, as CCE's program does
    #[arg(long)]
    pub(crate) original: bool,
    /// Of a table that is split, the part whose mistakes are explained; all samples unless given
    #[arg(long, value_name = "NAME", help_heading = "Table", requires = "table")]
    pub(crate) part: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct TcavArgs {
    /// The class that concepts may sway: name or index
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: String,
    /// Folder of images, one folder per concept, as for `concepts learn`; with --table, a table whose classes
    /// are concepts
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) concepts: PathBuf,
    /// Folder of any images, in folders, that random concepts are made of; with --table, a table. The images
    /// that the class is among unless given
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) random: Option<PathBuf>,
    /// How often each concept is learned, and how many random concepts there are; 30 unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) runs: Option<usize>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}
