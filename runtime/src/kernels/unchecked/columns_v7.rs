//! Columns on ARMv7-M: Cortex-M4 and M7 (`v7em`), M3 and M33 (`v7m`).
//!
//! One weight of an activation that is not 0 costs four instructions: `and` (the row), `ldr` (its
//! sum), `smlabb` or `smlatb` (multiply the undecoded half word, add), `str`; five where the DSP
//! extension is missing. What is left to save is what surrounds them, and so
//!
//! - the input is searched a word at a time: four zeros cost three instructions;
//! - a column goes in rounds of 16 pairs, and its first jump leads to where as many are left as
//!   its pairs are above a multiple of 16;
//! - four pairs come with one `ldm`.
//!
//! Registers: r0 sums, r1 mask (times 4), r2 activation, r3 pairs, r4 and r5 scratch, r6 to r9 pairs,
//! r10 pairs left (while searching: the last place of two words), r11 input, r12 the word's first
//! start. Stack: 0 all pairs, 4 where an input's start lies (less twice its address, 8 for the word
//! behind it), 8 the last place of two words, 12 the input's end, 20 the call,
//! 24 whether the layer is the last.

use super::columns::Call;

/// Runs one layer.
///
/// # Safety
///
/// `call` must point to a call as [`super::columns`] describes it.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn run(call: *const Call<'_>, last: u32) {
    core::arch::naked_asm!(
        #[cfg(cortex_m = "v7em")]
        r"
.set rfy_dsp, 1",
        #[cfg(cortex_m = "v7m")]
        r"
.set rfy_dsp, 0",
        r"
.macro rfy_pair pair
    and r4, r1, \pair, lsl #2
    ldr r5, [r0, r4]
.if rfy_dsp
    smlabb r5, \pair, r2, r5
.else
    sxth lr, \pair
    mla r5, lr, r2, r5
.endif
    str r5, [r0, r4]
    and r4, r1, \pair, lsr #14
    ldr r5, [r0, r4]
.if rfy_dsp
    smlatb r5, \pair, r2, r5
.else
    asr \pair, \pair, #16
    mla r5, \pair, r2, r5
.endif
    str r5, [r0, r4]
.endm
.macro rfy_four number
.Lrfy_columns_\number\()_4:
    ldmia r3!, {r6, r7, r8, r9}
    rfy_pair r6
.Lrfy_columns_\number\()_3:
    rfy_pair r7
.Lrfy_columns_\number\()_2:
    rfy_pair r8
.Lrfy_columns_\number\()_1:
    rfy_pair r9
.endm
.macro rfy_enter number
.Lrfy_columns_\number\()_enter_1:
    ldr r9, [r3], #4
    b .Lrfy_columns_\number\()_1
.Lrfy_columns_\number\()_enter_2:
    ldmia r3!, {r8, r9}
    b .Lrfy_columns_\number\()_2
.Lrfy_columns_\number\()_enter_3:
    ldmia r3!, {r7, r8, r9}
    b .Lrfy_columns_\number\()_3
.endm
.macro rfy_entry label
    .short (.Lrfy_columns_\label - .Lrfy_columns_table) / 2
.endm
.macro rfy_entries number
    rfy_entry \number\()_enter_1
    rfy_entry \number\()_enter_2
    rfy_entry \number\()_enter_3
    rfy_entry \number\()_4
.endm
.macro rfy_store sum
    asr \sum, \sum, r10
    usat \sum, #8, \sum
    strb \sum, [r1], #1
.endm
.macro rfy_byte place
    ldrb r2, [r11, #\place - 4]
    cbz r2, 1f
    ldrh r3, [r12, #2 * \place]
    ldrh r10, [r12, #2 * \place + 2]
    bl .Lrfy_columns_scatter
1:
.endm

    push {r0, r1, r4, r5, r6, r7, r8, r9, r10, r11, lr}
    sub sp, sp, #20
    // Each sum begins as the row's bias.
    ldm r0, {r0, r2, r3}
    mov r1, r0
    b 2f
1:  ldmia r2!, {r4, r5, r6, r7, r8, r9, r10, r11}
    stmia r1!, {r4, r5, r6, r7, r8, r9, r10, r11}
2:  subs r3, r3, #8
    bge 1b
    adds r3, r3, #8
    b 2f
1:  ldr r4, [r2], #4
    str r4, [r1], #4
2:  subs r3, r3, #1
    bge 1b
    ldr r2, [sp, #20]
    adds r2, r2, #12
    ldm r2, {r1, r2, r3, r11, r12}
    str r2, [sp]
    sub r4, r12, #7
    sub r3, r3, r11, lsl #1
    sub r3, r3, #8
    mov r10, r4
    strd r3, r4, [sp, #4]
    str r12, [sp, #12]

.Lrfy_columns_search:
    cmp r11, r10
    bhs .Lrfy_columns_tail
    ldr r2, [r11], #4
    cbnz r2, 1f
    ldr r2, [r11], #4
    cmp r2, #0
    beq .Lrfy_columns_search
1:  ldr r4, [sp, #4]
    add r12, r4, r11, lsl #1
    rfy_byte 0
    rfy_byte 1
    rfy_byte 2
    rfy_byte 3
    ldr r10, [sp, #8]
    b .Lrfy_columns_search

    // The last bytes, at most 7.
1:  ldrb r2, [r11], #1
    cmp r2, #0
    beq .Lrfy_columns_tail
    ldr r4, [sp, #4]
    add r12, r4, r11, lsl #1
    ldrh r3, [r12, #6]
    ldrh r10, [r12, #8]
    bl .Lrfy_columns_scatter
.Lrfy_columns_tail:
    ldr r4, [sp, #12]
    cmp r11, r4
    bne 1b

    ldrd r2, r3, [sp, #20]
    cbnz r3, 3f
    ldr r3, [r2, #8]
    ldr r10, [r2, #32]
    mov r1, r0
    b 2f
1:  ldmia r0!, {r4, r5, r6, r7, r8, r9}
    rfy_store r4
    rfy_store r5
    rfy_store r6
    rfy_store r7
    rfy_store r8
    rfy_store r9
2:  subs r3, r3, #6
    bge 1b
    adds r3, r3, #6
    b 2f
1:  ldr r4, [r0], #4
    rfy_store r4
2:  subs r3, r3, #1
    bge 1b
3:  add sp, sp, #28
    pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}

.Lrfy_columns_scatter:
    ldr r4, [sp]
    subs r10, r10, r3
    add r3, r4, r3, lsl #2
    and r5, r10, #15
.if rfy_dsp == 0
    push {lr}
.endif
    tbh [pc, r5, lsl #1]
.Lrfy_columns_table:
    rfy_entry 3_0
    rfy_entries 0
    rfy_entries 1
    rfy_entries 2
    rfy_entry 3_enter_1
    rfy_entry 3_enter_2
    rfy_entry 3_enter_3
.Lrfy_columns_3_0:
    beq 2f
1:
    rfy_four 3
    rfy_four 2
    rfy_four 1
    rfy_four 0
    subs r10, r10, #16
    bgt 1b
2:
.if rfy_dsp
    bx lr
.else
    pop {pc}
.endif
    rfy_enter 0
    rfy_enter 1
    rfy_enter 2
    rfy_enter 3

.purgem rfy_pair
.purgem rfy_four
.purgem rfy_enter
.purgem rfy_entry
.purgem rfy_entries
.purgem rfy_store
.purgem rfy_byte
",
        options(raw),
    );
}
