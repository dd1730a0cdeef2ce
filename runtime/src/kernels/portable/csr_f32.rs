//! The encoding in 32-bit floats, a reference for the integer ones: each row's bias and products
//! are added in the order of the container.
//!
//! Floats are multiplied and added one after the other, never fused, so host and boards agree bit
//! for bit, with or without a floating-point unit. The activations in the arena are floats; a
//! layer that reads the network's input reads its bytes. The last layer stores its sums as
//! integers, in units of 1 / 65,536.

use rarefy_format::CsrF32;

use crate::kernels::output::Output;

/// The number of units of a logit in a sum of 1.
const LOGIT: f32 = 65_536.0;

/// Runs a dense layer, whose source is `raw` bytes or floats. Returns `None` if the source is not
/// aligned, or if the rows end before the output.
#[inline(never)]
pub(crate) fn run(csr: CsrF32<'_>, raw: bool, source: &[u8], output: Output<'_>) -> Option<()> {
    let floats: &[f32] = if raw {
        &[]
    } else {
        bytemuck::try_cast_slice(source).ok()?
    };
    let input = |column: usize| {
        if raw {
            f32::from(source.get(column).copied().unwrap_or(0))
        } else {
            floats.get(column).copied().unwrap_or(0.0)
        }
    };
    let mut csr = csr;
    let mut sum = || {
        let (bias, row) = csr.next_row()?;
        let mut sum = bias;
        for (column, weight) in row {
            sum += weight * input(column);
        }
        Some(sum)
    };
    match output {
        Output::Activations { words, .. } => {
            for word in words {
                *word = sum()?.max(0.0).to_bits();
            }
        }
        Output::Logits(logits) => {
            for logit in logits {
                *logit = (sum()? * LOGIT) as i32;
            }
        }
    }
    Some(())
}
