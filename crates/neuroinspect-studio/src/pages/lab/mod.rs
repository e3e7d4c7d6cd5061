//! The picture lab: any unit of any layer, any class, any objective; seeds side by side.

mod form;

use axum::{Json, Router, extract::State, response::Html, routing::get};
use maud::{Markup, html};
use neuroinspect::{
    core::{
        ClassId, LayerInfo, LayerKind, NeuronId, Seed, Unit, UnitKind, class_argument,
        class_by_name_or_index,
    },
    illusion::{ImageParameter, Objective, Recipe},
    quoted,
};
use serde::Deserialize;
use serde_json::Value;

use self::form::{Filled, form};
use super::{
    neuron::queue,
    pictures::{self, Ordered, Shown},
};
use crate::{
    address::Query,
    expression::written,
    jobs::Job,
    layout::{Page, page},
    pictures::{KeptPicture, Picture, PictureOrder, Subject},
    refusal::Refusal,
    studio::{App, Studio, apart},
    words::counted,
    work::Work,
};

/// Rows of seeds that are shown, the newest first.
const ROWS_SHOWN: usize = 40;
/// Levels of an objective as JSON, at most: the list of jobs, which holds it, could not be read otherwise.
const DEEPEST: usize = 64;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/lab", get(lab))
        .route("/lab/pictures", get(rows).post(order))
}

async fn lab(
    State(studio): State<App>,
    Query(filled): Query<Filled>,
) -> Result<Html<String>, Refusal> {
    let content = apart(&studio, move |studio| {
        Ok(html! {
            p class="about" {
                "A picture of anything that has an activation: a channel of a layer, one position of it, a neuron. "
                "Where all seeds show the same, it is the unit\u{2019}s; what one of them shows alone is chance. Beside each \
                 picture is the same, dimmed where the unit is not active, where that is known."
            }
            (form(studio, &filled)?)
            section aria-labelledby="rows-title" {
                h2 id="rows-title" { "Pictures, seeds side by side" }
                // Asked for before what is shown: what happens in between is looked at again.
                div id="pictures" data-fragment="/lab/pictures" data-page="*" data-seen=(studio.jobs.last_event()) {
                    (shown(studio)?)
                }
            }
        })
    });
    let of_page = Page {
        path: "/lab",
        title: "Picture lab",
        scripts: &["pictures.js"],
    };
    Ok(page(&studio, &of_page, &content.await?))
}

async fn rows(State(studio): State<App>) -> Result<Html<String>, Refusal> {
    Ok(Html(apart(&studio, shown).await?.into_string()))
}

/// Pictures that differ by their seed alone.
struct Row<'a> {
    picture: &'a Picture,
    there: Vec<&'a KeptPicture>,
    ordered: Vec<&'a Ordered>,
}

fn shown(studio: &Studio) -> Result<Markup, Refusal> {
    let shown = Shown::of(studio, |_| true)?;
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut more = 0;
    // What is to come stands first, then the newest.
    for ordered in &shown.ordered {
        match row_of(&mut rows, &ordered.picture) {
            Some(row) => row.ordered.push(ordered),
            None => more += 1,
        }
    }
    for kept in shown.there.iter().rev() {
        match row_of(&mut rows, &kept.picture) {
            Some(row) => row.there.push(kept),
            None => more += 1,
        }
    }
    for row in &mut rows {
        row.there.sort_by_key(|kept| kept.picture.recipe.seed.0);
    }
    Ok(html! {
        (pictures::under_way(&shown))
        @if rows.is_empty() { p class="soft" { "There are none yet." } }
        @for row in &rows {
            @let Picture { subject, class, recipe } = row.picture;
            section class="row" {
                h3 {
                    @match subject {
                        Subject::Neuron(neuron) => { a href={ "/neuron/" (neuron) } { "neuron " (neuron) } },
                        Subject::Unit(unit) => { (unit) },
                    }
                    @if let Some(class) = class { " within " (studio.class_name(*class)) }
                }
                p class="soft" { code { (studio.objective(&recipe.objective)) } ", " (recipe.steps) " steps" }
                @if let Some(command) = command(studio, row.picture) {
                    details { summary { "The same by command line" } pre tabindex="0" { code { (command) } } }
                }
                div class="album gallery" {
                    @for kept in &row.there { (pictures::card(studio, kept, None)) }
                    @for ordered in &row.ordered { (pictures::waiting(studio, ordered)) }
                }
            }
        }
        @if more > 0 { p class="soft" { (counted(more, "more picture")) @if more == 1 { " is" } @else { " are" } " not shown." } }
    })
}

/// The command line that makes a picture; `None` where there is none.
fn command(studio: &Studio, picture: &Picture) -> Option<String> {
    let opened = &studio.opened;
    let arguments = opened.picture_arguments.as_ref()?;
    let subject = match &picture.subject {
        Subject::Neuron(neuron) => format!("--neurons {neuron}"),
        Subject::Unit(unit) => format!("--unit {}", quoted(unit_argument(unit)?)),
    };
    let class = match (picture.class, &picture.subject) {
        (Some(class), _) => Some(class_argument(opened.class_names(), class)),
        // That is how the studio makes it. Without a class there would be a picture for each.
        (None, Subject::Neuron(_)) => Some(class_argument(opened.class_names(), ClassId(0))),
        (None, Subject::Unit(_)) => None,
    };
    // What guides pictures within a class is refused beside units without one.
    let encoder = match class {
        Some(_) => opened.encoder_arguments.as_str(),
        None => "",
    };
    let class = class.map_or_else(String::new, |class| format!(" --class={}", quoted(class)));
    let recipe = &picture.recipe;
    let configured = arguments
        .contains(" --config ")
        .then_some(&opened.config.recipe);
    Some(format!(
        "neuroinspect visualize {arguments}{encoder} {subject}{class} --objective {} --iterations {}{} --seed {}",
        quoted(written(&recipe.objective, opened.class_names())?),
        recipe.steps,
        recipe_options(recipe, configured)?,
        recipe.seed.0
    ))
}

/// The options of a recipe beside its objective, steps and seed, where a configuration says the rest or none is given; `None`
/// where options cannot tell it.
fn recipe_options(recipe: &Recipe, configured: Option<&Recipe>) -> Option<String> {
    let parameter = match recipe.parameter {
        ImageParameter::Spectrum => "spectrum",
        ImageParameter::Pixels => "pixels",
        // Its magnitudes are in a file.
        _ => return None,
    };
    let base = configured.cloned().unwrap_or_default();
    // An objective by its name, which is told as an expression, has its own.
    if base.augmentation != Recipe::default().augmentation {
        return None;
    }
    let told = Recipe {
        objective: recipe.objective.clone(),
        steps: recipe.steps,
        seed: recipe.seed,
        parameter: recipe.parameter.clone(),
        precision: recipe.precision,
        size: recipe.size.or(base.size),
        ..base
    };
    let mut options = String::new();
    if let Some(size) = recipe.size {
        options += &format!(" --size {size}");
    }
    if configured.is_some() || recipe.parameter != Recipe::default().parameter {
        options += &format!(" --parameter {parameter}");
    }
    (told == *recipe).then_some(options)
}

/// A unit as `--unit` names it.
fn unit_argument(unit: &Unit) -> Option<String> {
    let kind = match &unit.kind {
        UnitKind::Channel(channel) => format!("channel:{channel}"),
        UnitKind::Feature(neuron) => format!("neuron:{neuron}"),
        UnitKind::Position {
            channel,
            row,
            column,
        } => format!("{channel},{row},{column}"),
        _ => return None,
    };
    Some(format!("{}/{kind}", unit.layer))
}

/// The row that a picture stands in; `None` where it would be one too many.
fn row_of<'a, 'r>(rows: &'r mut Vec<Row<'a>>, picture: &'a Picture) -> Option<&'r mut Row<'a>> {
    let same = |row: &Row<'_>| {
        row.picture.subject == picture.subject
            && row.picture.class == picture.class
            && row.picture.recipe.clone().with_seed(picture.recipe.seed) == picture.recipe
    };
    let place = rows.iter().position(same).unwrap_or(rows.len());
    if place == rows.len() && place < ROWS_SHOWN {
        rows.push(Row {
            picture,
            there: Vec::new(),
            ordered: Vec::new(),
        });
    }
    rows.get_mut(place)
}

/// What pictures are ordered by.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabOrder {
    layer: String,
    channel: usize,
    row: Option<usize>,
    column: Option<usize>,
    class: Option<usize>,
    /// As [`Objective::parse`] reads it.
    objective: String,
    /// Numbers with commas between them.
    seeds: String,
    steps: usize,
    size: Option<usize>,
}

async fn order(
    State(studio): State<App>,
    Json(asked): Json<LabOrder>,
) -> Result<Json<Job>, Refusal> {
    apart(&studio, move |studio| {
        let opened = &studio.opened;
        let subject = subject(studio, &asked)?;
        let names = opened.class_names();
        let class = |name: &str| class_by_name_or_index(names, name).map_err(|it| it.to_string());
        let objective = Objective::parse(&asked.objective, class)?;
        if serde_json::to_value(&objective).is_ok_and(|it| depth(&it) > DEEPEST) {
            let reason = "the objective has too many signs and parentheses within each other";
            return Err(Refusal::Bad(reason.to_owned()));
        }
        let recipe = opened.config.recipe.clone().with_steps(asked.steps);
        let mut recipe = recipe.with_objective(objective);
        recipe.size = asked.size;
        let classes = asked.class.map(ClassId).into_iter().collect();
        let order = PictureOrder::new(opened, subject, classes, recipe, seeds(&asked.seeds)?)?;
        let seeds = order.seeds.len();
        let seeds = counted(seeds, "seed");
        let mut title = format!("{}, {seeds}", order.subject);
        if let Some(class) = order.classes.first() {
            title = format!(
                "{} within {}, {seeds}",
                order.subject,
                studio.class_name(*class)
            );
        }
        queue(
            studio,
            title,
            "/lab".to_owned(),
            Work::Pictures(Box::new(order)),
        )
    })
    .await
}

/// What is pictured: of the layer that the decision layer reads, a neuron.
fn subject(studio: &Studio, asked: &LabOrder) -> Result<Subject, Refusal> {
    let classifier = &studio.opened.classifier;
    let layers = classifier.layers()?;
    let kind = layers.iter().find(|layer| layer.name == asked.layer);
    let kind = match (
        kind.map(|LayerInfo { kind, .. }| kind),
        asked.row,
        asked.column,
    ) {
        (_, Some(row), Some(column)) => UnitKind::Position {
            channel: asked.channel,
            row,
            column,
        },
        (_, None, None) if asked.layer == classifier.penultimate() => {
            return Ok(Subject::Neuron(NeuronId(asked.channel)));
        }
        (Some(LayerKind::Features), None, None) => UnitKind::Feature(NeuronId(asked.channel)),
        (_, None, None) => UnitKind::Channel(asked.channel),
        _ => {
            let reason =
                "a position has a row and a column: give both, or none for the whole channel";
            return Err(Refusal::Bad(reason.to_owned()));
        }
    };
    Ok(Subject::Unit(Unit::new(&asked.layer, kind)))
}

/// Levels of JSON.
fn depth(value: &Value) -> usize {
    let within = match value {
        Value::Array(values) => values.iter().map(depth).max(),
        Value::Object(values) => values.values().map(depth).max(),
        _ => None,
    };
    1 + within.unwrap_or(0)
}

/// Seeds out of numbers with commas or spaces between them.
fn seeds(text: &str) -> Result<Vec<Seed>, Refusal> {
    let numbers = text.split([',', ' ']).filter(|number| !number.is_empty());
    let seed = |number: &str| {
        let seed = number.parse().map(Seed);
        seed.map_err(|_| Refusal::Bad(format!("'{number}' is no seed: give whole numbers from 0")))
    };
    numbers.map(seed).collect()
}

#[cfg(test)]
mod tests {
    use neuroinspect::illusion::Recipe;

    use super::*;

    #[test]
    fn a_row_is_of_one_picture_and_rows_are_no_more_than_are_shown() {
        let picture = |neuron, seed| Picture {
            subject: Subject::Neuron(NeuronId(neuron)),
            class: None,
            recipe: Recipe::default().with_seed(Seed(seed)),
        };
        let pictures: Vec<_> = (0..ROWS_SHOWN + 1)
            .map(|neuron| picture(neuron, 0))
            .collect();
        let again = picture(3, 7);
        let mut rows = Vec::new();
        let placed = pictures.iter().filter(|it| row_of(&mut rows, it).is_some());
        assert_eq!(placed.count(), ROWS_SHOWN);
        let row = row_of(&mut rows, &again).unwrap();
        assert_eq!(row.picture, &pictures[3]);
    }

    /// What `visualize` would make otherwise has no line.
    #[test]
    fn a_line_tells_the_recipe_or_there_is_none() {
        let recipe = Recipe::default().with_steps(7).with_seed(Seed(3));
        let told = |recipe: &Recipe| recipe_options(recipe, None);
        assert_eq!(told(&recipe).unwrap(), "");
        let sized = recipe.clone().with_size(64);
        assert_eq!(told(&sized).unwrap(), " --size 64");
        let pixels = recipe.clone().with_parameter(ImageParameter::Pixels);
        assert_eq!(told(&pixels).unwrap(), " --parameter pixels");
        let unlike = recipe.clone().with_smoothing(0.5);
        assert_eq!(told(&unlike), None);
        let feature = Recipe::feature_visualization().with_objective(recipe.objective.clone());
        assert_eq!(told(&feature), None);

        // With a configuration it is that which says the rest.
        let configured =
            |recipe: &Recipe| recipe_options(recipe, Some(&unlike.clone().with_size(32)));
        let like = unlike.clone().with_size(96).with_steps(2);
        assert_eq!(
            configured(&like).unwrap(),
            " --size 96 --parameter spectrum"
        );
        assert_eq!(configured(&unlike), None);
        assert_eq!(configured(&recipe.with_size(32)), None);
        assert_eq!(recipe_options(&feature, Some(&feature)), None);
    }

    #[test]
    fn seeds_are_numbers_with_commas_or_spaces() {
        let numbers = |text| seeds(text).map(|seeds| Vec::from_iter(seeds.iter().map(|it| it.0)));
        assert_eq!(numbers("0, 7,3 12").unwrap(), [0, 7, 3, 12]);
        assert!(numbers("").unwrap().is_empty());
        for wrong in ["-1", "a", "1.5", "18446744073709551616"] {
            assert!(numbers(wrong).is_err(), "{wrong}");
        }
    }
}
