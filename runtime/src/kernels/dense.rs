//! Dense rows, four at a time, so that an activation is loaded once for four weights.
//!
//! On a Cortex-M [`super::unchecked::dense`] computes them; [`multiply`] everywhere else, and what that
//! one is compared with.

use rarefy_format::Dense;
#[cfg(not(cortex_m))]
use rarefy_format::requantize;

use super::Output;
#[cfg(cortex_m)]
use super::unchecked::dense::multiply;

#[inline(always)]
pub(crate) fn run(dense: Dense<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    let bias: &[i32] = bytemuck::try_cast_slice(dense.bias()).ok()?;
    let rows: &[i8] = bytemuck::must_cast_slice(dense.values());
    let source = source.get(..dense.inputs())?;
    #[cfg(not(cortex_m))]
    match output {
        Output::Bytes { words, shift } => {
            let bytes = bytemuck::must_cast_slice_mut(words);
            multiply(rows, bias, source, |sum| requantize(sum, shift), bytes);
        }
        Output::Sums(sums) => multiply(rows, bias, source, |sum| sum, sums),
    }
    #[cfg(cortex_m)]
    {
        let (to, shift) = match output {
            Output::Bytes { words, shift } => {
                let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(words);
                (bytes.get_mut(..bias.len())?.as_mut_ptr(), shift & 31)
            }
            Output::Sums(sums) => (sums.get_mut(..bias.len())?.as_mut_ptr().cast(), 32),
        };
        // SAFETY: as many outputs as there are biases begin at `to`.
        #[allow(unsafe_code)]
        unsafe {
            multiply(rows, bias, source, to, shift);
        }
    }
    Some(())
}

/// The rows of `weights` times `input`, through `finish`, with every access checked. Computes as many
/// rows as `bias` and `output` hold.
#[cfg(not(cortex_m))]
fn multiply<T>(
    weights: &[i8],
    bias: &[i32],
    input: &[u8],
    finish: impl Fn(i32) -> T,
    output: &mut [T],
) {
    let (mut rows, columns) = (weights, input.len());
    let count = bias.len().min(output.len());
    let (Some(bias), Some(output)) = (bias.get(..count), output.get_mut(..count)) else {
        return;
    };
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
            *output = finish(acc.wrapping_add(bias));
        }
    }
    let rows = rows.chunks_exact(columns.max(1));
    for ((row, &bias), output) in rows.zip(biases.remainder()).zip(outputs.into_remainder()) {
        let products = row
            .iter()
            .zip(input)
            .map(|(&w, &x)| i32::from(w) * i32::from(x));
        *output = finish(products.fold(bias, i32::wrapping_add));
    }
}
