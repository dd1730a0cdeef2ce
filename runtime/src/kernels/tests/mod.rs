//! Tests that compare the portable and the native kernels with a definition.

extern crate std;

mod convolution;
