//! The kernels: the inner loops of the engine.
//!
//! - `dense` picks the kernel of a dense layer; `run_layer` has the trait through which the walk
//!   over a chain runs a layer; `blocks`, `geometry`, `output` and `taps` hold what kernels share;
//! - `portable` contains every kernel in safe Rust: these run on all targets and are the oracle of
//!   the others;
//! - `native` contains the safe entries of those kernels that also exist without checks, in
//!   assembly or unsafe Rust, with the same signatures; `cortex_m` and `riscv` contain the
//!   instructions. All unsafe code of the crate is in these three.
//!
//! A kernel may rely on what `Model::parse` has checked about its weights. If its slices do not
//! match the layer, a kernel returns `None` or computes fewer outputs; it never panics and never
//! accesses memory outside its slices. Sums are taken modulo 2^32, so a kernel may add in any
//! order.

pub(crate) mod blocks;
#[cfg(cortex_m)]
mod cortex_m;
#[cfg(feature = "maps")]
pub(crate) mod geometry;
#[cfg(any(native, test))]
mod native;
pub(crate) mod output;
mod portable;
#[cfg(riscv)]
mod riscv;
#[cfg(any(test, not(feature = "maps")))]
pub(crate) mod run_layer;
#[cfg(feature = "maps")]
pub(crate) mod taps;

use rarefy_format::Weights;

#[cfg(native)]
use native as chosen;
#[cfg(not(native))]
use portable as chosen;

#[cfg(any(test, not(feature = "maps")))]
pub(crate) use chosen::ping_pong;
#[cfg(feature = "maps")]
pub(crate) use chosen::{convolution, pooling};
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
        Weights::Words(words) => chosen::words::run(words, source, output),
        #[cfg(feature = "columns")]
        Weights::Columns(columns) => chosen::columns::run(columns, source, output),
        #[cfg(feature = "csr")]
        Weights::Csr(csr) => chosen::csr::run(csr, source, output),
        #[cfg(feature = "dense")]
        Weights::Dense(dense) => chosen::dense::run(dense, source, output),
        #[cfg(feature = "rice")]
        Weights::Rice(rice) => chosen::rice::run(rice, source, output, scratch),
        #[cfg(feature = "csr-f32")]
        Weights::CsrF32(csr) => chosen::csr_f32::run(csr, raw, source, output),
        _ => None,
    }
}

#[cfg(all(test, feature = "maps"))]
mod tests;
