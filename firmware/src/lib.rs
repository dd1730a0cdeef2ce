//! Shared parts of the programs for the boards: the counter, the high-water mark of the stack, and
//! exiting.
//!
//! They assume one core, thread mode on the main stack, and the memory layout of cortex-m-rt.
//! Nothing here depends on the board, whose timer and memory `boards/NAME` describes.
#![no_std]

#[cfg(not(any(feature = "semihosting", feature = "rtt")))]
compile_error!("choose how log lines leave the device: feature `semihosting` or `rtt`");
#[cfg(all(feature = "semihosting", feature = "rtt"))]
compile_error!("features `semihosting` and `rtt` exclude each other");

#[cfg(feature = "semihosting")]
use defmt_semihosting as _;

#[cfg(feature = "rtt")]
use defmt_rtt as _;

pub mod counter;
pub mod exit;
pub mod measurement;
pub mod stack;
