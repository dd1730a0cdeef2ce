//! Columns: for each input that is not 0 scatter its weights to the sums of the rows they belong to.
//!
//! Pays where a layer keeps so many weights that skipping the zero activations (four of five pixels
//! of a digit, half of the hidden units) outweighs the load and store of a sum for each weight.
//!
//! A word is a weight and its row in 16 bits, as in [`super::words`]: the row in the low ones, the
//! weight above, and the whole word, as `i16`, is what is multiplied. Inputs are taken two at a time: where both
//! have a weight of a row, its sum is loaded and stored once.
//!
//! This is the loop in safe Rust: what runs wherever [`super::unchecked::columns`] has no
//! instructions for the core, and the oracle of those it has.

use rarefy_format::Columns;
#[cfg(any(test, not(cortex_m)))]
use rarefy_format::requantize;

use super::Output;
#[cfg(cortex_m)]
use super::unchecked;

/// Runs a dense layer. `None` when the container is not aligned, or source or output are too short.
#[inline(always)]
pub(crate) fn run(columns: Columns<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    let parts = Parts {
        bias: bytemuck::try_cast_slice(columns.bias()).ok()?,
        starts: bytemuck::try_cast_slice(columns.starts()).ok()?,
        blocks: bytemuck::try_cast_slice(columns.blocks()).ok()?,
        mask: columns.mask() as u16,
    };
    let source = source.get(columns.inputs())?;
    match output {
        Output::Bytes { words, shift } => {
            let sums: &mut [i32] = bytemuck::must_cast_slice_mut(words);
            let sums = sums.get_mut(..parts.bias.len())?;
            #[cfg(not(cortex_m))]
            hidden(parts, source, shift, sums);
            // SAFETY: 1. just made so; 2. and 3. are what `Model::parse` has checked of these columns,
            // whose bytes have not changed since, for a source as long as the layer's inputs, which
            // this is; 4. a layer's shift has five bits.
            #[cfg(cortex_m)]
            #[allow(unsafe_code)]
            unsafe {
                unchecked::columns::hidden(parts, source, shift & 31, sums);
            }
        }
        Output::Sums(sums) => {
            let sums = sums.get_mut(..parts.bias.len())?;
            #[cfg(not(cortex_m))]
            last(parts, source, sums);
            // SAFETY: as above.
            #[cfg(cortex_m)]
            #[allow(unsafe_code)]
            unsafe {
                unchecked::columns::last(parts, source, sums);
            }
        }
    }
    Some(())
}

/// The words of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'m> {
    /// One for each row: what its sum begins with.
    pub(crate) bias: &'m [i32],
    /// Where the block of each pair of inputs begins in `blocks`.
    pub(crate) starts: &'m [u16],
    /// A header, which counts in its bits 31 to 22 the rows that read both inputs, in 21 to 11 those that read
    /// the first alone, in 10 to 0 the second alone; then for each row of the first kind the word of the
    /// first input in the low half and that of the second in the high one; then those of the second kind, two in
    /// a `u32`, behind a word of 0 if they are odd in number; then so those of the third.
    pub(crate) blocks: &'m [u32],
    /// The bits of a word that are its row.
    pub(crate) mask: u16,
}

/// Computes a hidden layer. The sums are made in `output`, which has an element for each row; then
/// the first bytes of `output` are the rows' bytes: shifted and clamped.
#[cfg(any(test, not(cortex_m)))]
fn hidden(columns: Parts<'_>, input: &[u8], shift: u8, output: &mut [i32]) {
    last(columns, input, output);
    // Byte `row` lies in word `row / 4`, whose own sum has been read by then.
    for row in 0..output.len() {
        let Some(&sum) = output.get(row) else { return };
        let byte = requantize(sum, shift);
        let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(output);
        if let Some(place) = bytes.get_mut(row) {
            *place = byte;
        }
    }
}

/// Computes a last layer: the sums themselves.
#[cfg(any(test, not(cortex_m)))]
fn last(columns: Parts<'_>, input: &[u8], output: &mut [i32]) {
    for (sum, &bias) in output.iter_mut().zip(columns.bias) {
        *sum = bias;
    }
    let mut add = |word: u16, activation: u8| {
        if let Some(sum) = output.get_mut(usize::from(word & columns.mask)) {
            let product = i32::from(word as i16) * i32::from(activation);
            *sum = sum.wrapping_add(product);
        }
    };
    for (pair, &start) in input.chunks(2).zip(columns.starts) {
        let (first, second) = match *pair {
            [first, second] => (first, second),
            [first] => (first, 0),
            _ => return,
        };
        if first | second == 0 {
            continue;
        }
        let block = columns.blocks.get(usize::from(start)..).unwrap_or(&[]);
        let Some((&header, block)) = block.split_first() else {
            return;
        };
        let Some((both, block)) = block.split_at_checked((header >> 22) as usize) else {
            return;
        };
        for &words in both {
            add(words as u16, first);
            add((words >> 16) as u16, second);
        }
        let count = |words: u32| (words & 0x7FF).div_ceil(2) as usize;
        let Some((firsts, block)) = block.split_at_checked(count(header >> 11)) else {
            return;
        };
        let seconds = block.get(..count(header)).unwrap_or(&[]);
        // A word that fills up is 0 and adds nothing.
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

    /// Rows of weights, words with their row in the mask's bits; 0 where there is none.
    #[derive(Clone, Debug)]
    struct Case {
        mask: u16,
        bias: Vec<i32>,
        rows: Vec<Vec<u16>>,
        input: Vec<u8>,
    }

    /// Inputs in odd and even number of which many are 0, rows from empty to full.
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

    /// The starts and the blocks of a case.
    fn encode(case: &Case) -> (Vec<u16>, Vec<u32>) {
        let (mut starts, mut blocks) = (Vec::new(), vec![0]);
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
            starts.push(blocks.len() as u16);
            let header = (both.len() / 2) << 22 | alone[0].len() << 11 | alone[1].len();
            blocks.push(header as u32);
            for mut words in [both].into_iter().chain(alone) {
                if words.len() % 2 == 1 {
                    words.insert(0, 0);
                }
                let pair = |p: &[u16]| u32::from(p[0]) | u32::from(p[1]) << 16;
                blocks.extend(words.chunks(2).map(pair));
            }
        }
        (starts, blocks)
    }

    /// What the definition says, in 64 bits.
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
        fn computes_what_the_definition_says(case in case(), shift in 0..32u8) {
            let (starts, blocks) = encode(&case);
            let (bias, mask) = (case.bias.as_slice(), case.mask);
            let columns = Parts { bias, starts: &starts, blocks: &blocks, mask };
            let sums = sums(&case);
            let mut output = vec![0; sums.len()];
            last(columns, &case.input, &mut output);
            prop_assert!(output.iter().map(|&l| i64::from(l)).eq(sums.iter().copied()));
            hidden(columns, &case.input, shift, &mut output);
            let bytes: &[u8] = bytemuck::must_cast_slice(&output);
            let expected = sums.iter().map(|sum| (sum >> shift).clamp(0, 255) as u8);
            prop_assert!(bytes[..sums.len()].iter().copied().eq(expected));
        }
    }
}
