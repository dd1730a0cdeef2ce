//! Quads, for cores with the DSP extension: three or four taps at four offsets in a row.
//!
//! [`place`] walks over the taps of a channel as they came in and gives them their offsets, as
//! `Taps::place` does in safe code. Taps of one row that are less than four offsets behind the first of
//! them are a group; three or four in a group become a quad. A quad is three words: the weights 0 and
//! 2 as two halves, how far its first offset is behind that of the quad before (of the first: behind 0),
//! the weights 1 and 3. Quads lie from the first word on; three words are left free behind them, into
//! which the next one goes, and then come the other taps, of which the first three make room by going
//! to the end. Some eight instructions a tap, twenty a group, forty a quad.
//!
//! A quad reads all four offsets, so the last of them must be in reach: not above the last offset of the
//! row of the kernel that the walk has come to.

use core::arch::naked_asm;

use crate::kernels::convolution::Taps;

/// What the walk holds in the registers r0 to r10, and then what it holds in memory.
#[repr(C)]
struct Walk {
    /// The next tap, and behind the last one.
    read: *mut u32,
    stop: *mut u32,
    /// Behind the taps that are placed.
    rest: *mut u32,
    /// The column before which the group ends, and the row.
    next: usize,
    row: usize,
    shift: usize,
    rows: usize,
    size: usize,
    /// The first tap in no quad.
    single: *mut u32,
    /// The first tap of the group.
    group: *mut u32,
    /// What is added to the shift from one row of the kernel to the next.
    next_row: usize,
    /// The first offset of the last quad.
    from: u32,
    /// What is added besides from the last row of a channel to the first of the next.
    next_plane: usize,
}

/// Gives `count` taps their offsets and makes quads of some; where the others begin and end, and the
/// largest offset of the rows that have taps. `None`, and nothing is done, when `words` has no room for
/// them and [`Taps::SPARE`], or a step is too long for the sum of 65,535 of each to have 32 bits.
pub(crate) fn place(
    words: &mut [u32],
    count: usize,
    size: usize,
    next_row: usize,
    next_plane: usize,
) -> Option<(usize, usize, usize)> {
    let far = next_row > 0x7fff || next_plane > 0x7fff;
    if far || words.len() < Taps::SPARE || words.len() - Taps::SPARE < count {
        return None;
    }
    let words = words.as_mut_ptr();
    let first = words.wrapping_add(Taps::FRONT);
    let mut walk = Walk {
        read: first,
        stop: first.wrapping_add(count),
        rest: first,
        next: 0,
        row: size,
        shift: 0,
        rows: size,
        size,
        single: first,
        group: first,
        next_row,
        from: 0,
        next_plane,
    };
    // SAFETY: three words lie in front of the taps. `rest` is never ahead of `read`: a tap is written
    // after it was read, and a quad's three words or fewer that go to the end follow its group's
    // beginning, or three words behind the first tap in no quad, at which the group's three begin at
    // the latest; so that nothing is written but words that were read.
    unsafe {
        walk_over(&raw mut walk);
        Some((
            walk.single.offset_from_unsigned(words),
            walk.rest.offset_from_unsigned(words),
            walk.shift + (walk.row - 1),
        ))
    }
}

/// The walk: registers r0-r10 as in [`Walk`], r11 the tap read, r12 its column or -1 at the end.
#[unsafe(naked)]
unsafe extern "C" fn walk_over(walk: *mut Walk) {
    naked_asm!(
        "push {{r0, r4-r11, lr}}",
        "ldr r11, [r0, #48]",
        "push {{r11}}",
        "ldm r0, {{r0-r10}}",
        "b 3f",
        "2: ldr r11, [r0], #4",
        "uxth r12, r11",
        "cmp r12, r3",
        "bhs 5f",
        "4: add r11, r5",
        "str r11, [r2], #4",
        "3: cmp r0, r1",
        "bne 2b",
        "mvn r12, #0",
        "sub lr, r2, r9",
        "cmp lr, #12",
        "bhs 9f",
        "b 30f",
        // The last row of a source's channel ends.
        "6: ldr lr, [sp]",
        "add r5, lr",
        "mov r6, r7",
        // A group ends, and perhaps rows do.
        "5: cmp r12, r4",
        "blo 7f",
        "add r4, r7",
        "add r5, r10",
        "subs r6, #1",
        "bne 5b",
        "b 6b",
        "7: sub lr, r2, r9",
        "cmp lr, #12",
        "bhs 9f",
        "8: mov r9, r2",
        "add r3, r12, #4",
        "cmp r3, r4",
        "it hi",
        "movhi r3, r4",
        "b 4b",
        // Three or four taps: r3, r11, r12, lr.
        "9: cmp lr, #16",
        "bhi 29f",
        "push {{r2, r11, r12}}",
        "ldm r9, {{r3, r11, r12}}",
        "bne 20f",
        "ldr lr, [r9, #12]",
        "sub r2, lr, r3",
        "uxth r2, r2",
        "cmp r2, #3",
        "bne 28f",
        "pkhtb lr, lr, r11, asr #16",
        "pkhtb r12, r12, r3, asr #16",
        "b 24f",
        // Three, by their distances from the first.
        "20: sub lr, r11, r3",
        "uxth lr, lr",
        "sub r2, r12, r3",
        "uxth r2, r2",
        "cmp lr, #1",
        "bne 22f",
        "cmp r2, #2",
        "bne 21f",
        "lsr lr, r11, #16",
        "pkhtb r12, r12, r3, asr #16",
        "b 24f",
        "21: cmp r2, #3",
        "bne 28f",
        "pkhtb lr, r12, r11, asr #16",
        "lsr r12, r3, #16",
        "b 24f",
        "22: cmp lr, #2",
        "bne 28f",
        "cmp r2, #3",
        "bne 28f",
        "lsr lr, r12, #16",
        "lsl lr, #16",
        "pkhtb r12, r11, r3, asr #16",
        // r3 first offset, r12 (w0, w2), lr (w1, w3).
        "24: uxth r3, r3",
        "add r11, r4, r5",
        "add r2, r3, #3",
        "cmp r2, r11",
        "bhs 28f",
        "ldr r2, [sp, #16]",
        "ldr r11, [r2, #44]",
        "str r3, [r2, #44]",
        "sub r11, r3, r11",
        "str r12, [r8, #-12]",
        "strd r11, lr, [r8, #-8]",
        // The first three of the other taps make room.
        "mov lr, r8",
        "add r8, #12",
        "mov r2, r8",
        "cmp r2, r9",
        "it lo",
        "movlo r2, r9",
        "cmp lr, r9",
        "itt lo",
        "ldrlo r11, [lr], #4",
        "strlo r11, [r2], #4",
        "cmp lr, r9",
        "itt lo",
        "ldrlo r11, [lr], #4",
        "strlo r11, [r2], #4",
        "cmp lr, r9",
        "itt lo",
        "ldrlo r11, [lr], #4",
        "strlo r11, [r2], #4",
        "add sp, #4",
        "pop {{r11, r12}}",
        "29: cmn r12, #1",
        "bne 8b",
        "30: ldr lr, [sp, #4]",
        "str r2, [lr, #8]",
        "strd r4, r5, [lr, #16]",
        "str r8, [lr, #32]",
        "pop {{r0, r1, r4-r11, pc}}",
        "28: pop {{r2, r11, r12}}",
        "b 29b",
    );
}
