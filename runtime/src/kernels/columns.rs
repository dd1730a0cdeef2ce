//! Columns: each input that is not zero is multiplied into the sums of the rows that read it.
//!
//! A hidden layer's sums are kept in its output's words and requantized in place.

use rarefy_format::{Columns, requantize};

use super::Output;

#[inline(never)]
pub(crate) fn run(columns: Columns<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    let (words, shift) = match output {
        Output::Bytes { words, shift } => (words, Some(shift)),
        Output::Sums(sums) => (bytemuck::must_cast_slice_mut(sums), None),
    };
    for (word, &bias) in words.iter_mut().zip(columns.bias()) {
        *word = u32::from_le_bytes(bias);
    }
    let sums: &mut [i32] = bytemuck::must_cast_slice_mut(words);
    columns.each(|column, row, weight| {
        let activation = source.get(usize::from(column)).copied().unwrap_or(0);
        if let Some(sum) = sums.get_mut(usize::from(row)) {
            *sum = sum.wrapping_add(i32::from(weight) * i32::from(activation));
        }
    });
    let Some(shift) = shift else { return Some(()) };
    let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(sums);
    for row in 0..bytes.len() / 4 {
        let sum = bytes.get(4 * row..)?.first_chunk().copied()?;
        *bytes.get_mut(row)? = requantize(i32::from_le_bytes(sum), shift);
    }
    Some(())
}
