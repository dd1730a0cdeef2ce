//! The instructions of ARMv7-M: Cortex-M3 and M33, and what the M4 and M7 share with them.

#[cfg(feature = "columns")]
pub(super) mod columns;
#[cfg(all(cortex_m = "v7m", feature = "maps"))]
pub(super) mod convolution;
#[cfg(all(cortex_m = "v7m", feature = "dense"))]
pub(super) mod dense;
#[cfg(feature = "maps")]
pub(super) mod finish;
#[cfg(feature = "rice")]
pub(super) mod rice;
#[cfg(feature = "words")]
pub(super) mod words;
