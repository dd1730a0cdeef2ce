//! The arena split between a layer's output, scratch and source, without checks.
//!
//! # What it gains
//!
//! Three checked splits and the sums between them cost a layer of a dense chain some 25 instructions on a
//! Cortex-M4, and its output's length a register that is then missing around: of the 1,9xx instructions of
//! LeNet-300-100 at 1000x it saves nn.
//!
//! # Why it is sound
//!
//! Output and source lie at the two ends, so they and what is between them are apart as long as both
//! together are no longer than the arena, which is the caller's to show.

use core::slice;

/// As the walk over dense layers splits the arena: what is written, what lies between, what is read.
/// `(at_front, write, read)` is whether the output lies at the front, its words and those of the source.
///
/// # Safety
///
/// `write + read` is at most the length of `arena`.
#[inline(always)]
pub(crate) unsafe fn split(
    arena: &mut [u32],
    (at_front, write, read): (bool, usize, usize),
) -> (&mut [u32], &mut [u32], &[u32]) {
    let (start, len) = (arena.as_mut_ptr(), arena.len());
    // SAFETY: three ranges of the arena, one behind the other: the front's words, the end's, and
    // those between, which are as many as are left of `len`. So none leaves it or meets another.
    unsafe {
        let between = len.unchecked_sub(write).unchecked_sub(read);
        let end = start.add(len);
        let (write_at, between_at, read_at) = if at_front {
            (start, start.add(write), end.sub(read))
        } else {
            (end.sub(write), start.add(read), start)
        };
        (
            slice::from_raw_parts_mut(write_at, write),
            slice::from_raw_parts_mut(between_at, between),
            slice::from_raw_parts(read_at, read),
        )
    }
}
