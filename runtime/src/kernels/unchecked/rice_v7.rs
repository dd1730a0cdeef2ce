//! Entropy-coded rows on ARMv7-M: Cortex-M3, M4, M7, M33.
//!
//! Whatever lies at a bit is in one word, loaded where its last byte is and shifted so that the bit is on
//! top: four instructions, and `clz` counts a code's zeros. A weight and the gap behind it share them.
//! The loop is there twice: where a bit says whether there is a gap, and where not.
//!
//! Registers: r0 the word, r1 and r2 scratch, r3 bits read, r4 the weight's input, r5 weights left of
//! the row, r6 accumulator, r7 codebook, r8 the block's last four bytes, r9 and r10 `weight_k` and 32 less
//! it, r11 and r12 the same of gaps, lr the bits of a weight and a gap without their zeros. Stack: the
//! call.

use super::rice::Call;

/// Computes the rows of a run.
///
/// # Safety
///
/// `call` must point to a call as [`super::rice`] describes it.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn rows(call: *mut Call<'_>) {
    core::arch::naked_asm!(
        r"
// The word at the next bit.
.macro rfy_window
    sub r1, r8, r3, lsr #3
    ldr r0, [r1]
    and r1, r3, #7
    lsls r0, r1
.endm
// Number r2 in Rice code, of which r1 are the zeros; `k` and 32 less it are registers.
.macro rfy_code k, rest
    clz r1, r0
    lsls r0, r1
    lsls r0, r0, #1
    lsr r2, r0, \rest
    add r3, r3, r1
    lsl r1, r1, \k
.endm
.macro rfy_weights adjacent
1:  rfy_window
    rfy_code r9, r10
    lsl r0, r0, r9
    orrs r2, r1
    cbnz r7, 5f
    lsrs r2, r2, #1
    add r2, r2, #1
    it cs
    rsbcs r2, r2, #0
2:  ldrb r1, [r4], #1
    mla r6, r2, r1, r6
    subs r5, r5, #1
    beq .Lrfy_rice_row_ends
.if \adjacent
    cmp r0, #0
    bmi 3f
    lsls r0, r0, #1
    add r4, r4, #1
.endif
    rfy_code r11, r12
    add r3, r3, lr
    add r4, r4, r1
    add r4, r4, r2
    b 1b
.if \adjacent
3:  add r3, r3, #2
    add r3, r3, r9
    b 1b
.endif
5:  ldrsb r2, [r7, r2]
    b 2b
.endm

    push {{r4, r5, r6, r7, r8, r9, r10, r11, lr}}
    sub sp, sp, #4
    str r0, [sp]
    mov r2, r0
    ldr r8, [r2]
    ldr r3, [r2, #4]
    ldr r9, [r2, #12]
    ldr r11, [r2, #16]
    ldr r7, [r2, #20]
    ldr r0, [r2, #48]
    rsb r10, r9, #32
    rsb r12, r11, #32
    add lr, r9, r11
    add lr, lr, #2
    add lr, lr, r0

.Lrfy_rice_row:
    ldr r4, [sp]
    ldr r5, [r4, #28]
    rfy_window
    rsb r6, r5, #32
    rfy_code r5, r6
    add r3, r3, r5
    add r3, r3, #1
    orrs r2, r1
    ldr r5, [r4, #32]
    lsrs r6, r2, #1
    it cs
    mvncs r6, r6
    lsls r6, r5
    ldr r5, [r4, #8]
    cmp r5, #0
    beq .Lrfy_rice_row_empty
    rfy_window
    clz r1, r0
    lsls r0, r1
    lsls r0, r0, #1
    add r3, r3, r1
    add r3, r3, #1
    ldr r2, [r4, #36]
    lsls r1, r2
    add r3, r3, r2
    rsb r2, r2, #32
    lsrs r0, r2
    ldr r2, [r4, #40]
    add r0, r0, r1
    add r2, r2, r0
    str r2, [r4, #40]
    ldr r0, [r4, #48]
    mov r4, r2
    cmp r0, #0
    beq .Lrfy_rice_plain
    rfy_weights 1
.Lrfy_rice_plain:
    rfy_weights 0

.Lrfy_rice_row_ends:
    add r3, r3, r9
    add r3, r3, #1
    ldr r4, [sp]
.Lrfy_rice_row_empty:
    ldr r0, [r4, #52]
    ldr r1, [r4, #44]
    lsls r2, r0, #26
    bmi 1f
    asrs r6, r0
    usat r6, #8, r6
    strb r6, [r1], #1
    b 2f
1:  str r6, [r1], #4
2:  str r1, [r4, #44]
    ldr r0, [r4, #24]
    subs r0, r0, #1
    str r0, [r4, #24]
    bne .Lrfy_rice_row
    str r3, [r4, #4]
    add sp, sp, #4
    pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}

.purgem rfy_window
.purgem rfy_code
.purgem rfy_weights
"
    );
}
