//! Dense rows with the DSP extension: two products per `smlad`.

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
/// Registers: r0 and r3 activations, r1 input, r2 rounds left, r4 to r7 rows, r8 to r11 sums, r12
/// and lr weights. Stack, by offset: 0: `sums`.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn products(
    weights: *const i8,
    input: *const u8,
    groups: usize,
    sums: &mut [i32; 4],
) {
    naked_asm!(
        cpu!(),
        r"
.macro rfy_row pointer, sum
    ldr r12, [\pointer], #4
    sxtb16 lr, r12
    smlad \sum, lr, r0, \sum
    sxtb16 r12, r12, ror #8
    smlad \sum, r12, r3, \sum
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
1:  ldr r3, [r1], #4
    uxtb16 r0, r3
    uxtb16 r3, r3, ror #8
    rfy_row r4, r8
    rfy_row r5, r9
    rfy_row r6, r10
    rfy_row r7, r11
    subs r2, r2, #1
    bne 1b
    ldr r0, [sp]
    stmia r0, {r8-r11}
    pop {r3-r11, pc}

.purgem rfy_row
",
        options(raw),
    );
}
