//! The kernels: the inner loops of the engine.
//!
//! - `blocks`, `geometry`, `output`, `run_layer` and `taps` are the types that kernels share;
//! - `portable` contains every kernel in safe Rust: these run on all targets and are the oracle of
//!   the others;
//! - `cortex_m` contains versions of most of them for Cortex-M cores, with the same signatures, and
//!   all unsafe code of the crate.
//!
//! A kernel may rely on what `Model::parse` has checked about its weights. If its slices do not
//! match the layer, a kernel returns `None` or computes fewer outputs; it never panics and never
//! accesses memory outside its slices. Sums are taken modulo 2^32, so a kernel may add in any
//! order.

pub(crate) mod blocks;
#[cfg(any(cortex_m, test))]
mod cortex_m;
#[cfg(feature = "maps")]
pub(crate) mod geometry;
pub(crate) mod output;
mod portable;
#[cfg(any(test, not(feature = "maps")))]
pub(crate) mod run_layer;
#[cfg(feature = "maps")]
pub(crate) mod taps;

use rarefy_format::Weights;

#[cfg(cortex_m)]
use cortex_m as native;
#[cfg(not(cortex_m))]
use portable as native;

#[cfg(any(test, not(feature = "maps")))]
pub(crate) use native::ping_pong;
#[cfg(feature = "maps")]
pub(crate) use native::{convolution, pooling};
use output::Output;

/// Runs a dense layer with the kernel of its encoding. `raw` states whether `source` is the
/// network's input, which consists of bytes, rather than the activations of a layer.
#[inline(always)]
pub(crate) fn dense(
    weights: Weights<'_>,
    raw: bool,
    source: &[u8],
    output: Output<'_>,
    scratch: &mut [u32],
) -> Option<()> {
    // Only some kernels use these.
    let _ = (raw, &scratch);
    match weights {
        #[cfg(feature = "words")]
        Weights::Words(words) => native::words::run(words, source, output),
        #[cfg(feature = "columns")]
        Weights::Columns(columns) => native::columns::run(columns, source, output),
        #[cfg(feature = "csr")]
        Weights::Csr(csr) => native::csr::run(csr, source, output),
        #[cfg(feature = "dense")]
        Weights::Dense(dense) => native::dense::run(dense, source, output),
        #[cfg(feature = "rice")]
        Weights::Rice(rice) => native::rice::run(rice, source, output, scratch),
        #[cfg(feature = "csr-f32")]
        Weights::CsrF32(csr) => native::csr_f32::run(csr, raw, source, output),
        _ => None,
    }
}

#[cfg(all(test, feature = "maps"))]
mod tests;
