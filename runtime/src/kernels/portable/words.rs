//! Packed words: each row gathers the inputs that its words name.
//!
//! A word holds a weight and its column in 16 bits: the column in the low bits, the weight above.
//! The kernel multiplies by the whole word, as `i16`; the quantizer has chosen the upper bits so
//! that this value is close to the weight. Rows of equal length form a run, so no row stores its
//! length.

use rarefy_format::{Words, requantize};

use crate::kernels::blocks::WordsBlock;
use crate::kernels::output::Output;

/// Runs a dense layer. Returns `None` if the container is not aligned, or if source or output is
/// too short.
pub(crate) fn run(words: Words<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    let block = WordsBlock::new(words)?;
    let source = source.get(..words.inputs())?;
    match output {
        Output::Activations { words: to, shift } => {
            let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(to);
            let bytes = bytes.get_mut(..words.outputs())?;
            rows(block, source, bytes, |sum| requantize(sum, shift));
        }
        Output::Logits(logits) => {
            let logits = logits.get_mut(..words.outputs())?;
            rows(block, source, logits, |sum| sum);
        }
    }
    Some(())
}

/// Stores `finish` of each row's sum, until the words or the outputs end.
#[inline(always)]
fn rows<T>(block: WordsBlock<'_>, input: &[u8], output: &mut [T], finish: impl Fn(i32) -> T) {
    let Some((&mask, mut stream)) = block.words.split_first() else {
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
        let (form, count) = (head & 0xFFFF, (head >> 16) as usize + 1);
        let mut pairs = (form as usize / 2).div_ceil(2);
        if form >= 30 {
            let Some((&length, rest)) = stream.split_first() else {
                return;
            };
            (pairs, stream) = ((length as usize).div_ceil(2), rest);
        }
        for output in output.by_ref().take(count) {
            let Some((&bias, rest)) = stream.split_first() else {
                return;
            };
            let Some((pairs, rest)) = rest.split_at_checked(pairs) else {
                return;
            };
            stream = rest;
            let sum = pairs.iter().fold(bias as i32, |sum, &pair| {
                sum.wrapping_add(product(pair as u16))
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

    /// Rows of words, each with a column below the number of inputs in the bits of the mask.
    #[derive(Clone, Debug)]
    struct Case {
        mask: u16,
        rows: Vec<(i32, Vec<u16>)>,
        input: Vec<u8>,
    }

    /// Generates rows that are empty, short enough for straight-line code, or several rounds long.
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

    /// Returns the block of a case.
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

    /// Computes the sums by definition: as a dense matrix, in 64 bits.
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
        fn matches_the_definition(case in case(), shift in 0..32u8) {
            let block = encode(&case);
            let block = WordsBlock { words: &block };
            let sums = sums(&case);
            let mut logits = vec![0; sums.len()];
            rows(block, &case.input, &mut logits, |sum| sum);
            prop_assert!(logits.iter().map(|&l| i64::from(l)).eq(sums.iter().copied()));
            let mut bytes = vec![0; sums.len()];
            rows(block, &case.input, &mut bytes, |sum| requantize(sum, shift));
            let expected = sums.iter().map(|sum| (sum >> shift).clamp(0, 255) as u8);
            prop_assert!(bytes.iter().copied().eq(expected));
        }
    }
}
