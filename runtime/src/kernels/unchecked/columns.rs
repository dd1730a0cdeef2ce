//! Columns in the core's own instructions, without checks.
//!
//! # What it gains
//!
//! Instructions of a whole inference, mean over 100 digits: LeNet-300-100 pruned 10x (25,676 weights in
//! columns; a digit visits 168 pairs of inputs, and there 3,273 words of rows that read both inputs and 5,646 of
//! rows that read one), as packed words ([`super::words`]), as columns by the loop in safe Rust (opt-level "s"),
//! and by this one.
//!
//! | | words | columns, safe | here | code, bytes |
//! |---|---|---|---|---|
//! | Cortex-M4 | 96,245 | 131,205 | 48,707 | 1,316 |
//! | Cortex-M3 | 123,373 | 161,801 | 65,643 | 1,650 |
//! | Cortex-M0 | 186,439 | 261,756 | 103,031 | 798 |
//!
//! On the Cortex-M4 either kind of word costs 4 instructions and what loads it (M3 7 and 5, M0 12 and 7), a pair about 18,
//! the section of an input 8, a row 4 and an input 1 to 4. There rounds of 16 `u32` instead of 8 gain 0.8 % where
//! rows read one input, for 320 bytes of code.
//!
//! # Why it is sound
//!
//! The assembly reads each activation once, as pairs of which the last may be one alone. For a pair in which one
//! is not 0 it reads its start, the header there, and what that counts: behind the header as many `u32` as `both`,
//! of which one word each names a sum, then those of `first`, half as many as words, rounded up, unless that
//! activation is 0, when it passes over them, and in the same way those of `second`, unless that activation is
//! 0. In a section of an odd number of words it does not use the first half of the first `u32`. For each word used it loads and stores one
//! sum. At last it makes bytes of as many sums as there are rows. So it stays inside its slices when the functions' conditions hold, and
//! these are what `Model::parse` has checked of a layer's columns: blocks lie where the starts say and
//! inside the whole, an absent activation (taken as 0) has no section, and a block that is left out is
//! the empty one.

#[cfg(cortex_m = "v6m")]
use super::columns_v6::run;
#[cfg(any(cortex_m = "v7m", cortex_m = "v7em"))]
use super::columns_v7::run;
use crate::kernels::columns;

/// What the assembly is given, in the order in which it needs it.
#[repr(C)]
pub(super) struct Call<'a> {
    output: *mut i32,
    bias: *const i32,
    rows: usize,
    mask: u32,
    blocks: *const u32,
    starts: *const u16,
    input: *const u8,
    end: *const u8,
    shift: u32,
    of: core::marker::PhantomData<&'a mut [i32]>,
}

/// [`columns::hidden`], faster.
///
/// # Safety
///
/// 1. `columns.bias` and `output` have equally many elements.
/// 2. `columns.starts` has an element for every two of `input`, and for a last one alone. Each is an index
///    into `columns.blocks`, of a header whose three sections (as [`columns::Parts`] has them) lie inside too.
/// 3. The masked value of each word of a section, of both words of a row alike, is an index into `output`.
/// 4. `shift` is below 32.
#[inline]
pub(crate) unsafe fn hidden(
    columns: columns::Parts<'_>,
    input: &[u8],
    shift: u8,
    output: &mut [i32],
) {
    // SAFETY: the caller vouches for what `run` asks.
    unsafe {
        run(&call(columns, input, shift, output), 0);
    }
}

/// [`columns::last`], faster.
///
/// # Safety
///
/// As for [`hidden`].
#[inline]
pub(crate) unsafe fn last(columns: columns::Parts<'_>, input: &[u8], output: &mut [i32]) {
    // SAFETY: the caller vouches for what `run` asks.
    unsafe {
        run(&call(columns, input, 0, output), 1);
    }
}

#[inline(always)]
fn call<'a>(
    columns: columns::Parts<'a>,
    input: &'a [u8],
    shift: u8,
    output: &'a mut [i32],
) -> Call<'a> {
    let input = input.as_ptr_range();
    Call {
        output: output.as_mut_ptr(),
        bias: columns.bias.as_ptr(),
        rows: output.len(),
        // Rows are counted in sums of four bytes.
        mask: u32::from(columns.mask) << 2,
        blocks: columns.blocks.as_ptr(),
        starts: columns.starts.as_ptr(),
        input: input.start,
        end: input.end,
        shift: u32::from(shift),
        of: core::marker::PhantomData,
    }
}
