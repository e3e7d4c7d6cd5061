//! Units of layers: a section for each layer, a card for each unit.

use maud::{Markup, html};
use neuroinspect_core::{ClassId, UnitKind};

use super::{
    card::{bars, figure},
    parts::{count, file_name, thumbnail_of, trust, value},
};
use crate::{Result, TopImage, TopImages, UnitFindings, unit_report::ShownImage};

/// The sections of all layers, in the order of their first units.
pub(super) fn sections(units: &[UnitFindings], class_names: &[String]) -> Result<Markup> {
    let mut layers: Vec<&str> = Vec::new();
    for unit in units {
        if !layers.contains(&&*unit.unit.layer) {
            layers.push(&unit.unit.layer);
        }
    }
    let sections: Vec<_> = layers
        .into_iter()
        .map(|layer| section(layer, units, class_names))
        .collect::<Result<_>>()?;
    Ok(html! { @for section in &sections { (section) } })
}

fn section(layer: &str, units: &[UnitFindings], class_names: &[String]) -> Result<Markup> {
    let units: Vec<_> = units.iter().filter(|it| it.unit.layer == layer).collect();
    let shown: Vec<_> = units.iter().filter(|unit| has_pixels(unit)).collect();
    let cards: Vec<_> = shown
        .iter()
        .map(|unit| card(unit, class_names))
        .collect::<Result<_>>()?;
    Ok(html! {
        section {
            h2 { "Layer " code { (layer) } }
            p class="about" {
                (count(units.len(), "unit")) " of it: a picture that activates the unit most, the real \
                 images that do, dimmed where it is not active, and the parts of them where it is most \
                 active."
                @if shown.len() < units.len() {
                    " " (units.len() - shown.len()) " are not shown; the JSON lists all."
                }
            }
            @for card in &cards { (card) }
        }
    })
}

/// A unit whose picture diverged is shown, too, for its real images or for its name.
fn has_pixels(unit: &UnitFindings) -> bool {
    let picture = unit.picture.as_ref();
    picture.is_none_or(|picture| !picture.image.is_empty())
}

fn card(unit: &UnitFindings, class_names: &[String]) -> Result<Markup> {
    let kind = unit.unit.kind.to_string();
    let name_of = |class: ClassId| class_names.get(class.0).map_or("", String::as_str);
    let figures = match &unit.picture {
        Some(picture) => {
            let caption = match unit.class {
                Some(class) => format!("within \u{201c}{}\u{201d}", name_of(class)),
                None => "what activates it most".to_owned(),
            };
            let captions = [caption.as_str(), "where the unit is active"];
            let figures = picture.shown()?;
            let figures = figures.iter().zip(captions).map(|(image, caption)| {
                let alt = format!("visualization of {}, {caption}", unit.unit);
                figure(image, caption, &alt)
            });
            figures.collect::<Result<Vec<_>>>()?
        }
        None => Vec::new(),
    };
    let strips = unit.real.as_ref().map(|real| strips(real, &name_of));
    let strips = strips.transpose()?;
    Ok(html! {
        article class="card" {
            header { h3 { (upper(&kind)) } }
            div class={ "sight" @if figures.is_empty() { " blind" } } {
                @for figure in &figures { (figure) }
                (facts(unit))
            }
            @if let Some(strips) = &strips { (strips) }
        }
    })
}

/// A text with its first letter in upper case.
fn upper(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn facts(unit: &UnitFindings) -> Markup {
    let real = unit.real.as_ref();
    let strongest = real.and_then(|real| real.top.first());
    html! {
        dl class="facts" {
            @if let UnitKind::Direction(direction) = &unit.unit.kind {
                div {
                    dt { "length" b { (value(f64::from(direction.length()))) } }
                    @if !direction.is_normalised() {
                        dd { small { "not normalised: activations are as many times those along it" } }
                    }
                }
            }
            @match &unit.picture {
                Some(picture) => {
                    @let activation = f64::from(picture.activation);
                    div {
                        dt { "activation on its picture" b { (value(activation)) } }
                        @if let Some(real) = strongest.map(|it| f64::from(it.activation)) {
                            dd {
                                (bars(activation, real))
                                small { (value(real)) " on the strongest real image" }
                            }
                        }
                    }
                    (trust(picture.trust.as_ref(), picture.unmoved.as_ref()))
                    @if let Some(probability) = picture.probability {
                        div { dt { "probability of the class" b { (format!("{probability:.3}")) } } }
                    }
                    @if let Some(similarity) = picture.clip_similarity {
                        div { dt { "CLIP similarity" b { (format!("{similarity:.3}")) } } }
                    }
                }
                None => { div { dt { "its picture left the finite numbers" } } }
            }
            @if let Some(real) = real {
                div {
                    dt { "mean of " (count(real.images, "real image")) b { (value(f64::from(real.mean))) } }
                }
            }
        }
    }
}

fn strips<'a>(real: &TopImages, name_of: &impl Fn(ClassId) -> &'a str) -> Result<Markup> {
    let (mut images, mut crops) = (Vec::new(), Vec::new());
    for top in &real.top {
        let Some(ShownImage { image, crop }) = top.shown()? else {
            continue;
        };
        let name = name_of(top.label);
        let alt = format!("a real image of {name} that activates it");
        images.push(thumbnail_of(&image, &top.id, &alt, &caption(top, name))?);
        if let Some(crop) = crop {
            let alt = format!("the part of an image of {name} where it is most active");
            let caption = html! { span class="id" title=(top.id) { (file_name(&top.id)) } };
            crops.push(thumbnail_of(&crop, &top.id, &alt, &caption)?);
        }
    }
    let strip = |title: &str, figures: &[Markup]| {
        html! {
            @if !figures.is_empty() {
                div {
                    h4 { (title) }
                    ul class="strip" { @for figure in figures { li { (figure) } } }
                }
            }
        }
    };
    Ok(html! {
        div class="strips" {
            (strip("Real images that activate it most", &images))
            (strip("Where in them it is most active", &crops))
        }
    })
}

fn caption(top: &TopImage, name: &str) -> Markup {
    html! {
        b { (value(f64::from(top.activation))) }
        span { (name) }
        span class="soft" { "percentile " (format!("{:.1}", top.percentile)) }
        span class="id" title=(top.id) { (file_name(&top.id)) }
    }
}
