//! Dense rows on RV32IM: an activation is loaded once for four rows, and skipped if it is 0.

use core::arch::naked_asm;

/// The number of columns per round of [`products`].
pub(crate) const GROUP: usize = 4;

/// Whether [`products`] can also compute just two rows.
pub(crate) const TWO_ROWS: bool = true;

/// Computes the sums of the products of `groups` rounds of [`GROUP`] columns for four rows, or for
/// two rows if `sums[1]` is 2 on entry. On entry, `sums[0]` is the distance in bytes from one row
/// to the next; on return, `sums` contains the sums, and 0 for absent rows.
///
/// # Safety
///
/// `groups` must be at least 1. `input`, and each of the rows from `weights` on, must have
/// `groups * GROUP` columns.
///
/// Registers: a0, t0, t1 and t2 rows, a1 input, a2 its end, a3 activation, ra product, a4, a5, s0
/// and s1 sums. Stack, by offset: 12: `sums`.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn products(
    weights: *const i8,
    input: *const u8,
    groups: usize,
    sums: &mut [i32; 4],
) {
    naked_asm!(
        extensions!(),
        r"
.macro rfy_row pointer, place, sum
    lb ra, \place(\pointer)
    mul ra, ra, a3
    add \sum, \sum, ra
.endm
.macro rfy_column place, rows
    lbu a3, \place(a1)
    beqz a3, 9f
    rfy_row a0, \place, a4
    rfy_row t0, \place, a5
.if \rows == 4
    rfy_row t1, \place, s0
    rfy_row t2, \place, s1
.endif
9:
.endm

    addi sp, sp, -16
    sw ra, 0(sp)
    sw s0, 4(sp)
    sw s1, 8(sp)
    sw a3, 12(sp)
    li a4, 0
    li a5, 0
    li s0, 0
    li s1, 0
    // Two groups at a time. An odd number of groups enters at the second.
    andi ra, a2, 1
    slli a2, a2, 2
    add a2, a2, a1
    slli t0, ra, 2
    sub a0, a0, t0
    sub a1, a1, t0
    lw t2, 0(a3)
    add t0, a0, t2
    lw t1, 4(a3)
    addi t1, t1, -2
    beqz t1, 5f
    add t1, t0, t2
    add t2, t1, t2
    bnez ra, 2f
1:
    rfy_column 0, 4
    rfy_column 1, 4
    rfy_column 2, 4
    rfy_column 3, 4
2:
    rfy_column 4, 4
    rfy_column 5, 4
    rfy_column 6, 4
    rfy_column 7, 4
    addi a0, a0, 8
    addi t0, t0, 8
    addi t1, t1, 8
    addi t2, t2, 8
    addi a1, a1, 8
    bne a1, a2, 1b
    j 6f
5:  bnez ra, 4f
3:
    rfy_column 0, 2
    rfy_column 1, 2
    rfy_column 2, 2
    rfy_column 3, 2
4:
    rfy_column 4, 2
    rfy_column 5, 2
    rfy_column 6, 2
    rfy_column 7, 2
    addi a0, a0, 8
    addi t0, t0, 8
    addi a1, a1, 8
    bne a1, a2, 3b
6:
    lw a3, 12(sp)
    sw a4, 0(a3)
    sw a5, 4(a3)
    sw s0, 8(a3)
    sw s1, 12(a3)
    lw ra, 0(sp)
    lw s0, 4(sp)
    lw s1, 8(sp)
    addi sp, sp, 16
    ret

.purgem rfy_row
.purgem rfy_column
.option pop
",
        options(raw),
    );
}
