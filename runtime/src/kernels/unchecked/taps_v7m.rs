//! Blocks of positions on cores of the v7-M architecture without the DSP extension (M3).
//!
//! For each tap, a byte load and `mla` for each position: 21 instructions for eight, so 2.6 for
//! each weight and position. The taps stay as they are, with a word of 0 behind them; no tap is 0.

use core::arch::naked_asm;

use super::finish::{finish4, finish8};
use super::{Block, Routines};
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

/// A [`Routine`](super::Routine) for the positions whose sums ($sum, together $sums) and distances
/// ($at) are given: r10 taps, r11 base, r6 pointer, r7 weight, r12 byte.
macro_rules! routine {
    ($(#[$doc:meta])* $name:ident, $finish:ident, $sums:literal; $($sum:literal $at:literal),*) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name(taps: *const u32, base: *const u8, start: *const i32, block: *mut Block) {
            naked_asm!(
                "push {{r3-r11, lr}}",
                "mov r10, r0",
                "mov r11, r1",
                concat!("ldm r2, {{", $sums, "}}"),
                "b 3f",
                "2: add r6, r11",
                concat!($(
                    "ldrb r12, [r6, #", $at, "]\n",
                    "mla ", $sum, ", r12, r7, ", $sum, "\n",
                )*),
                "3: ldrh r6, [r10], #2",
                "ldrsh r7, [r10], #2",
                "cmp r7, #0",
                "bne 2b",
                "ldr r10, [sp]",
                $finish!("pop {{r3-r11, pc}}"),
            );
        }
    };
}

routine! {
    /// Eight positions, stride 1.
    every8, finish8, "r0-r5, r8, r9";
    "r0" 0, "r1" 1, "r2" 2, "r3" 3, "r4" 4, "r5" 5, "r8" 6, "r9" 7
}
routine! {
    /// Four positions, stride 1.
    every4, finish4, "r0-r3"; "r0" 0, "r1" 1, "r2" 2, "r3" 3
}
routine! {
    /// Eight positions, stride 2.
    second8, finish8, "r0-r5, r8, r9";
    "r0" 0, "r1" 2, "r2" 4, "r3" 6, "r4" 8, "r5" 10, "r8" 12, "r9" 14
}
routine! {
    /// Four positions, stride 2.
    second4, finish4, "r0-r3"; "r0" 0, "r1" 2, "r2" 4, "r3" 6
}
