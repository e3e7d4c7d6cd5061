//! Pictures of neurons within classes, and what they are worth without people to ask.
//!
//! In the paper people said which pictures they understood. What stands here in their place are proxies that
//! anybody can compute again: whether a network that had no part in a picture recognises its class, how high the
//! picture's neuron fires beside real images, the class's logit, and whether pictures from other random numbers
//! show the same.

pub(super) mod measures;
mod method;
mod open;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Instant,
};

use image::RgbImage;
use ndarray::{Array1, Array2, Axis};
use neuroinspect_core::{
    ClassEmbeddings, ClassId, DecisionLayer, Error as CoreError, FeatureTable, NeuronId, Observer,
    Precision, Seed,
};
use neuroinspect_illusion::{
    Execution, Illusion, Networks, Pair, PreparedClassifier, PreparedGuide, Recipe, Request,
    neurons_of_class, visualize,
};
use neuroinspect_models::{clip::Clip, prompts::PromptTemplates};
use neuroinspect_report::{contact_sheet, to_rgb_image};
use rand::seq::SliceRandom;

use self::measures::{agreement, percentile};
pub(super) use self::{
    method::Method,
    open::{NEEDS, STAND_IN},
};
use super::{
    Prompts, Source, Switch, Switches, Unit, mean,
    measured::{Column, Measured},
};
use crate::{ClassTexts, GuideSource, Result};

const fn column(name: &'static str, unit: Unit) -> Column {
    Column { name, unit }
}

/// Share of the pictures that the judge takes for their class.
pub(super) const RECOGNISED: Column = column("recognised by the judge", Unit::Share);
/// How far that is beyond guessing, over the same of real images of these classes: 0 by chance, 1 where pictures
/// are recognised as real images are.
pub(super) const OVER_REAL: Column = column("beyond chance, over real images", Unit::Share);
/// Mean logit of the class.
pub(super) const LOGIT: Column = column("class logit", Unit::Number);
/// Mean probability of the class.
pub(super) const PROBABILITY: Column = column("class probability", Unit::Share);
/// Mean activation of the neuron.
pub(super) const ACTIVATION: Column = column("activation", Unit::Number);
/// Mean percentile of the activation among those of real images.
pub(super) const PERCENTILE: Column = column("percentile among real images", Unit::Number);
/// Mean centred cosine of what the judge makes of two pictures.
pub(super) const AGREEMENT: Column = column("agreement over seeds", Unit::Number);
/// Mean similarity to the class's text.
pub(super) const SIMILARITY: Column = column("similarity to the text", Unit::Number);
/// Seconds that a picture takes.
pub(super) const SECONDS: Column = column("a picture takes", Unit::Seconds);

/// The row of what guessing comes to.
pub(super) const CHANCE: &str = "chance";

/// The number that the first class is called by where names are hidden, as of a Lego brick; the others follow.
const FIRST_BRICK: usize = 3001;
/// Most classes that are pictured, as many as in the paper.
const CLASSES: usize = 20;

/// A network whose neurons are pictured, and all that its pictures are compared with.
pub(super) struct Pictured {
    pub(super) source: Source,
    /// What all recipes begin with.
    pub(super) recipe: Recipe,
    /// Whether pictures are so small that they have fewer steps, at a higher rate, than the paper's.
    pub(super) is_small: bool,
    pub(super) layer: DecisionLayer,
    /// Features of real images; of scenes, none of which the network was trained on.
    pub(super) real: FeatureTable,
    networks: Networks,
    encoder: Option<Encoder>,
    judge: Option<Judge>,
    /// What the prepared encoder has been told, and of which classes.
    told: Option<(Texts, Vec<ClassId>)>,
    /// Of the seed asked for last, of the one before it and of later ones.
    made: BTreeMap<(u64, String, Texts, Vec<Pair>), Rc<Made>>,
}

/// An image-text encoder, and what it is told of the classes.
struct Encoder {
    clip: Clip,
    templates: PromptTemplates,
    names: Vec<String>,
}

/// A network that has no part in the pictures.
struct Judge {
    network: PreparedClassifier,
    /// The share of the real images of each class that it recognises.
    of_real: Vec<Option<f64>>,
}

/// What the image-text encoder is told of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Texts {
    pub(super) prompts: Prompts,
    /// Whether classes are called by their names; else "brick 3001" and so on, which no encoder knows.
    pub(super) named: bool,
}

impl Texts {
    /// Names, as the switches have their prompts.
    pub(super) fn of(switches: &Switches) -> Self {
        Self {
            prompts: switches.prompts,
            named: true,
        }
    }
}

/// Pictures of some pairs, in their order.
pub(super) struct Made {
    pub(super) illusions: Vec<Illusion>,
    /// What the judge makes of them: features `[N, D]`, and the classes that it takes them for.
    judged: Option<(Array2<f32>, Vec<ClassId>)>,
    /// For each picture.
    pub(super) seconds: f64,
}

impl Pictured {
    /// The neuron of largest weight of every class, or of twenty classes drawn once where there are more.
    pub(super) fn top_pairs(&self) -> Result<Vec<Pair>> {
        let mut classes: Vec<_> = (0..self.layer.classes()).map(ClassId).collect();
        classes.shuffle(&mut Seed(0).rng("classes pictured", &[]));
        classes.truncate(CLASSES);
        classes.sort_unstable();
        let mut pairs = Vec::with_capacity(classes.len());
        for class in classes {
            let top = neurons_of_class(&self.layer, class, 1)?;
            pairs.extend(top.into_iter().map(|neuron| Pair { neuron, class }));
        }
        Ok(pairs)
    }

    /// The ways to make pictures that there are: CLIP-Illusion needs an encoder.
    pub(super) fn methods(&self) -> Vec<Method> {
        let mut methods = Method::ALL.to_vec();
        methods.retain(|method| self.encoder.is_some() || *method != Method::CLIP_ILLUSION);
        methods
    }

    /// Whether flipping a switch can change a picture: without an encoder nothing is told, and there are no
    /// similarities that images could have in common.
    pub(super) fn concerns(&self, switch: Switch) -> bool {
        self.encoder.is_some() || !matches!(switch, Switch::Coupling | Switch::Prompts)
    }

    /// Refuses an experiment that is about CLIP-Illusion where there is no encoder.
    pub(super) fn require_encoder(&self) -> Result<()> {
        match self.encoder {
            Some(_) => Ok(()),
            None => Err(CoreError::InvalidOption {
                option: "clip",
                value: "none".to_owned(),
                expected: "the weights of an image-text encoder, which this experiment is about",
            }
            .into()),
        }
    }

    pub(super) fn class_name(&self, class: ClassId) -> &str {
        &self.real.class_names()[class.0]
    }

    pub(super) fn classifier(&self) -> &PreparedClassifier {
        &self.networks.classifier
    }

    /// Pictures of pairs; none is made twice.
    pub(super) fn make(
        &mut self,
        pairs: &[Pair],
        recipe: &Recipe,
        texts: Texts,
        observer: &mut dyn Observer,
    ) -> Result<Rc<Made>> {
        // A repetition asks for its own seed and the next.
        self.made
            .retain(|(seed, ..), _| seed.saturating_add(1) >= recipe.seed.0);
        let key = (recipe.seed.0, recipe.sha256()?, texts, pairs.to_vec());
        if let Some(made) = self.made.get(&key) {
            return Ok(Rc::clone(made));
        }
        self.tell(texts, pairs, observer)?;
        let start = Instant::now();
        // Seeds are compared here in full. As the paper has it, a way's pictures are one batch, which the coupling of a
        // whole batch is of.
        let execution = Execution::default()
            .with_batch_size(pairs.len().max(1))
            .with_other_seeds(0);
        let request = Request::new(pairs, recipe.clone()).with_execution(execution);
        let pictures = visualize(&self.networks, &request, observer)?;
        if pictures.interrupted {
            return Err(CoreError::cancelled("visualizing").into());
        }
        if let Some(&diverged) = pictures.diverged.first() {
            return Err(neuroinspect_illusion::Error::from(diverged).into());
        }
        let seconds = start.elapsed().as_secs_f64() / pairs.len().max(1) as f64;
        let made = Rc::new(Made {
            judged: self.judged(&pictures.finished)?,
            illusions: pictures.finished,
            seconds,
        });
        self.made.insert(key, Rc::clone(&made));
        Ok(made)
    }

    /// Tells the prepared encoder of the classes that are pictured.
    fn tell(&mut self, texts: Texts, pairs: &[Pair], observer: &mut dyn Observer) -> Result<()> {
        let Some(encoder) = &self.encoder else {
            return Ok(());
        };
        let classes: BTreeSet<_> = pairs.iter().map(|pair| pair.class).collect();
        let wanted = (texts, classes.into_iter().collect::<Vec<_>>());
        if self.told.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let names = encoder.names.iter().enumerate();
        let source = ClassTexts {
            encoder: &encoder.clip,
            templates: &encoder.templates,
            texts: names
                .map(|(class, name)| match texts.named {
                    true => name.clone(),
                    false => format!("brick {}", FIRST_BRICK + class),
                })
                .collect(),
        };
        let mut guide = source.guide(&wanted.1, observer)?;
        if texts.prompts == Prompts::Normalised {
            guide.class_embeddings = normalised(&guide.class_embeddings)?;
        }
        let device = self.networks.classifier.device();
        let prepared = PreparedGuide::new(&guide, device, Precision::F32)?;
        self.networks.guide = Some(prepared);
        self.told = Some(wanted);
        Ok(())
    }

    fn judged(&self, illusions: &[Illusion]) -> Result<Option<(Array2<f32>, Vec<ClassId>)>> {
        let Some(judge) = &self.judge else {
            return Ok(None);
        };
        let pictures: Vec<_> = illusions.iter().map(|it| it.image.view()).collect();
        let features = judge.network.features_of(&pictures)?;
        let classes = judge.network.decision_layer().predict(features.view())?;
        Ok(Some((features, classes)))
    }

    /// Notes what pictures are worth, in a row.
    pub(super) fn put(&self, measured: &mut Measured, place: [&str; 2], made: &Made) -> Result<()> {
        let illusions = || made.illusions.iter();
        let recognised = made.judged.as_ref().and_then(|(_, classes)| {
            let pairs = illusions().zip(classes);
            mean(pairs.map(|(it, class)| f64::from(it.pair.class == *class)))
        });
        let real = self
            .judge
            .as_ref()
            .and_then(|judge| mean(illusions().filter_map(|it| judge.of_real[it.pair.class.0])));
        measured.put(place, RECOGNISED, recognised);
        let beyond = |share: f64| share - self.chance();
        let over_real = recognised.zip(real.filter(|&real| beyond(real) > 0.0));
        let over_real = over_real.map(|(pictures, real)| beyond(pictures) / beyond(real));
        measured.put(place, OVER_REAL, over_real);
        measured.put(place, LOGIT, mean_of(made, |it| it.logit));
        measured.put(place, PROBABILITY, mean_of(made, |it| it.probability));
        measured.put(place, ACTIVATION, mean_of(made, |it| it.activation));
        let of_picture = |it: &Illusion| self.percentile(it.pair.neuron, it.activation);
        let percentiles = illusions().map(of_picture).collect::<Result<Vec<_>>>()?;
        measured.put(place, PERCENTILE, mean(percentiles.into_iter().flatten()));
        let similarities = illusions().filter_map(|it| it.clip_similarity);
        measured.put(place, SIMILARITY, mean(similarities.map(f64::from)));
        Ok(())
    }

    /// The percentile of an activation among those of real images.
    pub(super) fn percentile(&self, neuron: NeuronId, activation: f32) -> Result<Option<f64>> {
        Ok(percentile(
            activation,
            self.real.activations().column(neuron)?,
        ))
    }

    /// The share that a judge recognises that guesses.
    fn chance(&self) -> f64 {
        1.0 / self.real.classes() as f64
    }

    /// Notes what guessing comes to, where there is a judge.
    pub(super) fn put_chance(&self, measured: &mut Measured, table: &str) {
        if self.judge.is_some() {
            measured.put([table, CHANCE], RECOGNISED, self.chance());
            measured.put([table, CHANCE], OVER_REAL, 0.0);
        }
    }
}

/// The mean of the judge's features `[D]` of some pictures; `None` without a judge.
pub(super) fn centre(all: &[&Made]) -> Option<Array1<f32>> {
    let features: Option<Vec<_>> = all.iter().map(|made| made.features()).collect();
    let features = features?;
    let views: Vec<_> = features.iter().map(|it| it.view()).collect();
    ndarray::concatenate(Axis(0), &views)
        .ok()?
        .mean_axis(Axis(0))
}

/// How alike the judge finds pictures and others, pair by pair; `None` without a judge.
pub(super) fn alike(made: &Made, others: &Made, centre: &Array1<f32>) -> Option<f64> {
    let (features, others) = (made.features()?, others.features()?);
    agreement(features.view(), others.view(), centre.view())
}

/// How alike it finds each picture and those of all other pairs.
pub(super) fn alike_of_others(made: &Made, others: &Made, centre: &Array1<f32>) -> Option<f64> {
    let (features, others) = (made.features()?, others.features()?);
    let count = others.nrows();
    let shifted = (1..count).filter_map(|shift| {
        let order: Vec<_> = (0..count).map(|place| (place + shift) % count).collect();
        let others = others.select(Axis(0), &order);
        agreement(features.view(), others.view(), centre.view())
    });
    mean(shifted)
}

impl Made {
    /// The pictures, as a row of a [`sheet`].
    pub(super) fn row(&self) -> Vec<&Illusion> {
        self.illusions.iter().collect()
    }

    fn features(&self) -> Option<&Array2<f32>> {
        self.judged.as_ref().map(|(features, _)| features)
    }
}

/// The mean of a number of pictures.
pub(super) fn mean_of(made: &Made, number: impl Fn(&Illusion) -> f32) -> Option<f64> {
    mean(made.illusions.iter().map(|it| f64::from(number(it))))
}

/// Embeddings scaled to length 1.
fn normalised(embeddings: &ClassEmbeddings) -> Result<ClassEmbeddings> {
    let classes: Vec<_> = embeddings.classes().collect();
    let rows = embeddings.rows(&classes, &burn::tensor::Device::flex())?;
    let length = rows.clone().square().sum_dim(1).sqrt();
    Ok(ClassEmbeddings::new(&classes, rows / length)?)
}

/// The seed of the pictures that those of `seed` are compared with.
pub(super) fn next(seed: Seed) -> Seed {
    Seed(seed.0.wrapping_add(1))
}

/// "neuron 3 in circle, neuron 7 in star".
pub(super) fn pairs_in_words(pictured: &Pictured, pairs: &[Pair]) -> String {
    let words = pairs.iter().map(|Pair { neuron, class }| {
        format!("neuron {neuron} in {}", pictured.class_name(*class))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Rows of pictures.
pub(super) fn sheet_of(rows: &[Rc<Made>]) -> Result<RgbImage> {
    let rows = rows.iter().map(|made| made.row());
    sheet(&rows.collect::<Vec<_>>(), false)
}

/// Rows of pictures, as they are or where their neurons are active.
pub(super) fn sheet(rows: &[Vec<&Illusion>], masked: bool) -> Result<RgbImage> {
    let mut sheet = Vec::new();
    for row in rows {
        let pictures = row.iter().map(|it| {
            let masked = it.masked_image().filter(|_| masked);
            to_rgb_image(masked.as_ref().unwrap_or(&it.image).view())
        });
        sheet.push(pictures.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(contact_sheet(&sheet))
}
