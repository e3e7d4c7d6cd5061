//! Bars and matrices, drawn on the server.

use std::{cmp::Reverse, collections::BTreeMap};

use maud::{Markup, html};
use neuroinspect::{core::ClassId, editing::percent};

/// Classes up to which a matrix has room for numbers and names.
const NAMED: usize = 20;

/// A bar of a share of samples, filled to `share`, with its 95 % interval.
pub(crate) fn bar(share: f64, [low, high]: [f64; 2], class: &str) -> Markup {
    html! {
        svg class="share" width="100%" height="14" aria-hidden="true" {
            rect class="track" width="100%" height="8" y="3" rx="4" {}
            rect class=(class) width=(percent(share)) height="8" y="3" rx="4" {}
            line class="interval" x1=(percent(low)) x2=(percent(high)) y1="7" y2="7" {}
        }
    }
}

/// How many samples of each class are taken for each.
pub(crate) struct Confusions {
    /// By label and prediction; none where there are none.
    counts: BTreeMap<(usize, usize), usize>,
    /// Samples of each class.
    samples: Vec<usize>,
}

impl Confusions {
    pub(crate) fn new(labels: &[ClassId], predictions: &[ClassId], classes: usize) -> Self {
        let (mut counts, mut samples) = (BTreeMap::new(), vec![0; classes]);
        for (label, prediction) in labels.iter().zip(predictions) {
            *counts.entry((label.0, prediction.0)).or_default() += 1;
            samples[label.0] += 1;
        }
        Self { counts, samples }
    }

    pub(crate) fn of(&self, label: usize, prediction: usize) -> usize {
        self.counts.get(&(label, prediction)).copied().unwrap_or(0)
    }

    /// Samples of a class.
    pub(crate) fn samples(&self, label: usize) -> usize {
        self.samples[label]
    }

    /// The pairs of label and another prediction that most samples fall in, at most `most` of them.
    pub(crate) fn largest(&self, most: usize) -> Vec<(usize, usize, usize)> {
        let pairs = self.counts.iter();
        let mut wrong: Vec<_> = pairs
            .filter(|((label, prediction), _)| label != prediction)
            .map(|(&(label, prediction), &count)| (label, prediction, count))
            .collect();
        wrong.sort_by_key(|&(label, prediction, count)| (Reverse(count), label, prediction));
        wrong.truncate(most);
        wrong
    }

    /// The whole matrix, each cell a link to the images behind it; `None` where there are too many classes.
    pub(crate) fn matrix(&self, names: &[String]) -> Option<Markup> {
        if self.samples.len() > NAMED {
            return None;
        }
        let wrong = self
            .counts
            .iter()
            .filter(|((label, prediction), _)| label != prediction);
        let shares = wrong.map(|(&(label, _), &count)| count as f64 / self.samples(label) as f64);
        let worst = shares.fold(f64::MIN_POSITIVE, f64::max);
        Some(html! {
            p class="about" id="confusions-about" {
                "A row for each class, a column for what its images are taken for. A number leads to the images behind it."
            }
            div class="scroll" {
                table class="confusions" aria-describedby="confusions-about" {
                    thead {
                        tr {
                            th scope="col" { span class="hidden" { "class" } }
                            @for name in names { th scope="col" { span { (name) } } }
                        }
                    }
                    tbody {
                        @for (label, name) in names.iter().enumerate() {
                            tr {
                                th scope="row" { a href={ "/class/" (label) } { (name) } }
                                @for (prediction, taken_for) in names.iter().enumerate() {
                                    (self.cell([label, prediction], [name, taken_for], worst))
                                }
                            }
                        }
                    }
                }
            }
        })
    }

    fn cell(
        &self,
        [label, prediction]: [usize; 2],
        [name, taken_for]: [&str; 2],
        worst: f64,
    ) -> Markup {
        let count = self.of(label, prediction);
        let share = count as f64 / self.samples(label).max(1) as f64;
        // Five steps tell more from less; the number is there for the rest.
        let step = |share: f64| (share * 5.0).ceil().clamp(1.0, 5.0) as usize;
        let step = match (count, label == prediction) {
            (0, _) => "none".to_owned(),
            (_, true) => format!("right{}", step(share)),
            // Of a good classifier all would be alike, beside the whole.
            (_, false) => format!("wrong{}", step(share / worst)),
        };
        let what = format!("{count} of {name} taken for {taken_for}");
        html! {
            td class=(step) {
                @if count == 0 { span aria-label=(what) { "\u{b7}" } }
                @else {
                    a href={ "/images?label=" (label) "&predicted=" (prediction) } aria-label=(what) title=(what) {
                        (count)
                    }
                }
            }
        }
    }
}

/// A layer by two accuracies.
pub(crate) struct Point {
    /// Across and upright, in `[0, 1]`.
    pub(crate) at: [f64; 2],
    pub(crate) name: String,
    /// Its class in the style sheet: its shape tells it apart as well as its colour.
    pub(crate) kind: &'static str,
}

/// Size of a drawing of points, in its own units, and what its axes take of it.
const SIZE: [f64; 2] = [640.0, 380.0];
const LEFT: f64 = 56.0;
const BELOW: f64 = 44.0;
const MARGIN: f64 = 14.0;

/// Points by two accuracies, and the same as a table.
pub(crate) fn scatter(points: &[Point], axes: [&str; 2]) -> Markup {
    // Whole tenths around all points.
    let range = |axis: usize| {
        let values = points.iter().map(|point| point.at[axis]);
        let (low, high) = values.fold((1.0_f64, 0.0_f64), |(low, high), it| {
            (low.min(it), high.max(it))
        });
        let low = ((10.0 * low - 1e-9).floor() / 10.0).clamp(0.0, 0.9);
        let high = ((10.0 * high + 1e-9).ceil() / 10.0).clamp(low + 0.1, 1.0);
        [low, high]
    };
    let ranges = [range(0), range(1)];
    let x = |value: f64| {
        LEFT + (value - ranges[0][0]) / (ranges[0][1] - ranges[0][0]) * (SIZE[0] - LEFT - MARGIN)
    };
    let floor = SIZE[1] - BELOW;
    let y = |value: f64| {
        floor - (value - ranges[1][0]) / (ranges[1][1] - ranges[1][0]) * (floor - MARGIN)
    };
    let ticks = |[low, high]: [f64; 2]| {
        let [low, high] = [low, high].map(|end| (10.0 * end).round() as i32);
        (low..=high).map(|tenth| f64::from(tenth) / 10.0)
    };
    let sweep: Vec<_> = points
        .iter()
        .filter(|point| point.kind == "sweep")
        .collect();
    let line: Vec<_> = sweep
        .iter()
        .map(|it| format!("{:.1},{:.1}", x(it.at[0]), y(it.at[1])))
        .collect();
    // Names of marks that lie close together stand above and below in turn, so that both can be read.
    let mut named: Vec<([f64; 2], bool)> = Vec::new();
    for point in points {
        let at = [x(point.at[0]), y(point.at[1])];
        let close =
            |other: &[f64; 2]| (other[0] - at[0]).abs() < 90.0 && (other[1] - at[1]).abs() < 16.0;
        let above = match named.iter().rev().find(|(other, _)| close(other)) {
            Some((_, above)) if point.kind != "sweep" => !above,
            _ => true,
        };
        named.push((at, above));
    }
    let above = named.into_iter().map(|(_, above)| above);
    // Of a sweep, points that lie close together share one name.
    let mut strengths: Vec<([f64; 2], String)> = Vec::new();
    for point in &sweep {
        let at = [x(point.at[0]), y(point.at[1])];
        let near =
            |other: &[f64; 2]| (other[0] - at[0]).abs() < 60.0 && (other[1] - at[1]).abs() < 16.0;
        match strengths.iter_mut().find(|(other, _)| near(other)) {
            Some((_, names)) => {
                *names = format!("{names}, {}", point.name.trim_start_matches("\u{3bb} "))
            }
            None => strengths.push((at, point.name.clone())),
        }
    }
    html! {
        svg class="scatter" viewBox={ "0 0 " (SIZE[0]) " " (SIZE[1]) } role="img"
            aria-label={ (points.len()) " layers by their " (axes[1]) " at their " (axes[0]) "; the table says where each is" } {
            @for tick in ticks(ranges[1]) {
                line class="grid" x1=(LEFT) x2=(SIZE[0] - MARGIN) y1=(y(tick)) y2=(y(tick)) {}
                text class="tick" x=(LEFT - 8.0) y=(y(tick) + 4.0) text-anchor="end" { (percent(tick)) }
            }
            @for tick in ticks(ranges[0]) {
                line class="grid" x1=(x(tick)) x2=(x(tick)) y1=(MARGIN) y2=(floor) {}
                text class="tick" x=(x(tick)) y=(floor + 18.0) text-anchor="middle" { (percent(tick)) }
            }
            text class="tick" x=(SIZE[0] - MARGIN) y=(SIZE[1] - 6.0) text-anchor="end" { (axes[0]) }
            text class="tick" x=(LEFT + 6.0) y=(MARGIN + 12.0) { (axes[1]) }
            @if line.len() > 1 { polyline class="sweep" points=(line.join(" ")) {} }
            @for ([x, y], names) in &strengths {
                text class="tick strength" x=(x - 9.0) y=(y + 4.0) text-anchor="end" { (names) }
            }
            @for (point, above) in points.iter().zip(above) { (mark(point, x(point.at[0]), y(point.at[1]), above)) }
        }
        details {
            summary { "The same as a table" }
            table {
                thead { tr { th scope="col" { "layer" } @for axis in axes { th scope="col" class="number" { (axis) } } } }
                tbody {
                    @for point in points {
                        tr {
                            th scope="row" { (point.name) }
                            @for value in point.at { td class="number" { (percent(value)) } }
                        }
                    }
                }
            }
        }
    }
}

/// A circle for what is, a square for the control, and a diamond for what is looked at.
fn mark(point: &Point, x: f64, y: f64, above: bool) -> Markup {
    let kind = point.kind;
    let of_name = if above { y - 7.0 } else { y + 16.0 };
    html! {
        g class={ "mark " (kind) } {
            title { (point.name) ": " (percent(point.at[1])) " at " (percent(point.at[0])) }
            @match kind {
                "control" => rect x=(x - 5.0) y=(y - 5.0) width="10" height="10" {},
                "now" => path d={ "M" (x) " " (y - 8.0) " l8 8 l-8 8 l-8 -8 z" } {},
                "sweep" => circle cx=(x) cy=(y) r="3.5" {},
                _ => circle cx=(x) cy=(y) r="5.5" {},
            }
            @if kind != "sweep" {
                // Within the drawing, on whichever side there is room.
                @let (at, anchor) = if x > 0.75 * SIZE[0] { (x - 9.0, "end") } else { (x + 9.0, "start") };
                text x=(at) y=(of_name) text-anchor=(anchor) { (point.name) }
            }
        }
    }
}
