//! Tests that compare the portable kernels and those of a Cortex-M with a definition.

extern crate std;

mod convolution;
