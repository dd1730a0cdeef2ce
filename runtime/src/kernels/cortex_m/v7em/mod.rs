//! The instructions of ARMv7E-M, with the DSP extension: Cortex-M4, M7, and M33 and M55 that have
//! the extension.

#[cfg(feature = "maps")]
pub(in crate::kernels) mod convolution;
#[cfg(feature = "dense")]
pub(in crate::kernels) mod dense;
#[cfg(feature = "maps")]
pub(in crate::kernels) mod quads;

#[cfg(feature = "columns")]
pub(in crate::kernels) use super::v7m::columns;
#[cfg(feature = "rice")]
pub(in crate::kernels) use super::v7m::rice;
#[cfg(feature = "words")]
pub(in crate::kernels) use super::v7m::words;
