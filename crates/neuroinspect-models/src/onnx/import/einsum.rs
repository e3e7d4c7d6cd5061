//! Sums of products by Einstein's notation.

use super::{Call, Handler, Importer, Outputs, Value, layout::rank_of};
use crate::{
    graph::{MatMul, Permute},
    onnx::host::Size,
};

pub(super) const OPERATORS: &[(&str, Handler)] = &[("Einsum", einsum)];

/// A product of matrices in disguise: of two values, each with an axis a letter.
///
/// Letters of both values and the result count matrices, those of both values alone are summed over, and
/// each other one belongs to one value and the result.
fn einsum(importer: &mut Importer, call: &Call<'_>) -> Outputs {
    let equation: String = call.word("equation", "").split_whitespace().collect();
    let not_followed =
        || format!("expected a product of two values as 'ij,jk->ik', found '{equation}'");
    let (terms, result) = equation.split_once("->").ok_or_else(not_followed)?;
    let (a, b) = terms.split_once(',').ok_or_else(not_followed)?;
    let [a, b, result] = [a, b, result].map(|term| term.chars().collect::<Vec<char>>());
    let simple = |term: &[char]| {
        let letters = term.iter().all(char::is_ascii_alphabetic);
        letters
            && term
                .iter()
                .enumerate()
                .all(|(at, letter)| !term[..at].contains(letter))
    };
    if ![&a, &b, &result].into_iter().all(|term| simple(term)) {
        return Err(not_followed());
    }
    let values = [call.input(0)?, call.input(1)?];
    if [rank_of(importer, &values[0]), rank_of(importer, &values[1])] != [a.len(), b.len()] {
        return Err(format!(
            "expected values of as many axes as letters in '{equation}'"
        ));
    }
    let those = |term: &[char], wanted: &dyn Fn(&char) -> bool| -> Vec<char> {
        term.iter()
            .copied()
            .filter(|letter| wanted(letter))
            .collect()
    };
    let counting = those(&result, &|it| a.contains(it) && b.contains(it));
    let summed = those(&a, &|it| b.contains(it) && !result.contains(it));
    let rows = those(&a, &|it| !b.contains(it));
    let columns = those(&b, &|it| !a.contains(it));
    let all_in_result = |letters: &[char]| letters.iter().all(|it| result.contains(it));
    let known = result.iter().all(|it| a.contains(it) || b.contains(it));
    if !(all_in_result(&rows) && all_in_result(&columns) && known) {
        return Err(not_followed());
    }
    let [first, second] = values;
    let left = importer.grouped(&first, &a, [&counting, &rows, &summed])?;
    let right = importer.grouped(&second, &b, [&counting, &summed, &columns])?;
    let sizes = [
        importer.dims_in_file(&first)?,
        importer.dims_in_file(&second)?,
    ];
    let inputs = [importer.value(&left)?, importer.value(&right)?];
    let product = importer.step(MatMul {}, &inputs)?;

    let order = [&counting[..], &rows, &columns].concat();
    let size = |letter: &char| {
        let of = |term: &[char], sizes: &[Size]| {
            term.iter().position(|it| it == letter).map(|at| sizes[at])
        };
        let size = of(&a, &sizes[0]).or_else(|| of(&b, &sizes[1]));
        size.ok_or_else(not_followed)
    };
    let shape = order.iter().map(size).collect::<Result<_, _>>()?;
    let value = importer.reshaped(&Value::Graph(product), shape)?;
    let axes = axes(&order, &result).ok_or_else(not_followed)?;
    let id = importer.value(&value)?;
    match axes.iter().copied().eq(0..axes.len()) {
        true => Ok(vec![value]),
        false => importer.only(Permute { axes }, id),
    }
}

/// Where each letter of `to` is in `from`.
fn axes(from: &[char], to: &[char]) -> Option<Vec<usize>> {
    let place = |letter: &char| from.iter().position(|it| it == letter);
    to.iter().map(place).collect()
}

impl Importer {
    /// A value with its axes in groups: those of the first by themselves, and the others one a group.
    fn grouped(
        &mut self,
        value: &Value,
        letters: &[char],
        groups: [&[char]; 3],
    ) -> Result<Value, String> {
        let order = groups.concat();
        let axes = axes(letters, &order).ok_or("a letter stands for no axis")?;
        let dims = self.dims_in_file(value)?;
        let mut sizes = axes.iter().map(|axis| dims[*axis]);
        let mut shape: Vec<Size> = sizes.by_ref().take(groups[0].len()).collect();
        for group in &groups[1..] {
            let mut group = sizes.by_ref().take(group.len());
            let product = group.try_fold(Size::fixed(1), Size::times);
            shape.push(product.ok_or("its sizes cannot be multiplied")?);
        }
        let id = self.value(value)?;
        let ordered = match axes.iter().copied().eq(0..axes.len()) {
            true => id,
            false => self.step(Permute { axes }, &[id])?,
        };
        self.reshaped(&Value::Graph(ordered), shape)
    }
}
