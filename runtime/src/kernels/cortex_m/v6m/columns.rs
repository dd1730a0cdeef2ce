//! Columns on ARMv6-M: Cortex-M0, M0+ and M1, and the baseline of ARMv8-M.
//!
//! A weight whose activation is not 0 takes seven instructions: two for the row, `ldr` (its sum),
//! one to extend the sign of the weight, `muls`, `adds`, `str`; in addition, each `u32` of two
//! words takes one. The two weights of a row that reads both inputs of a pair take 12, or eight if
//! one of the inputs is 0. The input is searched for nonzero bytes by words, but by pairs of bytes
//! before the first word boundary, or throughout if it starts at an odd address. A section is
//! processed in rounds of four `u32` (eight for rows that read both inputs). A jump into the first
//! round accounts for the remainder, down to half a `u32`.
//!
//! Registers: r0 sums, r1 mask (times 4), r2 activation, r3 section (during the search: input),
//! r4 to r6 scratch, r7 words, r8 pairs, r9 input, r10 address of the last whole word, r11
//! distance from an input to its start, r12 end of the section, lr second activation. Stack, by
//! offset: 0: the end of the input; 4: the call; 8: `logits`; while a pair is processed, its header
//! and the return address precede them.

use core::arch::naked_asm;

use crate::kernels::native::call::ColumnsCall;

/// Runs a layer. Reads each activation once. For pairs whose activations are not both 0, reads the
/// start, the header, and the sections of the activations that are not 0, and updates a sum for
/// each word. Finally requantizes the sums in place, unless `logits` is 1.
///
/// # Safety
///
/// 1. The fields of `call` must be valid, with `rows` sums and biases; `logits` must be 1 if and
///    only if `store` is [`Store::LOGITS`](crate::kernels::native::call::Store::LOGITS).
/// 2. There must be a start for every two activations, and for a last one without a partner: the
///    index of a header that is followed by its three sections.
/// 3. The masked value of each word must be below `rows`, and the same for both words of a row that
///    reads both inputs.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn run(call: *const ColumnsCall, logits: u32) {
    naked_asm!(
        r"
.macro rfy_low
    lsls r4, r7, #2
    ands r4, r4, r1
    ldr r5, [r0, r4]
    sxth r6, r7
    muls r6, r2, r6
    adds r5, r5, r6
    str r5, [r0, r4]
.endm
.macro rfy_high
    lsrs r4, r7, #14
    ands r4, r4, r1
    ldr r5, [r0, r4]
    asrs r7, r7, #16
    muls r7, r2, r7
    adds r5, r5, r7
    str r5, [r0, r4]
.endm
.macro rfy_both
    ldmia r3!, {r7}
    lsls r4, r7, #2
    ands r4, r4, r1
    ldr r5, [r0, r4]
    sxth r6, r7
    muls r6, r2, r6
    adds r5, r5, r6
    asrs r7, r7, #16
    mov r6, lr
    muls r7, r6, r7
    adds r5, r5, r7
    str r5, [r0, r4]
.endm
.macro rfy_half
    ldrsh r6, [r3, r7]
    adds r3, r3, #4
    lsls r4, r6, #2
    ands r4, r4, r1
    ldr r5, [r0, r4]
    muls r6, r2, r6
    adds r5, r5, r6
    str r5, [r0, r4]
.endm
// Branches through the table that follows, indexed by `count` modulo `most` + 1. Clobbers `count`
// and r5.
.macro rfy_jump count, most
    movs r5, #\most
    ands \count, \count, r5
    lsls \count, \count, #1
    add pc, pc, \count
    nop
.endm
.macro rfy_pair place
    ldrh r2, [r3, #\place]
    cmp r2, #0
    beq 9f
    mov r4, r11
    adds r4, r4, r3
    ldrh r4, [r4, #\place]
    bl .Lrfy_columns_block
9:
.endm

    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    sub sp, sp, #4
    push {r0, r1}
    sub sp, sp, #4
    // Each sum starts with its bias.
    mov r7, r0
    ldmia r7!, {r0-r2}
    mov r12, r7
    mov r3, r0
    subs r2, r2, #4
    blo 2f
1:  ldmia r1!, {r4-r7}
    stmia r3!, {r4-r7}
    subs r2, r2, #4
    bhs 1b
2:  adds r2, r2, #4
    beq 2f
1:  ldmia r1!, {r4}
    stmia r3!, {r4}
    subs r2, r2, #1
    bne 1b
2:  mov r7, r12
    ldmia r7!, {r1-r5}
    mov r8, r2
    str r5, [sp]
    subs r5, r5, #3
    mov r10, r5
    subs r3, r3, r4
    mov r11, r3
    mov r3, r4
    b 3f

    // A pair that is not part of a whole word. The last input may have no partner.
1:  ldrb r2, [r3]
    ldr r5, [sp]
    adds r4, r3, #1
    cmp r4, r5
    beq 2f
    ldrb r4, [r4]
    lsls r4, r4, #8
    orrs r2, r2, r4
2:  cmp r2, #0
    beq 2f
    mov r4, r11
    adds r4, r4, r3
    ldrh r4, [r4]
    bl .Lrfy_columns_block
2:  adds r3, r3, #2
3:  ldr r4, [sp]
    cmp r3, r4
    blo 4f
    b .Lrfy_columns_done
4:  lsls r4, r3, #30
    bne 1b
    cmp r3, r10
    bhs 1b
5:  ldmia r3!, {r2}
    cmp r2, #0
    bne 7f
6:  cmp r3, r10
    blo 5b
    b 3b
7:  subs r3, r3, #4
    rfy_pair 0
    rfy_pair 2
    adds r3, r3, #4
    b 6b

    // Rows that read both inputs, if neither input is 0. Placed here because the branches past this
    // code could not reach across it.
1:  rfy_both
.Lrfy_both_7:
    rfy_both
.Lrfy_both_6:
    rfy_both
.Lrfy_both_5:
    rfy_both
.Lrfy_both_4:
    rfy_both
.Lrfy_both_3:
    rfy_both
.Lrfy_both_2:
    rfy_both
.Lrfy_both_1:
    rfy_both
.Lrfy_both_0:
    cmp r3, r12
    bne 1b
    b .Lrfy_columns_first

.Lrfy_columns_block:
    mov r9, r3
    lsls r4, r4, #2
    add r4, r4, r8
    ldmia r4!, {r6}
    push {r6, lr}
    mov r3, r4
    lsrs r4, r2, #8
    mov lr, r4
    uxtb r2, r2
    lsrs r6, r6, #22
    beq .Lrfy_columns_first
    lsls r5, r6, #2
    adds r5, r5, r3
    mov r12, r5
    cmp r2, #0
    beq .Lrfy_columns_second
    movs r7, #0
    cmp r4, #0
    beq .Lrfy_columns_halves
    rfy_jump r6, 7
    b .Lrfy_both_0
    b .Lrfy_both_1
    b .Lrfy_both_2
    b .Lrfy_both_3
    b .Lrfy_both_4
    b .Lrfy_both_5
    b .Lrfy_both_6
    b .Lrfy_both_7

    // Rows that read both inputs, if one of the inputs is 0: the half words of the other one.
.Lrfy_columns_second:
    mov r2, lr
    movs r7, #2
.Lrfy_columns_halves:
    rfy_jump r6, 3
    b 5f
    b 1f
    b 2f
    b 3f
4:  rfy_half
3:  rfy_half
2:  rfy_half
1:  rfy_half
5:  cmp r3, r12
    bne 4b
    cmp r7, #0
    beq .Lrfy_columns_first
    movs r2, #0

.Lrfy_columns_first:
    ldr r6, [sp]
    lsls r6, r6, #10
    lsrs r6, r6, #21
    beq 6f
    cmp r2, #0
    bne 7f
    adds r6, r6, #1
    lsrs r6, r6, #1
    lsls r6, r6, #2
    adds r3, r3, r6
6:  mov r2, lr
    cmp r2, #0
    beq 9f
    movs r6, #0
    mov lr, r6
    ldr r6, [sp]
    lsls r6, r6, #21
    beq 9f
    lsrs r6, r6, #21
7:  adds r5, r6, #1
    lsrs r5, r5, #1
    lsls r5, r5, #2
    adds r5, r5, r3
    mov r12, r5
    rfy_jump r6, 7
    b 8f
    b .Lrfy_columns_enter_1
    b 1f
    b .Lrfy_columns_enter_3
    b 3f
    b .Lrfy_columns_enter_5
    b 5f
    ldmia r3!, {r7}
    b .Lrfy_columns_7
9:  mov r3, r9
    pop {r6, pc}
.Lrfy_columns_enter_1:
    ldmia r3!, {r7}
    b .Lrfy_columns_1
.Lrfy_columns_enter_3:
    ldmia r3!, {r7}
    b .Lrfy_columns_3
.Lrfy_columns_enter_5:
    ldmia r3!, {r7}
    b .Lrfy_columns_5
4:  ldmia r3!, {r7}
    rfy_low
.Lrfy_columns_7:
    rfy_high
5:  ldmia r3!, {r7}
    rfy_low
.Lrfy_columns_5:
    rfy_high
3:  ldmia r3!, {r7}
    rfy_low
.Lrfy_columns_3:
    rfy_high
1:  ldmia r3!, {r7}
    rfy_low
.Lrfy_columns_1:
    rfy_high
8:  cmp r3, r12
    bne 4b
    b 6b

.Lrfy_columns_done:
    ldr r4, [sp, #8]
    cmp r4, #0
    bne 4f
    ldr r4, [sp, #4]
    ldr r3, [r4, #8]
    ldr r2, [r4, #32]
    mov r1, r0
    adds r3, r3, r1
    b 3f
1:  ldmia r0!, {r4}
    asrs r4, r4, r2
    cmp r4, #255
    bhi 5f
2:  strb r4, [r1]
    adds r1, r1, #1
3:  cmp r1, r3
    bne 1b
4:  add sp, sp, #16
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
5:  asrs r4, r4, #31
    mvns r4, r4
    b 2b

.purgem rfy_low
.purgem rfy_high
.purgem rfy_both
.purgem rfy_half
.purgem rfy_jump
.purgem rfy_pair
",
        options(raw),
    );
}
