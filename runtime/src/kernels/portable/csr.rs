//! Compressed sparse rows: each row gathers the inputs that its columns name.

use rarefy_format::{Csr, requantize};

use crate::kernels::blocks::CsrBlock;
use crate::kernels::output::Output;

/// Runs a dense layer. Returns `None` if the container is not aligned, or if the source is too
/// short; computes as many rows as the output holds.
pub(crate) fn run(csr: Csr<'_>, source: &[u8], output: Output<'_>) -> Option<()> {
    let block = CsrBlock::new(csr)?;
    let source = source.get(..csr.inputs())?;
    match output {
        Output::Activations { words, shift } => {
            let bytes = bytemuck::must_cast_slice_mut(words);
            rows(block, source, bytes, |sum| requantize(sum, shift))
        }
        Output::Logits(logits) => rows(block, source, logits, |sum| sum),
    }
}

/// Stores `finish` of each row's sum. Returns `None` if the weights end before the rows, or a
/// column is out of range.
fn rows<T>(
    block: CsrBlock<'_>,
    input: &[u8],
    output: &mut [T],
    finish: impl Fn(i32) -> T,
) -> Option<()> {
    let (mut columns, mut values) = (block.columns, block.values);
    let rows = block.lengths.iter().zip(block.bias);
    for (output, (&length, &bias)) in output.iter_mut().zip(rows) {
        let (row, rest) = columns.split_at_checked(length.into())?;
        let (weights, others) = values.split_at_checked(length.into())?;
        (columns, values) = (rest, others);
        let mut sum = bias;
        for (&column, &weight) in row.iter().zip(weights) {
            let activation = *input.get(usize::from(column))?;
            sum = sum.wrapping_add(i32::from(weight) * i32::from(activation));
        }
        *output = finish(sum);
    }
    Some(())
}
