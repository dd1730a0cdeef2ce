//! Ctrl-C: the first one asks the command to stop cleanly, the second one ends the process.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Error, anyhow};

static RAISED: AtomicBool = AtomicBool::new(false);

/// The function that tells why the current command does not stop soon.
static SLOW: Mutex<Option<Box<dyn Fn() + Send>>> = Mutex::new(None);

/// The time after Ctrl-C until that function is called.
const SOON: Duration = Duration::from_millis(500);

/// Installs the handler of Ctrl-C and termination requests.
pub(super) fn install() {
    // Without a handler, the signal ends the process, but files are still complete.
    let _ = ctrlc::set_handler(|| {
        if RAISED.swap(true, SeqCst) {
            std::process::exit(1);
        }
        // The handler's own thread must be free for the second signal.
        thread::spawn(|| {
            thread::sleep(SOON);
            tell_if_slow();
        });
    });
}

/// Calls the function given to [`if_slow`], if the command has not stopped.
fn tell_if_slow() {
    let slow = SLOW.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(tell) = &*slow {
        tell();
    }
}

/// Keeps the function given to [`if_slow`] until it is dropped, when the command has stopped.
pub(super) struct Slow(());

/// Calls `tell` if the user asks to stop and the returned value then lives for another half a
/// second.
pub(super) fn if_slow(tell: impl Fn() + Send + 'static) -> Slow {
    *SLOW.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tell));
    Slow(())
}

impl Drop for Slow {
    fn drop(&mut self) {
        *SLOW.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Returns `error`, or the error that the command was interrupted if the user asked it to stop.
pub(super) fn or_interrupted(error: Error) -> Error {
    match RAISED.load(SeqCst) {
        true => interrupted(),
        false => error,
    }
}

/// Returns the flag that is raised when the user asks to stop.
pub(super) fn flag() -> &'static AtomicBool {
    &RAISED
}

/// Returns the error for a command that was stopped.
pub(super) fn interrupted() -> Error {
    anyhow!("interrupted; no partial files are left: run the same command again")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn only_a_command_that_still_runs_says_something() {
        let told = Arc::new(AtomicBool::new(false));
        let tells = {
            let told = Arc::clone(&told);
            move || told.store(true, SeqCst)
        };
        drop(if_slow(tells.clone()));
        tell_if_slow();
        assert!(!told.load(SeqCst), "it has stopped");
        let slow = if_slow(tells);
        tell_if_slow();
        assert!(told.load(SeqCst));
        drop(slow);
    }
}
