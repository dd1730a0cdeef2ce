//! Ends the program with a log line at a fault or an unexpected exception.

use cortex_m_rt::{ExceptionFrame, exception};

use crate::exit::exit;

// SAFETY: the handler reads the frame that the hardware stacked and never returns.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("rarefy failed: hard fault at {=u32:#x}", frame.pc());
    exit(false)
}

/// Ends the program at any exception without a handler of its own: none is expected.
#[exception]
unsafe fn DefaultHandler(number: i16) -> ! {
    defmt::error!("rarefy failed: unexpected exception {=i16}", number);
    exit(false)
}
