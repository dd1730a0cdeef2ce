//! Dense rows, four at a time, so that an activation is loaded once for four weights.

use rarefy_format::{Dense, requantize};

use crate::kernels::blocks::DenseBlock;
use crate::kernels::output::Output;

/// Runs a dense layer, for as many rows as both the layer and the output have. Returns `None` if
/// the container is not aligned, or if the source is too short.
pub(crate) fn run(dense: Dense<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    let block = DenseBlock::new(dense)?;
    let source = source.get(..dense.inputs())?;
    match output {
        Output::Activations { words, shift } => {
            let bytes = bytemuck::must_cast_slice_mut(words);
            multiply(block, source, bytes, |sum| requantize(sum, shift));
        }
        Output::Logits(logits) => multiply(block, source, logits, |sum| sum),
    }
    Some(())
}

/// Stores `finish` of each row's sum, for as many rows as both `block` and `output` have.
pub(crate) fn multiply<T>(
    block: DenseBlock<'_>,
    input: &[u8],
    output: &mut [T],
    finish: impl Fn(i32) -> T,
) {
    let (mut rows, columns) = (block.weights, input.len());
    let count = block.bias.len().min(output.len());
    let (Some(bias), Some(output)) = (block.bias.get(..count), output.get_mut(..count)) else {
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
