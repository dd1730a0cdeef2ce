//! Packed words on RV32IM.
//!
//! A weight takes six instructions: `lh` (the weight with its sign), two for the address of the
//! activation, `lbu`, `mul`, `add`. To reduce the overhead per row:
//!
//! - rows of up to 8 weights have code for each length;
//! - longer rows share a block of 16 weights, into which a jump enters at the row's number of
//!   weights; rows of more than 16 first go through rounds of 8;
//! - a sum is tested for its sign before it is shifted, since half of them are negative.
//!
//! The head of a run consists of its number of rows and its form, which selects the code. The last
//! layer uses the same code one row at a time: the byte that the code stores lies in the place of
//! the logit, which then overwrites it.
//!
//! Registers: a0 stream (in a row, its bias), a1 input, a2 output, a3 shift (in the rounds of a
//! long row, the number left), a4 sum, a5 mask, t0 and t1 scratch, t2 the last output of this run,
//! s0 where to continue after a run (in a long run, the code of a row), s1 the bytes from the bias
//! of a long row's last 16 weights to the next row, ra 255. Stack, by offset: 0: a copy of s0
//! during a long run; 4: the shift; 8: the entry to the block of 16; 12: the number of rounds of a
//! long row; 16: the code of a long row; 20: the run's head (last layer).

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
/// 2. The masked value of each half word of a row must be an index into `input`.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn run(
    block: *const u32,
    input: *const u8,
    output: *mut u8,
    store: Store,
) {
    naked_asm!(
        extensions!(),
        r"
.macro rfy_weight place
    lh t0, (4 + 2 * \place)(a0)
    and t1, t0, a5
    add t1, t1, a1
    lbu t1, 0(t1)
    mul t0, t0, t1
    add a4, a4, t0
.endm
.macro rfy_rows length
.Lrfy_words_\length:
    lw a4, 0(a0)
.if \length >= 1
    rfy_weight 0
.endif
.if \length >= 2
    rfy_weight 1
.endif
.if \length >= 3
    rfy_weight 2
.endif
.if \length >= 4
    rfy_weight 3
.endif
.if \length >= 5
    rfy_weight 4
.endif
.if \length >= 6
    rfy_weight 5
.endif
.if \length >= 7
    rfy_weight 6
.endif
.if \length >= 8
    rfy_weight 7
.endif
    addi a0, a0, 4 + (\length + 1) / 2 * 4
    bltz a4, 2f
    sra a4, a4, a3
    bltu ra, a4, 3f
    sb a4, 0(a2)
1:  addi a2, a2, 1
    bgeu t2, a2, .Lrfy_words_\length
    jr s0
2:  sb zero, 0(a2)
    addi a2, a2, 1
    bgeu t2, a2, .Lrfy_words_\length
    jr s0
3:  sb ra, 0(a2)
    j 1b
.endm

    addi sp, sp, -48
    sw ra, 24(sp)
    sw s0, 28(sp)
    sw s1, 32(sp)
    lw a5, 0(a0)
    addi a0, a0, 4
    li ra, 255
    bltz a3, 1f
    sw a3, 4(sp)
    la s0, .Lrfy_words_hidden
    j .Lrfy_words_hidden
1:  li a3, 0
    sw a3, 4(sp)
    la s0, .Lrfy_words_last
    j .Lrfy_words_last_run

.Lrfy_words_hidden:
    lw t0, 0(a0)
    addi a0, a0, 4
    srli t2, t0, 16
    add t2, t2, a2
.Lrfy_words_go:
    // The form without its lowest bit: twice the length. A jump takes four bytes.
    andi t0, t0, 0x3e
    slli t0, t0, 1
.option push
.option norvc
.option norelax
1:  auipc t1, 0
    add t1, t1, t0
    jr 12(t1)
    j .Lrfy_words_0
    j .Lrfy_words_1
    j .Lrfy_words_2
    j .Lrfy_words_3
    j .Lrfy_words_4
    j .Lrfy_words_5
    j .Lrfy_words_6
    j .Lrfy_words_7
    j .Lrfy_words_8
    j .Lrfy_words_9_to_14
    j .Lrfy_words_9_to_14
    j .Lrfy_words_9_to_14
    j .Lrfy_words_9_to_14
    j .Lrfy_words_9_to_14
    j .Lrfy_words_9_to_14
    j .Lrfy_words_long
    j .Lrfy_words_again
    j .Lrfy_words_done
.option pop

.Lrfy_words_last:
    sw a4, -1(a2)
    addi a2, a2, 3
    lw t0, 20(sp)
    lui t1, 16
    sub t0, t0, t1
    bgez t0, 1f
.Lrfy_words_last_run:
    lw t0, 0(a0)
    addi a0, a0, 4
1:  sw t0, 20(sp)
    mv t2, a2
    j .Lrfy_words_go

.Lrfy_words_done:
    lw ra, 24(sp)
    lw s0, 28(sp)
    lw s1, 32(sp)
    addi sp, sp, 48
    ret

    rfy_rows 0
    rfy_rows 1
    rfy_rows 2
    rfy_rows 3
    rfy_rows 4
    rfy_rows 5
    rfy_rows 6
    rfy_rows 7
    rfy_rows 8

.Lrfy_words_long:
    // In the last layer, the other rows of the run do not repeat this.
    lw t0, 20(sp)
    addi t0, t0, 2
    sw t0, 20(sp)
    lw t0, 0(a0)
    addi a0, a0, 4
    j 1f
.Lrfy_words_9_to_14:
    srli t0, t0, 2
1:  addi t1, t0, 1
    andi t1, t1, -2
    slli t1, t1, 1
    addi s1, t1, 4
    // Rounds of 8, which leave 9 to 16 weights.
    addi t1, t0, -9
    srli t1, t1, 3
    sw t1, 12(sp)
    sw s0, 0(sp)
    la s0, .Lrfy_words_rounds
    slli t1, t1, 3
    sub t0, t0, t1
    slli t1, t1, 1
    sub s1, s1, t1
    // A weight takes 24 bytes.
    li a4, 24
    mul t0, t0, a4
    la a4, .Lrfy_words_end
    sub t0, a4, t0
    sw t0, 8(sp)
    bnez t1, 2f
    mv s0, t0
2:  sw s0, 16(sp)
.Lrfy_words_long_row:
    lw a4, 0(a0)
    jr s0
.Lrfy_words_again:
    sw s0, 0(sp)
    lw s0, 16(sp)
    j .Lrfy_words_long_row

.Lrfy_words_rounds:
    lw a3, 12(sp)
1:  rfy_weight 0
    rfy_weight 1
    rfy_weight 2
    rfy_weight 3
    rfy_weight 4
    rfy_weight 5
    rfy_weight 6
    rfy_weight 7
    addi a0, a0, 16
    addi a3, a3, -1
    bnez a3, 1b
    lw t0, 8(sp)
    lw a3, 4(sp)
    jr t0

.option push
.option norvc
.option norelax
    rfy_weight 15
    rfy_weight 14
    rfy_weight 13
    rfy_weight 12
    rfy_weight 11
    rfy_weight 10
    rfy_weight 9
    rfy_weight 8
    rfy_weight 7
    rfy_weight 6
    rfy_weight 5
    rfy_weight 4
    rfy_weight 3
    rfy_weight 2
    rfy_weight 1
    rfy_weight 0
.Lrfy_words_end:
.option pop
    add a0, a0, s1
    bltz a4, 2f
    sra a4, a4, a3
    bltu ra, a4, 3f
    sb a4, 0(a2)
1:  addi a2, a2, 1
    bgeu t2, a2, .Lrfy_words_long_row
    lw s0, 0(sp)
    jr s0
2:  sb zero, 0(a2)
    j 1b
3:  sb ra, 0(a2)
    j 1b

.purgem rfy_weight
.purgem rfy_rows
.option pop
",
        options(raw),
    );
}
