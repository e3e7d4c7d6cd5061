//! Small pieces that several sections share.

use image::RgbImage;
use maud::{Markup, html};
use neuroinspect_editing::{Change, Trend, percent};
use neuroinspect_illusion::{Trust, Unmoved, Verdict};

use crate::{
    Findings, RealImage, Result,
    picture::{SMALL, Upscale, data_uri, fit},
};

/// Longer side of an embedded thumbnail, in pixels: twice its size on the page.
const THUMBNAIL: u32 = 224;

/// The style sheet's class for a trend.
pub(super) fn style(trend: Trend) -> &'static str {
    match trend {
        Trend::Up => "up",
        Trend::Down => "down",
        Trend::Level => "level",
    }
}

/// A change between accuracies, in percentage points, always with a sign.
pub(super) fn change(before: f64, after: f64) -> Markup {
    let change = Change { before, after };
    let trend = change.trend();
    let sign = match trend {
        Trend::Up => "+",
        Trend::Down => "\u{2212}",
        Trend::Level => "\u{b1}",
    };
    let points = format!("{:.1}", change.tenths().abs() as f64 / 10.0);
    html! { span class=(style(trend)) { (sign) (points) } }
}

/// A horizontal bar filled to `share`, which is cut to `[0, 1]`.
pub(super) fn bar(share: f64, class: &str) -> Markup {
    let width = percent(share.clamp(0.0, 1.0));
    html! {
        svg width="100%" height="8" aria-hidden="true" {
            rect class="track" width="100%" height="8" rx="4" {}
            rect class=(class) width=(width) height="8" rx="4" {}
        }
    }
}

/// A neuron's value at six significant digits or fewer.
pub(super) fn value(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.2e}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// `one` or many, with its number.
pub(super) fn count(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}

/// What tells samples of a class apart: of a path, its end.
pub(super) fn file_name(id: &str) -> &str {
    id.rsplit(['/', '\\']).next().unwrap_or(id)
}

/// The style sheet's class for a picture so small that its pixels are shown as squares.
pub(super) fn pixels(picture: &RgbImage) -> Option<&'static str> {
    let (width, height) = picture.dimensions();
    (width.max(height) <= SMALL).then_some("pixels")
}

/// A real image with what became of it.
pub(super) fn thumbnail(findings: &Findings, sample: &RealImage) -> Result<Markup> {
    let label = findings.name_of(sample.label);
    let prediction = findings.name_of(sample.prediction);
    let alt = if sample.label == sample.prediction {
        format!("a sample of {label}, predicted right")
    } else {
        format!("a sample of {label}, predicted as {prediction}")
    };
    let caption = html! {
        @if let Some(activation) = sample.activation {
            b { (value(f64::from(activation))) }
            span { (label) }
            @if sample.label != sample.prediction {
                span class="down" { "as " (prediction) }
            }
        } @else {
            b { (prediction) }
            span class="soft" { "true: " (label) }
        }
        span class="id" title=(sample.id) { (file_name(&sample.id)) }
    };
    thumbnail_of(&sample.image, &sample.id, &alt, &caption)
}

/// A small picture of a sample, over its caption.
pub(super) fn thumbnail_of(
    picture: &RgbImage,
    id: &str,
    alt: &str,
    caption: &Markup,
) -> Result<Markup> {
    let picture = fit(picture, THUMBNAIL, Upscale::No);
    let uri = data_uri(&format!("the image of sample '{id}'"), &picture)?;
    Ok(html! {
        figure {
            img class=[pixels(&picture)]
                src=(uri) alt=(alt) width=(picture.width()) height=(picture.height());
            figcaption { (caption) }
        }
    })
}

/// How far a picture can be trusted, and whether a step moved what is pictured.
pub(super) fn trust(trust: Option<&Trust>, unmoved: Option<&Unmoved>) -> Markup {
    let nothing = trust.is_some_and(|trust| trust.verdict == Verdict::Nothing);
    html! {
        @if let Some(unmoved) = unmoved.filter(|_| !nothing) {
            div { dt { b { "not moved" } } dd { small { (unmoved) } } }
        }
        @if let Some(trust) = trust {
            div class="trust" {
                dt { "trust" b { (trust.verdict) } }
                dd {
                    @for doubt in &trust.doubts { small { (doubt) } }
                    @for line in measured(trust) { small { (line) } }
                }
            }
        }
    }
}

/// What was measured of a picture, a line each.
fn measured(trust: &Trust) -> Vec<String> {
    let images = trust.real_images;
    let percentile = trust.percentile.map(|percentile| {
        format!("activates the unit as much as {percentile:.0} % of {images} real images, or more")
    });
    let path = trust.path.as_ref().map(|path| {
        format!(
            "path through the layers as that of the {} real images that activate it most: {:.2} (0.5 says nothing)",
            path.strongest, path.score
        )
    });
    let continuity = trust.continuity.map(|continuity| {
        format!(
            "largest jump of the activation on the way from {} of them to the picture: {:.2} of its range over real \
             images (near 0 where it is continuous)",
            continuity.images, continuity.jump
        )
    });
    let agreement = trust.agreement.map(|agreement| {
        let seeds = count(agreement.seeds, "other seed");
        let (steps, similarity) = (agreement.steps, agreement.similarity);
        let real = trust
            .agreement_percentile
            .map(|percentile| format!(", more than {percentile:.0} % of the real images"));
        let real = real.unwrap_or_default();
        format!("agreement with {seeds} after {steps} steps: {similarity:.2}{real}")
    });
    let recognition = trust.recognition.as_ref().map(|judge| {
        let class = judge
            .probability
            .map(|it| format!("; its class, by {it:.3}"));
        let class = class.unwrap_or_default();
        format!(
            "recognised by {}: {:.2} (0.5 says nothing){class}",
            judge.judge, judge.chance
        )
    });
    let logit = trust.logit_percentile.map(|percentile| {
        format!("logit of the class as high as on {percentile:.0} % of the real images, or higher")
    });
    [percentile, path, continuity, agreement, recognition, logit]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_did_not_change() {
        assert_eq!(
            change(1.0 / 3.0, 7.0 / 12.0).into_string(),
            "<span class=\"up\">+25.0</span>"
        );
        assert_eq!(
            change(0.5, 0.4).into_string(),
            "<span class=\"down\">\u{2212}10.0</span>"
        );
        assert_eq!(
            change(0.8466, 0.8467).into_string(),
            "<span class=\"level\">\u{b1}0.0</span>"
        );
    }

    #[test]
    fn values_are_short_whatever_their_size() {
        for (number, text) in [
            (0.0, "0"),
            (1.23456, "1.235"),
            (12.3456, "12.35"),
            (-123.456, "-123.5"),
            (1.5e-7, "1.50e-7"),
            (2.5e9, "2.50e9"),
        ] {
            assert_eq!(value(number), text);
        }
    }
}
