//! Packed words: for each row gather the inputs its words name.
//!
//! A word is a weight and its column in 16 bits: the column in the low ones, the weight above. The
//! whole word, as `i16`, is the weight that is multiplied; the exporter rounds so that this is the
//! weight it means. Rows of equal length follow each other as a run, so no row says its length.
//!
//! This is the loop in safe Rust: what runs wherever [`super::unchecked::words`] has no
//! instructions for the core, and the oracle of those it has.

use rarefy_format::Words;
#[cfg(any(test, not(cortex_m)))]
use rarefy_format::requantize;

use super::Output;
#[cfg(cortex_m)]
use super::unchecked;

/// Runs a dense layer. `None` when the container is not aligned, or source or output are too short.
#[inline(always)]
pub(crate) fn run(words: Words<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    let parts = Parts {
        block: bytemuck::try_cast_slice(words.block()).ok()?,
    };
    let source = source.get(..words.inputs())?;
    match output {
        Output::Bytes {
            words: output,
            shift,
        } => {
            let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(output);
            let bytes = bytes.get_mut(..words.outputs())?;
            #[cfg(not(cortex_m))]
            hidden(parts, source, shift, bytes);
            // SAFETY: 1. and 2. are what `Model::parse` has checked of these words, whose bytes have not
            // changed since, for slices as long as the layer's inputs and outputs, which these are;
            // 3. a layer's shift has five bits.
            #[cfg(cortex_m)]
            #[allow(unsafe_code)]
            unsafe {
                unchecked::words::hidden(parts, source, shift & 31, bytes);
            }
        }
        Output::Sums(sums) => {
            let sums = sums.get_mut(..words.outputs())?;
            #[cfg(not(cortex_m))]
            last(parts, source, sums);
            // SAFETY: as above.
            #[cfg(cortex_m)]
            #[allow(unsafe_code)]
            unsafe {
                unchecked::words::last(parts, source, sums);
            }
        }
    }
    Some(())
}

/// The words of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'m> {
    /// The bits of a word that are its column. Then each run: its head; the length of its rows where they
    /// are longer than 14 words; and each row: its bias (`i32`), then its words, two in each `u32`, the first
    /// in the low half. An odd row ends with a word 0, which adds nothing. Behind the last run the number 34.
    pub(crate) block: &'m [u32],
}

/// Computes a hidden layer: shifted, clamped to a byte.
#[cfg(any(test, not(cortex_m)))]
fn hidden(words: Parts<'_>, input: &[u8], shift: u8, output: &mut [u8]) {
    each_row(words, input, output, |acc| requantize(acc, shift));
}

/// Computes a last layer: the sums themselves.
#[cfg(any(test, not(cortex_m)))]
fn last(words: Parts<'_>, input: &[u8], output: &mut [i32]) {
    each_row(words, input, output, |acc| acc);
}

/// Stores what `finish` makes of each row's sum, as long as there are words and outputs left.
#[cfg(any(test, not(cortex_m)))]
#[inline(always)]
fn each_row<T>(words: Parts<'_>, input: &[u8], output: &mut [T], finish: impl Fn(i32) -> T) {
    let Some((&mask, mut stream)) = words.block.split_first() else {
        return;
    };
    let product = |word: u16| {
        let column = usize::from(word) & mask as usize;
        let activation = input.get(column).copied().unwrap_or(0);
        i32::from(word as i16) * i32::from(activation)
    };
    let mut output = output.iter_mut();
    while let Some((&head, rest)) = stream.split_first() {
        stream = rest;
        let (form, rows) = (head & 0xFFFF, (head >> 16) as usize + 1);
        let mut pairs = (form as usize / 2).div_ceil(2);
        if form >= 30 {
            let Some((&length, rest)) = stream.split_first() else {
                return;
            };
            (pairs, stream) = ((length as usize).div_ceil(2), rest);
        }
        for output in output.by_ref().take(rows) {
            let Some((&bias, rest)) = stream.split_first() else {
                return;
            };
            let Some((pairs, rest)) = rest.split_at_checked(pairs) else {
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

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Rows of words, each with its column (below the input's length) in the mask's bits.
    #[derive(Clone, Debug)]
    struct Case {
        mask: u16,
        rows: Vec<(i32, Vec<u16>)>,
        input: Vec<u8>,
    }

    /// Rows of every length from none over the straight bodies to several rounds.
    fn case() -> impl Strategy<Value = Case> {
        (4..=12u32, 1..80usize).prop_flat_map(|(bits, inputs)| {
            let mask = (1u16 << bits) - 1;
            let inputs = inputs.min(usize::from(mask) + 1);
            let word = (any::<u16>(), 0..inputs as u16).prop_map(move |(w, c)| w & !mask | c);
            let row = (any::<i16>(), proptest::collection::vec(word, 0..40));
            let row = row.prop_map(|(bias, words)| (i32::from(bias) << 9, words));
            (
                proptest::collection::vec(row, 0..12),
                proptest::collection::vec(any::<u8>(), inputs),
            )
                .prop_map(move |(rows, input)| Case { mask, rows, input })
        })
    }

    /// The block of a case.
    fn encode(case: &Case) -> Vec<u32> {
        let mut stream = vec![u32::from(case.mask)];
        for run in case.rows.chunk_by(|a, b| a.1.len() == b.1.len()) {
            let (length, rows) = (run[0].1.len() as u32, run.len() as u32);
            let even = u32::from(rows % 2 == 0);
            stream.push((rows - 1) << 16 | (2 * length).min(30) | even);
            if length > 14 {
                stream.push(length);
            }
            for (bias, words) in run {
                stream.push(*bias as u32);
                let pair =
                    |p: &[u16]| u32::from(p[0]) | u32::from(p.get(1).copied().unwrap_or(0)) << 16;
                stream.extend(words.chunks(2).map(pair));
            }
        }
        stream.push(34);
        stream
    }

    /// What the definition says, as a dense matrix and in 64 bits.
    fn sums(case: &Case) -> Vec<i64> {
        let row = |(bias, words): &(i32, Vec<u16>)| {
            let mut dense = vec![0i64; case.input.len()];
            for &word in words {
                dense[usize::from(word & case.mask)] += i64::from(word as i16);
            }
            let products = dense.iter().zip(&case.input);
            i64::from(*bias) + products.map(|(w, &x)| w * i64::from(x)).sum::<i64>()
        };
        case.rows.iter().map(row).collect()
    }

    proptest! {
        #[test]
        fn computes_what_the_definition_says(case in case(), shift in 0..32u8) {
            let block = encode(&case);
            let words = Parts { block: &block };
            let sums = sums(&case);
            let mut logits = vec![0; sums.len()];
            last(words, &case.input, &mut logits);
            prop_assert!(logits.iter().map(|&l| i64::from(l)).eq(sums.iter().copied()));
            let mut bytes = vec![0; sums.len()];
            hidden(words, &case.input, shift, &mut bytes);
            let expected = sums.iter().map(|sum| (sum >> shift).clamp(0, 255) as u8);
            prop_assert!(bytes.iter().copied().eq(expected));
        }
    }
}
