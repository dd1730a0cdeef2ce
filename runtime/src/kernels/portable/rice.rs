//! The entropy-coded encoding: rows are decoded and multiplied one after the other.
//!
//! The kernel relies on a block that [`Rice::check`] has accepted for the layer, and on a scratch
//! area of at least [`Rice::selected`] bytes. With anything else the result is unspecified, but
//! nothing panics.
//!
//! This encoding saves bytes, not instructions. A whole inference of LeNet-300-100 with 4-bit
//! weights on a Cortex-M takes the following, with the engine included and built for size:
//!
//! | nonzeros (rows) | 24,405 (410) | 2,366 (293) | 799 (163) | 233 (78) |
//! |---|---|---|---|---|
//! | container, bytes | 21,703 | 2,883 | 1,096 | 404 |
//! | Cortex-M4, instructions | 696,796 | 95,695 | 39,673 | 14,810 |
//! | Cortex-M0, instructions | 1,410,759 | 186,837 | 74,336 | 27,383 |

use rarefy_format::requantize;
use rarefy_format::rice::{Rice, RiceRows};

use crate::kernels::output::Output;

/// Runs a dense layer. If the block lists the inputs that it uses, these are first gathered in
/// `scratch`, which may be empty otherwise. Returns `None` if a slice is too short.
pub(crate) fn run(
    rice: Rice<'_>,
    source: &[u8],
    output: Output<'_>,
    scratch: &mut [u32],
) -> Option<()> {
    let scratch: &mut [u8] = bytemuck::must_cast_slice_mut(scratch);
    let input = match rice.selected() {
        None => source.get(..usize::from(rice.inputs()))?,
        Some(selected) => {
            gather(&rice, source, scratch)?;
            scratch.get(..usize::from(selected))?
        }
    };
    let mut rows = rice.rows();
    let outputs = usize::from(rice.outputs());
    match output {
        Output::Activations { words, shift } => {
            let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(words);
            for byte in bytes.get_mut(..outputs)? {
                *byte = requantize(sum(&mut rows, input), shift);
            }
        }
        Output::Logits(logits) => {
            for logit in logits.get_mut(..outputs)? {
                *logit = sum(&mut rows, input);
            }
        }
    }
    Some(())
}

/// Copies the inputs that the block lists to the front of `free`.
fn gather(rice: &Rice<'_>, input: &[u8], mut free: &mut [u8]) -> Option<()> {
    let mut selection = rice.selection();
    while let Some((start, length)) = selection.next_run() {
        let from = input.get(start..)?.get(..length)?;
        let (run, rest) = core::mem::take(&mut free).split_at_mut_checked(length)?;
        for (to, &from) in run.iter_mut().zip(from) {
            *to = from;
        }
        free = rest;
    }
    Some(())
}

/// Returns the sum of the next row. Kept out of line so that it is not duplicated per output type.
#[inline(never)]
fn sum(rows: &mut RiceRows<'_>, input: &[u8]) -> i32 {
    let mut sum = rows.start();
    rows.weights(|column, weight| {
        if let Some(&activation) = input.get(column) {
            sum = sum.wrapping_add(weight.wrapping_mul(i32::from(activation)));
        }
    });
    sum
}
