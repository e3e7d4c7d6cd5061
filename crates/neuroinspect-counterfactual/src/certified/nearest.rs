//! The nearest point of a decision region: the dual problem, solved by projected Newton steps.
//!
//! The smallest `w` with `A w >= r` and `w >= l`, where the rows of `A` are `W_y - W_k` and `l` is `-f`
//! or none. Its dual is a concave function of one multiplier `u >= 0` for each row,
//!
//! ```text
//! g(u) = r.u + sum_i min over w_i >= l_i of (w_i^2 / 2 - (A^T u)_i w_i),     w(u) = max(A^T u, l)
//! ```
//!
//! whose value at any `u >= 0` is a lower bound of `|w|^2 / 2`. Few rivals matter to a sample: the rows
//! are those of the rivals that were found to lead so far.

use ndarray::{Array1, ArrayView2, Zip};

/// Rivals that are taken up at a time.
const TAKEN_UP: usize = 4;
/// Newton steps for one set of rows; a handful is what it takes, but for rows that depend on each other.
const STEPS: usize = 1000;
/// Halvings of a step.
const HALVINGS: usize = 50;

/// One sample's problem.
pub(super) struct Nearest<'a> {
    /// `W`: `[K, D]`.
    pub(super) weight: ArrayView2<'a, f64>,
    /// The class `y`.
    pub(super) class: usize,
    /// The classes that are to be outdone.
    pub(super) rivals: &'a [usize],
    /// By how much each of the `K` classes leads: `z_k - z_y`.
    pub(super) leads: Array1<f64>,
    /// The least that each neuron's shift may be, or minus infinity: `[D]`.
    pub(super) least: Array1<f64>,
    /// By how much the class is to lead.
    pub(super) margin: f64,
    /// Length from which on a change counts as impossible.
    pub(super) longest: f64,
}

/// The answer to a [`Nearest`].
pub(super) struct Found {
    /// The shift, `[D]`: none where it would have to be longer than [`Nearest::longest`].
    pub(super) shift: Option<Array1<f64>>,
    /// No shorter shift lets the class draw level with its rivals.
    pub(super) at_least: f64,
    /// Rounds of taking up rivals.
    pub(super) rounds: usize,
}

/// A rival that was taken up.
struct Row {
    rival: usize,
    /// `W_y - W_k`: `[D]`.
    difference: Array1<f64>,
    /// What `difference . w` has to reach.
    needed: f64,
}

/// A point of the dual problem.
struct Point {
    multipliers: Vec<f64>,
    /// `w(u)`: `[D]`.
    shift: Array1<f64>,
    /// `g(u)`.
    value: f64,
}

impl Nearest<'_> {
    /// Solves it.
    pub(super) fn find(&self) -> Found {
        let residual = self.margin / 4.0;
        let mut rows = Vec::new();
        let mut point = self.point(&rows, Vec::new());
        let mut rounds = 0;
        loop {
            let taken_up = self.lacking(&rows, &point.shift, residual);
            if taken_up.is_empty() {
                break;
            }
            rounds += 1;
            rows.extend(taken_up);
            point.multipliers.resize(rows.len(), 0.0);
            point = self.ascend(&rows, point.multipliers, residual);
            if 2.0 * point.value > self.longest.powi(2) {
                break;
            }
        }
        // What the same multipliers prove where no margin is asked for.
        let margins = self.margin * point.multipliers.iter().sum::<f64>();
        let proven = (2.0 * (point.value - margins)).max(0.0).sqrt();
        Found {
            shift: (proven <= self.longest).then_some(point.shift),
            at_least: proven.min(self.longest),
            rounds,
        }
    }

    /// The rivals, not taken up yet, that the class falls furthest short of.
    fn lacking(&self, rows: &[Row], shift: &Array1<f64>, residual: f64) -> Vec<Row> {
        let moved = self.weight.dot(shift);
        let lack = |&rival: &usize| {
            let needed = self.leads[rival] + self.margin;
            (rival, needed - (moved[self.class] - moved[rival]))
        };
        let mut lacking: Vec<_> = (self.rivals.iter().map(lack))
            .filter(|&(rival, lack)| lack > residual && rows.iter().all(|row| row.rival != rival))
            .collect();
        lacking.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let taken_up = lacking.iter().take(TAKEN_UP).map(|&(rival, _)| Row {
            rival,
            difference: &self.weight.row(self.class) - &self.weight.row(rival),
            needed: self.leads[rival] + self.margin,
        });
        taken_up.collect()
    }

    /// The point of these multipliers.
    fn point(&self, rows: &[Row], multipliers: Vec<f64>) -> Point {
        let mut shift = Array1::zeros(self.least.len());
        let mut value = 0.0;
        for (row, &multiplier) in rows.iter().zip(&multipliers) {
            shift.scaled_add(multiplier, &row.difference);
            value += row.needed * multiplier;
        }
        Zip::from(&mut shift)
            .and(&self.least)
            .for_each(|shift, &least| {
                let pull = *shift;
                *shift = pull.max(least);
                value += (*shift / 2.0 - pull) * *shift;
            });
        Point {
            multipliers,
            shift,
            value,
        }
    }

    /// Raises the dual value until no row lacks, or exceeds what is needed though it pulls, by more
    /// than `residual`, or rounding stops it.
    fn ascend(&self, rows: &[Row], start: Vec<f64>, residual: f64) -> Point {
        let mut point = self.point(rows, start);
        for _ in 0..STEPS {
            let gradient: Vec<f64> = rows
                .iter()
                .map(|row| row.needed - row.difference.dot(&point.shift))
                .collect();
            let free: Vec<usize> = (0..rows.len())
                .filter(|&row| point.multipliers[row] > 0.0 || gradient[row] > 0.0)
                .collect();
            let settled = free.iter().all(|&row| gradient[row].abs() <= residual);
            if settled || 2.0 * point.value > self.longest.powi(2) {
                break;
            }
            let direction = self.newton(rows, free, &gradient, &point);
            let next = self.step(rows, &point, &gradient, &direction);
            // Rounding may leave nothing of a direction where rows depend on each other; the gradient climbs.
            let next = next.or_else(|| self.step(rows, &point, &gradient, &gradient));
            let Some(next) = next else { break };
            point = next;
        }
        point
    }

    /// The Newton direction of the free rows; 0 for the others, and for those that it would take below 0: were
    /// they kept at 0 afterwards, the rest of the direction need not climb.
    fn newton(
        &self,
        rows: &[Row],
        mut free: Vec<usize>,
        gradient: &[f64],
        from: &Point,
    ) -> Vec<f64> {
        // Neurons at their floor do not answer to a multiplier.
        let moving = Zip::from(&from.shift)
            .and(&self.least)
            .map_collect(|shift, least| f64::from(u8::from(shift > least)));
        loop {
            let mut direction = vec![0.0; rows.len()];
            for (&row, value) in free.iter().zip(solved(rows, &free, gradient, &moving)) {
                direction[row] = value;
            }
            let stays = |row: &usize| from.multipliers[*row] > 0.0 || direction[*row] > 0.0;
            if free.iter().all(stays) {
                return direction;
            }
            free.retain(stays);
        }
    }

    /// The first of ever shorter steps along a direction, multipliers kept at or above 0, that raises the
    /// value as its slope promises; none where rounding leaves no such step.
    fn step(
        &self,
        rows: &[Row],
        from: &Point,
        gradient: &[f64],
        direction: &[f64],
    ) -> Option<Point> {
        (0..HALVINGS).find_map(|halving| {
            let length = 0.5_f64.powi(halving as i32);
            let multipliers: Vec<f64> = (from.multipliers.iter().zip(direction))
                .map(|(multiplier, direction)| (multiplier + length * direction).max(0.0))
                .collect();
            let promised: f64 = (multipliers.iter().zip(&from.multipliers).zip(gradient))
                .map(|((new, old), gradient)| gradient * (new - old))
                .sum();
            let next = self.point(rows, multipliers);
            (promised > 0.0 && next.value > from.value + 1e-4 * promised).then_some(next)
        })
    }
}

/// The Newton direction of free rows, in their order.
fn solved(rows: &[Row], free: &[usize], gradient: &[f64], moving: &Array1<f64>) -> Vec<f64> {
    let count = free.len();
    let mut hessian = vec![vec![0.0; count]; count];
    for (i, &row) in free.iter().enumerate() {
        let masked = &rows[row].difference * moving;
        for (j, &other) in free.iter().enumerate().take(i + 1) {
            hessian[i][j] = masked.dot(&rows[other].difference);
        }
    }
    // Rows may depend on each other, or have no neuron that moves: then the direction is the
    // gradient's, and long.
    let trace: f64 = free
        .iter()
        .map(|&row| rows[row].difference.dot(&rows[row].difference))
        .sum();
    let ridge = 1e-12 * trace / count as f64 + 1e-30;
    for (i, row) in hessian.iter_mut().enumerate() {
        row[i] += ridge;
    }
    let mut solution: Vec<f64> = free.iter().map(|&row| gradient[row]).collect();
    solve(&mut hessian, &mut solution, ridge);
    solution
}

/// Solves a positive definite system by Cholesky's factors, in place; of the matrix the lower triangle is
/// read. A pivot that rounding has brought below `least` is taken as that.
fn solve(matrix: &mut [Vec<f64>], right: &mut [f64], least: f64) {
    let count = right.len();
    for i in 0..count {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            let rest = matrix[i][j] - sum;
            matrix[i][j] = match i == j {
                true => rest.max(least).sqrt(),
                false => rest / matrix[j][j],
            };
        }
    }
    for i in 0..count {
        let sum: f64 = (0..i).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - sum) / matrix[i][i];
    }
    for i in (0..count).rev() {
        let sum: f64 = (i + 1..count).map(|k| matrix[k][i] * right[k]).sum();
        right[i] = (right[i] - sum) / matrix[i][i];
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::solve;

    proptest! {
        /// A Newton step of a wrong direction only takes more steps, so that no result shows it.
        #[test]
        fn a_positive_definite_system_is_solved(
            (factors, wanted) in (1..6_usize).prop_flat_map(|count| {
                (vec(vec(-1.0..1.0_f64, count), count), vec(-2.0..2.0_f64, count))
            })
        ) {
            let count = wanted.len();
            let product = |i: usize, j: usize| -> f64 {
                let products = (0..count).map(|k| factors[i][k] * factors[j][k]);
                products.sum::<f64>() + f64::from(u8::from(i == j))
            };
            let matrix: Vec<Vec<f64>> = (0..count)
                .map(|i| (0..count).map(|j| product(i, j)).collect())
                .collect();
            let mut solution: Vec<f64> = (matrix.iter())
                .map(|row| row.iter().zip(&wanted).map(|(a, x)| a * x).sum())
                .collect();
            solve(&mut matrix.clone(), &mut solution, 1e-30);
            for (found, wanted) in solution.iter().zip(&wanted) {
                prop_assert!((found - wanted).abs() < 1e-9, "{found} for {wanted}");
            }
        }
    }
}
