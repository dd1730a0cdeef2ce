//! Stand-ins in Rust for the routines that are assembly on a Cortex-M, for tests on the host of
//! the code around them.

#[cfg(feature = "maps")]
pub(super) mod convolution;
#[cfg(feature = "dense")]
pub(super) mod dense;
