//! Dense rows, four at a time, so that an activation is loaded once for four weights.
//!
//! On a Cortex-M [`super::unchecked::dense`] computes them; [`run_checked`] everywhere else, and
//! what that one is compared with.

use rarefy_format::Dense;

use super::Kernel;
use crate::output::Finish;

impl Kernel for Dense<'_> {
    #[inline(never)]
    fn run<F: Finish>(self, bias: &[i32], input: &[u8], finish: F, output: &mut [F::Output]) {
        #[cfg(cortex_m)]
        super::unchecked::dense::run(self.values(), bias, input, finish, output);
        #[cfg(not(cortex_m))]
        run_checked(self.values(), bias, input, finish, output);
    }
}

/// The rows of `weights` times `input`, as [`Kernel::run`] says, with every access checked.
#[cfg_attr(cortex_m, allow(dead_code))]
#[inline(always)]
pub(crate) fn run_checked<F: Finish>(
    weights: &[i8],
    bias: &[i32],
    input: &[u8],
    finish: F,
    output: &mut [F::Output],
) {
    let (mut rows, columns) = (weights, input.len());
    let mut biases = bias.chunks_exact(4);
    let mut outputs = output.chunks_exact_mut(4);
    for (bias, output) in biases.by_ref().zip(outputs.by_ref()) {
        let Some((row0, rest)) = rows.split_at_checked(columns) else {
            return;
        };
        let Some((row1, rest)) = rest.split_at_checked(columns) else {
            return;
        };
        let Some((row2, rest)) = rest.split_at_checked(columns) else {
            return;
        };
        let Some((row3, rest)) = rest.split_at_checked(columns) else {
            return;
        };
        rows = rest;
        let mut acc = [0; 4];
        for ((((&x, &w0), &w1), &w2), &w3) in input.iter().zip(row0).zip(row1).zip(row2).zip(row3) {
            let x = i32::from(x);
            acc[0] = i32::wrapping_add(acc[0], i32::from(w0) * x);
            acc[1] = i32::wrapping_add(acc[1], i32::from(w1) * x);
            acc[2] = i32::wrapping_add(acc[2], i32::from(w2) * x);
            acc[3] = i32::wrapping_add(acc[3], i32::from(w3) * x);
        }
        for ((output, acc), &bias) in output.iter_mut().zip(acc).zip(bias) {
            *output = finish.finish(acc.wrapping_add(bias));
        }
    }
    let rows = rows.chunks_exact(columns.max(1));
    for ((row, &bias), output) in rows.zip(biases.remainder()).zip(outputs.into_remainder()) {
        let products = row
            .iter()
            .zip(input)
            .map(|(&w, &x)| i32::from(w) * i32::from(x));
        *output = finish.finish(products.fold(bias, i32::wrapping_add));
    }
}
