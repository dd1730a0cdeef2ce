//! Blocks of positions on cores with the DSP extension (M4, M7).
//!
//! A word load takes four neighbouring bytes, `uxtb16` spreads two of them to 16 bits each, and
//! `smlad` multiplies and adds two products at once. Its two products must be of one position, so
//! taps go in groups:
//!
//! - a *quad*, up to four taps at successive offsets o .. o + 3 (neighbours in a row of the
//!   kernel). With `D(i) = (x[i], x[i + 2])`, which one `uxtb16` gives, position i adds
//!   `D(i) * (w0, w2) + D(i + 1) * (w1, w3)`: 35 instructions for eight positions, so 1.1 for each
//!   weight and position. Pays for three taps or more.
//! - a *pair*, any two taps: `pkhbt`/`pkhtb` bring the bytes of both into one word first. 31
//!   instructions for eight positions, so 1.9 for each weight and position. An odd tap is paired
//!   with a weight of 0.
//!
//! [`arrange`] writes them in place: quads of three words (offset; w0, w2; w1, w3), three words of
//! 0, pairs of two words (offsets; weights), two words of 0. Groups have a weight that is not 0,
//! so that the zeros end them and no register is needed to count.

use core::arch::naked_asm;

use super::finish::{finish4, finish8};
use super::{Block, Routines};
use crate::kernels::convolution::Taps;

/// The routines for a stride, if there are any.
pub(super) fn routines(stride: usize) -> Option<Routines> {
    match stride {
        1 => Some((words8, words4)),
        2 => Some((bytes8, bytes4)),
        _ => None,
    }
}

/// A pass over the taps to find quads costs some 15 instructions a tap, and a quad saves some 2.5
/// for each tap and block of eight: below as many positions it does not pay.
const MANY_POSITIONS: usize = 400;

/// Arranges the taps in groups, for the routines of this stride.
pub(super) fn arrange(taps: Taps<'_>, stride: usize, positions: usize) -> *const u32 {
    let (words, count, last) = taps.into_parts();
    let words = words.as_mut_ptr();
    // SAFETY: `words` has `count + 6` words, and taps in `count` of them from the third on. Quads
    // and gap are followed by the taps not in quads, in `rest` words from `singles` on; a quad of
    // three words or more taken out of them leaves `singles + rest` at most at `read`, the next
    // tap to look at, and at the end at most at word `count + 3`. Pairs replace their taps, an odd
    // one is followed by at most one word and then two of zeros.
    unsafe {
        let mut singles = words.add(Taps::FRONT);
        let mut end = singles.add(count);
        if stride == 1 && positions >= MANY_POSITIONS {
            (singles, end) = quads(singles, end, last);
        }
        for gap in 1..=3 {
            *singles.sub(gap) = 0;
        }
        *end = 0;
        while singles < end {
            let (tap0, tap1) = (*singles, *singles.add(1));
            *singles = tap0 & 0xffff | tap1 << 16;
            *singles.add(1) = tap0 >> 16 | tap1 & 0xffff_0000;
            singles = singles.add(2);
        }
        *singles = 0;
        *singles.add(1) = 0;
    }
    words
}

/// Takes quads out of the taps between `read` and `end`, and writes them from three words in front
/// on. Gives where the other taps begin (three words behind the last quad) and end.
unsafe fn quads(mut read: *mut u32, end: *mut u32, last: usize) -> (*mut u32, *mut u32) {
    let (mut singles, mut rest) = (read, read);
    while read < end {
        let tap0 = unsafe { *read };
        let first = tap0 as usize & 0xffff;
        let mut weights = [tap0 >> 16, 0, 0, 0];
        let mut next = unsafe { read.add(1) };
        // The taps at the three offsets that follow, when they come in this order.
        let mut nearest = 1;
        while next < end {
            let tap = unsafe { *next };
            let distance = (tap as usize & 0xffff).wrapping_sub(first);
            if distance < nearest || distance > 3 {
                break;
            }
            weights[distance & 3] = tap >> 16;
            nearest = distance + 1;
            next = unsafe { next.add(1) };
        }
        let taken = unsafe { next.offset_from(read) };
        // All four offsets are read, so the last must be one that some tap has, or less.
        if taken >= 3 && first + 3 <= last {
            unsafe {
                // The first three of the taps not in quads make room.
                let behind = rest.max(singles.add(3));
                for slot in 0..3 {
                    if singles.add(slot) < rest {
                        *behind.add(slot) = *singles.add(slot);
                    }
                }
                let quad = singles.sub(3);
                *quad = first as u32;
                *quad.add(1) = weights[0] | weights[2] << 16;
                *quad.add(2) = weights[1] | weights[3] << 16;
                singles = singles.add(3);
                rest = rest.add(3);
            }
            read = next;
        } else {
            unsafe {
                *rest = tap0;
                rest = rest.add(1);
                read = read.add(1);
            }
        }
    }
    (singles, rest)
}

/// Eight positions, stride 1: r10 taps, r11 base, sums in r0-r5, r8, r9. On the stack: the base,
/// which is overwritten by pointers once quads are done, a word of scratch, the block.
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
        "mov r11, r1",
        "ldm r2, {{r0-r5, r8, r9}}",
        "ldm r10!, {{r6, r7, r12}}",
        "cmp r7, #0",
        "beq 3f",
        // A quad: r6 pointer, r7 (w0, w2), r12 (w1, w3), r11 and lr bytes.
        "2: ldr lr, [sp]",
        "uxtah r6, lr, r6",
        "ldr lr, [r6]",
        "uxtb16 r11, lr",
        "uxtb16 lr, lr, ror #8",
        "smlad r0, r11, r7, r0",
        "smlad r1, lr, r7, r1",
        "smlad r0, lr, r12, r0",
        "ldr lr, [r6, #2]",
        "uxtb16 r11, lr",
        "uxtb16 lr, lr, ror #8",
        "smlad r1, r11, r12, r1",
        "smlad r2, r11, r7, r2",
        "smlad r3, lr, r7, r3",
        "smlad r2, lr, r12, r2",
        "ldr lr, [r6, #4]",
        "uxtb16 r11, lr",
        "uxtb16 lr, lr, ror #8",
        "smlad r3, r11, r12, r3",
        "smlad r4, r11, r7, r4",
        "smlad r5, lr, r7, r5",
        "smlad r4, lr, r12, r4",
        "ldr lr, [r6, #6]",
        "uxtb16 r11, lr",
        "uxtb16 lr, lr, ror #8",
        "smlad r5, r11, r12, r5",
        "smlad r8, r11, r7, r8",
        "smlad r9, lr, r7, r9",
        "smlad r8, lr, r12, r8",
        // x[8] and x[10], of a word that ends with the latter.
        "ldr lr, [r6, #7]",
        "uxtb16 lr, lr, ror #8",
        "smlad r9, lr, r12, r9",
        "ldm r10!, {{r6, r7, r12}}",
        "cmp r7, #0",
        "bne 2b",
        "ldr r11, [sp]",
        "3: ldrd r12, lr, [r10], #8",
        "cmp lr, #0",
        "beq 5f",
        // A pair: r6 and r7 pointers, then bytes; r12 offsets, then bytes; lr weights.
        "4: uxtah r6, r11, r12",
        "uxtah r7, r11, r12, ror #16",
        "strd r6, r7, [sp]",
        "ldr r6, [r6]",
        "ldr r7, [r7]",
        "pkhbt r12, r6, r7, lsl #16",
        "pkhtb r6, r7, r6, asr #16",
        "uxtb16 r7, r12",
        "smlad r0, r7, lr, r0",
        "uxtb16 r7, r12, ror #8",
        "smlad r1, r7, lr, r1",
        "uxtb16 r7, r6",
        "smlad r2, r7, lr, r2",
        "uxtb16 r7, r6, ror #8",
        "smlad r3, r7, lr, r3",
        "ldrd r6, r7, [sp]",
        "ldr r6, [r6, #4]",
        "ldr r7, [r7, #4]",
        "pkhbt r12, r6, r7, lsl #16",
        "pkhtb r6, r7, r6, asr #16",
        "uxtb16 r7, r12",
        "smlad r4, r7, lr, r4",
        "uxtb16 r7, r12, ror #8",
        "smlad r5, r7, lr, r5",
        "uxtb16 r7, r6",
        "smlad r8, r7, lr, r8",
        "uxtb16 r7, r6, ror #8",
        "smlad r9, r7, lr, r9",
        "ldrd r12, lr, [r10], #8",
        "cmp lr, #0",
        "bne 4b",
        "5: ldr r10, [sp, #8]",
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
        "ldm r2, {{r0-r3}}",
        "ldm r10!, {{r4, r5, r8}}",
        "cmp r5, #0",
        "beq 3f",
        "2: uxtah r4, r11, r4",
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
        "ldm r10!, {{r4, r5, r8}}",
        "cmp r5, #0",
        "bne 2b",
        "3: ldrd r4, r5, [r10], #8",
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
        "add r10, #12",
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
        "add r10, #12",
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
