//! What a command says, and where: results to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::next::Next;

/// The voice of a command.
#[derive(Debug)]
pub(super) struct Console {
    json: bool,
    quiet: bool,
}

impl Console {
    /// A console that prints JSON or text, and is quiet or not.
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Prints the result: `value` as one line of JSON, or `text` and what comes `next`.
    ///
    /// # Errors
    /// When stdout cannot be written; a reader that has gone away is no error.
    pub(super) fn result<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce() -> String,
        next: impl Into<Next>,
    ) -> Result<()> {
        let mut line = if self.json {
            serde_json::to_string(value)?
        } else {
            text()
        };
        if !line.ends_with('\n') {
            line.push('\n');
        }
        if let (false, Next::Run(command)) = (self.json, next.into()) {
            line += &format!("Next: {command}\n");
        }
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(line.as_bytes())
            .and_then(|()| stdout.flush())
        {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                Err(anyhow!("cannot write the result to standard output: {e}"))
            }
            _ => Ok(()),
        }
    }

    /// Says something to a person, on stderr.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            // A closed stderr is no reason to stop.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// A bar of `length` steps with the time left, on stderr and only on a terminal; it shows
    /// itself as soon as it is first moved.
    pub(super) fn bar(&self, length: u64) -> Bar {
        Bar(self.draw(
            length,
            "{prefix:24} {bar:30} {pos:>6}/{len} {eta:>5} left  {msg}",
        ))
    }

    /// A spinner for work of unknown length, on stderr and only on a terminal.
    pub(super) fn spinner(&self) -> Bar {
        let bar = self.draw(0, "{spinner} {msg} ({elapsed})");
        bar.enable_steady_tick(Duration::from_millis(120));
        Bar(bar)
    }

    /// A bar or spinner by `template`, hidden where nobody would see it.
    fn draw(&self, length: u64, template: &str) -> ProgressBar {
        let target = if self.quiet || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(10)
        };
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        ProgressBar::with_draw_target(Some(length), target).with_style(style)
    }
}

/// A progress bar that goes away when dropped.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Sets what stands before the bar.
    pub(super) fn name(&self, name: String) {
        self.0.set_prefix(name);
    }

    /// Sets what stands behind it.
    pub(super) fn message(&self, message: String) {
        self.0.set_message(message);
    }

    /// Sets how far it is.
    pub(super) fn at(&self, position: u64) {
        self.0.set_position(position);
    }

    /// Sets how long it is.
    pub(super) fn length(&self, length: u64) {
        self.0.set_length(length);
    }

    /// Runs `write` with the bar out of the way.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
