//! Blocks of positions on cores of the v6-M architecture (M0).
//!
//! For each tap, `ldrb`, `muls` and `add` for each position: 29 instructions for eight, so 3.6 for
//! each weight and position. Four of the sums are in high registers, which can be added to. The
//! taps stay as they are, with a word of 0 behind them; no tap is 0.

use core::arch::naked_asm;

use super::{Block, Finish, Routines};
use crate::kernels::convolution::{Convolution, Taps};

/// The routines for a geometry of stride 1 or 2.
pub(super) fn routines(geometry: &Convolution) -> Routines {
    match geometry.stride {
        1 => (every8, every4),
        _ => (second8, second4),
    }
}

/// Ends the taps.
pub(super) fn arrange(taps: Taps<'_>) -> Option<*const u32> {
    let (words, start, end) = taps.into_parts()?;
    *words.get_mut(end)? = 0;
    Some(words.as_ptr().wrapping_add(start))
}

/// Pools, shifts, clamps and stores the sums of a block of eight or four positions.
///
/// # Safety
///
/// As many bytes as come of them must be writable at the block's output.
#[inline(never)]
pub(super) unsafe fn finish(block: &mut Block, positions: usize) {
    let average = match block.finish {
        Finish::Store => {
            // SAFETY: as the caller says.
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
        // SAFETY: as the caller says.
        unsafe { store(block.joined.iter().take(positions / 2), block) };
        block.output = block.output.wrapping_add(block.output_row);
    }
    block.second ^= 1;
}

/// Stores sums side by side.
unsafe fn store<'a>(sums: impl Iterator<Item = &'a i32>, block: &Block) {
    let mut output = block.output;
    for sum in sums {
        // SAFETY: as the caller of `finish` says.
        unsafe {
            *output = sum.wrapping_shr(block.shift).clamp(0, 255) as u8;
            output = output.add(1);
        }
    }
}

/// Adds a tap's products to the sums: r3 pointer, r1 weight, r2 scratch.
macro_rules! products {
    ($($sum:literal $at:literal),*) => {
        concat!($(
            "ldrb r2, [r3, #", $at, "]\n",
            "muls r2, r1, r2\n",
            "add ", $sum, ", r2\n",
        )*)
    };
}

/// A routine for eight positions at the given distances.
macro_rules! eight {
    ($(#[$doc:meta])* $name:ident; $a:literal $b:literal $c:literal $d:literal
        $e:literal $f:literal $g:literal $h:literal) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name(taps: *const u32, base: *const u8, start: *const i32, block: *mut Block) {
            naked_asm!(
                "adds r3, #36",
                "push {{r3, r4-r7, lr}}",
                "mov r4, r8",
                "mov r5, r9",
                "mov r6, r10",
                "mov r7, r11",
                "push {{r4-r7}}",
                "mov r12, r1",
                "ldm r2!, {{r4-r7}}",
                "mov r8, r4",
                "mov r9, r5",
                "mov r10, r6",
                "mov r11, r7",
                "ldm r2!, {{r4-r7}}",
                "b 3f",
                "2: uxth r3, r3",
                "add r3, r12",
                products!("r8" $a, "r9" $b, "r10" $c, "r11" $d, "r4" $e, "r5" $f, "r6" $g, "r7" $h),
                "3: ldm r0!, {{r3}}",
                "asrs r1, r3, #16",
                "bne 2b",
                "ldr r2, [sp, #16]",
                "mov r0, r8",
                "mov r1, r9",
                "mov r3, r10",
                "stm r2!, {{r0, r1, r3}}",
                "mov r3, r11",
                "stm r2!, {{r3, r4, r5, r6, r7}}",
                "pop {{r4-r7}}",
                "mov r8, r4",
                "mov r9, r5",
                "mov r10, r6",
                "mov r11, r7",
                "pop {{r3, r4-r7, pc}}",
            );
        }
    };
}

/// A routine for four positions at the given distances.
macro_rules! four {
    ($(#[$doc:meta])* $name:ident; $a:literal $b:literal $c:literal $d:literal) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name(taps: *const u32, base: *const u8, start: *const i32, block: *mut Block) {
            naked_asm!(
                "adds r3, #36",
                "push {{r3, r4-r7, lr}}",
                "mov r12, r1",
                "ldm r2!, {{r4-r7}}",
                "b 3f",
                "2: uxth r3, r3",
                "add r3, r12",
                products!("r4" $a, "r5" $b, "r6" $c, "r7" $d),
                "3: ldm r0!, {{r3}}",
                "asrs r1, r3, #16",
                "bne 2b",
                "ldr r2, [sp]",
                "stm r2!, {{r4-r7}}",
                "pop {{r3, r4-r7, pc}}",
            );
        }
    };
}

eight! {
    /// Eight positions, stride 1.
    every8; 0 1 2 3 4 5 6 7
}
four! {
    /// Four positions, stride 1.
    every4; 0 1 2 3
}
eight! {
    /// Eight positions, stride 2.
    second8; 0 2 4 6 8 10 12 14
}
four! {
    /// Four positions, stride 2.
    second4; 0 2 4 6
}
