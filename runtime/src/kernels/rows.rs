//! A dense layer of any encoding with rows, in safe Rust: the reference that the other kernels are
//! compared with, and the kernel of the encodings that have no other.

use rarefy_format::{Rows, requantize};

use super::Output;

/// For each row the bias and the products of its weights with the inputs they read.
#[inline(always)]
#[cfg_attr(not(any(test, feature = "rice")), allow(dead_code))]
pub(crate) fn run(mut rows: impl Rows, source: &[u8], output: Output<'_>) -> Option<()> {
    let mut sum = || {
        let mut acc = 0_i32;
        let bias = rows.next_row(|column, weight| {
            let activation = source.get(usize::from(column)).copied().unwrap_or(0);
            acc = acc.wrapping_add(i32::from(weight) * i32::from(activation));
        })?;
        Some(acc.wrapping_add(bias))
    };
    match output {
        Output::Bytes { words, shift } => {
            let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(words);
            for byte in bytes {
                match sum() {
                    Some(sum) => *byte = requantize(sum, shift),
                    None => break,
                }
            }
        }
        Output::Sums(sums) => {
            for place in sums {
                match sum() {
                    Some(sum) => *place = sum,
                    None => break,
                }
            }
        }
    }
    Some(())
}
