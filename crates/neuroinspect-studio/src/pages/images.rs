//! The images behind a number: a grid of them that is filtered, their thumbnails, and one by itself.
//!
//! The grid's script gets label, prediction and group of every sample once, as numbers, and asks for the thumbnails
//! that are to be seen: a hundred thousand samples are a megabyte of numbers.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::header,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use image::{
    ExtendedColorType, ImageEncoder, RgbImage, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder,
};
use maud::{Markup, html};
use ndarray::Axis;
use neuroinspect::{core::ClassId, datasets::thumbnail, editing::percent};
use serde::Deserialize;

use crate::{
    address::{Path, Query},
    layout::{Page, page},
    refusal::Refusal,
    session::Session,
    studio::{App, Studio, apart},
};

/// Side of a thumbnail, in pixels: twice that of a cell.
const THUMBNAIL: u32 = 192;
/// Longest side of an image by itself.
const LARGE: u32 = 768;
/// Up to this side an image is sent without loss, and shown with its pixels to be seen.
const SMALL: u32 = 64;
const JPEG_QUALITY: u8 = 88;
/// Neurons and classes that an image by itself lists.
const LISTED: usize = 6;

/// Which of the images are shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    /// By their true class.
    pub(crate) label: Option<usize>,
    /// By what they are taken for.
    pub(crate) predicted: Option<usize>,
    pub(crate) group: Option<usize>,
    /// `mistakes`, `right` or all.
    pub(crate) only: Option<String>,
}

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/images", get(images))
        .route("/samples", get(samples))
        .route("/thumbnail/{row}", get(small))
        .route("/picture/{row}", get(large))
        .route("/image/{row}", get(image))
        .route("/image/{row}/about", get(about))
}

async fn images(
    State(studio): State<App>,
    Query(filter): Query<Filter>,
) -> Result<Html<String>, Refusal> {
    let session = studio.session()?;
    let of_page = Page {
        path: "/images",
        title: "Images",
        scripts: &["grid.js"],
    };
    Ok(page(
        &studio,
        &of_page,
        &grid(&studio, session, &filter, None),
    ))
}

/// A grid of images under its filters. With a class, those of the class.
pub(crate) fn grid(
    studio: &Studio,
    session: &Session,
    filter: &Filter,
    class: Option<ClassId>,
) -> Markup {
    let names = studio.opened.class_names();
    let groups = session.group_names();
    html! {
        form class="filters" id="filters" aria-label="Which images" {
            @if class.is_none() {
                (choice("label", "Class", names, filter.label))
            }
            (choice("predicted", "Taken for", names, filter.predicted))
            @if !groups.is_empty() { (choice("group", "Group", groups, filter.group)) }
            label {
                "Show "
                select name="only" {
                    @for (value, text) in [("", "all"), ("mistakes", "mistakes"), ("right", "right ones")] {
                        option value=(value) selected[filter.only.as_deref().unwrap_or("") == value] { (text) }
                    }
                }
            }
            output id="shown" aria-live="polite" {}
        }
        div id="grid" class="grid" role="group" aria-label="Images: arrows move from one to the next" tabindex="0"
            data-samples=(session.table.len()) data-key=(session.key)
            data-label=[class.map(|class| class.0)] {
            div class="sheet" {}
        }
        script type="application/json" id="names" {
            (maud::PreEscaped(as_json(&serde_json::json!({ "classes": names, "groups": groups }))))
        }
        dialog id="image" aria-label="An image" {
            // First, so that the focus begins at the top.
            form method="dialog" { button { "Close" } }
            div id="image-about" {}
        }
    }
}

/// JSON within a page: no text of it ends the element that it stands in.
fn as_json(value: &serde_json::Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

fn choice(name: &str, title: &str, names: &[String], chosen: Option<usize>) -> Markup {
    html! {
        label {
            (title) " "
            select name=(name) {
                option value="" { "any" }
                @for (index, of_index) in names.iter().enumerate() {
                    option value=(index) selected[chosen == Some(index)] { (of_index) }
                }
            }
        }
    }
}

/// Label, prediction and group of every sample, each as 32 bits, little-endian; all ones where there is no group.
async fn samples(State(studio): State<App>) -> Result<Response, Refusal> {
    let session = studio.session()?;
    let (labels, groups) = (session.table.labels(), session.groups());
    let mut bytes = Vec::with_capacity(12 * labels.len());
    for (row, (label, prediction)) in labels.iter().zip(&session.predictions).enumerate() {
        let group = groups.and_then(|groups| groups.of_sample().get(row));
        let group = group.map_or(u32::MAX, |&group| group as u32);
        for value in [label.0 as u32, prediction.0 as u32, group] {
            bytes.extend(value.to_le_bytes());
        }
    }
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

async fn small(State(studio): State<App>, Path(row): Path<usize>) -> Result<Response, Refusal> {
    let bytes = match studio.session()?.thumbnails.get(row) {
        Some(bytes) => bytes,
        None => {
            let bytes = apart(&studio, move |studio| {
                let image = read(studio, row)?;
                encoded(&match image.width().max(image.height()) <= THUMBNAIL {
                    true => image,
                    false => thumbnail(&image, THUMBNAIL)?,
                })
            })
            .await?;
            studio
                .session()?
                .thumbnails
                .keep(row, bytes.clone(), bytes.len());
            bytes
        }
    };
    Ok(picture(bytes))
}

async fn large(State(studio): State<App>, Path(row): Path<usize>) -> Result<Response, Refusal> {
    let bytes = apart(&studio, move |studio| {
        let image = read(studio, row)?;
        let longest = image.width().max(image.height());
        encoded(&match longest <= LARGE {
            true => image,
            false => {
                let side = |side: u32| (side * LARGE / longest).max(1);
                let (width, height) = (side(image.width()), side(image.height()));
                image::imageops::thumbnail(&image, width, height)
            }
        })
    })
    .await?;
    Ok(picture(bytes))
}

/// The image of a row.
fn read(studio: &Studio, row: usize) -> Result<RgbImage, Refusal> {
    let session = studio.session()?;
    let index = session.indices.get(row);
    let index = *index.ok_or_else(|| Refusal::NotFound(format!("there is no sample {row}")))?;
    let image = studio.opened.dataset.image(index);
    image.map_err(|error| Refusal::failed(&error))
}

/// A file of an image: PNG where it is small, JPEG otherwise.
pub(crate) fn encoded(image: &RgbImage) -> Result<Bytes, Refusal> {
    let (width, height) = image.dimensions();
    let mut bytes = Vec::new();
    let written = match width.max(height) <= SMALL {
        true => {
            PngEncoder::new(&mut bytes).write_image(image, width, height, ExtendedColorType::Rgb8)
        }
        false => JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(image),
    };
    written.map_err(|error| Refusal::failed(&error))?;
    Ok(bytes.into())
}

/// An answer that a browser keeps: an address holds a key of the data, and another data set has another.
pub(crate) fn picture(bytes: Bytes) -> Response {
    let kind = match bytes.starts_with(b"\x89PNG") {
        true => "image/png",
        false => "image/jpeg",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (
            header::CACHE_CONTROL,
            "private, max-age=31536000, immutable",
        ),
    ];
    (headers, bytes).into_response()
}

async fn image(State(studio): State<App>, Path(row): Path<usize>) -> Result<Html<String>, Refusal> {
    let of_page = Page {
        path: "/images",
        title: &format!("Image {row}"),
        scripts: &[],
    };
    let content = details(&studio, row)?;
    Ok(page(&studio, &of_page, &content))
}

async fn about(State(studio): State<App>, Path(row): Path<usize>) -> Result<Html<String>, Refusal> {
    Ok(Html(details(&studio, row)?.into_string()))
}

/// An image, what it is and what it is taken for, and which neurons speak for that.
fn details(studio: &Studio, row: usize) -> Result<Markup, Refusal> {
    let session = studio.session()?;
    let table = &session.table;
    let (Some(&label), Some(&taken_for)) = (table.labels().get(row), session.predictions.get(row))
    else {
        return Err(Refusal::NotFound(format!("there is no sample {row}")));
    };
    let features = table.feature(row)?;
    let logits = session.layer.logits(features.view().insert_axis(Axis(0)))?;
    let logits = logits.row(0).mapv(f64::from);
    let largest = logits.fold(f64::NEG_INFINITY, |most, &it| most.max(it));
    let total: f64 = logits.iter().map(|it| (it - largest).exp()).sum();
    let mut likely: Vec<_> = logits
        .iter()
        .map(|it| (it - largest).exp() / total)
        .enumerate()
        .collect();
    likely.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    // What speaks for the prediction against the class, or for a right one against the next.
    let against = match taken_for == label {
        true => likely
            .iter()
            .map(|it| ClassId(it.0))
            .find(|&it| it != taken_for),
        false => Some(label),
    };
    let weight = session.layer.weight();
    let mut speaking: Vec<(usize, f32)> = match against {
        Some(against) => (0..features.len())
            .map(|it| {
                (
                    it,
                    features[it] * (weight[[taken_for.0, it]] - weight[[against.0, it]]),
                )
            })
            .collect(),
        None => Vec::new(),
    };
    speaking.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let (name, predicted) = (studio.class_name(label), studio.class_name(taken_for));
    let alt = format!("Image {row}, of {name}, taken for {predicted}");
    let group = session
        .groups()
        .map(|groups| groups.names()[groups.of_sample()[row]].as_str());
    Ok(html! {
        div class="image-details" {
            img class="large" src={ "/picture/" (row) "?" (session.key) } alt=(alt);
            div {
                h2 { (name) @if label != taken_for { " taken for " (predicted) } }
                p class="soft" { (table.sample_ids()[row]) }
                @if let Some(group) = group { p { "Group: " (group) } }
                p { a href={ "/class/" (label) } { "What goes wrong with \u{201c}" (name) "\u{201d}" } }
                h3 { "Probabilities" }
                table {
                    tbody {
                        @for &(class, probability) in likely.iter().take(LISTED) {
                            tr {
                                th scope="row" { (studio.class_name(ClassId(class))) }
                                td class="number" { (percent(probability)) }
                            }
                        }
                    }
                }
                @if let Some(against) = against {
                    h3 { "Neurons that speak for " (predicted) " against " (studio.class_name(against)) }
                    p class="about" {
                        "What each adds to the logit of the one over the other: its activation, times the difference of its weights."
                    }
                    table {
                        thead { tr { th scope="col" { "neuron" } th scope="col" class="number" { "active" }
                                     th scope="col" class="number" { "adds to the lead" } } }
                        tbody {
                            @for &(neuron, share) in speaking.iter().take(LISTED) {
                                tr {
                                    th scope="row" { a href={ "/neuron/" (neuron) "?class=" (taken_for) } { (neuron) } }
                                    td class="number" { (format!("{:.3}", features[neuron])) }
                                    td class="number" { (format!("{share:+.3}")) }
                                }
                            }
                        }
                    }
                }
            }
        }
    })
}
