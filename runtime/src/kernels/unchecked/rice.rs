//! Rows of the entropy-coded encoding in the core's own instructions, without checks.
//!
//! # What it gains
//!
//! Instructions of a whole inference, LeNet-300-100 at 100x (2,366 weights of 4 bits in 293 rows), by
//! the loop in safe Rust and by this one, and what a weight, a row and a run of rows of it cost:
//!
//! | | safe | here | a weight | a row | a run | code, bytes |
//! |---|---|---|---|---|---|---|
//! | Cortex-M4, M3 | 251,256 | 95,695 | 25 | 68 | 37 | 768 |
//! | Cortex-M0 | 392,156 | 186,837 | 52 | 113 | 64 | 706 |
//!
//! # Why it is sound
//!
//! The assembly reads a block as the format lays it down: the list of inputs, if there is one, and the
//! rows. `Rice::check` has decoded the same bits of the same block when the model was parsed, and
//! refused it unless every code has at most 25 bits (so all of it is in the four bytes that are loaded,
//! and these are inside the block, which has a head of four bytes in front of its bits), the list stays
//! inside the layer's inputs and has as many as it says, every column is below these or below the
//! layer's inputs, and every weight is one of the codebook's. So the list copies `selected` bytes from
//! places inside `inputs`; a row reads its bits, an entry of the codebook a weight and an activation a
//! weight, and stores one output; there are no more rows than outputs, whatever runs of rows announce.

use rarefy_format::rice::Rice;

#[cfg(cortex_m = "v6m")]
use super::rice_v6::rows;
#[cfg(any(cortex_m = "v7m", cortex_m = "v7em"))]
use super::rice_v7::rows;

/// What the assembly is given; it changes `read`, `output`, `left` and what is behind them.
#[repr(C)]
pub(super) struct Call<'a> {
    /// 0: the last four bytes of the block.
    end: *const u8,
    /// 4: the bits behind those left, 0 at the block's end.
    read: u32,
    /// 8: null if weights are uniform.
    codebook: *const u8,
    /// 12: the block's first four bytes as one number. Whether rows are sorted: bit 31; whether there is
    /// a list: 30; whether a bit says of each gap if there is one: 29; `length_k`: 16 to 19; `count_k`:
    /// 13 to 15; `bias_k`: 8 to 12; `bias_shift`: 4 to 7; `weight_k`: 0 to 3.
    head: u32,
    /// 16, 20: see [`rarefy_format::rice::RiceStream`].
    first_reach: u32,
    gap_reach: u32,
    /// 24: behind the list, the inputs that it has gathered.
    input: *const u8,
    /// 28: by how much a sum is shifted; 32 if it is stored as it is.
    shift: u32,
    /// 32
    output: *mut u8,
    /// 36: the rows that are left, 1 at least.
    left: u32,
    /// 40: those of the run that is begun.
    run: u32,
    /// 44: the weights of each of them.
    length: u32,
    /// 48: the input of the first column of the row before; until the first run, where inputs are
    /// gathered.
    first: *const u8,
    /// 52: the parameter of the step from `first`; until the first run, the bytes of `input`.
    first_k: u32,
    of: core::marker::PhantomData<&'a mut [u8]>,
}

/// Computes all rows into `output`: a byte each for a `shift` of at most 31, for 32 a sum each.
///
/// # Safety
///
/// 1. `Rice::check` has accepted the block of `rice`.
/// 2. `input` has the layer's inputs, and `scratch` as many bytes as the block lists.
/// 3. From `output` on there are as many bytes, or sums, as the layer has outputs.
#[inline(always)]
pub(crate) unsafe fn run(
    rice: &Rice<'_>,
    input: &[u8],
    scratch: &mut [u8],
    output: *mut u8,
    shift: u32,
) {
    if rice.outputs() == 0 {
        return;
    }
    let stream = rice.stream();
    let mut call = Call {
        // Not past the front: the block has a head.
        end: stream.block.as_ptr_range().end.wrapping_sub(4),
        read: 0,
        codebook: if stream.codebook.is_empty() {
            core::ptr::null()
        } else {
            stream.codebook.as_ptr()
        },
        head: stream.head,
        first_reach: stream.first_reach,
        gap_reach: stream.gap_reach,
        input: input.as_ptr(),
        shift,
        output,
        left: u32::from(rice.outputs()),
        run: 0,
        // Sorted lengths grow by at least one: the first may be 0.
        length: if stream.head >> 31 != 0 { u32::MAX } else { 0 },
        first: scratch.as_mut_ptr(),
        first_k: u32::from(rice.inputs()),
        of: core::marker::PhantomData,
    };
    // SAFETY: the caller vouches for what `rows` asks.
    unsafe {
        rows(&mut call);
    }
}
