//! `visualize`: pictures of neurons within classes.

use anyhow::{Result, bail};
use neuroinspect::{
    GuideSource,
    core::{ClassId, DecisionLayer, NeuronId, Seed, class_by_name_or_index},
    datasets::{ImageDataset, ImageFolder},
    illusion::{Illusion, Pair, classes_of_neuron, neurons_of_class, visualize},
    report::{Run, contact_sheet, save_png, to_rgb_image},
};
use serde::Serialize;

use crate::{
    args::{Common, NeuronList, VisualizeArgs},
    data,
    inputs::Setup,
    model, output,
    session::{Outcome, Session},
};

/// `visualizations.json`.
#[derive(Serialize)]
struct Pictured {
    visualizations: Vec<Line>,
    /// Whether the work was stopped before its end.
    interrupted: bool,
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
    image: String,
    masked_image: String,
}

pub(crate) fn run(common: &Common, args: &VisualizeArgs) -> Result<Outcome> {
    let dataset = args
        .data
        .as_deref()
        .map(|path| data::folder(path, &args.reading))
        .transpose()?;
    let setup = Setup::open(common, &args.model, &args.reading)?;
    let Setup {
        out,
        device,
        loaded,
        ..
    } = &setup;
    let layer = loaded.model.decision_layer()?;
    let guide = model::TextGuide::load(&args.clip, device)?;
    let pairs = pairs(args, &layer, dataset.as_ref())?;
    let config = model::illusion(&args.picture, guide.is_some(), Seed(common.seed))?;

    let mut session = Session::start()?;
    let features = dataset
        .as_ref()
        .map(|dataset| setup.features(dataset, &mut session))
        .transpose()?;
    let table = features.as_ref().map(|features| &features.extracted.table);
    let data = dataset
        .as_ref()
        .map_or("no images", |dataset| dataset.name());
    let mut run = setup.run(data, &features);
    run.configs
        .insert("illusion".into(), serde_json::to_value(&config)?);
    let texts = match (&guide, &dataset) {
        (Some(guide), Some(dataset)) => Some(guide.texts(dataset.class_names())),
        (Some(_), None) => bail!("CLIP needs the names of the classes: give --data DIR"),
        (None, _) => None,
    };
    let classes: Vec<_> = pairs.iter().map(|pair| pair.class).collect();
    let guide = texts
        .as_ref()
        .map(|texts| texts.guide(&classes, &mut session))
        .transpose()?;
    let illusions = visualize(
        loaded.model.as_ref(),
        guide.as_ref(),
        &pairs,
        &config,
        &mut session,
    )?;
    session.clear();

    let mut lines = Vec::new();
    let mut pictures = Vec::new();
    for illusion in &illusions.finished {
        let Pair { neuron, class } = illusion.pair;
        let image = format!("neuron-{neuron}-class-{class}.png");
        let masked_image = format!("neuron-{neuron}-class-{class}-masked.png");
        let both = rgb(illusion)?;
        save_png(out.join(&image), &both[0])?;
        save_png(out.join(&masked_image), &both[1])?;
        pictures.push(both);
        let top = match table {
            Some(table) => table.top_activating(neuron, None, 1)?.first().copied(),
            None => None,
        };
        let top = top.zip(table);
        lines.push(Line {
            neuron,
            class,
            class_name: dataset
                .as_ref()
                .map(|dataset| dataset.class_names()[class.0].clone()),
            activation: illusion.activation,
            top_real_activation: top.map(|(row, table)| table.features()[[row, neuron.0]]),
            top_real_image: top.map(|(row, table)| table.sample_ids()[row].clone()),
            probability: illusion.probability,
            clip_similarity: illusion.clip_similarity,
            image,
            masked_image,
        });
    }
    if !pictures.is_empty() {
        save_png(out.join("neurons.png"), &contact_sheet(&pictures))?;
    }
    let pictured = Pictured {
        visualizations: lines,
        interrupted: illusions.interrupted,
        run,
    };
    out.write_json("visualizations.json", &pictured)?;
    output::print(common.json, &pictured, |pictured| {
        let mut text = String::new();
        for Line {
            neuron,
            class,
            class_name,
            activation,
            top_real_activation,
            image,
            ..
        } in &pictured.visualizations
        {
            let class = class_name.clone().unwrap_or_else(|| class.to_string());
            let real = top_real_activation.map_or_else(String::new, |top| {
                format!(", {top:.2} on the top real image")
            });
            text +=
                &format!("neuron {neuron} in {class}: activation {activation:.2}{real}: {image}\n");
        }
        text + &format!("written to {}\n", out.path().display())
    })?;
    Ok(match illusions.interrupted {
        true => Outcome::Interrupted,
        false => Outcome::Finished,
    })
}

/// The pairs asked for: given neurons in a class, a class's own neurons, or neurons in the classes
/// each speaks for most.
fn pairs(
    args: &VisualizeArgs,
    layer: &DecisionLayer,
    dataset: Option<&ImageFolder>,
) -> Result<Vec<Pair>> {
    let class = args
        .class
        .as_deref()
        .map(|text| class_id(text, layer, dataset))
        .transpose()?;
    Ok(match (&args.neurons, class) {
        (NeuronList::All, _) => bail!("there is no ranking here: name the neurons"),
        (NeuronList::Auto, None) => bail!("give --class, --neurons, or both"),
        (NeuronList::Auto, Some(class)) => neurons_of_class(layer, class, args.count)?
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
                let classes = classes_of_neuron(layer, neuron, args.count)?;
                pairs.extend(classes.into_iter().map(|class| Pair { neuron, class }));
            }
            pairs
        }
    })
}

/// The class by the name its folder gives it, or by its index in the model.
fn class_id(text: &str, layer: &DecisionLayer, dataset: Option<&ImageFolder>) -> Result<ClassId> {
    if let Some(dataset) = dataset {
        return Ok(class_by_name_or_index(dataset.class_names(), text)?);
    }
    let Ok(index) = text.parse() else {
        bail!("nothing names class '{text}': give --data DIR, whose folders do, or an index");
    };
    layer.check_class(ClassId(index))?;
    Ok(ClassId(index))
}

fn rgb(illusion: &Illusion) -> Result<[image::RgbImage; 2]> {
    Ok([
        to_rgb_image(illusion.image.view())?,
        to_rgb_image(illusion.masked_image().view())?,
    ])
}
