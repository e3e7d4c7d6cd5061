//! A studio on made-up images, with names that would be markup.

use image::{Rgb, RgbImage};
use ndarray::{Array1, Array2};
use neuroinspect::{
    DebugConfig, PictureOrigin, RunFolder,
    burn::{
        self,
        module::{Module, Param},
        nn::{Linear, LinearConfig},
        tensor::{Device, Tensor, TensorData, activation::relu},
    },
    core::{
        Activations, ClassId, Classifier, DecisionLayer, DeviceName, InputSpec, Precision, Result,
        Seed,
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
}

pub(crate) const SMALL: Size = Size {
    samples: 240,
    neurons: 12,
    classes: 4,
};

/// A studio that is served.
pub(crate) struct Made {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
}

impl Made {
    pub(crate) fn start(size: Size) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(opened(folder.path(), size), &StudioConfig::default()).unwrap();
        Self { server, folder }
    }

    /// Another server in the same folder, after this one has ended.
    pub(crate) fn again(self, size: Size) -> Self {
        let Self { server, folder } = self;
        drop(server);
        // Requests that were under way let go of the folder a moment later.
        for _ in 0..200 {
            if RunFolder::open(&folder, None).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let server = Server::start(opened(folder.path(), size), &StudioConfig::default()).unwrap();
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

fn opened(folder: &std::path::Path, size: Size) -> Opened {
    let classifier = Network::new(size);
    let dataset = Patches::new(size);
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
        dataset: Box::new(dataset),
        training: None,
        encoder: None,
        config: DebugConfig::default(),
        model_arguments: "--model made-up".to_owned(),
        source_arguments: "--model made-up --data patches".to_owned(),
    }
}

/// Flat patches whose colour goes by their class, less clearly for some.
struct Patches {
    names: Vec<String>,
    groups: Vec<String>,
    samples: Vec<Sample>,
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

    fn image(&self, index: usize) -> DatasetResult<RgbImage> {
        let sample = self.sample(index)?;
        let noise = (index * 37 % 101) as u8;
        let of_class = (sample.label.0 * 53 % 156) as u8;
        Ok(RgbImage::from_pixel(
            SIDE,
            SIDE,
            Rgb([of_class + noise / 2, noise, 255 - of_class]),
        ))
    }

    fn fingerprint(&self) -> Option<String> {
        Some(fingerprint_of(self, ["patches"]))
    }
}

/// A product of the pixels with made-up numbers, and made-up decisions.
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
        let weight = Tensor::from_data(TensorData::new(values, [pixels, size.neurons]), &device);
        let decisions = fill::normal("decisions", size.classes * size.neurons);
        let decisions = Array2::from_shape_vec((size.classes, size.neurons), decisions).unwrap();
        let mut head = LinearConfig::new(size.neurons, size.classes).init(&device);
        let layer = DecisionLayer::new(decisions, Array1::zeros(size.classes)).unwrap();
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
