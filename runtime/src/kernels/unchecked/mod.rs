//! The kernels without checks, for the Cortex-M cores: the crate's only unsafe code. One file a
//! kernel; each says what its caller has checked, and has a safe twin that it is compared with.

#![allow(unsafe_code)]

#[cfg(all(cortex_m, feature = "dense"))]
pub(crate) mod dense;
#[cfg(cortex_m)]
pub(crate) mod taps;
