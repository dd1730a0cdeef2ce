//! The kernel of the entropy-coded encoding: dense layers, decoded and multiplied row by row.
//!
//! Assumes a block that [`Rice::check`] has accepted for this layer, an input of the layer's inputs
//! and a scratch of at least [`Rice::selected`] bytes. On anything else it computes nonsense, but
//! neither panics nor, in safe Rust, reads outside its slices.
//!
//! This is the encoding for few bytes, not for few instructions. Whole inference of LeNet-300-100 with
//! 4-bit weights, engine included, built for size:
//!
//! | nonzeros (rows) | 24,405 (410) | 2,366 (293) | 799 (163) | 233 (78) |
//! |---|---|---|---|---|
//! | container, bytes | 21,703 | 2,883 | 1,096 | 404 |
//! | Cortex-M4 | 696,796 | 95,695 | 39,673 | 14,810 |
//! | Cortex-M0 | 1,410,759 | 186,837 | 74,336 | 27,383 |
//!
//! On Cortex-M the block is read in assembly, see [`super::unchecked`]; here is the loop in safe Rust,
//! which other processors run.

#[cfg(not(cortex_m))]
use rarefy_format::requantize;
use rarefy_format::rice::Rice;
#[cfg(not(cortex_m))]
use rarefy_format::rice::RiceRows;

use super::Output;
#[cfg(cortex_m)]
use super::unchecked;

/// Runs a dense layer. Where the block lists the inputs that it uses, these are gathered in `scratch`
/// first; otherwise that may be empty.
#[cfg(cortex_m)]
#[inline(always)]
pub(crate) fn run(
    rice: Rice<'_>,
    source: &[u8],
    output: Output<'_>,
    scratch: &mut [u32],
) -> Option<()> {
    let source = source.get(..usize::from(rice.inputs()))?;
    let scratch: &mut [u8] = bytemuck::must_cast_slice_mut(scratch);
    let scratch = scratch.get_mut(..rice.selected().map_or(0, usize::from))?;
    let outputs = usize::from(rice.outputs());
    let (to, shift) = match output {
        Output::Bytes { words, shift } => {
            let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(words);
            (
                bytes.get_mut(..outputs)?.as_mut_ptr(),
                u32::from(shift & 31),
            )
        }
        Output::Sums(sums) => (sums.get_mut(..outputs)?.as_mut_ptr().cast(), 32),
    };
    // SAFETY: a `Rice` exists only inside a model, so its block is checked; the slices are as long as it
    // says, and as many outputs as there are rows begin at `to`.
    #[allow(unsafe_code)]
    unsafe {
        unchecked::rice::run(&rice, source, scratch, to, shift);
    }
    Some(())
}

/// The same in safe Rust.
#[cfg(not(cortex_m))]
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
        Output::Bytes { words, shift } => {
            let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(words);
            for byte in bytes.get_mut(..outputs)? {
                *byte = requantize(sum(&mut rows, input), shift);
            }
        }
        Output::Sums(sums) => {
            for place in sums.get_mut(..outputs)? {
                *place = sum(&mut rows, input);
            }
        }
    }
    Some(())
}

/// Copies the inputs that the block lists to the front of `free`.
#[cfg(not(cortex_m))]
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

/// The sum of the next row. On its own, so that there is one of it, whatever becomes of the sum.
#[cfg(not(cortex_m))]
#[inline(never)]
fn sum(rows: &mut RiceRows<'_>, input: &[u8]) -> i32 {
    let mut acc = rows.start();
    rows.weights(|column, weight| {
        if let Some(&activation) = input.get(column) {
            acc = acc.wrapping_add(weight.wrapping_mul(i32::from(activation)));
        }
    });
    acc
}
