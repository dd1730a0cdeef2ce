//! Packed words in the core's own instructions, without checks.
//!
//! # What it gains
//!
//! Instructions of a whole inference without the engine, mean over ten digits: LeNet-300-100 pruned
//! 100x (2,459 weights in 288 rows and 45 runs), 300x (847, 161, 29) and 1000x (257, 76, 23), the
//! same words by the loop in safe Rust (opt-level "s") and by this one.
//!
//! | | 100x safe | here | 300x safe | here | 1000x safe | here | code, bytes |
//! |---|---|---|---|---|---|---|---|
//! | Cortex-M4 | 29,797 | 10,616 | 12,360 | 4,190 | 4,920 | 1,598 | 990 |
//! | Cortex-M3 | 32,960 | 13,218 | 13,596 | 5,114 | 5,353 | 1,903 | 1,200 |
//! | Cortex-M0 | 52,259 | 21,322 | 21,535 | 8,419 | 8,375 | 3,241 | 1,246 |
//!
//! A weight costs 3, 4 and 6 instructions, a row some 6, 6 and 10 more, a run 8, 10 and 18: so a row
//! may well be given a word 0 to be as long as its neighbours, above all from 9 weights on, where the
//! padding of odd rows is multiplied anyway.
//!
//! # Why it is sound
//!
//! The assembly reads what the heads of the runs say is there, and nothing else: `rows` times a word and
//! `length.div_ceil(2)` words of the stream, then one activation for each half word, up to the number 34 in
//! place of a head. It stores one output a row. So it stays inside its slices when the functions'
//! conditions hold, and these are what `Model::parse` has checked of a layer's words.

#[cfg(cortex_m = "v6m")]
use super::words_v6::run;
#[cfg(any(cortex_m = "v7m", cortex_m = "v7em"))]
use super::words_v7::run;
use crate::kernels::words;

/// What says, beside the shift, that a layer is the last.
const LAST: u32 = 1 << 31;

/// [`words::hidden`], faster.
///
/// # Safety
///
/// 1. The block is a mask and runs, as [`words::Parts`] says, and the number 34 behind the last; a run's
///    head has the form of its length and of its number of rows, which is at most 32,768; all runs
///    together have as many rows as `output` has elements.
/// 2. The masked value of each half word of a row, its padding included, is an index into `input`
///    (the padding's is 0: so a layer without inputs has only empty rows).
/// 3. `shift` is below 32.
#[inline(always)]
pub(crate) unsafe fn hidden(words: words::Parts<'_>, input: &[u8], shift: u8, output: &mut [u8]) {
    // SAFETY: the caller vouches for what `run` asks.
    unsafe {
        let (block, output) = (words.block.as_ptr(), output.as_mut_ptr());
        run(block, input.as_ptr(), output, shift.into());
    }
}

/// [`words::last`], faster.
///
/// # Safety
///
/// As for [`hidden`].
#[inline(always)]
pub(crate) unsafe fn last(words: words::Parts<'_>, input: &[u8], output: &mut [i32]) {
    // SAFETY: the caller vouches for what `run` asks. The byte a row's body stores lies in the
    // row's own logit, which it then overwrites.
    unsafe {
        let (block, output) = (words.block.as_ptr(), output.as_mut_ptr().cast());
        run(block, input.as_ptr(), output, LAST);
    }
}
