//! Rows of the entropy-coded encoding in the core's own instructions, without checks.
//!
//! # What it gains
//!
//! Instructions of a whole inference, LeNet-300-100 at 100x (2,662 weights of 4 bits in 293 rows), by
//! the loop in safe Rust (opt-level "s") and by this one, and what a weight and a row of it cost:
//!
//! | | safe | here | a weight | a row | code, bytes |
//! |---|---|---|---|---|---|
//! | Cortex-M4, M3 | 232,260 | 119,940 | 30.6 | 58 | 414 |
//! | Cortex-M0 | 390,527 | 202,468 | 55.5 | 86 | 538 |
//!
//! # Why it is sound
//!
//! The assembly takes what [`rarefy_format::rice::RiceRun`] says of a run: `rows` rows of `length`
//! weights. `Rice::check` has decoded the same bits of the same block when the model was parsed, and
//! refused it unless every code has at most 25 bits (so all of it is in the four bytes that are loaded,
//! and these are inside the block, which has a head of four bytes in front of its bits), every
//! column is below the layer's inputs or as many of them as are selected, and every weight is one of the
//! codebook's. So a row reads its bits, an entry of the codebook a weight and an activation a weight,
//! and stores one output.

use rarefy_format::rice::RiceRun;

#[cfg(cortex_m = "v6m")]
use super::rice_v6::rows;
#[cfg(any(cortex_m = "v7m", cortex_m = "v7em"))]
use super::rice_v7::rows;

/// What the assembly is given; it changes `read`, `left`, `first` and `output`.
#[repr(C)]
pub(super) struct Call<'a> {
    /// The last four bytes of the block.
    end: *const u8,
    /// The bits behind those left, 0 at the block's end.
    read: u32,
    length: u32,
    weight_k: u32,
    gap_k: u32,
    /// Null if weights are uniform.
    codebook: *const u8,
    left: u32,
    bias_k: u32,
    bias_shift: u32,
    first_k: u32,
    /// The input of the first column of the row before.
    first: *const u8,
    output: *mut u8,
    /// 1 if a bit says of each gap whether there is one.
    adjacent: u32,
    /// By how much a sum is shifted; 32 if it is stored as it is.
    shift: u32,
    of: core::marker::PhantomData<&'a mut [u8]>,
}

/// Computes the rows of a run into `output`: a byte each where there is a shift, else a sum each.
/// Gives the bits it has read.
///
/// # Safety
///
/// 1. The block of `run` is one that `Rice::check` has accepted, and its rows before `run` are read.
/// 2. `input` has as many bytes as the block's rows have columns.
/// 3. From `output` on there are as many bytes, or sums, as `run` has rows.
#[inline]
pub(crate) unsafe fn run(
    run: &RiceRun<'_>,
    input: &[u8],
    output: *mut u8,
    shift: Option<u8>,
) -> u32 {
    let mut call = Call {
        // Not past the front: the block has a head.
        end: run.block.as_ptr_range().end.wrapping_sub(4),
        read: run.read,
        length: run.length,
        weight_k: run.weight_k,
        gap_k: run.gap_k,
        codebook: if run.codebook.is_empty() {
            core::ptr::null()
        } else {
            run.codebook.as_ptr()
        },
        left: run.rows,
        bias_k: run.bias_k,
        bias_shift: run.bias_shift,
        first_k: run.first_k,
        first: input.as_ptr(),
        output,
        adjacent: u32::from(run.adjacent),
        shift: shift.map_or(32, |shift| u32::from(shift & 31)),
        of: core::marker::PhantomData,
    };
    // SAFETY: the caller vouches for what `rows` asks.
    unsafe {
        rows(&mut call);
    }
    call.read.wrapping_sub(run.read)
}
