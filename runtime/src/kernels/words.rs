//! Packed words: for each row gather the inputs its words name.
//!
//! A word is a weight and its column in 16 bits: the column in the low ones, the weight above. The
//! whole word, as `i16`, is the weight that is multiplied; the exporter rounds so that this is the
//! weight it means. Rows of equal length follow each other as a run, so no row says its length.
//!
//! This is the loop in safe Rust: what runs wherever [`super::unchecked::words`] has no
//! instructions for the core, and the oracle of those it has.

/// The words of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'m> {
    /// Length in words and number of rows of each run.
    pub(crate) runs: &'m [[u16; 2]],
    /// Each row: its bias (`i32`), then its words, two in each `u32`, the first in the low half. An
    /// odd row ends with a word 0, which adds nothing.
    pub(crate) stream: &'m [u32],
    /// The bits of a word that are its column.
    pub(crate) mask: u16,
}

/// Computes a hidden layer: shifted, clamped to a byte.
pub(crate) fn hidden(words: Words<'_>, input: &[u8], shift: u8, output: &mut [u8]) {
    each_row(words, input, output, |acc| {
        (acc >> (shift & 31)).clamp(0, 255) as u8
    });
}

/// Computes a last layer: the sums themselves.
pub(crate) fn last(words: Words<'_>, input: &[u8], output: &mut [i32]) {
    each_row(words, input, output, |acc| acc);
}

/// Stores what `finish` makes of each row's sum, as long as there are words and outputs left.
#[inline(always)]
fn each_row<T>(words: Words<'_>, input: &[u8], output: &mut [T], finish: impl Fn(i32) -> T) {
    let Words {
        runs,
        mut stream,
        mask,
    } = words;
    let product = |word: u16| {
        let activation = input.get(usize::from(word & mask)).copied().unwrap_or(0);
        i32::from(word as i16) * i32::from(activation)
    };
    let mut output = output.iter_mut();
    for &[length, rows] in runs {
        for output in output.by_ref().take(usize::from(rows)) {
            let Some((&bias, rest)) = stream.split_first() else {
                return;
            };
            let Some((pairs, rest)) = rest.split_at_checked(usize::from(length.div_ceil(2))) else {
                return;
            };
            stream = rest;
            let sum = pairs.iter().fold(bias as i32, |acc, &pair| {
                acc.wrapping_add(product(pair as u16))
                    .wrapping_add(product((pair >> 16) as u16))
            });
            *output = finish(sum);
        }
    }
}
