//! Blocks of positions on cores with the DSP extension (M4, M7).
//!
//! A word load takes four neighbouring bytes, `uxtb16` spreads two of them to 16 bits each, and
//! `smlad` multiplies and adds two products at once. Its two products must be of one position, so
//! taps go in groups:
//!
//! - a *quad*, up to four taps at successive offsets o .. o + 3 (neighbours in a row of the
//!   kernel). With `D(i) = (x[i], x[i + 2])`, which one `uxtb16` gives, position i adds
//!   `D(i) * (w0, w2) + D(i + 1) * (w1, w3)`: 34 instructions for eight positions, so 1.1 for each
//!   weight and position. Pays for three taps or more. Where the source has many zeros, [`zeros8`]
//!   looks at the bytes first (6 instructions more) and leaves out what would add nothing.
//! - a *pair*, any two taps: `pkhbt`/`pkhtb` bring the bytes of both into one word first. 31
//!   instructions for eight positions, so 1.9 for each weight and position. An odd tap is paired
//!   with a weight of 0.
//!
//! A quad has three words (see `taps_place.rs`), and behind the last one are a word of 0 and the
//! place of the pairs; pairs have two words (offsets; weights), and end with two words of 0. Groups have a
//! weight that is not 0, so that the zeros end them and no register is needed to count.

use core::arch::naked_asm;

use super::finish::{finish4, finish8};
use super::{Block, Routines};
use crate::kernels::convolution::{Convolution, Taps};

/// The routines for a geometry of stride 1 or 2.
pub(super) fn routines(geometry: &Convolution) -> Routines {
    match geometry.stride {
        1 if geometry.zeros => (zeros8, words4),
        1 => (words8, words4),
        _ => (bytes8, bytes4),
    }
}

/// Ends the quads and makes the other taps pairs.
pub(super) fn arrange(taps: Taps<'_>) -> Option<*const u32> {
    let (words, start, end) = taps.into_parts()?;
    let words = words.as_mut_ptr();
    // SAFETY: three words lie between the quads and word `start`, and three behind word `end`: one
    // becomes a tap where they are odd, and two end the pairs.
    unsafe {
        let (mut pair, end) = (words.add(start), words.add(end));
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

/// Adds a quad at the pointer r6 for eight positions: r7 (w0, w2), r12 (w1, w3), sums in r0-r5, r8, r9.
macro_rules! quad8 {
    () => {
        concat!(
            "ldr lr, [r6]\n",
            "uxtb16 r11, lr\n",
            "uxtb16 lr, lr, ror #8\n",
            "smlad r0, r11, r7, r0\n",
            "smlad r1, lr, r7, r1\n",
            "smlad r0, lr, r12, r0\n",
            "ldr lr, [r6, #2]\n",
            "uxtb16 r11, lr\n",
            "uxtb16 lr, lr, ror #8\n",
            "smlad r1, r11, r12, r1\n",
            "smlad r2, r11, r7, r2\n",
            "smlad r3, lr, r7, r3\n",
            "smlad r2, lr, r12, r2\n",
            "ldr lr, [r6, #4]\n",
            "uxtb16 r11, lr\n",
            "uxtb16 lr, lr, ror #8\n",
            "smlad r3, r11, r12, r3\n",
            "smlad r4, r11, r7, r4\n",
            "smlad r5, lr, r7, r5\n",
            "smlad r4, lr, r12, r4\n",
            "ldr lr, [r6, #6]\n",
            "uxtb16 r11, lr\n",
            "uxtb16 lr, lr, ror #8\n",
            "smlad r5, r11, r12, r5\n",
            "smlad r8, r11, r7, r8\n",
            "smlad r9, lr, r7, r9\n",
            "smlad r8, lr, r12, r8\n",
            // x[8] and x[10], of a word that ends with the latter.
            "ldr lr, [r6, #7]\n",
            "uxtb16 lr, lr, ror #8\n",
            "smlad r9, lr, r12, r9\n",
        )
    };
}

/// The products of a pair for four positions ($sums): bytes in r6 and r7, r12 scratch, lr weights.
macro_rules! pair4 {
    ($a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            "pkhbt r12, r6, r7, lsl #16\n",
            "pkhtb r6, r7, r6, asr #16\n",
            "uxtb16 r7, r12\n",
            "smlad ",
            $a,
            ", r7, lr, ",
            $a,
            "\n",
            "uxtb16 r7, r12, ror #8\n",
            "smlad ",
            $b,
            ", r7, lr, ",
            $b,
            "\n",
            "uxtb16 r7, r6\n",
            "smlad ",
            $c,
            ", r7, lr, ",
            $c,
            "\n",
            "uxtb16 r7, r6, ror #8\n",
            "smlad ",
            $d,
            ", r7, lr, ",
            $d,
            "\n",
        )
    };
}

/// Adds the pairs from r10 on for eight positions: r11 base, sums in r0-r5, r8, r9. Two words on the
/// stack are overwritten. $left and $right stand in front of the products of each half of a pair.
macro_rules! pairs8 {
    ($left:literal $right:literal) => {
        concat!(
            "ldrd r12, lr, [r10], #8\n",
            "cmp lr, #0\n",
            "beq 5f\n",
            // A pair: r6 and r7 pointers, then bytes; r12 offsets, then bytes; lr weights.
            "4: uxtah r6, r11, r12\n",
            "uxtah r7, r11, r12, ror #16\n",
            "strd r6, r7, [sp]\n",
            "ldr r6, [r6]\n",
            "ldr r7, [r7]\n",
            $left,
            pair4!("r0" "r1" "r2" "r3"),
            "6: ldrd r6, r7, [sp]\n",
            "ldr r6, [r6, #4]\n",
            "ldr r7, [r7, #4]\n",
            $right,
            pair4!("r4" "r5" "r8" "r9"),
            "7: ldrd r12, lr, [r10], #8\n",
            "cmp lr, #0\n",
            "bne 4b\n",
            "5:\n",
        )
    };
}

/// Eight positions, stride 1: r10 taps, sums in r0-r5, r8, r9, r6 pointer. On the stack: the base, which
/// is overwritten once quads are done, a word of scratch, the block.
#[unsafe(naked)]
unsafe extern "C" fn words8(
    taps: *const u32,
    base: *const u8,
    start: *const i32,
    block: *mut Block,
) {
    naked_asm!(
        "push {{r1-r11, lr}}",
        "mov r10, r0",
        "mov r6, r1",
        "ldm r2, {{r0-r5, r8, r9}}",
        "b 3f",
        "2: add r6, r11",
        quad8!(),
        "3: ldm r10!, {{r7, r11, r12}}",
        "cmp r7, #0",
        "bne 2b",
        "mov r10, r11",
        "ldr r11, [sp]",
        pairs8!("" ""),
        "ldr r10, [sp, #8]",
        finish8!("pop {{r1-r11, pc}}"),
    );
}

/// [`words8`] for a source with many zeros.
#[unsafe(naked)]
unsafe extern "C" fn zeros8(
    taps: *const u32,
    base: *const u8,
    start: *const i32,
    block: *mut Block,
) {
    naked_asm!(
        "push {{r1-r11, lr}}",
        "mov r10, r0",
        "mov r6, r1",
        "ldm r2, {{r0-r5, r8, r9}}",
        "b 3f",
        "2: add r6, r11",
        // The bytes that a quad reads, 0 to 10.
        "ldr lr, [r6]",
        "ldr r11, [r6, #4]",
        "orr lr, r11",
        "ldr r11, [r6, #7]",
        "orrs lr, r11",
        "beq 3f",
        quad8!(),
        "3: ldm r10!, {{r7, r11, r12}}",
        "cmp r7, #0",
        "bne 2b",
        "mov r10, r11",
        "ldr r11, [sp]",
        pairs8!("orrs r12, r6, r7\nbeq 6f\n" "orrs r12, r6, r7\nbeq 7f\n"),
        "ldr r10, [sp, #8]",
        finish8!("pop {{r1-r11, pc}}"),
    );
}

/// Four positions, stride 1: r10 taps, r11 base, sums in r0-r3.
#[unsafe(naked)]
unsafe extern "C" fn words4(
    taps: *const u32,
    base: *const u8,
    start: *const i32,
    block: *mut Block,
) {
    naked_asm!(
        "push {{r3-r11, lr}}",
        "mov r10, r0",
        "mov r11, r1",
        "mov r4, r1",
        "ldm r2, {{r0-r3}}",
        "b 3f",
        "2: add r4, r6",
        "ldr r9, [r4]",
        "uxtb16 r12, r9",
        "uxtb16 r9, r9, ror #8",
        "smlad r0, r12, r5, r0",
        "smlad r1, r9, r5, r1",
        "smlad r0, r9, r8, r0",
        "ldr r9, [r4, #2]",
        "uxtb16 r12, r9",
        "uxtb16 r9, r9, ror #8",
        "smlad r1, r12, r8, r1",
        "smlad r2, r12, r5, r2",
        "smlad r3, r9, r5, r3",
        "smlad r2, r9, r8, r2",
        "ldr r9, [r4, #3]",
        "uxtb16 r9, r9, ror #8",
        "smlad r3, r9, r8, r3",
        "3: ldm r10!, {{r5, r6, r8}}",
        "cmp r5, #0",
        "bne 2b",
        "mov r10, r6",
        "ldrd r4, r5, [r10], #8",
        "cmp r5, #0",
        "beq 5f",
        "4: uxtah r8, r11, r4",
        "uxtah r9, r11, r4, ror #16",
        "ldr r8, [r8]",
        "ldr r9, [r9]",
        "pkhbt r12, r8, r9, lsl #16",
        "pkhtb r8, r9, r8, asr #16",
        "uxtb16 r9, r12",
        "smlad r0, r9, r5, r0",
        "uxtb16 r9, r12, ror #8",
        "smlad r1, r9, r5, r1",
        "uxtb16 r9, r8",
        "smlad r2, r9, r5, r2",
        "uxtb16 r9, r8, ror #8",
        "smlad r3, r9, r5, r3",
        "ldrd r4, r5, [r10], #8",
        "cmp r5, #0",
        "bne 4b",
        "5: ldr r10, [sp]",
        finish4!("pop {{r3-r11, pc}}"),
    );
}

/// Adds the bytes at the pointer $p, each two behind the last, times a half ($half) of the weights
/// $w to the sums, through $x.
macro_rules! bytes {
    ($half:literal, $x:literal, $p:literal, $w:literal; $($sum:literal $at:literal),*) => {
        concat!($(
            "ldrb ", $x, ", [", $p, ", #", $at, "]\n",
            "smlab", $half, " ", $sum, ", ", $x, ", ", $w, ", ", $sum, "\n",
        )*)
    };
}

/// Eight positions, stride 2, no quads: registers as in [`words8`].
#[unsafe(naked)]
unsafe extern "C" fn bytes8(
    taps: *const u32,
    base: *const u8,
    start: *const i32,
    block: *mut Block,
) {
    naked_asm!(
        "push {{r1-r11, lr}}",
        "mov r10, r0",
        "mov r11, r1",
        "ldm r2, {{r0-r5, r8, r9}}",
        "ldr r10, [r10, #4]",
        "ldrd r6, r12, [r10], #8",
        "cmp r12, #0",
        "beq 3f",
        "2: uxtah r7, r11, r6",
        "uxtah r6, r11, r6, ror #16",
        bytes!("b", "lr", "r7", "r12"; "r0" 0, "r1" 2, "r2" 4, "r3" 6, "r4" 8, "r5" 10, "r8" 12, "r9" 14),
        bytes!("t", "lr", "r6", "r12"; "r0" 0, "r1" 2, "r2" 4, "r3" 6, "r4" 8, "r5" 10, "r8" 12, "r9" 14),
        "ldrd r6, r12, [r10], #8",
        "cmp r12, #0",
        "bne 2b",
        "3: ldr r10, [sp, #8]",
        finish8!("pop {{r1-r11, pc}}"),
    );
}

/// Four positions, stride 2, no quads: registers as in [`words4`].
#[unsafe(naked)]
unsafe extern "C" fn bytes4(
    taps: *const u32,
    base: *const u8,
    start: *const i32,
    block: *mut Block,
) {
    naked_asm!(
        "push {{r3-r11, lr}}",
        "mov r10, r0",
        "mov r11, r1",
        "ldm r2, {{r0-r3}}",
        "ldr r10, [r10, #4]",
        "ldrd r4, r5, [r10], #8",
        "cmp r5, #0",
        "beq 3f",
        "2: uxtah r8, r11, r4",
        "uxtah r9, r11, r4, ror #16",
        bytes!("b", "r12", "r8", "r5"; "r0" 0, "r1" 2, "r2" 4, "r3" 6),
        bytes!("t", "r12", "r9", "r5"; "r0" 0, "r1" 2, "r2" 4, "r3" 6),
        "ldrd r4, r5, [r10], #8",
        "cmp r5, #0",
        "bne 2b",
        "3: ldr r10, [sp]",
        finish4!("pop {{r3-r11, pc}}"),
    );
}
