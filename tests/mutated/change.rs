//! Changes of valid inputs.

use rand::{Rng, RngExt};

use crate::seeds::Input;

/// Numbers that lengths, offsets and counts go wrong at.
const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Words that texts go wrong at.
const WORDS: [&str; 12] = [
    "-1",
    "0",
    "1e999",
    "NaN",
    "99999999999999999999",
    "18446744073709551615",
    "..",
    "\u{0}",
    "\u{202e}",
    "((((((((",
    "[[[[[[[[",
    "null",
];

/// One of the inputs, changed in one to four places.
pub(crate) fn changed(seeds: &[Input], rng: &mut impl Rng) -> Input {
    let seed = &seeds[rng.random_range(0..seeds.len())];
    let mut bytes = seed.bytes.clone();
    for _ in 0..rng.random_range(1..=4) {
        change(&mut bytes, seeds, rng);
    }
    Input {
        name: seed.name.clone(),
        bytes,
    }
}

fn change(bytes: &mut Vec<u8>, seeds: &[Input], rng: &mut impl Rng) {
    let length = bytes.len();
    let mut below = |end: usize| rng.random_range(0..end.max(1));
    let start = below(length + 1);
    // Headers come first: half of all changes are there.
    let start = if below(2) == 0 {
        start.min(below(128))
    } else {
        start
    };
    let end = (start + 1 + below(16)).min(length);
    match below(9) {
        0 if start < length => bytes[start] ^= 1 << below(8),
        1 if start < length => bytes[start] = below(256) as u8,
        2 => {
            let number = NUMBERS[below(NUMBERS.len())];
            let width = [1, 2, 4, 8][below(4)];
            let written = match below(2) {
                0 => number.to_le_bytes()[..width].to_vec(),
                _ => number.to_be_bytes()[8 - width..].to_vec(),
            };
            for (byte, value) in bytes.iter_mut().skip(start).zip(written) {
                *byte = value;
            }
        }
        3 => bytes.truncate(start),
        4 => {
            bytes.drain(start.min(end)..end);
        }
        5 => {
            let copied = bytes[start.min(end)..end].to_vec();
            bytes.splice(start..start, copied);
        }
        6 => {
            let word = WORDS[below(WORDS.len())];
            bytes.splice(start.min(end)..end, word.bytes());
        }
        7 => number_in_text(bytes, start, WORDS[below(6)]),
        _ => {
            let other = &seeds[below(seeds.len())].bytes;
            let from = below(other.len() + 1);
            let spliced = other[from..(from + below(256)).min(other.len())].to_vec();
            let to = (start + spliced.len()).min(length);
            bytes.splice(start..to, spliced);
        }
    }
}

/// Puts another in the place of the first number written in digits from `start` on.
fn number_in_text(bytes: &mut Vec<u8>, start: usize, number: &str) {
    let digits = |byte: &u8| byte.is_ascii_digit();
    let Some(first) = bytes[start..].iter().position(digits) else {
        return;
    };
    let first = start + first;
    let length = bytes[first..]
        .iter()
        .take_while(|byte| digits(byte))
        .count();
    bytes.splice(first..first + length, number.bytes());
}
