//! The kernel of the entropy-coded encoding: dense layers, decoded and multiplied row by row.
//!
//! Assumes a block that [`Rice::check`] has accepted for this layer, an input of the layer's inputs
//! and a scratch of at least [`Rice::selected`] bytes. On anything else it computes nonsense, but
//! neither panics nor, in safe Rust, reads outside its slices.
//!
//! This is the encoding for few bytes, not for few instructions. Whole inference of LeNet-300-100 with
//! 4-bit weights, engine included, built for size:
//!
//! | nonzeros (rows) | 26,620 (410) | 2,662 (293) | 888 (163) | 267 (78) |
//! |---|---|---|---|---|
//! | container, bytes | 23,272 | 2,909 | 1,090 | 398 |
//! | Cortex-M4 | 925,793 | 119,940 | 51,383 | 20,160 |
//! | Cortex-M0 | 1,539,704 | 202,468 | 85,311 | 31,574 |
//!
//! On Cortex-M the rows are read in assembly, see [`super::unchecked`]; here is the loop in safe Rust,
//! which other processors run.

#[cfg(any(test, not(cortex_m)))]
use rarefy_format::requantize;
use rarefy_format::rice::{Rice, RiceRows};

use super::Output;
#[cfg(cortex_m)]
use super::unchecked;

/// Runs a dense layer. Where the block lists the inputs that it uses, these are gathered in `scratch`
/// first; otherwise that may be empty.
#[inline(never)]
pub(crate) fn run(
    rice: Rice<'_>,
    source: &[u8],
    output: Output<'_>,
    scratch: &mut [u32],
) -> Option<()> {
    let (mut rows, input) = open(rice, source, bytemuck::must_cast_slice_mut(scratch));
    let input = input.get(..rows.columns())?;
    let outputs = usize::from(rice.outputs());
    match output {
        Output::Bytes { words, shift } => {
            let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(words);
            let bytes = bytes.get_mut(..outputs)?;
            #[cfg(not(cortex_m))]
            hidden(&mut rows, input, shift, bytes);
            #[cfg(cortex_m)]
            in_runs(&mut rows, input, outputs, bytes.as_mut_ptr(), Some(shift));
        }
        Output::Sums(sums) => {
            let sums = sums.get_mut(..outputs)?;
            #[cfg(not(cortex_m))]
            last(&mut rows, input, sums);
            #[cfg(cortex_m)]
            in_runs(&mut rows, input, outputs, sums.as_mut_ptr().cast(), None);
        }
    }
    Some(())
}

/// The rows, and the input that their columns mean.
#[inline(never)]
fn open<'a, 'b>(
    rice: Rice<'a>,
    input: &'b [u8],
    scratch: &'b mut [u8],
) -> (RiceRows<'a>, &'b [u8]) {
    let mut selection = rice.selection();
    if rice.selected().is_none() {
        return (selection.rows(), input);
    }
    let mut free = scratch.iter_mut();
    while let Some((start, length)) = selection.next_run() {
        let run = input.get(start..).unwrap_or_default().iter().take(length);
        // The run's inputs first: the other way round, a place would be lost behind each run.
        for (&from, to) in run.zip(&mut free) {
            *to = from;
        }
    }
    (selection.rows(), scratch)
}

/// Computes all rows, those of one length at a time, into the `outputs` bytes (where there is a shift)
/// or sums at `to`.
#[cfg(cortex_m)]
fn in_runs(
    rows: &mut RiceRows<'_>,
    input: &[u8],
    outputs: usize,
    mut to: *mut u8,
    shift: Option<u8>,
) {
    let mut left = outputs as u32;
    while left > 0 {
        let mut run = rows.next_run();
        run.rows = run.rows.min(left);
        left -= run.rows;
        // SAFETY: a `Rice` exists only inside a model, so its block is checked; `input` has as many
        // bytes as there are columns; the runs have no more rows than there are outputs left.
        #[allow(unsafe_code)]
        let bits = unsafe { unchecked::rice::run(&run, input, to, shift) };
        rows.end_run(bits);
        let size = if shift.is_some() { 1 } else { 4 };
        to = to.wrapping_add(run.rows as usize * size);
    }
}

/// A hidden layer in safe Rust.
#[cfg(any(test, not(cortex_m)))]
fn hidden(rows: &mut RiceRows<'_>, input: &[u8], shift: u8, output: &mut [u8]) {
    for byte in output {
        *byte = requantize(sum(rows, input), shift);
    }
}

/// A last layer in safe Rust.
#[cfg(any(test, not(cortex_m)))]
fn last(rows: &mut RiceRows<'_>, input: &[u8], output: &mut [i32]) {
    for place in output {
        *place = sum(rows, input);
    }
}

/// The sum of the next row. On its own, so that there is one of it, whatever becomes of the sum.
#[cfg(any(test, not(cortex_m)))]
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
