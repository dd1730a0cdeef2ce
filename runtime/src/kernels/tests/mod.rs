//! Tests that compare the portable kernels and those of Cortex-M cores with a definition.

extern crate std;

mod convolution;
