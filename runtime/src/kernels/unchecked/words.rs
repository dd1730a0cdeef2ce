//! Packed words in the core's own instructions, without checks.
//!
//! # What it gains
//!
//! Instructions of a whole inference, mean over ten digits: LeNet-300-100 pruned 100x (2,665 weights in 298
//! rows and 52 runs), 300x (888, 168, 30) and 1000x (268, 82, 19), the same words by the loop in safe
//! Rust and by this one.
//!
//! | | 100x safe | here | 300x safe | here | 1000x safe | here | code, bytes |
//! |---|---|---|---|---|---|---|---|
//! | Cortex-M4 | 36,702 | 11,445 | 15,565 | 4,470 | 6,660 | 1,791 | 1,144 |
//! | Cortex-M3 | 40,116 | 14,186 | 16,859 | 5,404 | 7,140 | 2,088 | 1,362 |
//! | Cortex-M0 | 58,673 | 23,292 | 23,677 | 9,008 | 9,737 | 3,687 | 1,204 |
//!
//! A weight costs 3, 4 and 6 instructions, a row some 6, 6 and 10 more, a run 4, 4 and 10: so a row
//! may well be given a word 0 to be as long as its neighbours.
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
/// 2. The masked value of each half word of a row, its padding included, is an index into `input`. (The
///    padding's is 0, and `Model::parse` refuses layers without inputs.)
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
