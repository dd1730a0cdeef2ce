//! Blocks of positions of a convolution on ARMv7-M without the DSP extension.
//!
//! Each tap takes a byte load and `mla` per position: 21 instructions for eight positions, or 2.6
//! per weight and position. The taps are not rearranged, and end with a word of 0, since no tap is
//! 0.
//!
//! Registers: r6 offset, then pointer, r7 weight, r10 taps, r11 base, r12 activation; sums in r0
//! to r5, r8, r9 (eight positions) or r0 to r3 (four). Stack, by offset: 0: the block.

use core::arch::naked_asm;

use super::finish;
use crate::kernels::geometry::Convolution;
use crate::kernels::native::call::{Block, Routines};
use crate::kernels::taps::Taps;

/// Returns the routines for a geometry of stride 1 or 2.
pub(crate) fn routines(geometry: &Convolution) -> Routines {
    let (eight, four) = match geometry.stride {
        1 => (every8 as _, every4 as _),
        _ => (second8 as _, second4 as _),
    };
    Routines { eight, four }
}

/// Terminates the taps with a word of 0 and returns the address of the first one. Returns `None` if
/// there is no room for that word.
pub(crate) fn arrange(taps: Taps<'_>) -> Option<*const u32> {
    let (words, single) = taps.into_parts()?;
    *words.get_mut(single.end)? = 0;
    Some(words.as_ptr().wrapping_add(single.start))
}

/// Defines a [`Routine`](crate::kernels::native::call::Routine) for `$positions` (`eight` or
/// `four`) positions, whose sums are in the registers `$sums`.
macro_rules! routine {
    ($(#[$doc:meta])* $name:ident, $positions:ident, $sums:literal, $stride:literal) => {
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// See [`Routine`](crate::kernels::native::call::Routine).
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            taps: *const u32,
            base: *const u8,
            start: *const i32,
            block: *mut Block,
        ) {
            naked_asm!(
                finish::$positions!(),
                finish::finish!(),
                concat!(
                    r"
.macro rfy_product sum, position
    ldrb r12, [r6, #\position * ", $stride, r"]
    mla \sum, r12, r7, \sum
.endm

    push {r3-r11, lr}
    mov r10, r0
    mov r11, r1
    ldmia r2, {", $sums, "}",
                ),
                r"
    b 2f
1:  add r6, r6, r11
    rfy_each_sum rfy_product
2:  ldrh r6, [r10], #2
    ldrsh r7, [r10], #2
    cmp r7, #0
    bne 1b
    ldr r10, [sp]
    rfy_finish r3

.purgem rfy_product
",
                finish::purge!(),
                options(raw),
            );
        }
    };
}

routine! {
    /// Computes eight positions at stride 1.
    every8, eight, "r0-r5, r8, r9", 1
}
routine! {
    /// Computes four positions at stride 1.
    every4, four, "r0-r3", 1
}
routine! {
    /// Computes eight positions at stride 2.
    second8, eight, "r0-r5, r8, r9", 2
}
routine! {
    /// Computes four positions at stride 2.
    second4, four, "r0-r3", 2
}
