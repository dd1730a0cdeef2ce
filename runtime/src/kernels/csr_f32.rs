//! The reference in 32-bit floats: each row's bias and products, added in the order of the container.
//!
//! Floats are added and multiplied one after the other and never fused, so host and boards agree to
//! the last bit, with or without a floating-point unit. Activations are floats in the arena; a layer
//! that reads the input reads its bytes as they are. The last layer's sums become integers in units of
//! 1 / 65,536, so that logits are integers whatever the weights.

use rarefy_format::CsrF32;

use super::Output;

/// Logits are counted in parts of one by this.
const LOGIT: f32 = 65_536.0;

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
        let mut acc = bias;
        for (column, weight) in row {
            acc += weight * input(column);
        }
        Some(acc)
    };
    match output {
        Output::Bytes { words, .. } => {
            for word in words {
                *word = sum()?.max(0.0).to_bits();
            }
        }
        Output::Sums(sums) => {
            for place in sums {
                *place = (sum()? * LOGIT) as i32;
            }
        }
    }
    Some(())
}
