//! Quads: three or four taps within four successive offsets, for the DSP extension.
//!
//! [`place`] turns the columns of a channel's taps into offsets and groups taps in the same pass. A
//! tap and those at most three offsets after it in the same row of the window form a group; three
//! or four taps in a group become a quad. A quad has three words: weights 0 and 2 as two half
//! words, the distance of its first offset from that of the previous quad (for the first quad,
//! from 0), and weights 1 and 3. The quads start at the first word. They are followed by three free
//! words, in which the next quad is stored, and by the other taps, of which the first three then
//! make room by moving to the end. This takes some eight instructions per tap, twenty per group and
//! forty per quad.
//!
//! A quad reads at all four offsets, so the last of them must be in reach: at most the last offset
//! in the current row of the window.

use core::arch::naked_asm;
use core::mem::offset_of;
use core::ops::Range;

use crate::kernels::geometry::WindowStrides;
use crate::kernels::taps::Taps;

/// The state of the walk: the first eleven fields are registers r0 to r10, the others stay in
/// memory.
#[repr(C)]
struct Walk {
    /// The next tap.
    read: *mut u32,
    /// The end of the taps.
    stop: *mut u32,
    /// The end of the taps already converted from columns to offsets.
    rest: *mut u32,
    /// The column at which the current group ends.
    next: usize,
    /// The column at which the current row of the window ends.
    row: usize,
    /// The difference between offset and column in this row.
    gap: usize,
    /// The rows of the window left in this channel.
    rows: usize,
    /// The width of the window.
    width: usize,
    /// The first tap in no quad.
    single: *mut u32,
    /// The first tap of the current group.
    group: *mut u32,
    /// The increase of the gap from one row of the window to the next.
    row_gap: usize,
    /// 44: the first offset of the last quad.
    from: u32,
    /// 48: the increase of the gap, besides that of a row, from one channel to the next.
    plane_gap: usize,
    /// 52: the height of the window.
    height: usize,
}

const _: () = assert!(
    offset_of!(Walk, rest) == 8
        && offset_of!(Walk, row) == 16
        && offset_of!(Walk, single) == 32
        && offset_of!(Walk, from) == 44
        && offset_of!(Walk, plane_gap) == 48
        && offset_of!(Walk, height) == 52
);

/// Turns the columns of `count` taps into offsets and groups some of them into quads. Returns the
/// range of the other taps, and an upper bound of all offsets (see [`Taps::last`]).
///
/// Returns `None` and changes nothing if `words` has fewer than `count` + [`Taps::SPARE`] words, or
/// if the gaps are so large that the sum of 65,535 gaps of each kind may exceed 32 bits.
pub(crate) fn place(
    words: &mut [u32],
    count: usize,
    window: &WindowStrides,
) -> Option<(Range<usize>, usize)> {
    let WindowStrides {
        height,
        width,
        row_gap,
        plane_gap,
    } = *window;
    let far = row_gap > 0x7fff || plane_gap > 0x7fff;
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
        row: width,
        gap: 0,
        rows: height,
        width,
        single: first,
        group: first,
        row_gap,
        from: 0,
        plane_gap,
        height,
    };
    // SAFETY: three words precede the taps. `rest` never passes `read`: a tap is written after it
    // has been read. The three words of a quad replace those before the first tap in no quad; the
    // (at most three) taps that make room for it move into the words of the quad's group, whose
    // taps have been read.
    unsafe {
        walk_over(&raw mut walk);
        let start = walk.single.offset_from_unsigned(words);
        let end = walk.rest.offset_from_unsigned(words);
        Some((start..end, walk.gap + (walk.row - 1)))
    }
}

/// Walks over the taps. Registers: r0 to r10 as in [`Walk`], r11 the tap, r12 its column, or -1 at
/// the end. Stack, by offset: 0: `plane_gap`; 4: `height`; 8: `walk`.
///
/// # Safety
///
/// `walk` must point to the state before its first tap. The taps, and the [`Taps::FRONT`] words
/// before the first one, must be writable.
#[unsafe(naked)]
unsafe extern "C" fn walk_over(walk: *mut Walk) {
    naked_asm!(
        cpu!(),
        r"
    push {r0, r4-r11, lr}
    ldrd r11, r12, [r0, #48]
    push {r11, r12}
    ldmia r0, {r0-r10}
    b 3f
2:  ldr r11, [r0], #4
    uxth r12, r11
    cmp r12, r3
    bhs 5f
4:  add r11, r11, r5
    str r11, [r2], #4
3:  cmp r0, r1
    bne 2b
    mvn r12, #0
    sub lr, r2, r9
    cmp lr, #12
    bhs .Lrfy_quads_form
    b .Lrfy_quads_end
    // The last row of the window in a channel of the source ends.
6:  ldrd lr, r6, [sp]
    add r5, r5, lr
    // A group ends, and possibly rows of the window.
5:  cmp r12, r4
    blo 7f
    add r4, r4, r7
    add r5, r5, r10
    subs r6, r6, #1
    bne 5b
    b 6b
7:  sub lr, r2, r9
    cmp lr, #12
    bhs .Lrfy_quads_form
8:  mov r9, r2
    add r3, r12, #4
    cmp r3, r4
    it hi
    movhi r3, r4
    b 4b
    // Three or four taps: r3, r11, r12, lr.
.Lrfy_quads_form:
    cmp lr, #16
    bhi .Lrfy_quads_formed
    push {r2, r11, r12}
    ldmia r9, {r3, r11, r12}
    bne .Lrfy_quads_three
    ldr lr, [r9, #12]
    sub r2, lr, r3
    uxth r2, r2
    cmp r2, #3
    bne .Lrfy_quads_none
    pkhtb lr, lr, r11, asr #16
    pkhtb r12, r12, r3, asr #16
    b .Lrfy_quads_store
    // Three taps: selects the case by their distances from the first.
.Lrfy_quads_three:
    sub lr, r11, r3
    uxth lr, lr
    sub r2, r12, r3
    uxth r2, r2
    cmp lr, #1
    bne .Lrfy_quads_skip_second
    cmp r2, #2
    bne .Lrfy_quads_skip_third
    lsr lr, r11, #16
    pkhtb r12, r12, r3, asr #16
    b .Lrfy_quads_store
.Lrfy_quads_skip_third:
    cmp r2, #3
    bne .Lrfy_quads_none
    pkhtb lr, r12, r11, asr #16
    lsr r12, r3, #16
    b .Lrfy_quads_store
.Lrfy_quads_skip_second:
    cmp lr, #2
    bne .Lrfy_quads_none
    cmp r2, #3
    bne .Lrfy_quads_none
    lsr lr, r12, #16
    lsl lr, lr, #16
    pkhtb r12, r11, r3, asr #16
    // r3 first offset, r12 (w0, w2), lr (w1, w3).
.Lrfy_quads_store:
    uxth r3, r3
    add r11, r4, r5
    add r2, r3, #3
    cmp r2, r11
    bhs .Lrfy_quads_none
    ldr r2, [sp, #20]
    ldr r11, [r2, #44]
    str r3, [r2, #44]
    sub r11, r3, r11
    str r12, [r8, #-12]
    strd r11, lr, [r8, #-8]
    // The first three of the other taps make room.
    mov lr, r8
    add r8, r8, #12
    mov r2, r8
    cmp r2, r9
    it lo
    movlo r2, r9
    cmp lr, r9
    itt lo
    ldrlo r11, [lr], #4
    strlo r11, [r2], #4
    cmp lr, r9
    itt lo
    ldrlo r11, [lr], #4
    strlo r11, [r2], #4
    cmp lr, r9
    itt lo
    ldrlo r11, [lr], #4
    strlo r11, [r2], #4
    add sp, sp, #4
    pop {r11, r12}
.Lrfy_quads_formed:
    cmn r12, #1
    bne 8b
.Lrfy_quads_end:
    ldr lr, [sp, #8]
    str r2, [lr, #8]
    strd r4, r5, [lr, #16]
    str r8, [lr, #32]
    pop {r0-r2, r4-r11, pc}
.Lrfy_quads_none:
    pop {r2, r11, r12}
    b .Lrfy_quads_formed
",
        options(raw),
    );
}
