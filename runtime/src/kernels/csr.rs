//! Compressed sparse rows: for each row gather the inputs its columns name.
//!
//! The loop itself is in [`super::gather`], the crate's one module with unsafe code. The same loop
//! in safe Rust is kept here as its oracle, under test.

use rarefy_format::Csr;

use super::{Kernel, gather};
use crate::output::Finish;

impl Kernel for Csr<'_> {
    // A function of its own: inlined into the engine it would share its registers with it.
    #[inline(never)]
    fn run<F: Finish>(self, bias: &[i32], input: &[u8], finish: F, output: &mut [F::Output]) {
        gather::run(self, bias, input, finish, output);
    }
}

/// What [`gather::run`] computes, with every access checked.
#[cfg(test)]
pub(crate) fn run_checked<F: Finish>(
    csr: Csr<'_>,
    bias: &[i32],
    input: &[u8],
    finish: F,
    output: &mut [F::Output],
) {
    for (((columns, values), &bias), output) in csr.rows().zip(bias).zip(output) {
        let weights = columns.iter().zip(values);
        let products = weights.map(|(&c, &w)| i32::from(w) * i32::from(input[usize::from(c)]));
        *output = finish.finish(products.fold(bias, i32::wrapping_add));
    }
}
