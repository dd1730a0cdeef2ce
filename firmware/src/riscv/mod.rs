//! RISC-V cores with the standard's machine mode: riscv-rt starts the program on hart 0, with one
//! stack and all interrupts disabled.

pub(crate) mod faults;
pub(crate) mod stack;
pub(crate) mod timer;

pub use riscv_rt::entry;
