//! Packed words on ARMv6-M: Cortex-M0, M0+ and M1, and the baseline of ARMv8-M.
//!
//! A weight takes six instructions: two for the column, `ldrb` (the activation), one to extend the
//! sign of the weight, `muls`, `adds`. To reduce the overhead per row:
//!
//! - rows of up to 8 weights have code for each length: one or two `ldmia` load bias and weights,
//!   and nine more instructions shift, clamp, store and compare;
//! - longer rows are processed in rounds of 8; a jump into the first round accounts for the
//!   remaining pairs. A row of odd length multiplies its padding, too.
//!
//! The head of a run consists of its number of rows and its form, which selects the code. The last
//! layer uses the same code one row at a time: the byte that the code stores lies in the place of
//! the logit, which then overwrites it.
//!
//! Registers: r0 stream, r1 input, r2 and r3 scratch, r4 sum, r5 to r7 weights, r8 mask, r9
//! output, r10 its end for this run, r11 shift, r12 where to continue after a run (in a long run,
//! the code of a row's first pairs), lr 1 (in a long run, the row's end). Stack, by offset:
//! 0: a copy of r12 during a long run; 4: the bytes per long row; 8: the run's head (last layer).

use core::arch::naked_asm;

use crate::kernels::native::call::Store;

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
        r"
.macro rfy_low word
    mov r2, r8
    ands r2, r2, \word
    ldrb r2, [r1, r2]
    sxth r3, \word
    muls r2, r3, r2
    adds r4, r4, r2
.endm
.macro rfy_high word
    asrs \word, \word, #16
    mov r2, r8
    ands r2, r2, \word
    ldrb r2, [r1, r2]
    muls r2, \word, r2
    adds r4, r4, r2
.endm
.macro rfy_pair word
    rfy_low \word
    rfy_high \word
.endm
.macro rfy_count row
    add r9, r9, lr
    cmp r9, r10
    bne \row
    mov pc, r12
.endm
.macro rfy_rows length
.Lrfy_words_\length:
.if \length == 0
    ldmia r0!, {r4}
.elseif \length <= 2
    ldmia r0!, {r4, r5}
.elseif \length <= 4
    ldmia r0!, {r4-r6}
.else
    ldmia r0!, {r4-r7}
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
    ldmia r0!, {r5}
    rfy_low r5
.endif
.if \length >= 8
    rfy_high r5
.endif
    mov r3, r11
    asrs r4, r4, r3
    cmp r4, #255
    bhi 1f
    mov r3, r9
    strb r4, [r3]
    rfy_count .Lrfy_words_\length
1:  asrs r3, r4, #31
    mvns r3, r3
    mov r2, r9
    strb r3, [r2]
    rfy_count .Lrfy_words_\length
.endm

    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    sub sp, sp, #12
    ldmia r0!, {r4}
    mov r8, r4
    mov r9, r2
    mov r11, r3
    movs r4, #1
    mov lr, r4
    cmp r3, #0
    blt 1f
    adr r3, .Lrfy_words_hidden
    mov r12, r3
    b .Lrfy_words_hidden
1:  movs r3, #0
    mov r11, r3
    adr r3, .Lrfy_words_last
    mov r12, r3
    b .Lrfy_words_last_run

    .balign 4
.Lrfy_words_hidden:
    ldmia r0!, {r2}
    lsrs r4, r2, #16
    adds r4, r4, #1
.Lrfy_words_go:
    add r4, r4, r9
    mov r10, r4
    // The form without its lowest bit: twice the length, which is the size of that many branches.
    movs r3, #0x3e
    ands r2, r2, r3
    add pc, pc, r2
    nop
    b .Lrfy_words_0
    b .Lrfy_words_1
    b .Lrfy_words_2
    b .Lrfy_words_3
    b .Lrfy_words_4
    b .Lrfy_words_5
    b .Lrfy_words_6
    b .Lrfy_words_7
    b .Lrfy_words_8
    b .Lrfy_words_9_to_14
    b .Lrfy_words_9_to_14
    b .Lrfy_words_9_to_14
    b .Lrfy_words_9_to_14
    b .Lrfy_words_9_to_14
    b .Lrfy_words_9_to_14
    b .Lrfy_words_long
    b .Lrfy_words_again
    b .Lrfy_words_done

    .balign 4
.Lrfy_words_last:
    mov r3, r9
    subs r3, r3, #1
    str r4, [r3]
    adds r3, r3, #4
    mov r9, r3
    ldr r2, [sp, #8]
    movs r3, #1
    lsls r3, r3, #16
    subs r2, r2, r3
    bpl 1f
.Lrfy_words_last_run:
    ldmia r0!, {r2}
1:  str r2, [sp, #8]
    movs r4, #1
    b .Lrfy_words_go

.Lrfy_words_done:
    add sp, sp, #12
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}

    rfy_rows 0
    rfy_rows 1
    rfy_rows 2
    rfy_rows 3
    rfy_rows 4
    rfy_rows 5
    rfy_rows 6
    rfy_rows 7
    rfy_rows 8

.Lrfy_words_again:
    ldr r2, [sp, #4]
    lsrs r2, r2, #2
    b 2f
.Lrfy_words_long:
    // In the last layer, the other rows of the run do not repeat this.
    ldr r2, [sp, #8]
    adds r2, r2, #2
    str r2, [sp, #8]
    ldmia r0!, {r2}
    b 1f
.Lrfy_words_9_to_14:
    lsrs r2, r2, #1
1:  adds r2, r2, #1
    lsrs r2, r2, #1
2:  lsls r3, r2, #2
    str r3, [sp, #4]
    mov r3, r12
    str r3, [sp]
    // The code for a pair takes 26 bytes.
    movs r3, #3
    ands r3, r3, r2
    movs r2, #26
    muls r3, r2, r3
    adr r2, .Lrfy_words_rounds
    subs r2, r2, r3
    mov r12, r2
.Lrfy_words_long_row:
    ldmia r0!, {r4}
    ldr r3, [sp, #4]
    adds r3, r3, r0
    mov lr, r3
    mov pc, r12
    // Aligns the rounds to a word, for `adr`.
    .balign 4
    nop
    ldmia r0!, {r5}
    rfy_pair r5
    ldmia r0!, {r5}
    rfy_pair r5
    ldmia r0!, {r5}
    rfy_pair r5
.Lrfy_words_rounds:
    ldmia r0!, {r5, r6}
    rfy_pair r5
    rfy_pair r6
    ldmia r0!, {r5, r6}
    rfy_pair r5
    rfy_pair r6
    cmp r0, lr
    bne .Lrfy_words_rounds
    mov r3, r11
    asrs r4, r4, r3
    cmp r4, #255
    bhi 2f
    mov r2, r9
    strb r4, [r2]
1:  adds r2, r2, #1
    mov r9, r2
    cmp r2, r10
    bne .Lrfy_words_long_row
    movs r3, #1
    mov lr, r3
    ldr r3, [sp]
    mov r12, r3
    mov pc, r3
2:  asrs r3, r4, #31
    mvns r3, r3
    mov r2, r9
    strb r3, [r2]
    b 1b

.purgem rfy_low
.purgem rfy_high
.purgem rfy_pair
.purgem rfy_count
.purgem rfy_rows
",
        options(raw),
    );
}
