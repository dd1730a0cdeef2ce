//! Columns on ARMv6-M: Cortex-M0, M0+ and M1, and the baseline of ARMv8-M.
//!
//! One weight of an activation that is not 0 costs seven instructions: two for the row, `ldr` (its
//! sum), one to extend the weight's sign, `muls`, `adds`, `str`. The input is searched a word at a
//! time, and its ends before the first and behind the last whole word by bytes. A column goes in
//! rounds of 4 pairs, its first jump leads to where as many are left as it has above a multiple of 4.
//!
//! Registers: r0 sums, r1 mask (times 4), r2 activation, r3 pairs (while searching: input), r4 to r6
//! scratch, r7 pair, r8 all pairs, r9 input, r10 the last place of a word, r11 where an input's start
//! lies (less twice its address), r12 the column's end. Stack: 0 the input's end, 4 the call, 8 whether the
//! layer is the last.

use super::columns::Call;

/// Runs one layer.
///
/// # Safety
///
/// `call` must point to a call as [`super::columns`] describes it.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn run(call: *const Call<'_>, last: u32) {
    core::arch::naked_asm!(
        r"
.macro rfy_pair
    ldmia r3!, {r7}
    lsls r4, r7, #2
    ands r4, r4, r1
    ldr r5, [r0, r4]
    sxth r6, r7
    muls r6, r2, r6
    adds r5, r5, r6
    str r5, [r0, r4]
    lsrs r4, r7, #14
    ands r4, r4, r1
    ldr r5, [r0, r4]
    asrs r7, r7, #16
    muls r7, r2, r7
    adds r5, r5, r7
    str r5, [r0, r4]
.endm
.macro rfy_byte place
    ldrb r2, [r3, #\place]
    cmp r2, #0
    beq 9f
    lsls r4, r3, #1
    add r4, r4, r11
    ldrh r5, [r4, #2 * \place + 2]
    ldrh r4, [r4, #2 * \place]
    bl .Lrfy_columns_scatter
9:
.endm

    push {r4, r5, r6, r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4, r5, r6, r7}
    sub sp, sp, #4
    push {r0, r1}
    sub sp, sp, #4
    // Each sum begins as the row's bias.
    mov r7, r0
    ldmia r7!, {r0, r1, r2}
    mov r12, r7
    mov r3, r0
    subs r2, r2, #4
    blo 2f
1:  ldmia r1!, {r4, r5, r6, r7}
    stmia r3!, {r4, r5, r6, r7}
    subs r2, r2, #4
    bhs 1b
2:  adds r2, r2, #4
    beq 2f
1:  ldmia r1!, {r4}
    stmia r3!, {r4}
    subs r2, r2, #1
    bne 1b
2:  mov r7, r12
    ldmia r7!, {r1, r2, r3, r4, r5}
    mov r8, r2
    str r5, [sp]
    subs r5, r5, #3
    mov r10, r5
    lsls r2, r4, #1
    subs r3, r3, r2
    mov r11, r3
    mov r3, r4
    b 3f

    // A byte before the first or behind the last whole word.
1:  rfy_byte 0
    adds r3, r3, #1
3:  ldr r4, [sp]
    cmp r3, r4
    bne 4f
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
    rfy_byte 0
    rfy_byte 1
    rfy_byte 2
    rfy_byte 3
    adds r3, r3, #4
    b 6b

.Lrfy_columns_scatter:
    mov r9, r3
    subs r5, r5, r4
    beq 5f
    lsls r4, r4, #2
    add r4, r4, r8
    mov r3, r4
    lsls r6, r5, #2
    adds r6, r6, r3
    mov r12, r6
    movs r6, #3
    ands r6, r6, r5
    lsls r6, r6, #1
    add pc, pc, r6
    nop
    b 4f
    b 1f
    b 2f
    b 3f
4:  rfy_pair
3:  rfy_pair
2:  rfy_pair
1:  rfy_pair
    cmp r3, r12
    bne 4b
5:  mov r3, r9
    bx lr

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
    pop {r4, r5, r6, r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4, r5, r6, r7, pc}
5:  asrs r4, r4, #31
    mvns r4, r4
    b 2b

.purgem rfy_pair
.purgem rfy_byte
",
        options(raw),
    );
}
