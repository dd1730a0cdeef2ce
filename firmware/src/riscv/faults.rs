//! Ends the program with a log line at an exception or an unexpected interrupt.

use riscv::register::{mcause, mepc};

use crate::exit::exit;

/// Ends the program at any exception: none is expected. riscv-rt calls this function by its name.
// SAFETY: the only symbol of this name in the program, with the signature that riscv-rt expects.
#[unsafe(export_name = "ExceptionHandler")]
fn exception(_: &riscv_rt::TrapFrame) -> ! {
    defmt::error!(
        "rarefy failed: exception {=usize} at {=usize:#x}",
        mcause::read().code(),
        mepc::read()
    );
    exit(false)
}

/// Ends the program at any interrupt: none is enabled. riscv-rt calls this function by its name.
// SAFETY: the only symbol of this name in the program, with the signature that riscv-rt expects.
#[unsafe(export_name = "DefaultHandler")]
fn interrupt() -> ! {
    defmt::error!(
        "rarefy failed: unexpected interrupt {=usize}",
        mcause::read().code()
    );
    exit(false)
}
