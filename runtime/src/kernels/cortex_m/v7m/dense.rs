//! Dense rows without the DSP extension: a product per `mla`.

use core::arch::naked_asm;

/// The number of columns per round of [`products`].
pub(crate) const GROUP: usize = 4;

/// Whether [`products`] can also compute just two rows.
pub(crate) const TWO_ROWS: bool = false;

/// Computes the sums of the products of `groups` rounds of [`GROUP`] columns for four rows. On
/// entry, `sums[0]` is the distance in bytes from one row to the next; on return, `sums` contains
/// the sums.
///
/// # Safety
///
/// `groups` must be at least 1. `input`, and each of the four rows from `weights` on, must have
/// `groups * GROUP` columns.
///
/// Registers: r0 activation, r1 input, r2 rounds left, r4 to r7 rows, r8 to r11 sums, r12 weight.
/// Stack, by offset: 0: `sums`.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn products(
    weights: *const i8,
    input: *const u8,
    groups: usize,
    sums: &mut [i32; 4],
) {
    naked_asm!(
        r"
.macro rfy_row pointer, sum
    ldrsb r12, [\pointer], #1
    mla \sum, r12, r0, \sum
.endm
.macro rfy_column
    ldrb r0, [r1], #1
    rfy_row r4, r8
    rfy_row r5, r9
    rfy_row r6, r10
    rfy_row r7, r11
.endm

    push {r3-r11, lr}
    ldr r8, [r3]
    mov r4, r0
    add r5, r4, r8
    add r6, r5, r8
    add r7, r6, r8
    mov r8, #0
    mov r9, #0
    mov r10, #0
    mov r11, #0
1:  rfy_column
    rfy_column
    rfy_column
    rfy_column
    subs r2, r2, #1
    bne 1b
    ldr r0, [sp]
    stmia r0, {r8-r11}
    pop {r3-r11, pc}

.purgem rfy_row
.purgem rfy_column
",
        options(raw),
    );
}
