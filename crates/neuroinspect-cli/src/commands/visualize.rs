//! `visualize`: pictures of neurons within classes.

use std::fmt;

use anyhow::{Result, bail};
use image::RgbImage;
use neuroinspect::{
    GuideSource,
    core::{ClassId, DecisionLayer, FeatureTable, NeuronId, Seed, class_by_name_or_index},
    datasets::ImageDataset,
    illusion::{
        Diverged, Illusion, Initial, Pair, classes_of_neuron, neurons_of_class, visualize_each,
    },
    report::{Run, contact_sheet, save_png, to_rgb_image},
};
use serde::Serialize;

use crate::{
    args::{Common, NeuronList, VisualizeArgs},
    data,
    inputs::Setup,
    model,
    output::{self, OutFolder},
    session::{Outcome, Session},
};

/// Neurons of a class, or classes of a neuron, that are pictured.
const COUNT: usize = 4;
const RECORD_FILE: &str = "visualizations.json";
/// Not `neurons.png`, which `debug` writes into the same folder.
const SHEET_FILE: &str = "visualizations.png";

/// `visualizations.json`.
#[derive(Serialize)]
struct Pictured {
    visualizations: Vec<Line>,
    /// Whether the work was stopped before its end.
    interrupted: bool,
    /// Pairs without a picture, because their optimisation left the finite numbers.
    diverged: Vec<Diverged>,
    /// How it was made.
    run: Run,
}

/// One picture.
#[derive(Serialize)]
struct Line {
    neuron: NeuronId,
    class: ClassId,
    class_name: Option<String>,
    activation: f32,
    /// Activation on the real image that activates the neuron most, and which that is.
    top_real_activation: Option<f32>,
    top_real_image: Option<String>,
    probability: f32,
    clip_similarity: Option<f32>,
    /// Optimisation steps it has had, and was to have.
    steps: usize,
    steps_planned: usize,
    image: String,
    masked_image: String,
}

pub(crate) fn run(common: &Common, args: &VisualizeArgs) -> Result<Outcome> {
    let dataset = args
        .data
        .as_deref()
        .map(|path| data::folder(path, &args.reading))
        .transpose()?;
    let names = match &dataset {
        Some(dataset) => Some(dataset.class_names().to_vec()),
        None => data::classes(&args.reading)?,
    };
    let setup = Setup::open(common, &args.model, &args.reading)?;
    let Setup {
        out,
        device,
        loaded,
        ..
    } = &setup;
    let layer = loaded.model.decision_layer()?;
    if let Some(names) = &names
        && names.len() != layer.classes()
    {
        let (model, classes) = (loaded.model.name(), layer.classes());
        bail!(
            "{} classes are named, but {model} decides between {classes}; --classes FILE is to name \
             all of them, in the model's order",
            names.len(),
        );
    }
    let guide = model::TextGuide::load(&args.clip, device)?;
    let pairs = pairs(args, &layer, names.as_deref())?;
    let config = model::illusion(&args.picture, guide.is_some(), Seed(common.seed))?;
    let texts = match (&guide, &names) {
        (Some(guide), Some(names)) => Some(guide.texts(names)),
        (Some(_), None) => {
            bail!("CLIP needs the names of the classes: give --data DIR or --classes FILE")
        }
        (None, _) => None,
    };

    let mut session = Session::start()?;
    let features = dataset
        .as_ref()
        .map(|dataset| setup.features(dataset, &mut session))
        .transpose()?;
    let data = dataset
        .as_ref()
        .map_or("no images", |dataset| dataset.name());
    let mut run = setup.run(data, &features);
    run.configs
        .insert("illusion".into(), serde_json::to_value(&config)?);
    let classes: Vec<_> = pairs.iter().map(|pair| pair.class).collect();
    let guide = texts
        .as_ref()
        .map(|texts| texts.guide(&classes, &mut session))
        .transpose()?;

    let mut album = Album {
        out,
        table: features.as_ref().map(|features| &features.extracted.table),
        names: names.as_deref(),
        steps_planned: config.steps,
        pictures: Vec::new(),
        record: Pictured {
            visualizations: Vec::new(),
            interrupted: true,
            diverged: Vec::new(),
            run,
        },
    };
    let stop = session.stopper();
    let mut unwritten = Ok(());
    let mut keep = |batch: Vec<Illusion>| {
        if unwritten.is_ok() {
            unwritten = album.add(&batch);
        }
        // There is no sense in pictures that cannot be kept.
        if unwritten.is_err() {
            stop();
        }
    };
    let shortfall = visualize_each(
        loaded.model.as_ref(),
        guide.as_ref(),
        &pairs,
        &Initial::Noise,
        &config,
        &mut session,
        &mut keep,
    )?;
    session.clear();
    unwritten?;

    album.record.interrupted = shortfall.interrupted;
    album.record.diverged = shortfall.diverged;
    album.write()?;
    let pictured = album.record;
    for diverged in &pictured.diverged {
        output::tell(format_args!("warning: {diverged}"));
    }
    output::print(common.json, &pictured, |pictured| {
        let lines = pictured.visualizations.iter().map(ToString::to_string);
        lines.collect::<String>() + &format!("written to {}\n", out.path().display())
    })?;
    Ok(match (pictured.interrupted, pictured.diverged.is_empty()) {
        (true, _) => Outcome::Interrupted,
        (false, true) => Outcome::Finished,
        (false, false) => Outcome::Incomplete,
    })
}

/// The pictures so far, written batch by batch: a run that is killed leaves those it has made.
struct Album<'a> {
    out: &'a OutFolder,
    table: Option<&'a FeatureTable>,
    names: Option<&'a [String]>,
    steps_planned: usize,
    pictures: Vec<[RgbImage; 2]>,
    record: Pictured,
}

impl Album<'_> {
    fn add(&mut self, batch: &[Illusion]) -> Result<()> {
        for illusion in batch {
            self.add_one(illusion)?;
        }
        // An earlier run's record stands until there is something to put in its place.
        match self.pictures.is_empty() {
            true => Ok(()),
            false => self.write(),
        }
    }

    /// Writes what there is beside the pictures themselves.
    fn write(&self) -> Result<()> {
        match self.pictures.is_empty() {
            true => self.out.remove([SHEET_FILE])?,
            false => save_png(self.out.join(SHEET_FILE), &contact_sheet(&self.pictures))?,
        }
        self.out.write_json(RECORD_FILE, &self.record)
    }

    fn add_one(&mut self, illusion: &Illusion) -> Result<()> {
        let Pair { neuron, class } = illusion.pair;
        let image = format!("neuron-{neuron}-class-{class}.png");
        let masked_image = format!("neuron-{neuron}-class-{class}-masked.png");
        let pictures = [
            to_rgb_image(illusion.image.view())?,
            to_rgb_image(illusion.masked_image().view())?,
        ];
        save_png(self.out.join(&image), &pictures[0])?;
        save_png(self.out.join(&masked_image), &pictures[1])?;
        self.pictures.push(pictures);
        let top = match self.table {
            Some(table) => {
                let rows = table.top_activating(neuron, None, 1)?;
                rows.first().map(|&row| (row, table))
            }
            None => None,
        };
        self.record.visualizations.push(Line {
            neuron,
            class,
            class_name: self.names.map(|names| names[class.0].clone()),
            activation: illusion.activation,
            top_real_activation: top.map(|(row, table)| table.features()[[row, neuron.0]]),
            top_real_image: top.map(|(row, table)| table.sample_ids()[row].clone()),
            probability: illusion.probability,
            clip_similarity: illusion.clip_similarity,
            steps: illusion.steps,
            steps_planned: self.steps_planned,
            image,
            masked_image,
        });
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { neuron, image, .. } = self;
        let class = match &self.class_name {
            Some(name) => name.clone(),
            None => self.class.to_string(),
        };
        write!(
            f,
            "neuron {neuron} in {class}: activation {:.2}",
            self.activation
        )?;
        if let Some(top) = self.top_real_activation {
            write!(f, ", {top:.2} on the top real image")?;
        }
        if self.steps < self.steps_planned {
            write!(
                f,
                ", stopped at step {} of {}",
                self.steps, self.steps_planned
            )?;
        }
        writeln!(f, ": {image}")
    }
}

/// The pairs asked for: given neurons in a class, a class's own neurons, or neurons in the classes
/// each speaks for most.
fn pairs(
    args: &VisualizeArgs,
    layer: &DecisionLayer,
    names: Option<&[String]>,
) -> Result<Vec<Pair>> {
    let class = args
        .class
        .as_deref()
        .map(|text| class_id(text, layer, names))
        .transpose()?;
    let count = args.count.unwrap_or(COUNT);
    Ok(match (&args.neurons, class) {
        (NeuronList::All, _) => bail!("there is no ranking here: name the neurons"),
        (NeuronList::Auto, None) => bail!("give --class, --neurons, or both"),
        (NeuronList::Given(_), Some(_)) if args.count.is_some() => {
            bail!("--count does nothing where both neurons and class are given")
        }
        (NeuronList::Auto, Some(class)) => neurons_of_class(layer, class, count)?
            .into_iter()
            .map(|neuron| Pair { neuron, class })
            .collect(),
        (NeuronList::Given(neurons), Some(class)) => model::neurons(neurons, layer)?
            .into_iter()
            .map(|neuron| Pair { neuron, class })
            .collect(),
        (NeuronList::Given(neurons), None) => {
            let mut pairs = Vec::new();
            for neuron in model::neurons(neurons, layer)? {
                let classes = classes_of_neuron(layer, neuron, count)?;
                pairs.extend(classes.into_iter().map(|class| Pair { neuron, class }));
            }
            pairs
        }
    })
}

/// The class by its name, where there are names, or by its index in the model.
fn class_id(text: &str, layer: &DecisionLayer, names: Option<&[String]>) -> Result<ClassId> {
    if let Some(names) = names {
        let class = class_by_name_or_index(names, text)?;
        layer.check_class(class)?;
        return Ok(class);
    }
    let Ok(index) = text.strip_prefix("index:").unwrap_or(text).parse() else {
        bail!(
            "nothing names class '{text}': give an index, --data DIR, whose folders do, or \
             --classes FILE"
        );
    };
    layer.check_class(ClassId(index))?;
    Ok(ClassId(index))
}
