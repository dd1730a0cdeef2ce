//! The inner loop of compressed sparse rows, without checks.
//!
//! # Why
//!
//! Counted on a Cortex-M4 (LeNet-300-100 at 100x: 2,662 weights in 393 rows, whole inference), the
//! loop in safe Rust executes 49,900 instructions, this one 18,300. Three things make the
//! difference: no bounds check on each gathered input, rows of up to seven weights as straight code
//! behind one jump, and loads kept in order ([`in_order`]) so that the row's pointers stay in
//! registers.
//!
//! # Why it is sound
//!
//! A [`Csr`] with weights exists only inside a `Model`, and `Model::parse` has checked that
//!
//! 1. the row lengths add up to the number of columns, which is the number of values;
//! 2. every column is below `csr.inputs()`.
//!
//! The bytes cannot have changed since, because the `Csr` borrows them. The rest [`run`] checks
//! itself, once a layer.

use rarefy_format::Csr;

/// As many weights as one round of a long row takes; what is left of it is straight code.
const ROUND: usize = 8;

/// For each row of `csr` the bias and the products of its weights with the inputs they read, through
/// `finish`. `None` when the container is not aligned or `input` is shorter than `csr.inputs()`;
/// computes as many rows as `output` holds.
#[inline(always)]
pub(crate) fn run<T>(
    csr: Csr<'_>,
    input: &[u8],
    finish: impl Fn(i32) -> T,
    output: &mut [T],
) -> Option<()> {
    let bias: &[i32] = bytemuck::try_cast_slice(csr.bias()).ok()?;
    let lengths: &[u16] = bytemuck::try_cast_slice(csr.lengths()).ok()?;
    let columns: &[u16] = bytemuck::try_cast_slice(csr.columns()).ok()?;
    let values: &[i8] = bytemuck::try_cast_slice(csr.values()).ok()?;
    if input.len() < csr.inputs() {
        return None;
    }
    let rows = lengths.len().min(bias.len()).min(output.len());
    let input = input.as_ptr();
    let mut columns = columns.as_ptr();
    let mut values = values.as_ptr();
    let mut lengths = lengths.as_ptr();
    let mut bias = bias.as_ptr();
    let mut output = output.as_mut_ptr();
    // SAFETY: `rows` is at most the length of the slice, so the end is inside or one behind it.
    let end = unsafe { lengths.add(rows) };
    while lengths != end {
        // SAFETY: fewer than `rows` rows are done, and each has moved the three pointers by one:
        // they are inside their slices, whose lengths are at least `rows`, and moving them once
        // more takes them at most one behind.
        let (mut left, mut acc) = unsafe { (usize::from(*lengths), *bias) };
        // SAFETY: as above.
        unsafe {
            lengths = lengths.add(1);
            bias = bias.add(1);
        }
        // SAFETY: the rows done have moved `columns` and `values` by the sum of their lengths. By
        // (1) the row's `left` columns and values follow, and lie inside both slices; by (2) and
        // the check above each of these columns is an index into `input`. `dot::<N>` reads N of
        // them, and N is never more than `left`, the number of those not yet read.
        unsafe {
            while left >= ROUND {
                acc = dot::<ROUND>(acc, columns, values, input);
                columns = columns.add(ROUND);
                values = values.add(ROUND);
                left = counted(left - ROUND);
            }
            acc = match left {
                1 => dot::<1>(acc, columns, values, input),
                2 => dot::<2>(acc, columns, values, input),
                3 => dot::<3>(acc, columns, values, input),
                4 => dot::<4>(acc, columns, values, input),
                5 => dot::<5>(acc, columns, values, input),
                6 => dot::<6>(acc, columns, values, input),
                7 => dot::<7>(acc, columns, values, input),
                _ => acc,
            };
            columns = columns.add(left);
            values = values.add(left);
        }
        // SAFETY: as for `lengths`: this is the output of a row below `rows`.
        unsafe {
            *output = finish(acc);
            output = output.add(1);
        }
    }
    Some(())
}

/// `acc` plus the products of `N` weights with the inputs their columns name.
///
/// # Safety
///
/// `columns` and `values` must point to `N` elements each, and each of these columns must be an
/// index into the slice at `input`.
#[inline(always)]
unsafe fn dot<const N: usize>(
    mut acc: i32,
    columns: *const u16,
    values: *const i8,
    input: *const u8,
) -> i32 {
    for position in 0..N {
        // SAFETY: `position < N`, and the caller vouches for the rest.
        let (weight, activation) = unsafe {
            let column = usize::from(*columns.add(position));
            (*values.add(position), *input.add(column))
        };
        acc = acc.wrapping_add(i32::from(weight) * i32::from(activation));
        if position + 1 < N {
            acc = in_order(acc);
        }
    }
    acc
}

/// `acc`, before which nothing that follows in the program is done. Without this the compiler
/// gathers the loads of several weights first, runs out of registers, and moves the row's pointers
/// to the stack and back: 22,500 instructions instead of 18,300 for the network above.
#[inline(always)]
#[cfg_attr(not(target_arch = "arm"), allow(unused_mut))]
fn in_order(mut acc: i32) -> i32 {
    #[cfg(target_arch = "arm")]
    // SAFETY: no instruction at all, only a comment; the operand keeps its value.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) acc, options(nostack, preserves_flags));
    }
    acc
}

/// `left`, of which the compiler knows nothing: so it does not unroll the rounds of long rows,
/// which costs every row the registers that would need.
#[inline(always)]
#[cfg_attr(not(target_arch = "arm"), allow(unused_mut))]
fn counted(mut left: usize) -> usize {
    #[cfg(target_arch = "arm")]
    // SAFETY: no instruction at all, only a comment; the operand keeps its value.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) left, options(nomem, nostack, preserves_flags));
    }
    left
}
