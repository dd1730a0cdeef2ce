//! Dense rows, four at a time, so that an activation is loaded once for four weights.
//!
//! | core | instructions per weight | method |
//! |---|---|---|
//! | M4, M7 | 1.6 | words of four bytes, spread by `uxtb16`, `sxtb16`; two products per `smlad` |
//! | M3 | 2.4 | `ldrsb` and `mla`, four columns per round |
//! | M0 | 3.8 | `ldrsb`, `muls`, `add`; the sums are in high registers |
//! | RV32IM | 0.7, and 3 more for a nonzero input | `lb`, `mul`, `add`; skips inputs that are 0 |
//!
//! If the number of rows is not a multiple of four, the last block of rows overlaps the previous
//! one, and some rows are computed twice; on RISC-V, the last block has only two rows if that is
//! enough. If there are fewer than four rows, each is computed four times.

use rarefy_format::{Dense, requantize};

use super::call::Target;
use super::instructions::dense::{GROUP, TWO_ROWS, products};
use crate::kernels::blocks::DenseBlock;
use crate::kernels::output::Output;

/// Runs a dense layer. Returns `None` if the container is not aligned, or if source or output is
/// too short.
#[cfg_attr(not(native), allow(dead_code, reason = "tests call `multiply`"))]
// On RISC-V kept out of line: inlined, it would compete for registers with the engine.
#[cfg_attr(riscv, inline(never))]
#[cfg_attr(not(riscv), inline(always))]
pub(crate) fn run(dense: Dense<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    let block = DenseBlock::new(dense)?;
    let source = source.get(..dense.inputs())?;
    let target = Target::new(output, block.bias.len())?;
    // SAFETY: the target has an output per bias.
    unsafe { multiply(block, source, &target) };
    Some(())
}

/// Computes the rows of `block`, or none if it has too few weights for all of them.
///
/// # Safety
///
/// `target` must have an output per bias of `block`.
// Not generic: one loop for both forms of output takes half the code and less stack.
#[inline(always)]
unsafe fn multiply(block: DenseBlock<'_>, input: &[u8], target: &Target) {
    let (rows, columns) = (block.bias.len(), input.len());
    if rows == 0 || rows.saturating_mul(columns) > block.weights.len() {
        return;
    }
    let groups = columns / GROUP;
    // The distance in rows within a block of rows, and from one block to the next.
    let (apart, step) = if rows < 4 { (0, 1) } else { (1, 4) };
    let mut next = 0;
    while next < rows {
        let two = TWO_ROWS && step == 4 && rows - next <= 2;
        let mut row = if two { rows - 2 } else { next.min(rows - step) };
        let mut weights = block.weights.as_ptr().wrapping_add(row * columns);
        let mut sums = [0; 4];
        // SAFETY: the rows of a block of rows are below `rows`, for which there are biases,
        // outputs, and `columns` weights each; `groups * GROUP <= columns`.
        unsafe {
            if groups > 0 {
                sums[0] = (apart * columns) as i32;
                if TWO_ROWS {
                    sums[1] = if two { 2 } else { 4 };
                }
                products(weights, input.as_ptr(), groups, &mut sums);
            }
            for (place, mut sum) in sums.into_iter().enumerate() {
                if two && place == 2 {
                    break;
                }
                for (column, &x) in input.iter().enumerate().skip(groups * GROUP) {
                    let weight = i32::from(*weights.add(column));
                    sum = sum.wrapping_add(weight * i32::from(x));
                }
                sum = sum.wrapping_add(*block.bias.get_unchecked(row));
                store(sum, target, row);
                row += apart;
                weights = weights.wrapping_add(apart * columns);
            }
        }
        next += step;
    }
}

/// Stores the sum of a row.
///
/// # Safety
///
/// `target` must have an output for `row`.
#[inline(always)]
unsafe fn store(sum: i32, target: &Target, row: usize) {
    // SAFETY: the caller guarantees that the output exists. `Target` has aligned it for logits.
    unsafe {
        match target.store.shift() {
            Some(shift) => *target.start.add(row) = requantize(sum, shift),
            None => *target.start.cast::<i32>().add(row) = sum,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use crate::kernels::portable;

    use super::*;

    proptest! {
        #[test]
        fn matches_the_portable_one(
            (rows, columns) in (0..14usize, 1..14usize),
            weights in proptest::collection::vec(any::<i8>(), 169),
            biases in proptest::collection::vec(-100_000..100_000i32, 13),
            input in proptest::collection::vec(any::<u8>(), 13),
            shift in 0..32u8,
        ) {
            let (bias, weights) = (&biases[..rows], &weights[..rows * columns]);
            let (block, input) = (DenseBlock { bias, weights }, &input[..columns]);
            let mut expected = vec![7; rows];
            portable::dense::multiply(block, input, &mut expected, |sum| sum);
            let mut logits = vec![7; rows];
            let target = Target::new(Output::Logits(&mut logits), rows).unwrap();
            // SAFETY: the target has an output per row.
            unsafe { multiply(block, input, &target) };
            prop_assert_eq!(&logits, &expected);
            let mut words = vec![0x0707_0707; rows.div_ceil(4)];
            let output = Output::Activations { words: &mut words, shift };
            let target = Target::new(output, rows).unwrap();
            // SAFETY: as above.
            unsafe { multiply(block, input, &target) };
            let bytes: &[u8] = bytemuck::must_cast_slice(&words);
            let expected: Vec<u8> = expected.iter().map(|&sum| requantize(sum, shift)).collect();
            prop_assert_eq!(&bytes[..rows], expected);
            prop_assert!(bytes[rows..].iter().all(|&byte| byte == 7));
            // Weights too few for the rows: nothing is computed.
            if let Some((_, weights)) = weights.split_first() {
                let mut logits = vec![7; rows];
                let target = Target::new(Output::Logits(&mut logits), rows).unwrap();
                // SAFETY: as above.
                unsafe { multiply(DenseBlock { bias, weights }, input, &target) };
                prop_assert!(logits.iter().all(|&logit| logit == 7));
            }
        }
    }
}
