//! Routines in Rust: stand-ins for those that are assembly, for tests that run the code around them
//! on the host. RISC-V takes the convolution from here.

#[cfg(feature = "maps")]
pub(in crate::kernels) mod convolution;
#[cfg(all(not(native), feature = "dense"))]
pub(super) mod dense;
