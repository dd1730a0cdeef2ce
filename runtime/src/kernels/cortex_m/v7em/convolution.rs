//! Blocks of positions of a convolution with the DSP extension.
//!
//! A word load takes four neighbouring bytes, `uxtb16` spreads two of them to 16 bits each, and
//! `smlad` multiplies and adds two products at once. Its two products must belong to one position,
//! so taps are grouped:
//!
//! - a *quad* is four taps at the successive offsets o to o + 3, in one row of the window, of which
//!   one may have a weight of 0. With `D(i) = (x[i], x[i + 2])`, which one `uxtb16` yields,
//!   position i adds `D(i) * (w0, w2) + D(i + 1) * (w1, w3)`. This takes 34 instructions for eight
//!   positions, or 1.1 per weight and position; with fewer than three taps it would not pay off. If
//!   the source has many zeros, [`zeros8`] tests the bytes first (6 more instructions) and skips
//!   quads that would add nothing.
//! - a *pair* is any two taps: `pkhbt` and `pkhtb` combine the bytes of both in one word first.
//!   This takes 31 instructions for eight positions, or 1.9 per weight and position. A tap that is
//!   left over is paired with a weight of 0.
//!
//! A quad has three words (see [`super::quads`]); a word of 0 and the address of the pairs follow
//! the last quad. A pair has two words (offsets, weights); two words of 0 follow the last pair. The
//! first weight of each group is not 0, so the zeros end the loops without a counter.

use core::arch::naked_asm;

use crate::kernels::cortex_m::v7m::finish;
use crate::kernels::geometry::Convolution;
use crate::kernels::native::call::{Block, Routines};
use crate::kernels::taps::Taps;

/// Returns the routines for a geometry of stride 1 or 2.
pub(crate) fn routines(geometry: &Convolution) -> Routines {
    let (eight, four) = match geometry.stride {
        1 if geometry.zeros => (zeros8 as _, words4 as _),
        1 => (words8 as _, words4 as _),
        _ => (bytes8 as _, bytes4 as _),
    };
    Routines { eight, four }
}

/// Terminates the quads and combines the other taps into pairs. Returns the address of the first
/// word.
pub(crate) fn arrange(taps: Taps<'_>) -> Option<*const u32> {
    let (words, single) = taps.into_parts()?;
    let words = words.as_mut_ptr();
    // SAFETY: three words lie between the quads and the other taps, and three follow these: one
    // completes the last pair if the taps are odd in number, and two end the pairs.
    unsafe {
        let (mut pair, end) = (words.add(single.start), words.add(single.end));
        *pair.sub(3) = 0;
        *pair.sub(2) = pair as u32;
        *end = 0;
        while pair < end {
            let (tap0, tap1) = (*pair, *pair.add(1));
            *pair = tap0 & 0xffff | tap1 << 16;
            *pair.add(1) = tap0 >> 16 | tap1 & 0xffff_0000;
            pair = pair.add(2);
        }
        *pair = 0;
        *pair.add(1) = 0;
    }
    Some(words)
}

/// Defines `rfy_quad`, which adds the products of a quad to eight sums, and `rfy_quad_words`, which
/// adds a part of them: the products of the activations at `at` for the sums `first` and `second`,
/// and of some of these activations for the sum `before`.
macro_rules! quad {
    () => {
        r"
.macro rfy_quad_words at, before, first, second
    ldr lr, [r6, #\at]
    uxtb16 r11, lr
    uxtb16 lr, lr, ror #8
    smlad \before, r11, r12, \before
    smlad \first, r11, r7, \first
    smlad \second, lr, r7, \second
    smlad \first, lr, r12, \first
.endm
.macro rfy_quad
    ldr lr, [r6]
    uxtb16 r11, lr
    uxtb16 lr, lr, ror #8
    smlad r0, r11, r7, r0
    smlad r1, lr, r7, r1
    smlad r0, lr, r12, r0
    rfy_quad_words 2, r1, r2, r3
    rfy_quad_words 4, r3, r4, r5
    rfy_quad_words 6, r5, r8, r9
    // x[8] and x[10], from a word that ends with the latter.
    ldr lr, [r6, #7]
    uxtb16 lr, lr, ror #8
    smlad r9, lr, r12, r9
.endm
"
    };
}

/// Defines `rfy_pairs`, which adds the products of the pairs from r10 on, and `rfy_products`, which
/// adds a pair's products to four sums.
///
/// Registers: r6 and r7 pointers, then bytes; r10 pairs; r11 base; r12 offsets, then bytes; lr
/// weights. Overwrites the two words at offset 0 of the stack. If `zeros` is not 0, skips
/// activations that are all 0.
macro_rules! pairs {
    () => {
        r"
.macro rfy_products a, b, c, d
    pkhbt r12, r6, r7, lsl #16
    pkhtb r6, r7, r6, asr #16
    uxtb16 r7, r12
    smlad \a, r7, lr, \a
    uxtb16 r7, r12, ror #8
    smlad \b, r7, lr, \b
    uxtb16 r7, r6
    smlad \c, r7, lr, \c
    uxtb16 r7, r6, ror #8
    smlad \d, r7, lr, \d
.endm
.macro rfy_pairs zeros
    ldrd r12, lr, [r10], #8
    cmp lr, #0
    beq 7f
4:  uxtah r6, r11, r12
    uxtah r7, r11, r12, ror #16
    strd r6, r7, [sp]
    ldr r6, [r6]
    ldr r7, [r7]
.if \zeros
    orrs r12, r6, r7
    beq 5f
.endif
    rfy_products r0, r1, r2, r3
5:  ldrd r6, r7, [sp]
    ldr r6, [r6, #4]
    ldr r7, [r7, #4]
.if \zeros
    orrs r12, r6, r7
    beq 6f
.endif
    rfy_products r4, r5, r8, r9
6:  ldrd r12, lr, [r10], #8
    cmp lr, #0
    bne 4b
7:
.endm
"
    };
}

/// Purges the macros of [`quad`] and [`pairs`].
macro_rules! purge {
    () => {
        r"
.purgem rfy_quad_words
.purgem rfy_quad
.purgem rfy_products
.purgem rfy_pairs
"
    };
}

/// Computes eight positions at stride 1. Registers: r6 pointer; r7 weights 0 and 2; r10 taps; r11
/// distance; r12 weights 1 and 3; sums in r0 to r5, r8, r9. Stack, by offset: 0: the base;
/// 4: scratch; 8: the block.
///
/// # Safety
///
/// See [`Routine`](crate::kernels::native::call::Routine).
#[unsafe(naked)]
unsafe extern "C" fn words8(
    taps: *const u32,
    base: *const u8,
    start: *const i32,
    block: *mut Block,
) {
    naked_asm!(
        cpu!(),
        finish::eight!(),
        finish::finish!(),
        quad!(),
        pairs!(),
        r"
    push {r1-r11, lr}
    mov r10, r0
    mov r6, r1
    ldmia r2, {r0-r5, r8, r9}
    b 2f
1:  add r6, r6, r11
    rfy_quad
2:  ldmia r10!, {r7, r11, r12}
    cmp r7, #0
    bne 1b
    mov r10, r11
    ldr r11, [sp]
    rfy_pairs 0
    ldr r10, [sp, #8]
    rfy_finish r1
",
        purge!(),
        finish::purge!(),
        options(raw),
    );
}

/// Computes eight positions at stride 1 of a source with many zeros. Registers as in [`words8`].
///
/// # Safety
///
/// See [`Routine`](crate::kernels::native::call::Routine).
#[unsafe(naked)]
unsafe extern "C" fn zeros8(
    taps: *const u32,
    base: *const u8,
    start: *const i32,
    block: *mut Block,
) {
    naked_asm!(
        cpu!(),
        finish::eight!(),
        finish::finish!(),
        quad!(),
        pairs!(),
        r"
    push {r1-r11, lr}
    mov r10, r0
    mov r6, r1
    ldmia r2, {r0-r5, r8, r9}
    b 2f
1:  add r6, r6, r11
    // Skips the quad if all bytes that it reads, 0 to 10, are 0.
    ldr lr, [r6]
    ldr r11, [r6, #4]
    orr lr, lr, r11
    ldr r11, [r6, #7]
    orrs lr, lr, r11
    beq 2f
    rfy_quad
2:  ldmia r10!, {r7, r11, r12}
    cmp r7, #0
    bne 1b
    mov r10, r11
    ldr r11, [sp]
    rfy_pairs 1
    ldr r10, [sp, #8]
    rfy_finish r1
",
        purge!(),
        finish::purge!(),
        options(raw),
    );
}

/// Computes four positions at stride 1. Registers: r4 pointer, then offsets; r5 weights 0 and 2,
/// then those of a pair; r6 distance; r8 weights 1 and 3; r10 taps; r11 base; sums in r0 to r3.
/// Stack, by offset: 0: the block.
///
/// # Safety
///
/// See [`Routine`](crate::kernels::native::call::Routine).
#[unsafe(naked)]
unsafe extern "C" fn words4(
    taps: *const u32,
    base: *const u8,
    start: *const i32,
    block: *mut Block,
) {
    naked_asm!(
        cpu!(),
        finish::four!(),
        finish::finish!(),
        r"
    push {r3-r11, lr}
    mov r10, r0
    mov r11, r1
    mov r4, r1
    ldmia r2, {r0-r3}
    b 2f
    // A quad.
1:  add r4, r4, r6
    ldr r9, [r4]
    uxtb16 r12, r9
    uxtb16 r9, r9, ror #8
    smlad r0, r12, r5, r0
    smlad r1, r9, r5, r1
    smlad r0, r9, r8, r0
    ldr r9, [r4, #2]
    uxtb16 r12, r9
    uxtb16 r9, r9, ror #8
    smlad r1, r12, r8, r1
    smlad r2, r12, r5, r2
    smlad r3, r9, r5, r3
    smlad r2, r9, r8, r2
    ldr r9, [r4, #3]
    uxtb16 r9, r9, ror #8
    smlad r3, r9, r8, r3
2:  ldmia r10!, {r5, r6, r8}
    cmp r5, #0
    bne 1b
    mov r10, r6
    ldrd r4, r5, [r10], #8
    cmp r5, #0
    beq 4f
    // A pair.
3:  uxtah r8, r11, r4
    uxtah r9, r11, r4, ror #16
    ldr r8, [r8]
    ldr r9, [r9]
    pkhbt r12, r8, r9, lsl #16
    pkhtb r8, r9, r8, asr #16
    uxtb16 r9, r12
    smlad r0, r9, r5, r0
    uxtb16 r9, r12, ror #8
    smlad r1, r9, r5, r1
    uxtb16 r9, r8
    smlad r2, r9, r5, r2
    uxtb16 r9, r8, ror #8
    smlad r3, r9, r5, r3
    ldrd r4, r5, [r10], #8
    cmp r5, #0
    bne 3b
4:  ldr r10, [sp]
    rfy_finish r3
",
        finish::purge!(),
        options(raw),
    );
}

/// Computes eight positions at stride 2, without quads. Registers: r6 offsets, then pointer of
/// the second tap; r7 pointer of the first; r10 taps; r11 base; r12 weights; lr activation; sums
/// in r0 to r5, r8, r9. Stack, by offset: 8: the block.
///
/// # Safety
///
/// See [`Routine`](crate::kernels::native::call::Routine).
#[unsafe(naked)]
unsafe extern "C" fn bytes8(
    taps: *const u32,
    base: *const u8,
    start: *const i32,
    block: *mut Block,
) {
    naked_asm!(
        cpu!(),
        finish::eight!(),
        finish::finish!(),
        r"
.macro rfy_first sum, position
    ldrb lr, [r7, #\position * 2]
    smlabb \sum, lr, r12, \sum
.endm
.macro rfy_second sum, position
    ldrb lr, [r6, #\position * 2]
    smlabt \sum, lr, r12, \sum
.endm

    push {r1-r11, lr}
    mov r10, r0
    mov r11, r1
    ldmia r2, {r0-r5, r8, r9}
    ldr r10, [r10, #4]
    ldrd r6, r12, [r10], #8
    cmp r12, #0
    beq 2f
1:  uxtah r7, r11, r6
    uxtah r6, r11, r6, ror #16
    rfy_each_sum rfy_first
    rfy_each_sum rfy_second
    ldrd r6, r12, [r10], #8
    cmp r12, #0
    bne 1b
2:  ldr r10, [sp, #8]
    rfy_finish r1

.purgem rfy_first
.purgem rfy_second
",
        finish::purge!(),
        options(raw),
    );
}

/// Computes four positions at stride 2, without quads. Registers: r4 offsets; r5 weights; r8 and
/// r9 pointers; r10 taps; r11 base; r12 activation; sums in r0 to r3. Stack, by offset: 0: the
/// block.
///
/// # Safety
///
/// See [`Routine`](crate::kernels::native::call::Routine).
#[unsafe(naked)]
unsafe extern "C" fn bytes4(
    taps: *const u32,
    base: *const u8,
    start: *const i32,
    block: *mut Block,
) {
    naked_asm!(
        cpu!(),
        finish::four!(),
        finish::finish!(),
        r"
.macro rfy_first sum, position
    ldrb r12, [r8, #\position * 2]
    smlabb \sum, r12, r5, \sum
.endm
.macro rfy_second sum, position
    ldrb r12, [r9, #\position * 2]
    smlabt \sum, r12, r5, \sum
.endm

    push {r3-r11, lr}
    mov r10, r0
    mov r11, r1
    ldmia r2, {r0-r3}
    ldr r10, [r10, #4]
    ldrd r4, r5, [r10], #8
    cmp r5, #0
    beq 2f
1:  uxtah r8, r11, r4
    uxtah r9, r11, r4, ror #16
    rfy_each_sum rfy_first
    rfy_each_sum rfy_second
    ldrd r4, r5, [r10], #8
    cmp r5, #0
    bne 1b
2:  ldr r10, [sp]
    rfy_finish r3

.purgem rfy_first
.purgem rfy_second
",
        finish::purge!(),
        options(raw),
    );
}
