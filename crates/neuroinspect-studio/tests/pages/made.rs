//! A studio on made-up images, with names that would be markup.

use std::{net::TcpListener, path::Path};

use image::{Rgb, RgbImage};
use ndarray::{Array2, Axis};
use neuroinspect::{
    DebugConfig, PictureOrigin, RunFolder,
    burn::{
        self,
        module::{Module, Param},
        nn::{Linear, LinearConfig},
        tensor::{Device, Tensor, TensorData, activation::relu},
    },
    core::{
        Activations, ClassId, Classifier, DecisionLayer, DeviceName, InputSpec, MemoryLimit,
        Precision, Result, Seed, Split,
    },
    datasets::{ImageDataset, LoaderConfig, Result as DatasetResult, Sample, fingerprint_of},
    report::Run,
};
use neuroinspect_studio::{Opened, Server, StudioConfig};
use neuroinspect_testing::fill;
use tempfile::TempDir;

/// Side of the images, in pixels.
const SIDE: u32 = 8;

/// Names that run a script wherever they are taken for markup.
pub(crate) const EVIL: &str = "<img src=x onerror=\"document.title='hacked'\">";
pub(crate) const EVIL_SCRIPT: &str = "</script><script>document.title='hacked'</script>";

/// How many samples, neurons and classes.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) samples: usize,
    pub(crate) neurons: usize,
    pub(crate) classes: usize,
    pub(crate) division: Division,
}

/// What an edit learns from.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Division {
    /// One half of the samples.
    Halves,
    /// So many other ones.
    Training(usize),
    /// Of three parts, by which two in turn are of the first, and every fourth is measured on.
    Split,
}

pub(crate) const SMALL: Size = Size {
    samples: 240,
    neurons: 12,
    classes: 4,
    division: Division::Halves,
};

/// A studio that is served.
pub(crate) struct Made {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
}

impl Made {
    pub(crate) fn start(size: Size) -> Self {
        Self::listening(size, &StudioConfig::default())
    }

    pub(crate) fn listening(size: Size, config: &StudioConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(opened(folder.path(), size), config).unwrap();
        Self { server, folder }
    }

    /// Opened otherwise.
    pub(crate) fn with(size: Size, change: impl FnOnce(&mut Opened)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut opened = opened(folder.path(), size);
        change(&mut opened);
        let server = Server::start(opened, &StudioConfig::default()).unwrap();
        Self { server, folder }
    }

    /// With features that stay in their file.
    pub(crate) fn from_file(size: Size) -> Self {
        Self::with(size, |opened| opened.memory = MemoryLimit::of_bytes(0))
    }

    /// Another server in the same folder, after this one has ended.
    pub(crate) fn again(self, size: Size) -> Self {
        self.again_after(size, &StudioConfig::default(), |_| ())
    }

    /// The same, opened otherwise.
    pub(crate) fn again_with(self, size: Size, change: impl FnOnce(&mut Opened)) -> Self {
        self.restarted(&StudioConfig::default(), |folder| {
            let mut opened = opened(folder, size);
            change(&mut opened);
            opened
        })
    }

    /// The same, with something done to the studio's own folder in between.
    pub(crate) fn again_after(
        self,
        size: Size,
        config: &StudioConfig,
        change: impl FnOnce(&Path),
    ) -> Self {
        self.restarted(config, |folder| {
            change(&folder.join("studio"));
            opened(folder, size)
        })
    }

    fn restarted(self, config: &StudioConfig, open: impl FnOnce(&Path) -> Opened) -> Self {
        let host = self.host().to_owned();
        let Self { server, folder } = self;
        drop(server);
        // Requests that were under way let go of the folder a moment later, as the server does of its port.
        for _ in 0..200 {
            if RunFolder::open(&folder, None).is_ok() && TcpListener::bind(&host).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let server = Server::start(open(folder.path()), config).unwrap();
        Self { server, folder }
    }

    /// `127.0.0.1:4711`.
    pub(crate) fn host(&self) -> &str {
        let rest = self.server.address().strip_prefix("http://").unwrap();
        rest.split('/').next().unwrap()
    }

    pub(crate) fn token(&self) -> &str {
        self.server.address().split("token=").nth(1).unwrap()
    }
}

fn opened(folder: &Path, size: Size) -> Opened {
    let classifier = Network::new(size);
    let dataset = Patches::new(size);
    let training: Option<Box<dyn ImageDataset>> = match size.division {
        Division::Training(samples) => Some(Box::new(Patches::new(Size { samples, ..size }))),
        _ => None,
    };
    Opened {
        folder: RunFolder::open(folder, None).unwrap(),
        run: Run::new(classifier.name(), dataset.name(), "flex", Seed(0)),
        classifier: Box::new(classifier),
        origin: PictureOrigin {
            classifier_sha256: "0".repeat(64),
            encoder_sha256: None,
            encoder_config_sha256: None,
            device: DeviceName::default(),
            complete: true,
        },
        precision: Precision::F32,
        loader: LoaderConfig::default(),
        memory: MemoryLimit::default(),
        dataset: Box::new(dataset),
        training,
        encoder: None,
        config: DebugConfig::default(),
        model_arguments: "--model made-up".to_owned(),
        source_arguments: "--model made-up --data patches".to_owned(),
        picture_arguments: Some("--model made-up --data patches".to_owned()),
        encoder_arguments: String::new(),
    }
}

/// Flat patches whose colour goes by their class, less clearly for some.
struct Patches {
    names: Vec<String>,
    groups: Vec<String>,
    samples: Vec<Sample>,
    split: Option<Split>,
}

impl Patches {
    fn new(size: Size) -> Self {
        let mut names: Vec<_> = (0..size.classes)
            .map(|class| format!("class {class}"))
            .collect();
        names[0] = EVIL.to_owned();
        names[1] = EVIL_SCRIPT.to_owned();
        let sample = |index: usize| Sample {
            id: format!("../../{EVIL}/{index}.png"),
            label: ClassId(index % size.classes),
            group: Some(index / size.classes % 2),
        };
        Self {
            names,
            groups: vec![EVIL.to_owned(), "a & b".to_owned()],
            samples: (0..size.samples).map(sample).collect(),
            split: (size.division == Division::Split).then(|| {
                let parts = ["train", "validation", "test"].map(str::to_owned).to_vec();
                // Each part has all classes and groups.
                let part = |index: usize| [0, 0, 1, 2][index / (2 * size.classes) % 4];
                Split::new(parts, (0..size.samples).map(part).collect()).unwrap()
            }),
        }
    }
}

impl ImageDataset for Patches {
    fn name(&self) -> &str {
        "patches <b>"
    }

    fn class_names(&self) -> &[String] {
        &self.names
    }

    fn group_names(&self) -> &[String] {
        &self.groups
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    fn split(&self) -> Option<&Split> {
        self.split.as_ref()
    }

    fn image(&self, index: usize) -> DatasetResult<RgbImage> {
        let sample = self.sample(index)?;
        let noise = (index * 37 % 101) as u8;
        let colour = Rgb(colour(sample.label.0, noise));
        Ok(RgbImage::from_pixel(SIDE, SIDE, colour))
    }

    fn fingerprint(&self) -> Option<String> {
        Some(fingerprint_of(self, ["patches"]))
    }
}

/// What the colours of a class's patches are around: red, green and blue in `[0, 255]`.
fn colour(class: usize, noise: u8) -> [u8; 3] {
    let of_class = (class * 53 % 156) as u8;
    [of_class + noise / 2, noise, 255 - of_class]
}

/// A product of the pixels with made-up numbers, and decisions for the class whose colour is nearest: right for some.
#[derive(Module, Debug)]
struct Network {
    weight: Param<Tensor<2>>,
    head: Linear,
    #[module(skip)]
    input: InputSpec,
}

impl Network {
    fn new(size: Size) -> Self {
        let device = Device::flex();
        let pixels = 3 * (SIDE * SIDE) as usize;
        let values = fill::normal("pixels", pixels * size.neurons);
        // Activations of a patch of each class's colour, and half the square of their length.
        let typical = Array2::from_shape_fn((size.classes, size.neurons), |(class, neuron)| {
            let colour = colour(class, 50);
            let products = (0..pixels).map(|pixel| {
                let value = colour[pixel / (SIDE * SIDE) as usize];
                f32::from(value) / 255.0 * values[pixel * size.neurons + neuron]
            });
            products.sum::<f32>().max(0.0)
        });
        let halves = typical.map(|it| it * it / 2.0).sum_axis(Axis(1));
        let scale = 10.0 / halves.mean().unwrap();
        let layer = DecisionLayer::new(&typical * scale, &halves * -scale).unwrap();
        let weight = Tensor::from_data(TensorData::new(values, [pixels, size.neurons]), &device);
        let mut head = LinearConfig::new(size.neurons, size.classes).init(&device);
        layer.replace(&mut head).unwrap();
        Self {
            weight: Param::from_tensor(weight),
            head,
            input: InputSpec::new(SIDE as usize),
        }
    }
}

impl Classifier for Network {
    fn name(&self) -> &str {
        "made up"
    }

    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn activations(&self, images: Tensor<4>) -> Activations {
        let [samples, channels, height, width] = images.dims();
        let pixels = images.reshape([samples, channels * height * width]);
        Activations {
            features: relu(pixels.matmul(self.weight.val())),
            map: None,
        }
    }

    fn decision_layer(&self) -> Result<DecisionLayer> {
        DecisionLayer::from_linear(&self.head)
    }

    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()> {
        layer.replace(&mut self.head)
    }

    fn device(&self) -> Device {
        self.head.weight.val().device()
    }
}
