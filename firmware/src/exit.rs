//! Ends a program: it exits with a status in the emulator and loops endlessly on a real board.
//!
//! A panic or a hard fault ends the program with failure and a log line, so that the workstation
//! does not wait for it.

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};

/// Ends the program. In the emulator, the exit code tells whether it succeeded; on a real board,
/// only the last line of the log does.
pub fn exit(success: bool) -> ! {
    #[cfg(feature = "semihosting")]
    semihosting::process::exit(i32::from(!success));
    #[cfg(not(feature = "semihosting"))]
    {
        let _ = success;
        defmt::flush();
        loop {
            cortex_m::asm::nop();
        }
    }
}

/// Logs only the location: formatting the message would link code that nothing else needs.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let (file, line) = info
        .location()
        .map_or(("?", 0), |place| (place.file(), place.line()));
    defmt::error!("rarefy failed: panicked at {=str}:{=u32}", file, line);
    exit(false)
}

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
