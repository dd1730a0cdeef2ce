//! The instructions of ARMv7-M: Cortex-M3, M33 without the DSP extension, and what cores with that
//! extension share with them.

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
