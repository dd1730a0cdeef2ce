//! The instructions of ARMv7-M: Cortex-M3 and M33, and what the M4 and M7 share with them.

#[cfg(feature = "columns")]
pub(in crate::kernels) mod columns;
#[cfg(all(cortex_m = "v7m", feature = "maps"))]
pub(in crate::kernels) mod convolution;
#[cfg(all(cortex_m = "v7m", feature = "dense"))]
pub(in crate::kernels) mod dense;
#[cfg(feature = "maps")]
pub(in crate::kernels) mod finish;
#[cfg(feature = "rice")]
pub(in crate::kernels) mod rice;
#[cfg(feature = "words")]
pub(in crate::kernels) mod words;
