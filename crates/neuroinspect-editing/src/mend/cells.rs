//! Which class a shortcut takes each sample for, and whether there is one.

use ndarray::{Array1, Array2, Axis};
use serde::{Deserialize, Serialize};

use super::{
    FOLDS,
    solver::{Problem, Union},
};
use crate::Result;

/// What speaks for a shortcut: mistakes of layers that have not seen the sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// How much what misleads depends on the class that it misleads: the chi-square of the mistakes'
    /// table against quasi-independence, less its expectation, over the number of mistakes. A shortcut
    /// misleads all classes alike, so that it is small; mere similarity of classes makes it large. `None`
    /// where too few classes have mistakes, or are what others are taken for, to tell: the chi-square has fewer degrees of
    /// freedom than that of four classes, all of which are mistaken for each other.
    pub dependence: Option<f64>,
    /// Degrees of freedom of that chi-square, its expectation: of the rows and the columns of the table that are
    /// not empty. 0 without dependence, and in results of builds that took all rows and columns for it.
    #[serde(default)]
    pub freedom: usize,
    /// Mistakes that it rests on.
    pub mistakes: usize,
    /// Number of classes.
    pub classes: usize,
    /// Samples of each class (row) that are taken for each class (column); of more than twenty classes they are
    /// not written down.
    #[serde(default, skip_serializing_if = "is_large")]
    pub cells: Vec<Vec<usize>>,
}

/// Degrees of freedom at least: those of four classes, each of which is mistaken for every other.
const LEAST_FREEDOM: usize = 5;

/// Of more classes, the table of what is taken for what would make most of a result's JSON.
const WRITTEN: usize = 20;

fn is_large(cells: &[Vec<usize>]) -> bool {
    cells.len() > WRITTEN
}

impl Evidence {
    /// Mistakes for each class, at least, for one to tell what misleads.
    pub(super) const LEAST: usize = 5;
    /// The dependence that mistakes of a shortcut are below.
    pub(super) const LARGEST: f64 = 0.5;

    /// Out of the class of each sample, and the one that it is taken for.
    pub(super) fn new(labels: &[usize], taken_for: &[usize], classes: usize) -> Self {
        let mut cells = vec![vec![0; classes]; classes];
        for (&label, &taken_for) in labels.iter().zip(taken_for) {
            cells[label][taken_for] += 1;
        }
        let count = |row: usize, column: usize| cells[row][column] as f64;
        let mistakes =
            Array2::from_shape_fn((classes, classes), |(row, column)| match row == column {
                true => 0.0,
                false => count(row, column),
            });
        let freedom = freedom_of(&mistakes);
        Self {
            dependence: freedom.map(|freedom| dependence(&mistakes, freedom)),
            freedom: freedom.unwrap_or(0),
            mistakes: mistakes.sum() as usize,
            classes,
            cells,
        }
    }

    /// Whether the mistakes are blamed on a shortcut: there are five for each class at least, and the
    /// dependence is below 0.5 by two of its standard deviations.
    pub fn blames_a_shortcut(&self) -> bool {
        let freedom = match self.freedom {
            0 => freedom(self.classes, self.classes, self.classes).unwrap_or(0),
            freedom => freedom,
        };
        let deviation = (2.0 * freedom as f64).sqrt() / self.mistakes as f64;
        let is_small = |dependence: f64| dependence + 2.0 * deviation < Self::LARGEST;
        self.mistakes >= Self::LEAST * self.classes && self.dependence.is_some_and(is_small)
    }

    /// The weight of each sample by its cell, `1 / max(n, 10)`.
    pub(super) fn weights(&self, labels: &[usize], taken_for: &[usize]) -> Vec<f64> {
        let pairs = labels.iter().zip(taken_for);
        pairs
            .map(|(&label, &taken_for)| 1.0 / self.cells[label][taken_for].max(10) as f64)
            .collect()
    }
}

/// The dependence of a table of mistakes, whose diagonal is 0.
fn dependence(mistakes: &Array2<f64>, freedom: usize) -> f64 {
    let classes = mistakes.nrows();
    let off_diagonal = Array2::from_elem((classes, classes), 1.0) - Array2::<f64>::eye(classes);
    let (rows, columns) = (mistakes.sum_axis(Axis(1)), mistakes.sum_axis(Axis(0)));
    let divided = |a: &Array1<f64>, b: Array1<f64>| a / &b.mapv(|it| it.max(1e-12));
    let mut column = Array1::<f64>::ones(classes);
    let mut row = column.clone();
    for _ in 0..200 {
        row = divided(&rows, off_diagonal.dot(&column));
        column = divided(&columns, off_diagonal.t().dot(&row));
    }
    let mut chi_square = 0.0;
    for ((a, b), found) in mistakes.indexed_iter() {
        let expected = row[a] * column[b];
        if a != b && expected > 1e-9 {
            chi_square += (found - expected).powi(2) / expected;
        }
    }
    (chi_square - freedom as f64) / mistakes.sum()
}

/// Degrees of freedom of a table of mistakes: its cells off the diagonal, less the numbers that are fitted to them. Of a class
/// without mistakes the row is empty, and nothing is fitted there; likewise of one that nothing is mistaken for. `None`
/// where they are too few.
fn freedom_of(mistakes: &Array2<f64>) -> Option<usize> {
    let occurs = |axis| mistakes.sum_axis(Axis(axis)).mapv(|sum| sum > 0.0);
    let (rows, columns) = (occurs(1), occurs(0));
    let count = |of: &Array1<bool>| of.iter().filter(|&&it| it).count();
    let on_diagonal = rows
        .iter()
        .zip(&columns)
        .filter(|(row, column)| **row && **column);
    freedom(count(&rows), count(&columns), on_diagonal.count())
}

/// The same by the numbers of rows and columns, and of their cells that are on the diagonal.
fn freedom(rows: usize, columns: usize, on_diagonal: usize) -> Option<usize> {
    let freedom = (rows * columns + 1).checked_sub(on_diagonal + rows + columns)?;
    (freedom >= LEAST_FREEDOM).then_some(freedom)
}

/// The class that each sample is taken for by layers that have seen neither it nor, in a second round,
/// the samples that such layers get wrong: without these, which contradict a shortcut, a layer follows
/// it the more closely.
pub(super) fn taken_for(
    union: &Union<'_>,
    mut proceed: impl FnMut() -> Result<()>,
) -> Result<Vec<usize>> {
    let labels = union.of_samples(&union.labels);
    let mut kept = vec![true; labels.len()];
    let mut taken_for = Vec::new();
    for _ in 0..ROUNDS {
        let outcomes = union.out_of_fold(&[None], |fold| {
            proceed()?;
            let rows = union.folds.iter().zip(union.of_rows(&kept));
            let weights = rows.map(|(&of, kept)| f64::from(u8::from(of != fold && kept)));
            let weights: Vec<f64> = weights.collect();
            union.solve(&Problem {
                weights: &weights,
                lambda: 0.1,
                start: None,
                silenced: &[],
            })
        })?;
        let predicted = outcomes
            .iter()
            .flatten()
            .map(|outcome| outcome.predicted(None, 0.0));
        taken_for = predicted.collect();
        kept = taken_for.iter().zip(&labels).map(|(a, b)| a == b).collect();
    }
    Ok(taken_for)
}

const ROUNDS: usize = 2;

/// Fits that [`taken_for`] takes.
pub(super) const FITS: usize = ROUNDS * FOLDS;

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(count: impl Fn(usize, usize) -> usize) -> Evidence {
        let (mut labels, mut taken_for) = (Vec::new(), Vec::new());
        for label in 0..5 {
            for other in 0..5 {
                let count = if label == other {
                    50
                } else {
                    count(label, other)
                };
                labels.extend(vec![label; count]);
                taken_for.extend(vec![other; count]);
            }
        }
        Evidence::new(&labels, &taken_for, 5)
    }

    /// What misleads every class alike is a shortcut; what misleads one class into one other is not.
    #[test]
    fn a_shortcut_misleads_all_classes_alike() {
        let alike = evidence(|_, other| 4 * (other + 1));
        // Exactly independent: chi-square 0, and 11 degrees of freedom.
        assert!((alike.dependence.unwrap() + 11.0 / alike.mistakes as f64).abs() < 1e-6);
        assert!(alike.blames_a_shortcut());
        let pairs = evidence(|label, other| if label ^ 1 == other { 30 } else { 2 });
        assert!(pairs.dependence.unwrap() > 1.0 && !pairs.blames_a_shortcut());
        let few = evidence(|_, _| 1);
        assert!(few.mistakes == 20 && !few.blames_a_shortcut(), "{few:?}");
    }

    /// Twelve of many classes, each mistaken for its neighbour and seldom for others: what the classes without mistakes would
    /// add to the expectation must not hide it.
    #[test]
    fn classes_without_mistakes_do_not_count() {
        for classes in [12, 37, 500] {
            let (mut labels, mut taken_for) = (Vec::new(), Vec::new());
            for label in 0..12 {
                for other in (0..12).filter(|&other| other != label) {
                    let count = if label ^ 1 == other { 210 } else { 2 };
                    labels.extend(vec![label; count]);
                    taken_for.extend(vec![other; count]);
                }
            }
            let evidence = Evidence::new(&labels, &taken_for, classes);
            assert_eq!(evidence.freedom, 11 * 11 - 12);
            assert!(evidence.dependence.unwrap() > 1.0, "{classes}");
            assert!(!evidence.blames_a_shortcut());
        }
    }

    /// Of two classes that err, or of two that they are taken for, it cannot be told; of three among five it can.
    #[test]
    fn of_few_classes_with_mistakes_nothing_is_said() {
        let two = evidence(|label, _| if label < 2 { 30 } else { 0 });
        let to_two = evidence(|_, other| if other < 2 { 30 } else { 0 });
        for few in [two, to_two] {
            assert_eq!((few.dependence, few.freedom), (None, 0));
            assert!(few.mistakes > 100 && !few.blames_a_shortcut());
        }
        let to_three = evidence(|_, other| if other < 3 { 30 } else { 0 });
        assert_eq!(to_three.freedom, LEAST_FREEDOM);
        assert!(to_three.blames_a_shortcut());
    }

    /// Of a result of a build that did not write it down.
    #[test]
    fn freedom_that_is_not_known_is_that_of_all_classes() {
        let near = evidence(|label, other| if label ^ 1 == other { 14 } else { 8 });
        let mut json = serde_json::to_value(&near).unwrap();
        json.as_object_mut().unwrap().remove("freedom");
        json["dependence"] = 0.45.into();
        let read: Evidence = serde_json::from_value(json).unwrap();
        assert_eq!((near.freedom, read.freedom), (11, 0));
        assert!(!read.blames_a_shortcut());
    }

    /// A thousand classes would be a million numbers.
    #[test]
    fn cells_of_many_classes_are_not_written() {
        for (classes, written) in [(20, true), (21, false)] {
            let evidence = Evidence::new(&[0, 1, 2, 3], &[1, 0, 2, 3], classes);
            let json = serde_json::to_value(&evidence).unwrap();
            assert_eq!(json.get("cells").is_some(), written);
            let read: Evidence = serde_json::from_value(json).unwrap();
            assert_eq!((read.classes, read.mistakes), (classes, 2));
            assert_eq!(read.blames_a_shortcut(), evidence.blames_a_shortcut());
        }
    }

    #[test]
    fn cells_of_a_few_samples_do_not_count_for_more_than_those_of_ten() {
        let evidence = evidence(|label, other| if (label, other) == (0, 1) { 20 } else { 1 });
        assert_eq!(
            evidence.weights(&[0, 0, 0], &[0, 1, 2]),
            [1.0 / 50.0, 1.0 / 20.0, 1.0 / 10.0]
        );
    }
}
