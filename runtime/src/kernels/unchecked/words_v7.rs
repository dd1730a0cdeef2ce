//! Packed words on ARMv7-M: Cortex-M4 and M7 (`v7em`), M3 and M33 (`v7m`).
//!
//! One weight costs three instructions: `and` (the column), `ldrb` (the activation), `smlabb` or
//! `smlatb` (multiply the undecoded half word, add); four where the DSP extension is missing. What
//! is left to save is what surrounds them, and so
//!
//! - rows of up to 8 weights have a body for each length: one `ldm` brings bias and weights, and
//!   five more instructions shift, clamp, store and count;
//! - rows of 9 to 14 take 8 weights the same way and jump to as many more pairs as they have;
//! - longer rows go in rounds of 8 and jump likewise. From 9 weights on an odd row multiplies its
//!   padding, too;
//! - bodies for 1 to 3 weights hold two rows, which share the counting.
//!
//! A last layer takes the same bodies a row at a time: the byte they store lies in the place of the
//! logit, which then overwrites it.
//!
//! Registers: r0 input, r1 scratch, r2 rows left of the run, r3 stream, r4 accumulator, r5 to r8
//! weights, r9 mask, r10 output, r11 runs left above the shift (`asr` looks at the low byte only), r12
//! the next run, lr rounds left or where the row's last pairs begin. Stack: 0 where a run's end goes on,
//! 4 and 8 a long row's last pairs and rounds, 12 rows left of the run (last layer), 16 the next run (v7,
//! which has no register for it).

use super::words::Call;

/// Runs one layer.
///
/// # Safety
///
/// `call` must point to a call as [`super::words`] describes it.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn run(call: *const Call<'_>, last: u32) {
    core::arch::naked_asm!(
        // The bytes are those of the macro `rfy_last_pair`.
        #[cfg(cortex_m = "v7em")]
        r"
.set rfy_dsp, 1
.set rfy_last_pair_bytes, 24",
        #[cfg(cortex_m = "v7m")]
        r"
.set rfy_dsp, 0
.set rfy_last_pair_bytes, 32",
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
    asr \word, \word, #16
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
    rfy_pair r7
    rfy_pair r8
.endm
.macro rfy_store
    asr r1, r4, r11
    usat r1, #8, r1
    strb r1, [r10], #1
.endm
.macro rfy_end row
    rfy_store
    subs r2, r2, #1
    bne \row
    ldr pc, [sp]
.endm
.macro rfy_row length
.if \length == 0
    ldmia r3!, {r4}
.elseif \length <= 2
    ldmia r3!, {r4, r5}
.elseif \length <= 4
    ldmia r3!, {r4, r5, r6}
.elseif \length <= 6
    ldmia r3!, {r4, r5, r6, r7}
.else
    ldmia r3!, {r4, r5, r6, r7, r8}
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
    rfy_low r7
.endif
.if \length >= 6
    rfy_high r7
.endif
.if \length >= 7
    rfy_low r8
.endif
.if \length >= 8
    rfy_high r8
.endif
.endm
.macro rfy_rows length
.Lrfy_words_\length:
    rfy_row \length
    rfy_end .Lrfy_words_\length
.endm
.macro rfy_two_rows length
.Lrfy_words_\length:
    lsls r1, r2, #31
    bne 2f
1:  rfy_row \length
    rfy_store
2:  rfy_row \length
    rfy_store
    subs r2, r2, #2
    bgt 1b
    ldr pc, [sp]
.endm
.macro rfy_last_pair
    ldr r5, [r3], #4
    rfy_pair r5
.endm
.macro rfy_next_run
    subs r11, r11, #0x100
    bmi .Lrfy_words_done
.if rfy_dsp == 0
    ldr r12, [sp, #16]
.endif
    ldrh r1, [r12], #4
    ldrh r2, [r12, #-2]
.if rfy_dsp == 0
    str r12, [sp, #16]
.endif
.endm

    push {r4, r5, r6, r7, r8, r9, r10, r11, lr}
    sub sp, sp, #20
    ldm r0, {r0, r3, r9, r10, r11, r12}
.if rfy_dsp == 0
    str r12, [sp, #16]
.endif
    adr.w r2, .Lrfy_words_hidden
    cbz r1, 1f
    adr.w r2, .Lrfy_words_last
1:  adds r2, r2, #1
    str r2, [sp]
    cbnz r1, .Lrfy_words_last_run
.Lrfy_words_hidden:
    rfy_next_run
.Lrfy_words_go:
    usat r5, #4, r1
    tbh [pc, r5, lsl #1]
.Lrfy_words_table:
    .short (.Lrfy_words_0 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_1 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_2 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_3 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_4 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_5 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_6 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_7 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_8 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_10 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_10 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_12 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_12 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_14 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_14 - .Lrfy_words_table) / 2
    .short (.Lrfy_words_long - .Lrfy_words_table) / 2

.Lrfy_words_last:
    str r4, [r10, #-1]
    add r10, r10, #3
    ldr r2, [sp, #12]
    subs r2, r2, #1
    bne 2f
.Lrfy_words_last_run:
    rfy_next_run
1:  str r2, [sp, #12]
    movs r2, #1
    b .Lrfy_words_go
2:
.if rfy_dsp == 0
    ldr r12, [sp, #16]
.endif
    ldrh r1, [r12, #-4]
    b 1b

.Lrfy_words_done:
    add sp, sp, #20
    pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}

    rfy_rows 0
    rfy_two_rows 1
    rfy_two_rows 2
    rfy_two_rows 3
    rfy_rows 4
    rfy_rows 5
    rfy_rows 6
    rfy_rows 7
    rfy_rows 8

.Lrfy_words_10:
    adr.w lr, .Lrfy_words_1_pair
    b .Lrfy_words_some
.Lrfy_words_12:
    adr.w lr, .Lrfy_words_2_pairs
    b .Lrfy_words_some
.Lrfy_words_14:
    adr.w lr, .Lrfy_words_3_pairs
.Lrfy_words_some:
    ldmia r3!, {r4, r5, r6, r7, r8}
    rfy_eight
    mov pc, lr
.Lrfy_words_3_pairs:
    rfy_last_pair
.Lrfy_words_2_pairs:
    rfy_last_pair
.Lrfy_words_1_pair:
    rfy_last_pair
    rfy_end .Lrfy_words_some

.Lrfy_words_long:
    adds r1, r1, #1
    ubfx r5, r1, #1, #2
    lsrs r1, r1, #3
    // Where the row's last pairs begin, as `ldr pc` wants it: plus 1, which says Thumb.
    adr.w r6, .Lrfy_words_long_0_pairs + 1
    movs r7, #rfy_last_pair_bytes
    mls r5, r5, r7, r6
    strd r5, r1, [sp, #4]
.Lrfy_words_long_row:
    ldr r4, [r3], #4
    ldr lr, [sp, #8]
1:  ldmia r3!, {r5, r6, r7, r8}
    rfy_eight
    subs lr, lr, #1
    bne 1b
    ldr pc, [sp, #4]
    rfy_last_pair
    rfy_last_pair
    rfy_last_pair
.Lrfy_words_long_0_pairs:
    rfy_end .Lrfy_words_long_row

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
.purgem rfy_next_run
",
        options(raw),
    );
}
