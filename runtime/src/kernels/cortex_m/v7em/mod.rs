//! The instructions of ARMv7E-M, with the DSP extension: Cortex-M4, M7, and M33 and M55 that have
//! the extension.

#[cfg(feature = "maps")]
pub(super) mod convolution;
#[cfg(feature = "dense")]
pub(super) mod dense;
#[cfg(feature = "maps")]
pub(super) mod quads;

#[cfg(feature = "columns")]
pub(super) use super::v7m::columns;
#[cfg(feature = "rice")]
pub(super) use super::v7m::rice;
#[cfg(feature = "words")]
pub(super) use super::v7m::words;
