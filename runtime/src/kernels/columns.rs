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

/// The words of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<'m> {
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
pub(crate) fn hidden(columns: Columns<'_>, input: &[u8], shift: u8, output: &mut [i32]) {
    last(columns, input, output);
    // Byte `row` lies in word `row / 4`, whose own sum has been read by then.
    for row in 0..output.len() {
        let Some(&sum) = output.get(row) else { return };
        let byte = (sum >> (shift & 31)).clamp(0, 255) as u8;
        let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(output);
        if let Some(place) = bytes.get_mut(row) {
            *place = byte;
        }
    }
}

/// Computes a last layer: the sums themselves.
pub(crate) fn last(columns: Columns<'_>, input: &[u8], output: &mut [i32]) {
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
