//! Words that pages have in common.

/// `one` or many of it, with the number: "1 image", "2 images".
pub(crate) fn counted(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}
