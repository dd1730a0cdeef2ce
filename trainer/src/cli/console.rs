//! Output of commands: results go to stdout, everything else to stderr.
//!
//! All text passes through [`printable`].

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;

use anyhow::{Result, anyhow};
use serde::Serialize;

use super::bar::Bar;
use super::next::Next;
use super::printable::{printable, printable_json};
use crate::numbers::thousands;

/// The output of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Console {
    json: bool,
    quiet: bool,
}

impl Console {
    /// Creates a console that prints JSON or text, with or without notes on stderr.
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Returns whether the result is printed as JSON.
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// Prints the result: `value` as one line of JSON, or `text` followed by the `next` command.
    ///
    /// # Errors
    /// Returns an error if stdout cannot be written. A closed pipe is not an error.
    pub(super) fn result<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce() -> String,
        next: impl Into<Next>,
    ) -> Result<()> {
        let mut line = if self.json {
            printable_json(&serde_json::to_string(value)?)
        } else {
            printable(&text()).into_owned()
        };
        if !line.ends_with('\n') {
            line.push('\n');
        }
        if !self.json {
            line += &match next.into() {
                Next::Run(command) => format!("Next: {command}\n"),
                Next::Nothing(why) => format!("No next command: {why}\n"),
            };
        }
        let mut stdout = io::stdout().lock();
        written(
            stdout
                .write_all(line.as_bytes())
                .and_then(|()| stdout.flush()),
        )
    }

    /// Prints a note on stderr unless quiet.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            // A closed stderr must not stop the command.
            let _ = writeln!(io::stderr(), "{}", printable(text));
        }
    }

    /// Prints a line of progress on stderr unless stderr is a terminal, which shows a bar instead.
    pub(super) fn log(&self, text: &str) {
        if !io::stderr().is_terminal() {
            self.note(text);
        }
    }

    /// Notes that all of the `most` `things`, such as "test images", are used if `option` asks for
    /// more.
    pub(super) fn most(&self, (option, asked): (&str, NonZeroUsize), most: usize, things: &str) {
        if asked.get() > most {
            let most = thousands(most);
            self.note(&format!(
                "{option} {asked} is more than the {most} {things}: using all {most}"
            ));
        }
    }

    /// Creates a progress bar of `length` steps that shows the remaining time, on stderr and only
    /// on a terminal. It appears when it is first updated.
    pub(super) fn bar(&self, length: u64) -> Bar {
        Bar::new(length, self.shows_bars())
    }

    /// Creates a spinner for work of unknown length, on stderr and only on a terminal.
    pub(super) fn spinner(&self) -> Bar {
        Bar::spinner(self.shows_bars())
    }

    /// Returns whether bars and spinners are shown.
    fn shows_bars(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}

/// Converts the result of writing to stdout. A closed pipe is not an error.
///
/// # Errors
/// Returns an error with the system's reason if writing failed for another reason.
pub(super) fn written(result: io::Result<()>) -> Result<()> {
    match result {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow!("cannot write the result to standard output: {e}"))
        }
        _ => Ok(()),
    }
}
