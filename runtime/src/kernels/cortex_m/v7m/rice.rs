//! Entropy-coded rows on ARMv7-M: Cortex-M3, M4, M7, M33.
//!
//! A code and what follows it lie in one word, which is loaded from any address and shifted so that
//! the code is at the top; this takes four instructions. `clz` counts the zeros of the code. A
//! weight and the gap after it share the word. There are two loops: one for gaps after a bit that
//! states whether the gap is 0, and one for gaps without such a bit.
//!
//! A number is the count of the zeros of its code times 2^k, plus the `k` bits after the one that
//! ends the zeros. If `k` is the same for many numbers, a register contains -2^k: `bic` with it
//! keeps the lower bits, `mls` subtracts a multiple of it.
//!
//! Registers: r0 the word, r1 and r2 scratch, r3 bits read, r4 the weight's activation (between
//! rows: the call), r5 weights left of the row, r6 sum, r7 codebook, r8 the block's last four
//! bytes, r9 -2^`weight_k`, r10 31 minus `weight_k`, r11 and r12 the same for gaps, lr the bits of
//! a weight and a gap excluding their zeros. Stack: the call.

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
// Loads the word that starts at the next bit to r0; clobbers r1.
.macro rfy_window
    sub r1, r8, r3, lsr #3
    ldr r0, [r1]
    and r1, r3, #7
    lsls r0, r0, r1
.endm
// Reads the number at the next bit, with the Rice parameter r2, to r0; clobbers r1 and r2.
.macro rfy_number
    rfy_window
    clz r1, r0
    lsls r0, r0, r1
    add r3, r3, r1
    add r3, r3, r2
    add r3, r3, #1
    lsls r1, r1, r2
    lsls r0, r0, #1
    rsb r2, r2, #32
    lsrs r0, r0, r2
    add r0, r0, r1
.endm
// Sets r2 to the smallest left shift that makes r0 at least r1; clobbers r6. (If r0 is 0, the rows
// have no weights, and r2 is meaningless but at most 32.)
.macro rfy_reach
    clz r2, r0
    clz r6, r1
    subs r2, r2, r6
    usat r2, #5, r2
    lsl r6, r0, r2
    cmp r6, r1
    it lo
    addlo r2, r2, #1
.endm
// Adds the product of the weight at the next bit to r6. What follows the weight is then in r0, and
// its topmost bit in the flag N.
.macro rfy_value
    rfy_window
    clz r1, r0
    lsls r0, r0, r1
    rors r0, r0, r10
    bic r2, r0, r9
    mls r2, r1, r9, r2
    add r3, r3, r1
    cbnz r7, 5f
    sbfx r1, r2, #0, #1
    eor r2, r1, r2, lsr #1
    add r2, r2, r1
    add r2, r2, #1
2:  ldrb r1, [r4], #1
    mla r6, r2, r1, r6
.endm

    push {r4-r11, lr}
    sub sp, sp, #4
    str r0, [sp]
    mov r4, r0
    ldmia r0, {r1, r3, r7}
    mov r8, r1
    ldr r5, [r4, #12]
    and r5, r5, #15
    mov r9, #-1
    lsl r9, r9, r5
    rsb r10, r5, #31
    ldr r5, [r4, #12]
    lsls r5, r5, #1
    bpl .Lrfy_rice_row

// The list: r6 an input, r5 its destination, lr the end of the inputs, r11 and r12 the parameters.
    rfy_window
    add r3, r3, #8
    lsr r11, r0, #28
    ubfx r12, r0, #24, #4
    ldr r6, [r4, #24]
    ldr r5, [r4, #48]
    ldr lr, [r4, #52]
    add lr, lr, r6
    str r5, [r4, #24]
    b 2f
1:  add r6, r6, #1
2:  mov r2, r11
    rfy_number
    add r6, r6, r0
    cmp r6, lr
    bhs .Lrfy_rice_row
    mov r2, r12
    rfy_number
3:  ldrb r1, [r6], #1
    subs r0, r0, #1
    strb r1, [r5], #1
    bpl 3b
    cmp r6, lr
    blo 1b

.Lrfy_rice_row:
    ldr r5, [r4, #40]
    cbz r5, .Lrfy_rice_run
    sub r5, r5, #1
    str r5, [r4, #40]
.Lrfy_rice_bias:
    ldr r5, [r4, #12]
    ubfx r2, r5, #8, #5
    rfy_number
    lsrs r6, r0, #1
    it cs
    mvncs r6, r6
    ubfx r1, r5, #4, #4
    lsls r6, r6, r1
    ldr r5, [r4, #44]
    cmp r5, #0
    beq .Lrfy_rice_empty
    ldr r2, [r4, #52]
    rfy_number
    ldr r1, [r4, #48]
    add r0, r0, r1
    str r0, [r4, #48]
    ldr r1, [r4, #12]
    lsls r1, r1, #2
    mov r4, r0
    bmi .Lrfy_rice_adjacent
    b .Lrfy_rice_plain

// Starts a run of rows of one length.
.Lrfy_rice_run:
    ldr r5, [r4, #12]
    ubfx r2, r5, #16, #4
    rfy_number
    ldr r1, [r4, #24]
    str r1, [r4, #48]
    ldr r1, [r4, #44]
    cmp r5, #0
    bmi 1f
    lsrs r0, r0, #1
    it cs
    mvncs r0, r0
    cmp r0, #0
    beq .Lrfy_rice_bias
    adds r5, r0, r1
    str r5, [r4, #44]
    mov r0, r5
    b 2f
1:  ubfx r2, r5, #13, #3
    add r5, r0, r1
    add r5, r5, #1
    str r5, [r4, #44]
    rfy_number
    str r0, [r4, #40]
    mla r0, r0, r5, r5
2:  ldr r1, [r4, #16]
    rfy_reach
    str r2, [r4, #52]
    mov r0, r5
    ldr r1, [r4, #20]
    rfy_reach
    mov r11, #-1
    lsl r11, r11, r2
    rsb r12, r2, #31
    rsb lr, r10, #33
    add lr, lr, r2
    b .Lrfy_rice_bias

// The first of these zeros is the bit that states that the gap is not 0: it stands for one column.
1:  clz r1, r0
    lsls r0, r0, r1
    lsrs r0, r0, r12
    add r3, r3, r1
    sub r1, r1, #2
    mls r4, r1, r11, r4
    add r4, r4, r0
    add r4, r4, #1
    add r3, r3, lr
.Lrfy_rice_adjacent:
    rfy_value
    sub r5, r5, #1
    cbz r5, .Lrfy_rice_ends
    bpl 1b
    add r3, r3, #33
    sub r3, r3, r10
    b .Lrfy_rice_adjacent
5:  ldrsb r2, [r7, r2]
    b 2b

.Lrfy_rice_ends:
    add r3, r3, #32
    sub r3, r3, r10
    ldr r4, [sp]
.Lrfy_rice_empty:
    ldr r0, [r4, #28]
    ldr r1, [r4, #32]
    cmp r0, #0
    bmi 1f
    asrs r6, r6, r0
    usat r6, #8, r6
    strb r6, [r1], #1
    b 2f
1:  str r6, [r1], #4
2:  ldr r0, [r4, #36]
    str r1, [r4, #32]
    subs r0, r0, #1
    str r0, [r4, #36]
    bne .Lrfy_rice_row
    add sp, sp, #4
    pop {r4-r11, pc}

1:  clz r1, r0
    lsls r0, r0, r1
    rors r0, r0, r12
    bic r2, r0, r11
    mls r4, r1, r11, r4
    add r4, r4, r2
    add r3, r3, r1
    add r3, r3, lr
.Lrfy_rice_plain:
    rfy_value
    subs r5, r5, #1
    bne 1b
    b .Lrfy_rice_ends
5:  ldrsb r2, [r7, r2]
    b 2b

.purgem rfy_window
.purgem rfy_number
.purgem rfy_reach
.purgem rfy_value
",
        options(raw),
    );
}
