//! Compressed sparse rows without checks.
//!
//! On a Cortex-M4, an inference of LeNet-300-100 at 100x (2,662 weights in 393 rows) takes 49,900
//! instructions with bounds checks and 18,300 here, for three reasons: no bounds check per
//! gathered input, straight-line code after one jump for the last weights of a row, and loads that
//! are kept in order ([`in_order`]) so that the row's pointers stay in registers.
//!
//! This kernel is Rust code, so the tests run it on the host, too.

use rarefy_format::{Csr, requantize};

use crate::kernels::blocks::CsrBlock;
use crate::kernels::output::Output;

/// The number of weights per round of a long row. Straight-line code handles the rest of the row.
const ROUND: usize = 8;

/// Runs a dense layer. Returns `None` if the container is not aligned, or if the source is too
/// short; computes as many rows as the output holds.
// Kept out of line: inlined, it would compete for registers with the engine.
#[inline(never)]
pub(crate) fn run(csr: Csr<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    let block = CsrBlock::new(csr)?;
    if source.len() < csr.inputs() {
        return None;
    }
    // SAFETY: `Model::parse` has checked that the row lengths add up to the number of columns and
    // of values, and that each column is below `csr.inputs()`.
    unsafe {
        match output {
            Output::Activations { words, shift } => {
                let bytes = bytemuck::must_cast_slice_mut(words);
                rows(block, source, |sum| requantize(sum, shift), bytes);
            }
            Output::Logits(logits) => rows(block, source, |sum| sum, logits),
        }
    }
    Some(())
}

/// Stores `finish` of each row's sum; computes as many rows as `output` holds.
///
/// # Safety
///
/// 1. The row lengths must add up to at most the number of columns and of values.
/// 2. Every column must be an index into `input`.
#[inline(always)]
unsafe fn rows<T>(block: CsrBlock<'_>, input: &[u8], finish: impl Fn(i32) -> T, output: &mut [T]) {
    let CsrBlock {
        bias,
        lengths,
        columns,
        values,
    } = block;
    let rows = lengths.len().min(bias.len()).min(output.len());
    let input = input.as_ptr();
    let mut columns = columns.as_ptr();
    let mut values = values.as_ptr();
    let mut lengths = lengths.as_ptr();
    let mut bias = bias.as_ptr();
    let mut output = output.as_mut_ptr();
    // SAFETY: `rows` is at most the length of the slice.
    let end = unsafe { lengths.add(rows) };
    while lengths != end {
        // SAFETY: fewer than `rows` rows are done, and each has advanced the pointers by one: they
        // are inside their slices, whose lengths are at least `rows`.
        let (mut left, mut sum) = unsafe { (usize::from(*lengths), *bias) };
        // SAFETY: advancing these pointers takes them at most to the ends of their slices.
        unsafe {
            lengths = lengths.add(1);
            bias = bias.add(1);
        }
        // SAFETY: the rows done have advanced `columns` and `values` by the sum of their lengths.
        // The caller guarantees that the `left` columns and values of this row follow inside both
        // slices, and that each column is an index into `input`. `dot::<N>` reads N of them, and N
        // never exceeds `left`, the number of those not yet read.
        unsafe {
            while left >= ROUND {
                sum = dot::<ROUND>(sum, columns, values, input);
                columns = columns.add(ROUND);
                values = values.add(ROUND);
                left = opaque(left - ROUND);
            }
            sum = match left {
                1 => dot::<1>(sum, columns, values, input),
                2 => dot::<2>(sum, columns, values, input),
                3 => dot::<3>(sum, columns, values, input),
                4 => dot::<4>(sum, columns, values, input),
                5 => dot::<5>(sum, columns, values, input),
                6 => dot::<6>(sum, columns, values, input),
                7 => dot::<7>(sum, columns, values, input),
                _ => sum,
            };
            columns = columns.add(left);
            values = values.add(left);
        }
        // SAFETY: as for `lengths`, since `rows` is at most the length of `output`.
        unsafe {
            *output = finish(sum);
            output = output.add(1);
        }
    }
}

/// Returns `sum` plus the products of `N` weights with the inputs that their columns name.
///
/// # Safety
///
/// `columns` and `values` must point to `N` elements each, and each of these columns must be an
/// index into the slice at `input`.
#[inline(always)]
unsafe fn dot<const N: usize>(
    mut sum: i32,
    columns: *const u16,
    values: *const i8,
    input: *const u8,
) -> i32 {
    for position in 0..N {
        // SAFETY: `position < N`, and the caller guarantees the rest.
        let (weight, activation) = unsafe {
            let column = usize::from(*columns.add(position));
            (*values.add(position), *input.add(column))
        };
        sum = sum.wrapping_add(i32::from(weight) * i32::from(activation));
        if position + 1 < N {
            sum = in_order(sum);
        }
    }
    sum
}

/// Returns `sum`, and keeps the compiler from moving later loads before this point. Otherwise the
/// compiler loads several weights first, runs out of registers, and spills the row's pointers: the
/// network above then takes 22,500 instructions instead of 18,300.
#[inline(always)]
#[cfg_attr(not(target_arch = "arm"), allow(unused_mut))]
fn in_order(mut sum: i32) -> i32 {
    #[cfg(target_arch = "arm")]
    // SAFETY: the assembly is a comment; the operand keeps its value.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) sum, options(nostack, preserves_flags));
    }
    sum
}

/// Returns `left`, but hides its value from the compiler, which would otherwise unroll the rounds
/// of long rows and take the registers for that from every row.
#[inline(always)]
#[cfg_attr(not(target_arch = "arm"), allow(unused_mut))]
fn opaque(mut left: usize) -> usize {
    #[cfg(target_arch = "arm")]
    // SAFETY: the assembly is a comment; the operand keeps its value.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) left, options(nomem, nostack, preserves_flags));
    }
    left
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;

    use rarefy_format::{AlignedBytes, Encoding, Model, Weights, write};

    use crate::kernels::output::Output;
    use crate::kernels::portable;
    use crate::networks::{self, Random};

    use super::*;

    #[test]
    fn matches_the_portable_one() {
        let (mut layers, mut long) = (0, 0);
        for seed in 0..500 {
            let mut random = Random::new(seed);
            let network = networks::multilayer(&mut random, &[Encoding::Csr]);
            let Ok(bytes) = write(&network) else { continue };
            let bytes = AlignedBytes::copy_from(&bytes);
            for layer in Model::parse(&bytes).unwrap().dense_layers() {
                let Weights::Csr(csr) = layer.weights else {
                    continue;
                };
                let input = random.bytes(csr.inputs());
                let rows = csr.bias().len();
                let (mut found, mut expected) = (vec![7; rows], vec![7; rows]);
                run(csr, &input, Output::Logits(&mut found)).unwrap();
                portable::csr::run(csr, &input, Output::Logits(&mut expected)).unwrap();
                assert_eq!(found, expected, "seed {seed}");
                for words in [rows / 4, rows.div_ceil(4)] {
                    let (mut found, mut expected) = (vec![7; words], vec![7; words]);
                    let output = |words| Output::Activations {
                        words,
                        shift: layer.shift,
                    };
                    run(csr, &input, output(&mut found)).unwrap();
                    portable::csr::run(csr, &input, output(&mut expected)).unwrap();
                    assert_eq!(found, expected, "seed {seed}");
                }
                assert_eq!(run(csr, &input[1..], Output::Logits(&mut found)), None);
                layers += 1;
                let length = |bytes: &[u8; 2]| usize::from(u16::from_le_bytes(*bytes));
                long += csr.lengths().iter().filter(|l| length(l) >= ROUND).count();
            }
        }
        assert!(
            layers > 400 && long > 400,
            "{layers} layers, {long} long rows"
        );
    }
}
