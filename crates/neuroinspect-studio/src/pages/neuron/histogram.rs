//! How active a neuron is on the images of each class.

use maud::{Markup, html};
use neuroinspect::core::{ClassId, NeuronId};

use crate::{refusal::Refusal, session::Session, words::counted};

/// Bars of a histogram.
const BARS: usize = 24;
/// Width and height of a histogram, in its own units.
const WIDTH: f32 = 240.0;
const HEIGHT: f32 = 32.0;

/// How many of some values fall into each of equal parts of a range.
#[derive(Debug, PartialEq)]
struct Histogram {
    counts: [usize; BARS],
    mean: f32,
    samples: usize,
}

impl Histogram {
    /// Of the values between the ends of a range, both included.
    fn of(values: impl Iterator<Item = f32>, (low, high): (f32, f32)) -> Self {
        let (mut counts, mut sum, mut samples) = ([0; BARS], 0.0, 0);
        let width = (high - low) / BARS as f32;
        for value in values {
            // Where all values are alike there is one bar.
            let bar = match width > 0.0 {
                true => ((value - low) / width) as usize,
                false => 0,
            };
            counts[bar.min(BARS - 1)] += 1;
            sum += f64::from(value);
            samples += 1;
        }
        Self {
            counts,
            mean: (sum / samples.max(1) as f64) as f32,
            samples,
        }
    }

    fn svg(&self, name: &str) -> Markup {
        let highest = self.counts.iter().copied().max().unwrap_or(0).max(1);
        let width = WIDTH / BARS as f32;
        let text = format!(
            "Activations on {} of {name}: mean {:.2}; most of them in bar {} of {BARS}",
            counted(self.samples, "image"),
            self.mean,
            1 + self
                .counts
                .iter()
                .position(|&it| it == highest)
                .unwrap_or(0)
        );
        html! {
            svg class="histogram" role="img" aria-label=(text) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) }
                preserveAspectRatio="none" {
                rect class="track" width=(WIDTH) height=(HEIGHT) {}
                @for (bar, &count) in self.counts.iter().enumerate() {
                    @let height = HEIGHT * count as f32 / highest as f32;
                    @if count > 0 {
                        rect class="insufficient" x=(bar as f32 * width) y=(HEIGHT - height)
                            width=(0.9 * width) height=(height) {
                            title { (counted(count, "image")) }
                        }
                    }
                }
            }
        }
    }
}

/// A histogram for each of some classes, over the range of all images, beside the weight that the decision layer
/// gives the neuron for the class.
pub(super) fn section(
    session: &Session,
    neuron: NeuronId,
    classes: &[ClassId],
) -> Result<Markup, Refusal> {
    let table = &session.table;
    let values = table.activations().column(neuron)?;
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights = session.layer.weight();
    Ok(html! {
        section aria-labelledby="histogram-title" {
            h2 id="histogram-title" { "How active it is, by class" }
            p class="about" {
                "Share of each class\u{2019}s images by activation, from " (format!("{low:.2}")) " to "
                (format!("{high:.2}")) ", and the weight of the neuron in the class\u{2019}s logit."
                @if classes.len() < session.layer.classes() {
                    " Of " (session.layer.classes()) " classes, those of the largest weights."
                }
            }
            table {
                thead {
                    tr {
                        th scope="col" { "class" }
                        th scope="col" class="plot" { span { (format!("{low:.2}")) } " to " span { (format!("{high:.2}")) } }
                        th scope="col" class="number" { "mean" }
                        th scope="col" class="number" { "weight" }
                        th scope="col" class="number" { "images" }
                    }
                }
                tbody {
                    @for &class in classes {
                        @let of_class = table.labels().iter().zip(&values).filter(|(label, _)| **label == class);
                        @let histogram = Histogram::of(of_class.map(|(_, &value)| value), (low, high));
                        @let name = &table.class_names()[class.0];
                        tr {
                            th scope="row" { a href={ "/neuron/" (neuron) "?class=" (class) "#real-title" } { (name) } }
                            td class="plot" { @if histogram.samples > 0 { (histogram.svg(name)) } }
                            td class="number" {
                                @if histogram.samples > 0 { (format!("{:.2}", histogram.mean)) } @else { "\u{2013}" }
                            }
                            td class="number" { (format!("{:+.3}", weights[[class.0, neuron.0]])) }
                            td class="number" { (histogram.samples) }
                        }
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_the_range_have_a_bar() {
        let histogram = Histogram::of([0.0, 0.9, 1.0, 24.0, 24.0].into_iter(), (0.0, 24.0));
        assert_eq!((histogram.counts[0], histogram.counts[1]), (2, 1));
        assert_eq!((histogram.counts[BARS - 1], histogram.samples), (2, 5));
        assert!((histogram.mean - 9.98).abs() < 1e-6);
    }

    #[test]
    fn values_that_are_alike_have_one_bar_and_no_values_none() {
        let histogram = Histogram::of([3.0, 3.0].into_iter(), (3.0, 3.0));
        assert_eq!((histogram.counts[0], histogram.mean), (2, 3.0));
        let none = Histogram::of([].into_iter(), (0.0, 1.0));
        assert_eq!((none.counts, none.mean, none.samples), ([0; BARS], 0.0, 0));
    }

    #[test]
    fn a_name_never_becomes_markup() {
        let histogram = Histogram::of([1.0].into_iter(), (0.0, 1.0));
        let svg = histogram.svg("<script>\"&").into_string();
        assert!(
            svg.contains("&lt;script&gt;&quot;&amp;") && !svg.contains("<script>"),
            "{svg}"
        );
    }
}
