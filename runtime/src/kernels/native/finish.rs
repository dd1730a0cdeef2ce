//! Pools and stores blocks of positions, in Rust: for ARMv6-M, where eight sums do not fit the low
//! registers, for RISC-V, and for tests on the host.

use super::call::{Block, Finish};

/// Pools, shifts, clamps and stores the sums of a block of eight or four positions, and prepares
/// the block for the row below.
///
/// # Safety
///
/// Every byte that is stored according to `block` must be writable.
#[inline(never)]
pub(super) unsafe fn finish(block: &mut Block, positions: usize) {
    let average = match block.finish {
        Finish::Store => {
            // SAFETY: the caller guarantees that the output is writable.
            unsafe { store(block.sums.iter().take(positions), block) };
            block.output = block.output.wrapping_add(block.output_row);
            return;
        }
        Finish::Max => false,
        Finish::Average => true,
    };
    let pairs = block.sums.as_chunks().0.iter();
    for (joined, &[left, right]) in block.joined.iter_mut().zip(pairs) {
        let (pair, both) = if average {
            let pair = left.max(0).wrapping_add(right.max(0));
            (pair, joined.wrapping_add(pair))
        } else {
            let pair = left.max(right);
            (pair, pair.max(*joined))
        };
        *joined = if block.second == 0 { pair } else { both };
    }
    if block.second != 0 {
        // SAFETY: the caller guarantees that the output is writable.
        unsafe { store(block.joined.iter().take(positions / 2), block) };
        block.output = block.output.wrapping_add(block.output_row);
    }
    block.second ^= 1;
}

/// Requantizes sums and stores them side by side.
///
/// # Safety
///
/// A byte per sum must be writable at the block's output.
unsafe fn store<'a>(sums: impl Iterator<Item = &'a i32>, block: &Block) {
    let mut output = block.output;
    for sum in sums {
        // SAFETY: the caller guarantees it.
        unsafe {
            *output = sum.wrapping_shr(block.shift).clamp(0, 255) as u8;
            output = output.add(1);
        }
    }
}
