//! The instructions of ARMv7-M: Cortex-M3, M33 without the DSP extension, and what cores with that
//! extension share with them.

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
