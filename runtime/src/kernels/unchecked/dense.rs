//! Dense rows, four at a time, so that an activation is loaded once for four weights.
//!
//! | core | a multiply-add | how |
//! |---|---|---|
//! | M4, M7 | 1.6 | words of four bytes, spread by `uxtb16` and `sxtb16`, two products a `smlad` |
//! | M3 | 2.4 | `ldrsb` and `mla`, four columns a round |
//! | M0 | 3.8 | `ldrsb`, `muls`, `add`; the sums are in high registers |
//!
//! The last block of rows overlaps the one before when their number is no multiple of four: some
//! are computed twice. Of fewer than four rows the last is computed several times.
//!
//! # Why it is sound
//!
//! [`multiply`] itself checks that `weights` has `input.len()` for each row it computes; [`products`]
//! reads `groups * GROUP` columns, at most all, of rows below their number.

use core::arch::naked_asm;

/// Columns of one round of [`products`].
const GROUP: usize = if cfg!(cortex_m = "v6m") { 1 } else { 4 };

/// The rows of `weights` times `input`, through `finish`. Computes as many rows as `bias` and `output`
/// hold, and none when `weights` are not that many.
#[inline(always)]
pub(crate) fn multiply<T>(
    weights: &[i8],
    bias: &[i32],
    input: &[u8],
    finish: impl Fn(i32) -> T,
    output: &mut [T],
) {
    let columns = input.len();
    let rows = bias.len().min(output.len());
    if rows == 0 || rows.saturating_mul(columns) > weights.len() {
        return;
    }
    let groups = columns / GROUP;
    let mut next = 0;
    while next < rows {
        let first = next.min(rows.saturating_sub(4));
        let index = |row: usize| (first + row).min(rows - 1);
        let pointer = |row: usize| weights.as_ptr().wrapping_add(index(row) * columns);
        let mut pointers = [pointer(0), pointer(1), pointer(2), pointer(3)];
        let mut sums = [0; 4];
        // SAFETY: each pointer is to a row, all of whose `columns` weights are in the slice;
        // `groups * GROUP <= columns`.
        unsafe {
            if groups > 0 {
                products(pointers.as_mut_ptr(), input.as_ptr(), groups, &mut sums);
            }
            for (column, &x) in input.iter().enumerate().skip(groups * GROUP) {
                for (sum, row) in sums.iter_mut().zip(pointers) {
                    let weight = i32::from(*row.add(column));
                    *sum = sum.wrapping_add(weight * i32::from(x));
                }
            }
            for (row, sum) in sums.into_iter().enumerate() {
                let row = index(row);
                let sum = sum.wrapping_add(*bias.get_unchecked(row));
                *output.get_unchecked_mut(row) = finish(sum);
            }
        }
        next += 4;
    }
}

/// Adds the products of `groups` (at least 1) rounds of columns to the sums of four rows.
#[cfg(cortex_m = "v7em")]
#[unsafe(naked)]
unsafe extern "C" fn products(
    rows: *mut *const i8,
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
        "ldm r0, {{r4-r7}}",
        "ldm r3, {{r8-r11}}",
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

/// Adds the products of `groups` (at least 1) rounds of columns to the sums of four rows.
#[cfg(cortex_m = "v7m")]
#[unsafe(naked)]
unsafe extern "C" fn products(
    rows: *mut *const i8,
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
        "ldm r0, {{r4-r7}}",
        "ldm r3, {{r8-r11}}",
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

/// Adds the products of `groups` (at least 1) columns to the sums of four rows.
#[cfg(cortex_m = "v6m")]
#[unsafe(naked)]
unsafe extern "C" fn products(
    rows: *mut *const i8,
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
        "ldm r3!, {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "ldm r0!, {{r4-r7}}",
        // The pointers go to the ends, and r2 counts from below up to 0.
        "adds r1, r1, r2",
        "adds r4, r4, r2",
        "adds r5, r5, r2",
        "adds r6, r6, r2",
        "adds r7, r7, r2",
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
