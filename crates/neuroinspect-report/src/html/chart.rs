//! Means and intervals of several rows, as a drawing of its own.

use maud::{Markup, PreEscaped, html};
use neuroinspect_editing::percent;

use super::{COLOURS, DRAWING};

/// What says that a file is SVG; within a page it needs no saying.
pub(super) const NAMESPACE: &str = "http://www.w3.org/2000/svg";

/// The size of the drawing, in its own units, and what its parts take of it.
const WIDTH: f64 = 720.0;
const ROW: f64 = 24.0;
const TOP: f64 = 34.0;
const BELOW: f64 = 26.0;
const RIGHT: f64 = 24.0;
/// A letter of a name, at most about so wide, and what stands between names and numbers.
const LETTER: f64 = 7.0;
const GAP: f64 = 14.0;

/// Means and intervals, a row each.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalChart {
    /// What the numbers are.
    pub title: String,
    /// Whether they are shares, to be shown in percent.
    pub shares: bool,
    /// The rows, from the top.
    pub rows: Vec<IntervalRow>,
}

/// A row of an [`IntervalChart`].
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalRow {
    /// Its name.
    pub name: String,
    /// The mean.
    pub mean: f64,
    /// Half of the interval's length; `None` where there is none.
    pub half_width: Option<f64>,
    /// Whether it is what the others are compared with.
    pub marked: bool,
}

impl IntervalChart {
    /// An SVG file, for light and dark.
    pub fn to_svg(&self) -> String {
        let height = TOP + ROW * self.rows.len() as f64 + BELOW;
        let axis = Axis::of(self);
        let number = |value: f64| format!("{value:.1}");
        let floor = height - BELOW;
        let drawing = html! {
            svg xmlns=(NAMESPACE) class="chart" viewBox={ "0 0 " (WIDTH) " " (height) }
                role="img" aria-label=(self.in_words()) {
                (own_style())
                text class="tick" x=(axis.start) y="16" { (self.title) }
                @for tick in axis.ticks() {
                    @let x = number(axis.x(tick));
                    line class="grid" x1=(x) x2=(x) y1=(TOP - 8.0) y2=(floor) {}
                    text class="tick" x=(x) y=(floor + 18.0) text-anchor="middle" { (self.shown(tick)) }
                }
                @for (place, row) in self.rows.iter().enumerate() {
                    @let y = TOP + ROW * (place as f64 + 0.5);
                    @let class = if row.marked { "marked" } else { "plain" };
                    text class={ "name " (class) } x=(axis.start - GAP) y=(y) dy="4" text-anchor="end" { (row.name) }
                    @if let Some(half) = row.half_width {
                        @let ends = [row.mean - half, row.mean + half].map(|end| axis.x(end));
                        line class=(class) x1=(number(ends[0])) x2=(number(ends[1])) y1=(y) y2=(y) {}
                    }
                    circle class=(class) cx=(number(axis.x(row.mean))) cy=(y) r="4.5" {}
                }
            }
        };
        drawing.into_string()
    }

    fn shown(&self, value: f64) -> String {
        match self.shares {
            true => percent(value),
            // Ticks have as few digits as they need; what rounding leaves of nothing is nothing.
            false => format!("{}", (value * 1e6).round() / 1e6 + 0.0),
        }
    }

    /// The drawing for who does not see it.
    fn in_words(&self) -> String {
        let rows = self.rows.iter().map(|row| {
            let half = row.half_width;
            let half = half.map_or(String::new(), |half| format!(" \u{b1} {half:.3}"));
            format!("{} {:.3}{half}", row.name, row.mean)
        });
        let rows: Vec<_> = rows.collect();
        format!("{}: {}", self.title, rows.join(", "))
    }
}

/// The style of a drawing that is a file of its own.
pub(super) fn own_style() -> Markup {
    html! { style { (PreEscaped(COLOURS)) (PreEscaped(DRAWING)) } }
}

/// The axis of the numbers: a whole number of steps, with some numbers in it.
struct Axis {
    /// Where it begins, right of the names.
    start: f64,
    low: f64,
    step: f64,
    steps: usize,
}

impl Axis {
    fn of(chart: &IntervalChart) -> Self {
        let ends = chart.rows.iter().flat_map(|row| {
            let half = row.half_width.unwrap_or(0.0);
            [row.mean - half, row.mean + half]
        });
        let [low, high] = ends
            .filter(|end| end.is_finite())
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], end| {
                [low.min(end), high.max(end)]
            });
        let (low, high) = match (low < high, chart.shares) {
            (false, _) if !low.is_finite() => (0.0, 1.0),
            (false, _) => (low - 0.5, low + 0.5),
            // An interval of a share may reach beyond what a share can be.
            (true, true) => (low.max(0.0), high.min(1.0).max(low.max(0.0) + 1e-3)),
            (true, false) => (low, high),
        };
        // Of 1, 2 and 5 times a power of ten the least of which eight are enough.
        let rough = (high - low) / 8.0;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|&step| step >= rough * (1.0 - 1e-9));
        let step = step.unwrap_or(10.0 * power);
        let low_step = (low / step + 1e-9).floor();
        let high_step = (high / step - 1e-9).ceil();
        let longest = chart.rows.iter().map(|row| row.name.chars().count());
        Self {
            start: (LETTER * longest.max().unwrap_or(0) as f64 + 2.0 * GAP).min(WIDTH / 2.0),
            low: low_step * step,
            step,
            steps: (high_step - low_step).max(1.0) as usize,
        }
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (0..=self.steps).map(|step| self.low + step as f64 * self.step)
    }

    /// Where a number is drawn; one beyond the axis, at its end.
    fn x(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.step * self.steps as f64);
        self.start + share.clamp(0.0, 1.0) * (WIDTH - self.start - RIGHT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(shares: bool, rows: &[(f64, Option<f64>)]) -> IntervalChart {
        let row = |&(mean, half_width)| IntervalRow {
            name: "a < b".to_owned(),
            mean,
            half_width,
            marked: false,
        };
        IntervalChart {
            title: "accuracy".to_owned(),
            shares,
            rows: rows.iter().map(row).collect(),
        }
    }

    #[test]
    fn an_axis_holds_all_numbers_between_round_ends() {
        let axis = Axis::of(&chart(false, &[(0.31, Some(0.02)), (2.9, None)]));
        let ticks: Vec<_> = axis.ticks().collect();
        assert_eq!(ticks, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
        assert!(axis.x(0.31) > axis.x(0.0) && axis.x(2.9) < axis.x(3.0));
        // A share's interval ends where shares do.
        let axis = Axis::of(&chart(true, &[(0.05, Some(0.2)), (0.98, Some(0.3))]));
        let ticks: Vec<_> = axis.ticks().collect();
        assert_eq!((ticks[0], ticks.len()), (0.0, 6));
        assert!((ticks[5] - 1.0).abs() < 1e-9);
        assert_eq!(axis.x(1.28), axis.x(1.0));
    }

    #[test]
    fn names_have_the_room_that_they_need() {
        let mut long = chart(true, &[(0.25, None), (0.75, None)]);
        let short = Axis::of(&long);
        "retraining on samples of both tables".clone_into(&mut long.rows[0].name);
        let axis = Axis::of(&long);
        assert!(axis.start > short.start && axis.start < WIDTH / 2.0);
        assert!((axis.x(0.2) - axis.start).abs() < 1e-9);
    }

    #[test]
    fn one_number_none_and_no_number_are_drawn() {
        for rows in [&[(0.5, None)][..], &[], &[(f64::NAN, None)]] {
            let axis = Axis::of(&chart(false, rows));
            assert!(axis.steps > 0 && axis.step.is_finite() && axis.step > 0.0);
        }
    }

    #[test]
    fn a_chart_is_one_file_in_which_names_are_no_markup() {
        let svg = chart(true, &[(0.25, Some(0.05)), (0.75, None)]).to_svg();
        assert!(svg.starts_with("<svg xmlns"), "{svg}");
        assert!(svg.contains("a &lt; b") && !svg.contains("a < b"));
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("accuracy: a &lt; b 0.250 \u{b1} 0.050, a &lt; b 0.750"));
        // No data of it is loaded from elsewhere.
        assert!(!svg.contains("href") && !svg.contains("url("));
    }
}
