//! What was chosen among, and where what is recommended lies.

use maud::{Markup, html};
use neuroinspect_editing::{CandidateKind, FrontierPoint, MendResult, Yardstick, percent};

use super::chart::{NAMESPACE, own_style};

/// Size of the drawing, in its own units, and what its axes take of it.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 24.0;
const BELOW: f64 = 44.0;

/// The section of a recommendation.
pub(super) fn section(result: &MendResult, class_names: &[String]) -> Markup {
    let axes = Axes::new(result, class_names);
    html! {
        section {
            h2 { "What else would help" }
            p class="about" {
                (lead(result)) "; expected: " (result.expectation(class_names)) "."
            }
            p class="about" {
                @if let Some(note) = result.note() { (note) " " }
                (result.reasons().join(" "))
                " No group label was looked at."
            }
            div class="panel" {
                (drawing(result, &axes, false))
                (legend())
                (table(result, &axes))
            }
        }
    }
}

/// What is recommended, or that nothing is.
pub(super) fn lead(result: &MendResult) -> String {
    let lead = match result.recommended {
        Some(_) => "Recommended",
        None => "No recommendation",
    };
    format!("{lead}: {}", result.headline())
}

/// What the drawing sets against what, and in which range: the class asked for against the mean, by the
/// yardstick that chose; without a class the mean by groups against that by data.
struct Axes {
    /// What the axes are called, that of the mean first.
    names: [String; 2],
    /// Whether the recommendation is by [groups](Yardstick::Groups).
    by_groups: bool,
    /// The least and the largest of either axis, mean first.
    ranges: [[f64; 2]; 2],
}

impl Axes {
    fn new(result: &MendResult, class_names: &[String]) -> Self {
        let by_groups = result.yardstick == Yardstick::Groups;
        let class = result.class.and_then(|class| class_names.get(class.0));
        let (mean, of_groups) = ("mean class accuracy", "mean accuracy over presumed groups");
        let names = match class {
            Some(name) if by_groups => [
                of_groups.to_owned(),
                format!("accuracy of \u{201c}{name}\u{201d} over presumed groups"),
            ],
            Some(name) => [
                mean.to_owned(),
                format!("accuracy of \u{201c}{name}\u{201d}"),
            ],
            None => [mean.to_owned(), of_groups.to_owned()],
        };
        let mut axes = Self {
            names,
            by_groups,
            ranges: [[0.0, 1.0]; 2],
        };
        for axis in [0, 1] {
            let values = result.frontier.iter().map(|point| axes.place(point)[axis]);
            let (low, high) = values.fold((1.0_f64, 0.0_f64), |(low, high), value| {
                (low.min(value), high.max(value))
            });
            // Whole tenths, so that there is an axis of round numbers however near the points lie.
            let tenths = [(10.0 * low - 1e-9).floor(), (10.0 * high + 1e-9).ceil()];
            axes.ranges[axis] = [(tenths[0] / 10.0).max(0.0), (tenths[1] / 10.0).min(1.0)];
            if axes.ranges[axis][1] <= axes.ranges[axis][0] {
                axes.ranges[axis] = [0.0, 1.0];
            }
        }
        axes
    }

    /// What the axes say of a point, that of the mean first.
    fn place(&self, point: &FrontierPoint) -> [f64; 2] {
        match (self.by_groups, point.class, point.class_by_groups) {
            (true, _, Some(class)) => [point.mean_by_groups, class],
            (false, Some(class), _) => [point.mean, class],
            _ => [point.mean, point.mean_by_groups],
        }
    }

    /// A point's place in the drawing.
    fn at(&self, point: &FrontierPoint) -> (f64, f64) {
        let [mean, upright] = self.place(point);
        (self.x(mean), self.y(upright))
    }

    fn x(&self, value: f64) -> f64 {
        let [low, high] = self.ranges[0];
        LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let [low, high] = self.ranges[1];
        HEIGHT - BELOW - (value - low) / (high - low) * (HEIGHT - BELOW - 12.0)
    }

    /// Every tenth of an axis.
    fn ticks(&self, axis: usize) -> Vec<f64> {
        let [low, high] = self.ranges[axis].map(|end| (10.0 * end).round() as i32);
        (low..=high).map(|tenth| f64::from(tenth) / 10.0).collect()
    }
}

/// The drawing as a file of its own.
pub(super) fn by_itself(result: &MendResult, class_names: &[String]) -> Markup {
    drawing(result, &Axes::new(result, class_names), true)
}

fn drawing(result: &MendResult, axes: &Axes, by_itself: bool) -> Markup {
    let number = |value: f64| format!("{value:.1}");
    let floor = HEIGHT - BELOW;
    html! {
        svg class="frontier" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img"
            aria-label=(in_words(result, axes)) xmlns=[by_itself.then_some(NAMESPACE)] {
            @if by_itself { (own_style()) }
            @for tick in axes.ticks(1) {
                @let y = number(axes.y(tick));
                line class="grid" x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y) y2=(y) {}
                text class="tick" x=(LEFT - 8.0) y=(y) dy="4" text-anchor="end" { (percent(tick)) }
            }
            @for tick in axes.ticks(0) {
                @let x = number(axes.x(tick));
                line class="grid" x1=(x) x2=(x) y1="12" y2=(floor) {}
                text class="tick" x=(x) y=(floor + 18.0) text-anchor="middle" { (percent(tick)) }
            }
            text class="tick" x=(WIDTH - RIGHT) y=(HEIGHT - 6.0) text-anchor="end" {
                (axes.names[0])
            }
            text class="tick" x=(LEFT + 6.0) y="24" { (axes.names[1]) }
            (curve(result, axes, CandidateKind::Nothing, "as-it-is"))
            (curve(result, axes, CandidateKind::Plain, "retrained"))
            @for point in &result.frontier {
                @let (x, y) = axes.at(point);
                circle class="other" cx=(number(x)) cy=(number(y)) r="2.5" {}
            }
            @if let Some(point) = result.frontier.first() {
                @let (x, y) = axes.at(point);
                circle class="before" cx=(number(x)) cy=(number(y)) r="6" {}
            }
            @if let Some(point) = recommended(result) {
                @let (x, y) = axes.at(point);
                circle class="chosen" cx=(number(x)) cy=(number(y)) r="7" {}
            }
        }
    }
}

/// What a bias on the class trades, of the candidate of a kind that is best without one.
fn curve(result: &MendResult, axes: &Axes, kind: CandidateKind, class: &str) -> Markup {
    let mut points: Vec<_> = match best(result, kind, |point| point.mean) {
        Some(best) => {
            let alike = result.frontier.iter();
            alike
                .filter(|point| point.candidate == best.candidate)
                .collect()
        }
        None => Vec::new(),
    };
    points.sort_by(|a, b| a.bias.total_cmp(&b.bias));
    let points = points.into_iter().map(|point| axes.at(point));
    let points: Vec<_> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    html! {
        @if points.len() > 1 { polyline class=(class) points=(points.join(" ")) {} }
    }
}

/// The point without a bias of a kind that is best by `worth`.
fn best(
    result: &MendResult,
    kind: CandidateKind,
    worth: impl Fn(&FrontierPoint) -> f64,
) -> Option<&FrontierPoint> {
    let of_kind = result
        .frontier
        .iter()
        .filter(|point| point.bias == 0.0 && result.candidates[point.candidate].kind == kind);
    of_kind.reduce(|best, point| {
        if worth(point) > worth(best) {
            point
        } else {
            best
        }
    })
}

fn recommended(result: &MendResult) -> Option<&FrontierPoint> {
    result.frontier.get(result.recommended_at?)
}

/// The drawing for who does not see it.
fn in_words(result: &MendResult, axes: &Axes) -> String {
    let at = |point: &FrontierPoint| {
        let [mean, upright] = axes.place(point).map(percent);
        format!("{upright} at {mean}")
    };
    let [across, what] = &axes.names;
    let before = result.frontier.first().map_or(String::new(), |first| {
        format!(" As it is, the layer has {}.", at(first))
    });
    let after = recommended(result).map_or(String::new(), |point| {
        format!(" What is recommended has {}.", at(point))
    });
    let layers = result.frontier.len();
    format!("{layers} layers by their {what} at their {across}.{before}{after}")
}

fn legend() -> Markup {
    html! {
        p class="legend frontier" aria-hidden="true" {
            span { svg width="14" height="14" { circle class="before" cx="7" cy="7" r="6" {} } "as it is" }
            span { svg width="14" height="14" { circle class="chosen" cx="7" cy="7" r="7" {} } "recommended" }
            span { svg width="20" height="4" { line class="as-it-is" x2="20" y1="2" y2="2" {} } "as it is, with a bias" }
            span { svg width="20" height="4" { line class="retrained" x2="20" y1="2" y2="2" {} } "retrained, with a bias" }
            span { svg width="6" height="6" { circle class="other" cx="3" cy="3" r="2.5" {} } "others" }
        }
    }
}

/// The layer as it is, the best of each kind without a bias, and what is recommended.
fn table(result: &MendResult, axes: &Axes) -> Markup {
    let worth = |point: &FrontierPoint| match axes.by_groups {
        true => point.mean_by_groups,
        false => point.mean,
    };
    let kinds = [
        CandidateKind::Nothing,
        CandidateKind::Plain,
        CandidateKind::PlainValidation,
        CandidateKind::Silence,
        CandidateKind::Balanced,
    ];
    let rows = kinds
        .into_iter()
        .filter_map(|kind| best(result, kind, worth));
    let of_class = result.class.is_some();
    let row = |what: String, point: &FrontierPoint| {
        html! {
            tr {
                th scope="row" { (what) }
                @if of_class {
                    @for of_class in [point.class, point.class_by_groups] {
                        td class="number" { (of_class.map_or("\u{2013}".to_owned(), percent)) }
                    }
                }
                td class="number" { (percent(point.mean)) }
                td class="number" { (percent(point.mean_by_groups)) }
            }
        }
    };
    html! {
        table {
            caption { "The best of each kind, without a bias" }
            thead {
                tr {
                    th scope="col" { "" }
                    @if of_class {
                        th scope="col" class="number" { "class" }
                        th scope="col" class="number" { "by groups" }
                    }
                    th scope="col" class="number" { "mean" }
                    th scope="col" class="number" { "by groups" }
                }
            }
            tbody {
                @for point in rows { (row(result.candidates[point.candidate].describe(), point)) }
                @if let (Some(point), Some(candidate)) = (recommended(result), &result.recommended) {
                    (row(format!("recommended: {}", candidate.describe()), point))
                }
            }
        }
        p class="more" {
            "Class and mean class accuracy on data like the samples to choose on; \u{201c}by groups\u{201d} is \
             the same with all presumed groups of a class counting alike, which are its samples that are taken \
             for the same class. Cross-fitting: each fifth of the samples is predicted by layers that were not \
             fitted on it, and judged by a choice that was made on the others."
        }
    }
}
