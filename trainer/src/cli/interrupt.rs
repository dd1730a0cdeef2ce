//! Ctrl-C: the first one asks the command to stop cleanly, the second one ends the process.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use anyhow::{Error, anyhow};

static RAISED: AtomicBool = AtomicBool::new(false);

/// Installs the handler of Ctrl-C and termination requests.
pub(super) fn install() {
    // Without a handler, the signal ends the process, but files are still complete.
    let _ = ctrlc::set_handler(|| {
        if RAISED.swap(true, SeqCst) {
            std::process::exit(1);
        }
    });
}

/// Returns the flag that is raised when the user asks to stop.
pub(super) fn flag() -> &'static AtomicBool {
    &RAISED
}

/// Returns the error for a command that was stopped.
pub(super) fn interrupted() -> Error {
    anyhow!("interrupted; no partial files are left: run the same command again")
}
