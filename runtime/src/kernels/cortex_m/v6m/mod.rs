//! The instructions of ARMv6-M: Cortex-M0, M0+ and M1, and the baseline of ARMv8-M.

#[cfg(feature = "columns")]
pub(in crate::kernels) mod columns;
#[cfg(feature = "maps")]
pub(in crate::kernels) mod convolution;
#[cfg(feature = "dense")]
pub(in crate::kernels) mod dense;
#[cfg(feature = "rice")]
pub(in crate::kernels) mod rice;
#[cfg(feature = "words")]
pub(in crate::kernels) mod words;
