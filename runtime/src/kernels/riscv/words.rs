//! Packed words on RV32IM.
//!
//! A weight takes six instructions: `lh` (the weight with its sign), two for the address of the
//! activation, `lbu`, `mul`, `add`. To reduce the overhead per row:
//!
//! - rows of up to 8 weights have code for each length, which computes two rows at a time;
//! - longer rows share a block of 16 weights, into which a jump enters at the row's number of
//!   weights; rows of more than 16 first go through rounds of 8;
//! - a sum is tested for its sign before it is shifted, since half of them are negative;
//! - rows of the last layer, which are long, go through rounds of 8, into the first of which a jump
//!   enters.
//!
//! Instructions per inference, median over 100 digits, of LeNet-300-100 pruned 300x (888 weights in
//! 168 rows) and 1000x (268, 82), with the portable kernel 15,608 and 6,501, with this one 7,455
//! and 2,896. Its code takes 3,416 bytes, a third of them for computing two rows at a time.
//!
//! The head of a run consists of its number of rows and its form, which selects the code.
//!
//! Registers: a0 stream (in a row, its bias), a1 input, a2 output, a3 shift (in the rounds of a
//! long row, the number left), a4 sum, a5 mask, t0 and t1 scratch, t2 the last output of this run,
//! s0 the table of the code for each length (in a long run, the code of a row), s1 the bytes from
//! the bias of a long row's last 16 weights to the next row, ra 255. Stack, by offset: 0: the
//! shift; 4: the entry to the block of 16; 8: the number of rounds of a long row.

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
.macro rfy_weight place, start=0
    lh t0, (\start + 4 + 2 * \place)(a0)
    and t1, t0, a5
    add t1, t1, a1
    lbu t1, 0(t1)
    mul t0, t0, t1
    add a4, a4, t0
.endm
.macro rfy_row length, start
    lw a4, \start(a0)
.if \length >= 1
    rfy_weight 0, \start
.endif
.if \length >= 2
    rfy_weight 1, \start
.endif
.if \length >= 3
    rfy_weight 2, \start
.endif
.if \length >= 4
    rfy_weight 3, \start
.endif
.if \length >= 5
    rfy_weight 4, \start
.endif
.if \length >= 6
    rfy_weight 5, \start
.endif
.if \length >= 7
    rfy_weight 6, \start
.endif
.if \length >= 8
    rfy_weight 7, \start
.endif
.endm
// Rows of one length, two at a time. An odd number of rows enters at the second.
.macro rfy_rows length, bytes
.Lrfy_words_odd_\length:
    addi a0, a0, -\bytes
    addi a2, a2, -1
    j 2f
.Lrfy_words_\length:
    rfy_row \length, 0
    bltz a4, 5f
    sra a4, a4, a3
    bltu ra, a4, 6f
    sb a4, 0(a2)
2:  rfy_row \length, \bytes
    addi a0, a0, 2 * \bytes
    bltz a4, 4f
    sra a4, a4, a3
    bltu ra, a4, 7f
    sb a4, 1(a2)
3:  addi a2, a2, 2
    bgeu t2, a2, .Lrfy_words_\length
    j .Lrfy_words_hidden
4:  sb zero, 1(a2)
    addi a2, a2, 2
    bgeu t2, a2, .Lrfy_words_\length
    j .Lrfy_words_hidden
5:  sb zero, 0(a2)
    j 2b
6:  sb ra, 0(a2)
    j 2b
7:  sb ra, 1(a2)
    j 3b
.endm

    addi sp, sp, -32
    sw ra, 12(sp)
    sw s0, 16(sp)
    sw s1, 20(sp)
    lw a5, 0(a0)
    addi a0, a0, 4
    bltz a3, .Lrfy_words_last
    sw a3, 0(sp)
    li ra, 255
    la s0, .Lrfy_words_table

.Lrfy_words_hidden:
    lw t0, 0(a0)
    addi a0, a0, 4
    srli t2, t0, 16
    add t2, t2, a2
    // The form: twice the length, plus 1 if the number of rows is even. An entry of the table takes
    // four bytes.
    andi t0, t0, 0x3f
    slli t0, t0, 2
    add t1, s0, t0
    lw t1, 0(t1)
    jr t1

    rfy_rows 0, 4
    rfy_rows 1, 8
    rfy_rows 2, 8
    rfy_rows 3, 12
    rfy_rows 4, 12
    rfy_rows 5, 16
    rfy_rows 6, 16
    rfy_rows 7, 20
    rfy_rows 8, 20

.Lrfy_words_long:
    lw t0, 0(a0)
    addi a0, a0, 4
    slli t0, t0, 3
    // Rounds of 8, which leave 9 to 16 weights; t0 is eight times the number of weights.
    addi t1, t0, -72
    srli t1, t1, 6
    sw t1, 8(sp)
    beqz t1, .Lrfy_words_9_to_16
    addi s1, t0, 8
    andi s1, s1, -16
    srli s1, s1, 2
    addi s1, s1, 4
    slli a4, t1, 4
    sub s1, s1, a4
    slli a4, t1, 6
    sub t0, t0, a4
    // A weight takes 24 bytes.
    slli t1, t0, 1
    add t0, t0, t1
    la t1, .Lrfy_words_end
    sub t0, t1, t0
    sw t0, 4(sp)
    la s0, .Lrfy_words_rounds
    j .Lrfy_words_long_row

.Lrfy_words_9_to_16:
    // t0 is eight times the number of weights, and 4 more if the number of rows is even.
    addi s1, t0, 8
    andi s1, s1, -16
    srli s1, s1, 2
    addi s1, s1, 4
    andi t0, t0, -8
    slli t1, t0, 1
    add t0, t0, t1
    la s0, .Lrfy_words_end
    sub s0, s0, t0
.Lrfy_words_long_row:
    lw a4, 0(a0)
    jr s0

.Lrfy_words_rounds:
    lw a3, 8(sp)
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
    lw t0, 4(sp)
    lw a3, 0(sp)
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
    la s0, .Lrfy_words_table
    j .Lrfy_words_hidden
2:  sb zero, 0(a2)
    addi a2, a2, 1
    bgeu t2, a2, .Lrfy_words_long_row
    la s0, .Lrfy_words_table
    j .Lrfy_words_hidden
3:  sb ra, 0(a2)
    j 1b

    // The last layer: a0 bias, then 4 less than the place of the first of 8 weights, a3 where a0 is
    // after the last weight, t2 twice the length, s0 the entry to the first 8 weights, s1 from the
    // bias to a0 there, ra rows left.
.Lrfy_words_last:
    lw t0, 0(a0)
    addi a0, a0, 4
    srli ra, t0, 16
    andi t2, t0, 0x3e
    li t1, 30
    bltu t2, t1, 1f
    bne t2, t1, .Lrfy_words_done
    lw t2, 0(a0)
    addi a0, a0, 4
    slli t2, t2, 1
1:  addi t1, t2, -2
    andi t1, t1, 14
    addi s1, t1, -14
    // A weight takes 24 bytes.
    li a3, 12
    mul t1, t1, a3
    la s0, .Lrfy_words_eighth
    sub s0, s0, t1
    bnez t2, 2f
    li s1, 0
    la s0, .Lrfy_words_summed
2:  lw a4, 0(a0)
    add a3, a0, t2
    add a0, a0, s1
    jr s0
.option push
.option norvc
.option norelax
3:  rfy_weight 0
    rfy_weight 1
    rfy_weight 2
    rfy_weight 3
    rfy_weight 4
    rfy_weight 5
    rfy_weight 6
.Lrfy_words_eighth:
    rfy_weight 7
.option pop
    addi a0, a0, 16
    bne a0, a3, 3b
.Lrfy_words_summed:
    addi a0, a0, 7
    andi a0, a0, -4
    sw a4, 0(a2)
    addi a2, a2, 4
    addi ra, ra, -1
    bgez ra, 2b
    j .Lrfy_words_last

.Lrfy_words_done:
    lw ra, 12(sp)
    lw s0, 16(sp)
    lw s1, 20(sp)
    addi sp, sp, 32
    ret

.balign 4
.Lrfy_words_table:
    .word .Lrfy_words_odd_0
    .word .Lrfy_words_0
    .word .Lrfy_words_odd_1
    .word .Lrfy_words_1
    .word .Lrfy_words_odd_2
    .word .Lrfy_words_2
    .word .Lrfy_words_odd_3
    .word .Lrfy_words_3
    .word .Lrfy_words_odd_4
    .word .Lrfy_words_4
    .word .Lrfy_words_odd_5
    .word .Lrfy_words_5
    .word .Lrfy_words_odd_6
    .word .Lrfy_words_6
    .word .Lrfy_words_odd_7
    .word .Lrfy_words_7
    .word .Lrfy_words_odd_8
    .word .Lrfy_words_8
    .rept 12
    .word .Lrfy_words_9_to_16
    .endr
    .word .Lrfy_words_long
    .word .Lrfy_words_long
    .word 0
    .word 0
    .word .Lrfy_words_done

.purgem rfy_weight
.purgem rfy_row
.purgem rfy_rows
.option pop
",
        options(raw),
    );
}
