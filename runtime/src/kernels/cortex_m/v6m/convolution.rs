//! Blocks of positions of a convolution on ARMv6-M.
//!
//! Each tap takes `ldrb`, `muls` and `add` per position: 29 instructions for eight positions, or
//! 3.6 per weight and position. Four of the eight sums are in high registers, which `add` can
//! access. The taps are not rearranged, and end with a word of 0, since no tap is 0.
//!
//! Registers: r0 taps, r1 weight, r2 activation, r3 tap, then pointer, r12 base; sums in r8 to r11
//! and r4 to r7 (eight positions) or in r4 to r7 (four). Stack: the address of the block's sums, at
//! offset 16 (eight positions) or 0 (four).

use core::arch::naked_asm;

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

/// Defines the macro `rfy_product`, which adds the product at a position. The activations of
/// neighbouring positions are `stride` bytes apart.
macro_rules! product {
    ($stride:literal) => {
        concat!(
            r"
.macro rfy_product sum, position
    ldrb r2, [r3, #\position * ",
            $stride,
            r"]
    muls r2, r1, r2
    add \sum, \sum, r2
.endm
"
        )
    };
}

/// Defines a [`Routine`](crate::kernels::native::call::Routine) for eight positions.
macro_rules! eight {
    ($(#[$doc:meta])* $name:ident, $stride:literal) => {
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
                product!($stride),
                r"
    adds r3, r3, #36
    push {r3-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    mov r12, r1
    ldmia r2!, {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    ldmia r2!, {r4-r7}
    b 2f
1:  uxth r3, r3
    add r3, r3, r12
    rfy_product r8, 0
    rfy_product r9, 1
    rfy_product r10, 2
    rfy_product r11, 3
    rfy_product r4, 4
    rfy_product r5, 5
    rfy_product r6, 6
    rfy_product r7, 7
2:  ldmia r0!, {r3}
    asrs r1, r3, #16
    bne 1b
    ldr r2, [sp, #16]
    mov r0, r8
    mov r1, r9
    mov r3, r10
    stmia r2!, {r0, r1, r3}
    mov r3, r11
    stmia r2!, {r3-r7}
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r3-r7, pc}

.purgem rfy_product
",
                options(raw),
            );
        }
    };
}

/// Defines a [`Routine`](crate::kernels::native::call::Routine) for four positions.
macro_rules! four {
    ($(#[$doc:meta])* $name:ident, $stride:literal) => {
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
                product!($stride),
                r"
    adds r3, r3, #36
    push {r3-r7, lr}
    mov r12, r1
    ldmia r2!, {r4-r7}
    b 2f
1:  uxth r3, r3
    add r3, r3, r12
    rfy_product r4, 0
    rfy_product r5, 1
    rfy_product r6, 2
    rfy_product r7, 3
2:  ldmia r0!, {r3}
    asrs r1, r3, #16
    bne 1b
    ldr r2, [sp]
    stmia r2!, {r4-r7}
    pop {r3-r7, pc}

.purgem rfy_product
",
                options(raw),
            );
        }
    };
}

eight! {
    /// Computes eight positions at stride 1.
    every8, 1
}
four! {
    /// Computes four positions at stride 1.
    every4, 1
}
eight! {
    /// Computes eight positions at stride 2.
    second8, 2
}
four! {
    /// Computes four positions at stride 2.
    second4, 2
}
