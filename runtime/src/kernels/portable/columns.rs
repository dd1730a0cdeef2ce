//! Columns: each input that is not 0 scatters its products to the sums of the rows that read it.
//!
//! This pays off where a layer keeps so many weights that skipping the zero activations (four of
//! five pixels of a digit, half of the hidden units) outweighs the load and store of a sum per
//! weight.
//!
//! A word holds a weight and its row in 16 bits, as in [`super::words`]: the row in the low bits,
//! the weight above, and the kernel multiplies by the whole word, as `i16`. Inputs are taken in
//! pairs: if a row reads both, its sum is loaded and stored once.

use rarefy_format::{Columns, requantize};

use crate::kernels::blocks::ColumnsBlock;
use crate::kernels::output::Output;

/// Runs a dense layer. Returns `None` if the container is not aligned, or if source or output is
/// too short.
pub(crate) fn run(columns: Columns<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    let block = ColumnsBlock::new(columns)?;
    let source = source.get(columns.inputs())?;
    match output {
        Output::Activations { words, shift } => {
            let sums: &mut [i32] = bytemuck::must_cast_slice_mut(words);
            let sums = sums.get_mut(..block.bias.len())?;
            accumulate(block, source, sums);
            requantize_in_place(sums, shift);
        }
        Output::Logits(logits) => {
            accumulate(block, source, logits.get_mut(..block.bias.len())?);
        }
    }
    Some(())
}

/// Replaces `sums` with their activations, which then occupy the first bytes of the slice.
fn requantize_in_place(sums: &mut [i32], shift: u8) {
    // Byte `row` lies in word `row / 4`, whose own sum has been read by then.
    for row in 0..sums.len() {
        let Some(&sum) = sums.get(row) else { return };
        let byte = requantize(sum, shift);
        let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(sums);
        if let Some(place) = bytes.get_mut(row) {
            *place = byte;
        }
    }
}

/// Computes the sum of each row.
fn accumulate(block: ColumnsBlock<'_>, input: &[u8], sums: &mut [i32]) {
    for (sum, &bias) in sums.iter_mut().zip(block.bias) {
        *sum = bias;
    }
    let mut add = |word: u16, activation: u8| {
        if let Some(sum) = sums.get_mut(usize::from(word & block.mask)) {
            let product = i32::from(word as i16) * i32::from(activation);
            *sum = sum.wrapping_add(product);
        }
    };
    for (pair, &start) in input.chunks(2).zip(block.starts) {
        let (first, second) = match *pair {
            [first, second] => (first, second),
            [first] => (first, 0),
            _ => return,
        };
        if first | second == 0 {
            continue;
        }
        let sections = block.pairs.get(usize::from(start)..).unwrap_or(&[]);
        let Some((&header, sections)) = sections.split_first() else {
            return;
        };
        let Some((both, sections)) = sections.split_at_checked((header >> 22) as usize) else {
            return;
        };
        for &words in both {
            add(words as u16, first);
            add((words >> 16) as u16, second);
        }
        let count = |words: u32| (words & 0x7FF).div_ceil(2) as usize;
        let Some((firsts, sections)) = sections.split_at_checked(count(header >> 11)) else {
            return;
        };
        let seconds = sections.get(..count(header)).unwrap_or(&[]);
        // A padding word is 0 and adds nothing.
        for (words, activation) in [(firsts, first), (seconds, second)] {
            if activation != 0 {
                for &words in words {
                    add(words as u16, activation);
                    add((words >> 16) as u16, activation);
                }
            }
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

    /// Rows of words, each with its row in the bits of the mask; 0 where there is no weight.
    #[derive(Clone, Debug)]
    struct Case {
        mask: u16,
        bias: Vec<i32>,
        rows: Vec<Vec<u16>>,
        input: Vec<u8>,
    }

    /// Generates odd and even numbers of inputs, many of them 0, and rows from empty to full.
    fn case() -> impl Strategy<Value = Case> {
        (6..=12u32, 1..40usize, 1..100usize, 0..=4u32).prop_flat_map(
            |(bits, inputs, rows, full)| {
                let mask = (1u16 << bits) - 1;
                let rows = rows.min(usize::from(mask) + 1);
                let word = (any::<u16>(), 0..4u32);
                let word =
                    word.prop_map(move |(w, kept)| if kept < full { w | 1 << 15 } else { 0 });
                let row = proptest::collection::vec(word, inputs);
                let activation = prop_oneof![Just(0), any::<u8>()];
                (
                    proptest::collection::vec(-2_000_000..2_000_000i32, rows),
                    proptest::collection::vec(row, rows),
                    proptest::collection::vec(activation, inputs),
                )
                    .prop_map(move |(bias, mut rows, input)| {
                        for (index, row) in (0..).zip(&mut rows) {
                            let words = row.iter_mut().filter(|word| **word != 0);
                            words.for_each(|word| *word = *word & !mask | index);
                        }
                        Case {
                            mask,
                            bias,
                            rows,
                            input,
                        }
                    })
            },
        )
    }

    /// Returns the starts and the pairs of a case.
    fn encode(case: &Case) -> (Vec<u16>, Vec<u32>) {
        let (mut starts, mut pairs) = (Vec::new(), vec![0]);
        for first in (0..case.input.len()).step_by(2) {
            let (mut both, mut alone) = (Vec::new(), [Vec::new(), Vec::new()]);
            for row in &case.rows {
                match (row[first], row.get(first + 1).copied().unwrap_or(0)) {
                    (0, 0) => {}
                    (word, 0) => alone[0].push(word),
                    (0, word) => alone[1].push(word),
                    (word, other) => both.extend([word, other]),
                }
            }
            starts.push(pairs.len() as u16);
            let header = (both.len() / 2) << 22 | alone[0].len() << 11 | alone[1].len();
            pairs.push(header as u32);
            for mut words in [both].into_iter().chain(alone) {
                if words.len() % 2 == 1 {
                    words.insert(0, 0);
                }
                let pair = |p: &[u16]| u32::from(p[0]) | u32::from(p[1]) << 16;
                pairs.extend(words.chunks(2).map(pair));
            }
        }
        (starts, pairs)
    }

    /// Computes the sums by definition, in 64 bits.
    fn sums(case: &Case) -> Vec<i64> {
        let row = |(row, &bias): (&Vec<u16>, &i32)| {
            let products = row.iter().zip(&case.input);
            let product = |(&word, &x): (&u16, &u8)| i64::from(word as i16) * i64::from(x);
            i64::from(bias) + products.map(product).sum::<i64>()
        };
        case.rows.iter().zip(&case.bias).map(row).collect()
    }

    proptest! {
        #[test]
        fn matches_the_definition(case in case(), shift in 0..32u8) {
            let (starts, pairs) = encode(&case);
            let (bias, mask) = (case.bias.as_slice(), case.mask);
            let block = ColumnsBlock { bias, starts: &starts, pairs: &pairs, mask };
            let sums = sums(&case);
            let mut output = vec![0; sums.len()];
            accumulate(block, &case.input, &mut output);
            prop_assert!(output.iter().map(|&l| i64::from(l)).eq(sums.iter().copied()));
            requantize_in_place(&mut output, shift);
            let bytes: &[u8] = bytemuck::must_cast_slice(&output);
            let expected = sums.iter().map(|sum| (sum >> shift).clamp(0, 255) as u8);
            prop_assert!(bytes[..sums.len()].iter().copied().eq(expected));
        }
    }
}
