//! Dense rows, four at a time, so that an activation is loaded once for four weights.
//!
//! | core | a multiply-add | how |
//! |---|---|---|
//! | M4, M7 | 1.6 | words of four bytes, spread by `uxtb16` and `sxtb16`, two products a `smlad` |
//! | M3 | 2.4 | `ldrsb` and `mla`, four columns a round |
//! | M0 | 3.8 | `ldrsb`, `muls`, `add`; the sums are in high registers |
//!
//! The last block of rows overlaps the one before when their number is no multiple of four: some
//! are computed twice. Of fewer than four rows each is computed four times.
//!
//! # Why it is sound
//!
//! [`multiply`] itself checks that `weights` has `input.len()` for each row; [`products`] reads
//! `groups * GROUP` columns, at most all, of rows below their number.

use core::arch::naked_asm;

use rarefy_format::requantize;

/// Columns of one round of [`products`].
const GROUP: usize = if cfg!(cortex_m = "v6m") { 1 } else { 4 };

/// The rows of `weights` times `input` and plus `bias` each, into `output`: a byte each for a `shift` of
/// at most 31, for 32 a sum each. None when `weights` are not that many.
///
/// # Safety
///
/// From `output` on there are as many bytes, or sums, as there are biases.
// Not generic: one loop for both kinds of output has half the code and less of a stack.
#[inline(always)]
pub(crate) unsafe fn multiply(
    weights: &[i8],
    bias: &[i32],
    input: &[u8],
    output: *mut u8,
    shift: u8,
) {
    let (rows, columns) = (bias.len(), input.len());
    if rows == 0 || rows.saturating_mul(columns) > weights.len() {
        return;
    }
    let groups = columns / GROUP;
    // From one row of a block to the next, and from one block to the next.
    let (apart, step) = if rows < 4 { (0, 1) } else { (1, 4) };
    let mut next = 0;
    while next < rows {
        let mut row = next.min(rows - step);
        let mut weights = weights.as_ptr().wrapping_add(row * columns);
        let mut sums = [0; 4];
        // SAFETY: the block's rows are below their number, which is that of biases and outputs, and all
        // of their `columns` weights are in the slice; `groups * GROUP <= columns`.
        unsafe {
            if groups > 0 {
                sums[0] = (apart * columns) as i32;
                products(weights, input.as_ptr(), groups, &mut sums);
            }
            for mut sum in sums {
                for (column, &x) in input.iter().enumerate().skip(groups * GROUP) {
                    let weight = i32::from(*weights.add(column));
                    sum = sum.wrapping_add(weight * i32::from(x));
                }
                sum = sum.wrapping_add(*bias.get_unchecked(row));
                store(sum, shift, output, row);
                row += apart;
                weights = weights.wrapping_add(apart * columns);
            }
        }
        next += step;
    }
}

/// Stores one output.
///
/// # Safety
///
/// It must be there: byte `row` from `output` on, or for a `shift` of 32 or more sum `row`.
#[inline(always)]
unsafe fn store(sum: i32, shift: u8, output: *mut u8, row: usize) {
    // SAFETY: the caller vouches for it.
    unsafe {
        if shift < 32 {
            *output.add(row) = requantize(sum, shift);
        } else {
            *output.cast::<i32>().add(row) = sum;
        }
    }
}

/// The products of `groups` (at least 1) rounds of columns, summed for four rows. The first row is at
/// `weights`; at first `sums` begin with how many bytes lie from one to the next.
#[cfg(cortex_m = "v7em")]
#[unsafe(naked)]
unsafe extern "C" fn products(
    weights: *const i8,
    input: *const u8,
    groups: usize,
    sums: &mut [i32; 4],
) {
    macro_rules! row {
        ($pointer:literal, $sum:literal) => {
            concat!(
                "ldr r12, [",
                $pointer,
                "], #4\n",
                "sxtb16 lr, r12\n",
                "smlad ",
                $sum,
                ", lr, r0, ",
                $sum,
                "\n",
                "sxtb16 r12, r12, ror #8\n",
                "smlad ",
                $sum,
                ", r12, r3, ",
                $sum,
                "\n",
            )
        };
    }
    naked_asm!(
        "push {{r3-r11, lr}}",
        "ldr r8, [r3]",
        "mov r4, r0",
        "add r5, r4, r8",
        "add r6, r5, r8",
        "add r7, r6, r8",
        "mov r8, #0",
        "mov r9, #0",
        "mov r10, #0",
        "mov r11, #0",
        // r0 and r3 activations, r12 and lr weights.
        "2: ldr r3, [r1], #4",
        "uxtb16 r0, r3",
        "uxtb16 r3, r3, ror #8",
        row!("r4", "r8"),
        row!("r5", "r9"),
        row!("r6", "r10"),
        row!("r7", "r11"),
        "subs r2, #1",
        "bne 2b",
        "ldr r0, [sp]",
        "stm r0, {{r8-r11}}",
        "pop {{r3-r11, pc}}",
    )
}

/// The products of `groups` (at least 1) rounds of columns, summed for four rows. The first row is at
/// `weights`; at first `sums` begin with how many bytes lie from one to the next.
#[cfg(cortex_m = "v7m")]
#[unsafe(naked)]
unsafe extern "C" fn products(
    weights: *const i8,
    input: *const u8,
    groups: usize,
    sums: &mut [i32; 4],
) {
    macro_rules! column {
        ($($pointer:literal $sum:literal),*) => {
            concat!("ldrb r0, [r1], #1\n", $(
                "ldrsb r12, [", $pointer, "], #1\n",
                "mla ", $sum, ", r12, r0, ", $sum, "\n",
            )*)
        };
    }
    naked_asm!(
        "push {{r3-r11, lr}}",
        "ldr r8, [r3]",
        "mov r4, r0",
        "add r5, r4, r8",
        "add r6, r5, r8",
        "add r7, r6, r8",
        "mov r8, #0",
        "mov r9, #0",
        "mov r10, #0",
        "mov r11, #0",
        "2:",
        column!("r4" "r8", "r5" "r9", "r6" "r10", "r7" "r11"),
        column!("r4" "r8", "r5" "r9", "r6" "r10", "r7" "r11"),
        column!("r4" "r8", "r5" "r9", "r6" "r10", "r7" "r11"),
        column!("r4" "r8", "r5" "r9", "r6" "r10", "r7" "r11"),
        "subs r2, #1",
        "bne 2b",
        "ldr r0, [sp]",
        "stm r0, {{r8-r11}}",
        "pop {{r3-r11, pc}}",
    )
}

/// The products of `groups` (at least 1) columns, summed for four rows. The first row is at `weights`;
/// at first `sums` begin with how many bytes lie from one to the next.
#[cfg(cortex_m = "v6m")]
#[unsafe(naked)]
unsafe extern "C" fn products(
    weights: *const i8,
    input: *const u8,
    groups: usize,
    sums: &mut [i32; 4],
) {
    macro_rules! row {
        ($pointer:literal, $sum:literal) => {
            concat!(
                "ldrsb r3, [",
                $pointer,
                ", r2]\n",
                "muls r3, r0, r3\n",
                "add ",
                $sum,
                ", r3\n",
            )
        };
    }
    naked_asm!(
        "push {{r3-r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r4-r7}}",
        "ldr r3, [r3]",
        // The pointers go to the ends, and r2 counts from below up to 0.
        "adds r1, r1, r2",
        "adds r4, r0, r2",
        "adds r5, r4, r3",
        "adds r6, r5, r3",
        "adds r7, r6, r3",
        "movs r3, #0",
        "mov r8, r3",
        "mov r9, r3",
        "mov r10, r3",
        "mov r11, r3",
        "rsbs r2, r2, #0",
        "2: ldrb r0, [r1, r2]",
        row!("r4", "r8"),
        row!("r5", "r9"),
        row!("r6", "r10"),
        row!("r7", "r11"),
        "adds r2, #1",
        "bne 2b",
        "ldr r0, [sp, #16]",
        "mov r1, r8",
        "mov r2, r9",
        "mov r3, r10",
        "mov r4, r11",
        "stm r0!, {{r1-r4}}",
        "pop {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r3-r7, pc}}",
    )
}
