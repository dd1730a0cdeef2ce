//! Dense rows, in Rust.

/// The number of columns per round of [`products`].
pub(crate) const GROUP: usize = 4;

/// Whether [`products`] can also compute just two rows.
pub(crate) const TWO_ROWS: bool = true;

/// Computes the sums of the products of `groups` rounds of [`GROUP`] columns for four rows,
/// or for two rows if `sums[1]` is 2 on entry. On entry, `sums[0]` is the distance in bytes from
/// one row to the next; on return, `sums` contains the sums, and 0 for absent rows.
///
/// # Safety
///
/// `groups` must be at least 1. `input`, and each of the rows from `weights` on, must have
/// `groups * GROUP` columns.
pub(crate) unsafe extern "C" fn products(
    weights: *const i8,
    input: *const u8,
    groups: usize,
    sums: &mut [i32; 4],
) {
    let apart = sums[0] as usize;
    let rows = if sums[1] == 2 { 2 } else { 4 };
    *sums = [0; 4];
    for (row, sum) in sums.iter_mut().enumerate().take(rows) {
        for column in 0..groups * GROUP {
            // SAFETY: the caller guarantees these columns.
            let (weight, x) = unsafe { (*weights.add(row * apart + column), *input.add(column)) };
            *sum = sum.wrapping_add(i32::from(weight) * i32::from(x));
        }
    }
}
