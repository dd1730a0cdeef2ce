//! Shared parts of the programs for the boards: the counter, the high-water mark of the stack, and
//! exiting.
//!
//! They assume one core and the memory layout of the architecture's runtime crate. The folders
//! `arm` and `riscv` have what depends on the architecture. Nothing here is specific to a board:
//! `boards/NAME` describes the timer and memory of each.
#![no_std]

#[cfg(not(any(feature = "semihosting", feature = "rtt")))]
compile_error!("no transport for log lines: enable feature `semihosting` or `rtt`");
#[cfg(all(feature = "semihosting", feature = "rtt"))]
compile_error!("features `semihosting` and `rtt` are mutually exclusive: enable only one");

#[cfg(feature = "semihosting")]
use defmt_semihosting as _;

#[cfg(feature = "rtt")]
use defmt_rtt as _;

#[cfg(target_arch = "arm")]
#[path = "arm/mod.rs"]
mod arch;
#[cfg(target_arch = "riscv32")]
#[path = "riscv/mod.rs"]
mod arch;
#[cfg(feature = "boot2")]
mod boot2;

pub mod counter;
pub mod exit;
pub mod measurement;
pub mod stack;

pub use arch::entry;
