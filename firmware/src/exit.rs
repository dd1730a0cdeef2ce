//! Ends a program: with an exit code in the emulator, with an endless loop on a real board.
//!
//! A panic or a hard fault logs one line and ends the program with failure, so that the
//! workstation never waits for a device that no longer responds.

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};

/// Ends the program. In the emulator `success` determines the exit code. A real board loops
/// forever; the line that the caller logged last states the result.
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

/// Handles all other exceptions. None is enabled, so each is a fault of the program.
#[exception]
unsafe fn DefaultHandler(number: i16) -> ! {
    defmt::error!("rarefy failed: unexpected exception {=i16}", number);
    exit(false)
}
