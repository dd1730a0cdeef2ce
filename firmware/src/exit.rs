//! How a program ends: with a status in the emulator, standing still on a real board.
//!
//! A panic and a hard fault end the program with failure and one log line, so that the
//! workstation never waits for a device that is lost.

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};

/// Ends the program. In the emulator the status becomes its exit code; a real board stands
/// still, and whoever reads its log knows from the last line.
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

/// The place alone: formatting a message would link code that nothing else needs.
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

/// Any other exception: none is enabled, so it is a fault of the program.
#[exception]
unsafe fn DefaultHandler(number: i16) -> ! {
    defmt::error!("rarefy failed: unexpected exception {=i16}", number);
    exit(false)
}
