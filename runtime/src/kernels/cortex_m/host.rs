//! Stand-ins in Rust for the routines that are assembly on a Cortex-M, for tests that run the code
//! around them on the host.

#[cfg(feature = "maps")]
pub(super) mod convolution;
#[cfg(feature = "dense")]
pub(super) mod dense;
