//! Packed words on ARMv7-M and later: cores with the DSP extension (`v7em`, such as Cortex-M4) and
//! without it (`v7m`, such as Cortex-M3).
//!
//! A weight takes three instructions: `and` (the column), `ldrb` (the activation), `smlabb` or
//! `smlatb` (multiply the undecoded half word, add); four without the DSP extension. To reduce
//! the overhead per row:
//!
//! - rows of up to 7 weights have code for each length: one `ldmia` loads bias and weights, and
//!   five more instructions shift, clamp, store and count;
//! - the code for 1 to 3 weights holds two rows, which share the counting;
//! - all longer rows share code. It takes 8 weights the same way, then jumps to the code for the
//!   remaining pairs and an odd weight; rows of 15 and more go through rounds of 8 in between.
//!
//! The head of a run consists of its number of rows, which counts down in the upper half, and its
//! form, which selects the code. If the code holds two rows and the number of rows is odd, the run
//! starts at the second one. So a run takes four instructions.
//!
//! The last layer uses the same code one row at a time: the byte that the code stores lies in the
//! place of the logit, which then overwrites it. The low byte of its `store` is 0, so `asrs` does
//! not change the logit.
//!
//! Registers: r0 input, r1 scratch, r2 the run's head, r3 stream, r4 sum, r5, r6, r8 and r11
//! weights, r7 `store` (`asrs` uses the low byte), r9 mask, r10 output, r12 the run's head (last
//! layer; scratch for v7m, which keeps it on the stack), lr where to continue after a run (in a
//! long row, rounds left). Stack, by offset: 0: where a row of 8 or more weights continues after
//! its first 8 words; 4 and 8: the last pairs and the rounds of a long row; 12: a copy of lr;
//! 16: the run's head (v7m, last layer).

use core::arch::naked_asm;

use crate::kernels::native::call::Store;

/// Defines `rfy_dsp` as 1, since the core has the DSP extension, and the size of `rfy_last_pair`.
#[cfg(cortex_m = "v7em")]
macro_rules! dsp {
    () => {
        r"
.set rfy_dsp, 1
.set rfy_last_pair_bytes, 22
"
    };
}
/// Defines `rfy_dsp` as 0, since the core has no DSP extension, and the size of `rfy_last_pair`.
#[cfg(cortex_m = "v7m")]
macro_rules! dsp {
    () => {
        r"
.set rfy_dsp, 0
.set rfy_last_pair_bytes, 28
"
    };
}

/// Runs a layer. Reads the runs, up to the number 34 in place of a head, and an activation for each
/// half word; stores an output per row.
///
/// # Safety
///
/// 1. `block` must be a mask, runs, and the number 34. A head must have the form that belongs to
///    its run's length and number of rows; a run may have at most 32,768 rows. There must be an
///    output per row.
/// 2. The masked value of each half word of a row, padding included, must be an index into
///    `input`.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn run(
    block: *const u32,
    input: *const u8,
    output: *mut u8,
    store: Store,
) {
    naked_asm!(
        cpu!(),
        dsp!(),
        r"
.macro rfy_low word
    and r1, r9, \word
    ldrb r1, [r0, r1]
.if rfy_dsp
    smlabb r4, \word, r1, r4
.else
    sxth r12, \word
    mla r4, r12, r1, r4
.endif
.endm
.macro rfy_high word
    and r1, r9, \word, lsr #16
    ldrb r1, [r0, r1]
.if rfy_dsp
    smlatb r4, \word, r1, r4
.else
    asrs \word, \word, #16
    mla r4, \word, r1, r4
.endif
.endm
.macro rfy_pair word
    rfy_low \word
    rfy_high \word
.endm
.macro rfy_eight
    rfy_pair r5
    rfy_pair r6
    rfy_pair r8
    rfy_pair r11
.endm
.macro rfy_store
    asrs r4, r4, r7
    usat r1, #8, r4
    strb r1, [r10], #1
.endm
.macro rfy_end row
    rfy_store
    subs r2, r2, #0x10000
    bpl \row
    mov pc, lr
.endm
.macro rfy_row length
.if \length == 0
    ldmia r3!, {r4}
.elseif \length <= 2
    ldmia r3!, {r4, r5}
.elseif \length <= 4
    ldmia r3!, {r4-r6}
.elseif \length <= 6
    ldmia r3!, {r4-r6, r8}
.else
    ldmia r3!, {r4-r6, r8, r11}
.endif
.if \length >= 1
    rfy_low r5
.endif
.if \length >= 2
    rfy_high r5
.endif
.if \length >= 3
    rfy_low r6
.endif
.if \length >= 4
    rfy_high r6
.endif
.if \length >= 5
    rfy_low r8
.endif
.if \length >= 6
    rfy_high r8
.endif
.if \length >= 7
    rfy_low r11
.endif
.endm
.macro rfy_rows length
.Lrfy_words_\length:
    rfy_row \length
    rfy_end .Lrfy_words_\length
.endm
.macro rfy_two_rows length
.Lrfy_words_\length\()_even:
    rfy_row \length
    rfy_store
.Lrfy_words_\length\()_odd:
    rfy_row \length
    rfy_store
    subs r2, r2, #0x20000
    bpl .Lrfy_words_\length\()_even
    mov pc, lr
.endm
.macro rfy_last_pair
    ldmia r3!, {r5}
    rfy_pair r5
.endm
.macro rfy_entry label
    .short (.Lrfy_words_\label - .Lrfy_words_table) / 2
.endm
.macro rfy_entries label
    rfy_entry \label
    rfy_entry \label
.endm

    push {r4-r11, lr}
    sub sp, sp, #20
    ldr r9, [r0], #4
    mov r7, r3
    mov r3, r0
    mov r0, r1
    mov r10, r2
    adr.w lr, .Lrfy_words_hidden
    cmp r7, #0
    bge 1f
    adr.w lr, .Lrfy_words_last
1:  str lr, [sp, #12]
    blt .Lrfy_words_last_run
.Lrfy_words_hidden:
    ldmia r3!, {r2}
.Lrfy_words_go:
    uxtb r5, r2
    tbh [pc, r5, lsl #1]
.Lrfy_words_table:
    rfy_entries 0
    rfy_entry 1_odd
    rfy_entry 1_even
    rfy_entry 2_odd
    rfy_entry 2_even
    rfy_entry 3_odd
    rfy_entry 3_even
    rfy_entries 4
    rfy_entries 5
    rfy_entries 6
    rfy_entries 7
    rfy_entries 8
    rfy_entries 9
    rfy_entries 10
    rfy_entries 11
    rfy_entries 12
    rfy_entries 13
    rfy_entries 14
    rfy_entries long
    rfy_entries many_row
    rfy_entry done

.Lrfy_words_last:
    str r4, [r10, #-1]
    add r10, r10, #3
.if rfy_dsp == 0
    ldr r12, [sp, #16]
.endif
    subs r12, r12, #0x10000
    bpl 1f
.Lrfy_words_last_run:
    ldr r12, [r3], #4
    // Runs a single row: keeps the form without its lowest bit, and clears the number of rows. The
    // number 34, which ends the runs, stays the same.
1:
.if rfy_dsp == 0
    str r12, [sp, #16]
.endif
    and r2, r12, #0x3e
    b .Lrfy_words_go

.Lrfy_words_done:
    add sp, sp, #20
    pop {r4-r11, pc}

    rfy_rows 0
    rfy_two_rows 1
    rfy_two_rows 2
    rfy_two_rows 3
    rfy_rows 4
    rfy_rows 5
    rfy_rows 6
    rfy_rows 7

.macro rfy_many length, tail
.Lrfy_words_\length:
    adr.w r5, .Lrfy_words_\tail + 1
    b .Lrfy_words_many
.endm
    rfy_many 8 no_pair
    rfy_many 9 no_pair_and_one
    rfy_many 10 1_pair
    rfy_many 11 1_pair_and_one
    rfy_many 12 2_pairs
    rfy_many 13 2_pairs_and_one
    rfy_many 14 3_pairs
.Lrfy_words_long:
    // In the last layer, the other rows of the run do not repeat this: their form is `many_row`'s.
.if rfy_dsp
    add r12, r12, #2
.else
    ldr r1, [sp, #16]
    adds r1, r1, #2
    str r1, [sp, #16]
.endif
    // The pairs after the first 8 words are processed in rounds of 4 pairs, then up to 3 pairs. The
    // address of the code for the latter is odd, as `ldr pc` requires for Thumb code.
    ldmia r3!, {r1}
    adr.w r5, .Lrfy_words_no_pair + 1
    lsls r6, r1, #31
    it ne
    adrne.w r5, .Lrfy_words_no_pair_and_one + 1
    subs r1, r1, #8
    ubfx r6, r1, #1, #2
    movs r4, #rfy_last_pair_bytes
    mls r5, r6, r4, r5
    lsrs r1, r1, #3
    beq .Lrfy_words_many
    strd r5, r1, [sp, #4]
    adr.w r5, .Lrfy_words_rounds + 1
.Lrfy_words_many:
    str r5, [sp]
.Lrfy_words_many_row:
    ldmia r3!, {r4-r6, r8, r11}
    rfy_eight
    ldr pc, [sp]
    rfy_last_pair
.Lrfy_words_2_pairs_and_one:
    rfy_last_pair
.Lrfy_words_1_pair_and_one:
    rfy_last_pair
.Lrfy_words_no_pair_and_one:
    ldmia r3!, {r5}
    rfy_low r5
    rfy_end .Lrfy_words_many_row
.Lrfy_words_3_pairs:
    rfy_last_pair
.Lrfy_words_2_pairs:
    rfy_last_pair
.Lrfy_words_1_pair:
    rfy_last_pair
.Lrfy_words_no_pair:
    rfy_end .Lrfy_words_many_row
.Lrfy_words_rounds:
    ldr lr, [sp, #8]
1:  ldmia r3!, {r5, r6, r8, r11}
    rfy_eight
    subs lr, lr, #1
    bne 1b
    ldr lr, [sp, #12]
    ldr pc, [sp, #4]

.purgem rfy_low
.purgem rfy_high
.purgem rfy_pair
.purgem rfy_eight
.purgem rfy_store
.purgem rfy_end
.purgem rfy_row
.purgem rfy_rows
.purgem rfy_two_rows
.purgem rfy_last_pair
.purgem rfy_many
.purgem rfy_entry
.purgem rfy_entries
",
        options(raw),
    );
}
