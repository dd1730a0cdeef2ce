//! Packed words on ARMv7-M: Cortex-M4 and M7 (`v7em`), M3 and M33 (`v7m`).
//!
//! One weight costs three instructions: `and` (the column), `ldrb` (the activation), `smlabb` or
//! `smlatb` (multiply the undecoded half word, add); four where the DSP extension is missing. What
//! is left to save is what surrounds them, and so
//!
//! - rows of up to 7 weights have a body for each length: one `ldm` brings bias and weights, and
//!   five more instructions shift, clamp, store and count;
//! - bodies for 1 to 3 weights hold two rows, which share the counting;
//! - all longer rows share one body, to keep the code short. It takes 8 weights the same way, then
//!   jumps to as many more pairs as there are; rows of 15 and more go in rounds of 8 before that. From
//!   9 weights on an odd row multiplies its padding, too.
//!
//! A last layer takes the same bodies a row at a time: the byte they store lies in the place of the
//! logit, which then overwrites it. Its shift is 0, so `asrs` leaves the logit as it is.
//!
//! Registers: r0 input, r1 scratch, r2 rows left of the run, r3 stream, r4 accumulator, r5, r6, r8 and
//! r11 weights, r7 runs left above the shift (`asrs` looks at the low byte only; of two low registers
//! its encoding is the short one), r9 mask, r10 output, r12 the next run, lr where a run's end goes on
//! (in a long row rounds left). Stack: 0 where a row of 8 and more goes on after its first 8 words, 4 and
//! 8 a long row's last pairs and rounds, 12 rows left of the run (last layer), 16 the next run (v7m, which
//! has no register for it), 20 lr's copy.

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
.set rfy_last_pair_bytes, 22",
        #[cfg(cortex_m = "v7m")]
        r"
.set rfy_dsp, 0
.set rfy_last_pair_bytes, 28",
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
    subs r2, r2, #1
    bne \row
    mov pc, lr
.endm
.macro rfy_row length
.if \length == 0
    ldmia r3!, {r4}
.elseif \length <= 2
    ldmia r3!, {r4, r5}
.elseif \length <= 4
    ldmia r3!, {r4, r5, r6}
.elseif \length <= 6
    ldmia r3!, {r4, r5, r6, r8}
.else
    ldmia r3!, {r4, r5, r6, r8, r11}
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
.Lrfy_words_\length:
    lsls r1, r2, #31
    bne 2f
1:  rfy_row \length
    rfy_store
2:  rfy_row \length
    rfy_store
    subs r2, r2, #2
    bgt 1b
    mov pc, lr
.endm
.macro rfy_last_pair
    ldmia r3!, {r5}
    rfy_pair r5
.endm
.macro rfy_next_run
    subs r7, r7, #0x100
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
    sub sp, sp, #24
    ldm r0, {r0, r3, r9, r10, r11, r12}
    mov r7, r11
.if rfy_dsp == 0
    str r12, [sp, #16]
.endif
    adr.w lr, .Lrfy_words_hidden
    cbz r1, 1f
    adr.w lr, .Lrfy_words_last
1:  str lr, [sp, #20]
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
    add sp, sp, #24
    pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}

    rfy_rows 0
    rfy_two_rows 1
    rfy_two_rows 2
    rfy_two_rows 3
    rfy_rows 4
    rfy_rows 5
    rfy_rows 6
    rfy_rows 7

.Lrfy_words_8:
    adr.w r5, .Lrfy_words_no_pair + 1
    b .Lrfy_words_many
.Lrfy_words_10:
    adr.w r5, .Lrfy_words_1_pair + 1
    b .Lrfy_words_many
.Lrfy_words_12:
    adr.w r5, .Lrfy_words_2_pairs + 1
    b .Lrfy_words_many
.Lrfy_words_14:
    adr.w r5, .Lrfy_words_3_pairs + 1
    b .Lrfy_words_many
.Lrfy_words_long:
    // Of the pairs behind the first 8 words: rounds of 4, and up to 3.
    subs r1, r1, #7
    ubfx r5, r1, #1, #2
    // Where the row's last pairs begin, as `ldr pc` wants it: plus 1, which says Thumb.
    adr.w r6, .Lrfy_words_no_pair + 1
    movs r4, #rfy_last_pair_bytes
    mls r6, r5, r4, r6
    lsrs r1, r1, #3
    strd r6, r1, [sp, #4]
    adr.w r5, .Lrfy_words_rounds + 1
.Lrfy_words_many:
    str r5, [sp]
.Lrfy_words_many_row:
    ldmia r3!, {r4, r5, r6, r8, r11}
    rfy_eight
    ldr pc, [sp]
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
    ldr lr, [sp, #20]
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
.purgem rfy_next_run
",
        options(raw),
    );
}
