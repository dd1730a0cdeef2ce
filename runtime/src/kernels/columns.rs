//! Columns: for each input that is not 0 scatter its weights to the sums of the rows they belong to.
//!
//! Pays where a layer keeps so many weights that skipping the zero activations (four of five pixels
//! of a digit, half of the hidden units) outweighs the load and store of a sum for each weight.
//!
//! A word is a weight and its row in 16 bits, as in [`super::words`]: the row in the low ones, the
//! weight above, and the whole word, as `i16`, is what is multiplied.
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
        pairs: bytemuck::try_cast_slice(columns.pairs()).ok()?,
        mask: columns.mask() as u16,
    };
    let source = source.get(..columns.inputs())?;
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
    /// Where each input's words begin in `pairs`, and where the last one's end.
    pub(crate) starts: &'m [u16],
    /// The words, two in each `u32`, the first in the low half. An odd column ends with a word 0,
    /// which adds nothing.
    pub(crate) pairs: &'m [u32],
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
    for (&activation, ends) in input.iter().zip(columns.starts.windows(2)) {
        if activation == 0 {
            continue;
        }
        let &[start, end] = ends else { return };
        let range = usize::from(start)..usize::from(end);
        for &pair in columns.pairs.get(range).unwrap_or(&[]) {
            for word in [pair as u16, (pair >> 16) as u16] {
                if let Some(sum) = output.get_mut(usize::from(word & columns.mask)) {
                    let product = i32::from(word as i16) * i32::from(activation);
                    *sum = sum.wrapping_add(product);
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

    /// Columns of words, each with its row (below the biases' number) in the mask's bits.
    #[derive(Clone, Debug)]
    struct Case {
        mask: u16,
        bias: Vec<i32>,
        columns: Vec<Vec<u16>>,
        input: Vec<u8>,
    }

    /// Columns of no to 40 words, inputs of which many are 0.
    fn case() -> impl Strategy<Value = Case> {
        (4..=12u32, 1..40usize, 1..40usize).prop_flat_map(|(bits, inputs, rows)| {
            let mask = (1u16 << bits) - 1;
            let rows = rows.min(usize::from(mask) + 1);
            let word = (any::<u16>(), 0..rows as u16).prop_map(move |(w, r)| w & !mask | r);
            let column = proptest::collection::vec(word, 0..40);
            let activation = prop_oneof![Just(0), any::<u8>()];
            (
                proptest::collection::vec(-2_000_000..2_000_000i32, rows),
                proptest::collection::vec(column, inputs),
                proptest::collection::vec(activation, inputs),
            )
                .prop_map(move |(bias, columns, input)| Case {
                    mask,
                    bias,
                    columns,
                    input,
                })
        })
    }

    /// The starts and the pairs of a case.
    fn encode(case: &Case) -> (Vec<u16>, Vec<u32>) {
        let (mut starts, mut pairs) = (vec![0], Vec::new());
        for column in &case.columns {
            let pair =
                |p: &[u16]| u32::from(p[0]) | u32::from(p.get(1).copied().unwrap_or(0)) << 16;
            pairs.extend(column.chunks(2).map(pair));
            starts.push(pairs.len() as u16);
        }
        (starts, pairs)
    }

    /// What the definition says, as a dense matrix and in 64 bits.
    fn sums(case: &Case) -> Vec<i64> {
        let inputs = case.input.len();
        let mut dense = vec![0i64; case.bias.len() * inputs];
        for (input, column) in case.columns.iter().enumerate() {
            for &word in column {
                dense[usize::from(word & case.mask) * inputs + input] += i64::from(word as i16);
            }
        }
        let row = |(row, &bias): (&[i64], &i32)| {
            let products = row.iter().zip(&case.input);
            i64::from(bias) + products.map(|(w, &x)| w * i64::from(x)).sum::<i64>()
        };
        dense.chunks(inputs).zip(&case.bias).map(row).collect()
    }

    proptest! {
        #[test]
        fn computes_what_the_definition_says(case in case(), shift in 0..32u8) {
            let (starts, pairs) = encode(&case);
            let (bias, mask) = (case.bias.as_slice(), case.mask);
            let columns = Parts { bias, starts: &starts, pairs: &pairs, mask };
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
