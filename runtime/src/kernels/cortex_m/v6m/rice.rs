//! Entropy-coded rows on ARMv6-M: Cortex-M0, M0+ and M1, and the baseline of ARMv8-M.
//!
//! Words are assembled from four bytes, since they may lie at any address; this takes a third of a
//! weight's instructions. Zeros are counted one by one, since they are few; each adds 2^k, where k
//! is the Rice parameter. There are two loops: one for gaps after a bit that states whether the gap
//! is 0, and one for gaps without such a bit.
//!
//! Registers: r0 the word, r1, r2 and r7 scratch, r3 bits read, r4 the weight's activation
//! (between rows: the call), r5 weights left of the row, r6 sum, r8 the block's last four bytes,
//! r9 `weight_k`, r10 32 minus it, r11 2 to the power of it, r12 the same power for gaps. Stack, by
//! offset: 0: the call; 4: the bits of a weight and a gap, excluding their zeros; 8: the codebook;
//! 12: 32 minus the Rice parameter of the gaps.

use core::arch::naked_asm;

use crate::kernels::native::call::RiceCall;

/// Computes the rows of a layer, after gathering the inputs in the list if there is one.
///
/// # Safety
///
/// 1. The fields of `call` must be valid, and the parser must have accepted its block for `first_k`
///    inputs and `left` outputs, of which there is at least one.
/// 2. If there is a list, `first` must have room for the inputs that it selects.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn rows(call: *mut RiceCall) {
    naked_asm!(
        r"
// Loads the word that starts at the next bit to r0; clobbers r1 and r2.
.macro rfy_window
    lsrs r1, r3, #3
    mov r2, r8
    subs r2, r2, r1
    ldrb r0, [r2, #3]
    ldrb r1, [r2, #2]
    lsls r0, r0, #8
    orrs r0, r0, r1
    ldrb r1, [r2, #1]
    lsls r0, r0, #8
    orrs r0, r0, r1
    ldrb r1, [r2]
    lsls r0, r0, #8
    orrs r0, r0, r1
    movs r1, #7
    ands r1, r1, r3
    lsls r0, r0, r1
.endm
// Sets r1 to the quotient of the code at the top of r0, times `step`, and moves the remainder to
// the top; adds the number of zeros to r3.
.macro rfy_quotient step
    movs r1, #0
    lsls r0, r0, #1
    bcs 8f
7:  adds r3, r3, #1
    add r1, r1, \step
    lsls r0, r0, #1
    bcc 7b
8:
.endm
// Sets r2 to the smallest left shift that makes r0, which is not 0, at least r1; clobbers r0.
.macro rfy_reach
    movs r2, #0
    b 8f
7:  lsls r0, r0, #1
    adds r2, r2, #1
8:  cmp r0, r1
    blo 7b
.endm
.macro rfy_weights adjacent
1:  rfy_window
    rfy_quotient r11
    mov r2, r0
    mov r7, r10
    lsrs r2, r2, r7
    mov r7, r9
    lsls r0, r0, r7
    adds r2, r2, r1
    ldr r7, [sp, #8]
    cmp r7, #0
    bne 5f
    lsrs r2, r2, #1
    bcs 6f
    adds r2, r2, #1
2:  ldrb r1, [r4]
    muls r2, r1, r2
    adds r6, r6, r2
    subs r5, r5, #1
    beq 4f
.if \adjacent
    lsls r0, r0, #1
    bcs 3f
    adds r4, r4, #2
.else
    adds r4, r4, #1
.endif
    rfy_quotient r12
    adds r4, r4, r1
    ldr r7, [sp, #12]
    lsrs r0, r0, r7
    adds r4, r4, r0
    ldr r7, [sp, #4]
    adds r3, r3, r7
    b 1b
.if \adjacent
3:  adds r4, r4, #1
    adds r3, r3, #2
    add r3, r3, r9
    b 1b
.endif
4:  b .Lrfy_rice_ends
5:  ldrsb r2, [r7, r2]
    b 2b
6:  mvns r2, r2
    b 2b
.endm

    push {r4-r7, lr}
    mov r1, r8
    mov r2, r9
    mov r3, r10
    mov r4, r11
    push {r1-r4}
    sub sp, sp, #20
    str r0, [sp]
    mov r4, r0
    ldmia r0!, {r1, r3, r7}
    mov r8, r1
    str r7, [sp, #8]
    ldr r5, [r4, #12]
    movs r1, #15
    ands r1, r1, r5
    mov r9, r1
    movs r2, #32
    subs r2, r2, r1
    mov r10, r2
    movs r2, #1
    lsls r2, r2, r1
    mov r11, r2
    lsls r5, r5, #1
    bpl .Lrfy_rice_row

// The list: r6 an input, r5 its destination, r12 and the word at 4 of the stack the parameters, the
// word at 12 of the stack the end of the inputs.
    rfy_window
    adds r3, r3, #8
    lsrs r1, r0, #28
    mov r12, r1
    lsls r0, r0, #4
    lsrs r0, r0, #28
    str r0, [sp, #4]
    ldr r6, [r4, #24]
    ldr r5, [r4, #48]
    ldr r1, [r4, #52]
    adds r1, r1, r6
    str r1, [sp, #12]
    str r5, [r4, #24]
    b 2f
1:  adds r6, r6, #1
2:  mov r7, r12
    bl .Lrfy_rice_number
    adds r6, r6, r0
    ldr r1, [sp, #12]
    cmp r6, r1
    bhs .Lrfy_rice_row
    ldr r7, [sp, #4]
    bl .Lrfy_rice_number
3:  ldrb r1, [r6]
    strb r1, [r5]
    adds r6, r6, #1
    adds r5, r5, #1
    subs r0, r0, #1
    bpl 3b
    ldr r1, [sp, #12]
    cmp r6, r1
    blo 1b
    b .Lrfy_rice_row

// Starts a run of rows of one length.
.Lrfy_rice_run:
    ldr r5, [r4, #12]
    lsls r7, r5, #12
    lsrs r7, r7, #28
    bl .Lrfy_rice_number
    ldr r1, [r4, #24]
    str r1, [r4, #48]
    ldr r1, [r4, #44]
    cmp r5, #0
    bmi 1f
    cmp r0, #0
    beq .Lrfy_rice_bias
    lsrs r0, r0, #1
    bcc 3f
    mvns r0, r0
3:  adds r5, r0, r1
    str r5, [r4, #44]
    mov r0, r5
    b 2f
1:  lsls r7, r5, #16
    lsrs r7, r7, #29
    adds r5, r0, r1
    adds r5, r5, #1
    str r5, [r4, #44]
    bl .Lrfy_rice_number
    str r0, [r4, #40]
    adds r0, r0, #1
    muls r0, r5, r0
2:  cmp r5, #0
    beq .Lrfy_rice_bias
    ldr r1, [r4, #16]
    rfy_reach
    str r2, [r4, #52]
    mov r0, r5
    ldr r1, [r4, #20]
    rfy_reach
    movs r0, #1
    lsls r0, r0, r2
    mov r12, r0
    movs r0, #32
    subs r0, r0, r2
    str r0, [sp, #12]
    add r2, r2, r9
    adds r2, r2, #2
    ldr r0, [r4, #12]
    lsls r0, r0, #2
    lsrs r0, r0, #31
    adds r2, r2, r0
    str r2, [sp, #4]
    b .Lrfy_rice_bias

.Lrfy_rice_row:
    ldr r5, [r4, #40]
    subs r5, r5, #1
    blo .Lrfy_rice_run
    str r5, [r4, #40]
.Lrfy_rice_bias:
    ldr r7, [r4, #12]
    lsls r7, r7, #19
    lsrs r7, r7, #27
    bl .Lrfy_rice_number
    lsrs r6, r0, #1
    bcc 1f
    mvns r6, r6
1:  ldr r1, [r4, #12]
    lsls r1, r1, #24
    lsrs r1, r1, #28
    lsls r6, r6, r1
    ldr r5, [r4, #44]
    cmp r5, #0
    bne 1f
    b .Lrfy_rice_empty
1:  ldr r7, [r4, #52]
    bl .Lrfy_rice_number
    ldr r1, [r4, #48]
    adds r0, r0, r1
    str r0, [r4, #48]
    ldr r1, [r4, #12]
    mov r4, r0
    lsls r1, r1, #3
    bcs 1f
    b .Lrfy_rice_plain
1:  rfy_weights 1

// Reads the number at the next bit, with the Rice parameter r7, to r0; clobbers r1 and r2.
.Lrfy_rice_number:
    rfy_window
    adds r3, r3, #1
    adds r3, r3, r7
    movs r2, #1
    lsls r2, r2, r7
    rfy_quotient r2
    movs r2, #32
    subs r2, r2, r7
    lsrs r0, r0, r2
    adds r0, r0, r1
    bx lr

.Lrfy_rice_plain:
    rfy_weights 0

.Lrfy_rice_ends:
    adds r3, r3, #1
    add r3, r3, r9
    ldr r4, [sp]
.Lrfy_rice_empty:
    ldr r0, [r4, #28]
    ldr r1, [r4, #32]
    cmp r0, #0
    bmi 2f
    asrs r6, r6, r0
    cmp r6, #255
    bls 1f
    // Clamps the sum to 255 if it is too large, and to 0 if it is negative.
    asrs r6, r6, #31
    mvns r6, r6
1:  strb r6, [r1]
    adds r1, r1, #1
    b 3f
2:  stmia r1!, {r6}
3:  str r1, [r4, #32]
    ldr r0, [r4, #36]
    subs r0, r0, #1
    str r0, [r4, #36]
    beq 4f
    b .Lrfy_rice_row
4:  add sp, sp, #20
    pop {r1-r4}
    mov r8, r1
    mov r9, r2
    mov r10, r3
    mov r11, r4
    pop {r4-r7, pc}

.purgem rfy_window
.purgem rfy_quotient
.purgem rfy_reach
.purgem rfy_weights
",
        options(raw),
    );
}
