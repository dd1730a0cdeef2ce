//! Dense rows on ARMv6-M: a product per `muls`, and the sums in high registers.

use core::arch::naked_asm;

/// The number of columns per round of [`products`].
pub(crate) const GROUP: usize = 1;

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
/// Registers: r0 activation, r1 end of the input, r2 minus the number of columns left, r3 weight,
/// r4 to r7 ends of the rows, r8 to r11 sums. Stack, by offset: 16: `sums`.
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
    ldrsb r3, [\pointer, r2]
    muls r3, r0, r3
    add \sum, \sum, r3
.endm

    push {r3-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    ldr r3, [r3]
    adds r1, r1, r2
    adds r4, r0, r2
    adds r5, r4, r3
    adds r6, r5, r3
    adds r7, r6, r3
    movs r3, #0
    mov r8, r3
    mov r9, r3
    mov r10, r3
    mov r11, r3
    rsbs r2, r2, #0
1:  ldrb r0, [r1, r2]
    rfy_row r4, r8
    rfy_row r5, r9
    rfy_row r6, r10
    rfy_row r7, r11
    adds r2, r2, #1
    bne 1b
    ldr r0, [sp, #16]
    mov r1, r8
    mov r2, r9
    mov r3, r10
    mov r4, r11
    stmia r0!, {r1-r4}
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r3-r7, pc}

.purgem rfy_row
",
        options(raw),
    );
}
