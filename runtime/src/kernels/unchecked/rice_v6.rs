//! Entropy-coded rows on ARMv6-M: Cortex-M0, M0+ and M1, and the baseline of ARMv8-M.
//!
//! Words are put together from four bytes, since they lie anywhere: that is a third of a weight's
//! instructions. Zeros are counted one by one, since they are few; each adds a step of the remainder's
//! size. The loop is there twice: where a bit says whether there is a gap, and where not.
//!
//! Registers: r0 the word, r1, r2 and r7 scratch, r3 bits read, r4 the weight's input, r5 weights left of
//! the row, r6 accumulator, r8 the block's last four bytes, r9 `weight_k`, r10 32 less it, r11 2 to the
//! power of it, lr and r12 the latter two for gaps. Stack: 0 the call, 4 the bits of a weight and a gap
//! without their zeros, 12 the codebook.

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
    lsrs r1, r3, #3
    mov r2, r8
    subs r2, r2, r1
    ldrb r0, [r2, #3]
    ldrb r1, [r2, #2]
    lsls r0, r0, #8
    orrs r0, r1
    ldrb r1, [r2, #1]
    lsls r0, r0, #8
    orrs r0, r1
    ldrb r1, [r2]
    lsls r0, r0, #8
    orrs r0, r1
    movs r1, #7
    ands r1, r3
    lsls r0, r1
.endm
// The quotient of the code on top, times `step`, in r1; the code's remainder is on top then.
.macro rfy_quotient step
    movs r1, #0
    lsls r0, r0, #1
    bcs 8f
7:  adds r3, r3, #1
    add r1, \step
    lsls r0, r0, #1
    bcc 7b
8:
.endm
// Number r1 in Rice code with parameter r2; spoils r0 and r7.
.macro rfy_number
    movs r7, #1
    lsls r7, r2
    rfy_quotient r7
    adds r3, r3, #1
    adds r3, r3, r2
    movs r7, #32
    subs r7, r7, r2
    lsrs r0, r7
    adds r1, r1, r0
.endm
.macro rfy_weights adjacent
1:  rfy_window
    rfy_quotient r11
    mov r2, r0
    mov r7, r10
    lsrs r2, r7
    mov r7, r9
    lsls r0, r7
    adds r2, r2, r1
    ldr r7, [sp, #12]
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
    mov r7, lr
    lsrs r0, r7
    adds r4, r4, r0
    ldr r7, [sp, #4]
    adds r3, r3, r7
    b 1b
.if \adjacent
3:  adds r4, r4, #1
    adds r3, r3, #2
    add r3, r9
    b 1b
.endif
4:  b .Lrfy_rice_row_ends
5:  ldrsb r2, [r7, r2]
    b 2b
6:  mvns r2, r2
    b 2b
.endm

    push {{r4, r5, r6, r7, lr}}
    mov r1, r8
    mov r2, r9
    mov r3, r10
    mov r4, r11
    push {{r1, r2, r3, r4}}
    sub sp, sp, #20
    str r0, [sp]
    ldr r1, [r0]
    mov r8, r1
    ldr r1, [r0, #12]
    ldr r2, [r0, #16]
    movs r4, #32
    mov r9, r1
    subs r5, r4, r1
    mov r10, r5
    movs r5, #1
    lsls r5, r1
    mov r11, r5
    subs r5, r4, r2
    mov lr, r5
    movs r5, #1
    lsls r5, r2
    mov r12, r5
    adds r1, r1, r2
    ldr r2, [r0, #48]
    adds r1, r1, r2
    adds r1, r1, #2
    str r1, [sp, #4]
    ldr r1, [r0, #20]
    str r1, [sp, #12]
    ldr r3, [r0, #4]

.Lrfy_rice_row:
    ldr r4, [sp]
    rfy_window
    ldr r2, [r4, #28]
    rfy_number
    lsrs r6, r1, #1
    bcc 1f
    mvns r6, r6
1:  ldr r1, [r4, #32]
    lsls r6, r1
    ldr r5, [r4, #8]
    cmp r5, #0
    bne 1f
    b .Lrfy_rice_row_empty
1:  rfy_window
    ldr r2, [r4, #36]
    rfy_number
    ldr r2, [r4, #40]
    adds r2, r2, r1
    str r2, [r4, #40]
    ldr r1, [r4, #48]
    mov r4, r2
    cmp r1, #0
    beq .Lrfy_rice_plain
    rfy_weights 1
.Lrfy_rice_plain:
    rfy_weights 0

.Lrfy_rice_row_ends:
    adds r3, r3, #1
    add r3, r9
    ldr r4, [sp]
.Lrfy_rice_row_empty:
    ldr r0, [r4, #52]
    ldr r1, [r4, #44]
    cmp r0, #32
    beq 2f
    asrs r6, r0
    cmp r6, #255
    bls 1f
    // All ones above the bytes, nothing below them.
    asrs r6, r6, #31
    mvns r6, r6
1:  strb r6, [r1]
    adds r1, r1, #1
    b 3f
2:  stm r1!, {{r6}}
3:  str r1, [r4, #44]
    ldr r0, [r4, #24]
    subs r0, r0, #1
    str r0, [r4, #24]
    beq 4f
    b .Lrfy_rice_row
4:  str r3, [r4, #4]
    add sp, sp, #20
    pop {{r1, r2, r3, r4}}
    mov r8, r1
    mov r9, r2
    mov r10, r3
    mov r11, r4
    pop {{r4, r5, r6, r7, pc}}

.purgem rfy_window
.purgem rfy_quotient
.purgem rfy_number
.purgem rfy_weights
"
    );
}
