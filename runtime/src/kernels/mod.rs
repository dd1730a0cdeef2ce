//! The kernels: one module an encoding, each a loop over a layer's rows, and those that slide windows
//! over maps.
//!
//! A kernel may assume what `Model::parse` has checked of its weights. Slices of another length than
//! the layer's make it give up (`None`) or compute less; nothing makes it panic or leave its slices.
//! Sums are taken modulo 2^32, so the order in which a kernel adds is free.
//!
//! All unsafe code is in [`unchecked`]; everything there has a version in safe Rust beside it, which
//! other processors run and tests compare with.

#[cfg(feature = "columns")]
mod columns;
#[cfg(feature = "maps")]
mod convolution;
#[cfg(feature = "csr")]
mod csr;
#[cfg(feature = "csr-f32")]
mod csr_f32;
#[cfg(feature = "dense")]
mod dense;
#[cfg(feature = "maps")]
pub(crate) mod map;
#[cfg(feature = "maps")]
mod pooling;
#[cfg(feature = "rice")]
mod rice;
pub(crate) mod unchecked;
#[cfg(feature = "words")]
mod words;

use rarefy_format::Weights;

/// Where a dense layer stores its sums.
pub(crate) enum Output<'a> {
    /// A hidden layer: shifted and clamped to a byte each, from the front of these words.
    Bytes { words: &'a mut [u32], shift: u8 },
    /// The last layer: as they are.
    Sums(&'a mut [i32]),
}

/// Runs a dense layer, the `first` of its network or not, with the kernel of its encoding.
#[inline(always)]
pub(crate) fn dense(
    weights: Weights<'_>,
    first: bool,
    source: &[u8],
    output: Output<'_>,
    scratch: &mut [u32],
) -> Option<()> {
    // What only some kernels look at.
    let _ = (first, &scratch);
    match weights {
        #[cfg(feature = "words")]
        Weights::Words(words) => words::run(words, source, output),
        #[cfg(feature = "columns")]
        Weights::Columns(columns) => columns::run(columns, source, output),
        #[cfg(feature = "csr")]
        Weights::Csr(csr) => csr::run(csr, source, output),
        #[cfg(feature = "dense")]
        Weights::Dense(dense) => dense::run(dense, source, output),
        #[cfg(feature = "rice")]
        Weights::Rice(rice) => rice::run(rice, source, output, scratch),
        #[cfg(feature = "csr-f32")]
        Weights::CsrF32(csr) => csr_f32::run(csr, first, source, output),
        _ => None,
    }
}
