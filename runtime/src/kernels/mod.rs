//! The kernels: one module an encoding, each a loop over a layer's rows.
//!
//! A kernel may assume what `Model::parse` has checked of its weights, and that `input` has the
//! layer's inputs and `bias` and `output` its outputs. Sums use wrapping arithmetic, which never
//! wraps for a parsed model, so the order in which a kernel adds is free.

// Joined to the engine with the container's views of these encodings.
#[allow(dead_code)]
mod columns;
#[cfg(feature = "csr")]
mod csr;
#[cfg(feature = "dense")]
mod dense;
#[cfg(feature = "csr")]
mod gather;
#[allow(dead_code)]
mod unchecked;
#[allow(dead_code)]
mod words;

use rarefy_format::{Encoding, Weights};

use crate::output::Finish;

/// The seam between the engine and the encodings: weights that can be multiplied.
pub(crate) trait Kernel: Copy {
    /// `output[row] = finish(bias[row] + sum over columns of weight[row][column] * input[column])`.
    fn run<F: Finish>(self, bias: &[i32], input: &[u8], finish: F, output: &mut [F::Output]);
}

/// Whether this build has the kernel of an encoding.
pub(crate) const fn is_linked(encoding: Encoding) -> bool {
    matches!(
        (encoding, cfg!(feature = "csr"), cfg!(feature = "dense")),
        (Encoding::Csr, true, _) | (Encoding::Dense, _, true)
    )
}

/// Runs the kernel of these weights. `Engine::new` has refused those without one.
#[inline]
pub(crate) fn run<F: Finish>(
    weights: Weights<'_>,
    bias: &[i32],
    input: &[u8],
    finish: F,
    output: &mut [F::Output],
) {
    match weights {
        #[cfg(feature = "csr")]
        Weights::Csr(csr) => csr.run(bias, input, finish, output),
        #[cfg(feature = "dense")]
        Weights::Dense(dense) => dense.run(bias, input, finish, output),
        _ => {}
    }
}

#[cfg(all(test, feature = "csr", feature = "dense"))]
mod tests;
