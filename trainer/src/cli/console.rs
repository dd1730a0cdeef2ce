//! Output of commands: results go to stdout, everything else to stderr.
//!
//! Names of files, tensors and layers may contain control characters. All text passes through
//! [`printable`], which escapes them. Line breaks are escaped only in the names that the user
//! gave: all other text may have several lines.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;

use super::next::Next;
use super::speed::Speed;
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

    /// Notes that all `most` `things` are used if `option` asks for more.
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
        self.draw(
            length,
            "{prefix:24} {bar:30} {pos:>6}/{len} {left:>10}  {msg}",
        )
    }

    /// Creates a spinner for work of unknown length, on stderr and only on a terminal.
    pub(super) fn spinner(&self) -> Bar {
        let bar = self.draw(0, "{spinner} {msg} ({elapsed})");
        bar.bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// Creates a bar or spinner from `template`, hidden if quiet or without a terminal.
    fn draw(&self, length: u64, template: &str) -> Bar {
        let target = if self.quiet || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(10)
        };
        let speed = Arc::new(Mutex::new(Speed::default()));
        let shown = Arc::clone(&speed);
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key(
                "left",
                move |state: &ProgressState, text: &mut dyn fmt::Write| {
                    let speed = shown.lock().unwrap_or_else(PoisonError::into_inner);
                    let length = state.len().unwrap_or(0);
                    if let Some(left) = speed.left(state.pos(), length, Instant::now()) {
                        let _ = write!(text, "{:#} left", HumanDuration(left));
                    }
                },
            )
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(length), target).with_style(style);
        Bar { bar, speed }
    }
}

/// A progress bar or spinner that is cleared when dropped.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    speed: Arc<Mutex<Speed>>,
}

impl Bar {
    /// Sets the text before the bar.
    pub(super) fn name(&self, name: &str) {
        self.bar.set_prefix(printable(name).into_owned());
    }

    /// Sets the text after the bar.
    pub(super) fn message(&self, message: &str) {
        self.bar.set_message(printable(message).into_owned());
    }

    /// Sets the number of steps done.
    pub(super) fn at(&self, position: u64) {
        self.speed().update(position, Instant::now());
        self.bar.set_position(position);
    }

    /// Forgets the speed so far: the time left is estimated from the next step on.
    pub(super) fn forget_speed(&self) {
        self.speed().forget();
    }

    /// Returns the speed, for this thread alone.
    fn speed(&self) -> MutexGuard<'_, Speed> {
        self.speed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the total number of steps.
    pub(super) fn length(&self, length: u64) {
        self.bar.set_length(length);
    }

    /// Returns a function that runs `write` with the bar hidden, for another thread.
    pub(super) fn aside_later(
        &self,
        write: impl Fn() + Send + 'static,
    ) -> impl Fn() + Send + 'static {
        let bar = self.bar.clone();
        move || bar.suspend(&write)
    }

    /// Runs `write` with the bar hidden.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
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

/// The names with line breaks that the user gave as arguments, or in environment variables that
/// name folders.
static BROKEN_NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let variables = ["RAREFY_DATA", "RAREFY_FIRMWARE", "XDG_CACHE_HOME"];
    let variables = variables.into_iter().filter_map(env::var_os);
    broken_names(env::args_os().skip(1).chain(variables))
});

/// Returns the components of `paths` that contain line breaks. An extension without line breaks is
/// removed, because output files may have another one.
fn broken_names(paths: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let mut names = Vec::new();
    for path in paths {
        for part in Path::new(&path) {
            let stem = Path::new(part).file_stem().unwrap_or(part);
            let stem = stem.to_string_lossy();
            let name = match stem.contains('\n') {
                true => stem,
                false => part.to_string_lossy(),
            };
            // A name that consists of line breaks alone cannot be told from line breaks of the
            // text.
            if name.contains('\n') && !name.trim().is_empty() {
                names.push(name.into_owned());
            }
        }
    }
    names
}

/// Returns `text` with the line breaks of `names` escaped.
fn unbroken<'a>(text: &'a str, names: &[String]) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for name in names {
        if text.contains(name) {
            text = Cow::Owned(text.replace(name, &name.replace('\n', "\\n")));
        }
    }
    text
}

/// Returns `text` as one line, with every control character escaped.
pub(super) fn one_line(text: &str) -> String {
    let text = unbroken(text, &BROKEN_NAMES);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    printable(&lines.collect::<Vec<_>>().join(" ")).into_owned()
}

/// Returns `text` with every control character escaped, as in `\u{1b}`, except the newlines that
/// are not part of a given name.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let text = unbroken(text, &BROKEN_NAMES);
    if !text.chars().any(is_escaped) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_escaped(c) {
            true => escaped.extend(c.escape_default()),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Returns the JSON `text` with all control characters escaped; JSON allows some of them in
/// strings.
fn printable_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match is_escaped(c) {
            true => escaped += &format!("\\u{:04x}", u32::from(c)),
            false => escaped.push(c),
        }
    }
    escaped
}

/// Returns whether `c` must be escaped: a control character other than a newline.
fn is_escaped(c: char) -> bool {
    c.is_control() && c != '\n'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_of_given_names_are_escaped() {
        let names =
            broken_names(["a\nb/c.svg", "in/d\ne.svg", "plain", "\n", "f.\n"].map(Into::into));
        assert_eq!(names, ["a\nb", "d\ne", "f.\n"]);
        let text = "a\nb/c.svg\nand d\ne.csv: f.\n\n";
        assert_eq!(
            unbroken(text, &names),
            "a\\nb/c.svg\nand d\\ne.csv: f.\\n\n"
        );
        assert_eq!(one_line("a  b\n\n   c\td"), r"a  b c\td");
    }

    #[test]
    fn only_control_characters_are_escaped() {
        assert_eq!(printable("läufe/it's\nmine"), "läufe/it's\nmine");
        let raw = "a\x1b[31mb\u{9b}0m\x07\r\t\x7f";
        let shown = r"a\u{1b}[31mb\u{9b}0m\u{7}\r\t\u{7f}";
        assert_eq!(printable(raw), shown);
        let json = printable_json(&serde_json::to_string(raw).unwrap());
        assert!(!json.contains(char::is_control), "{json:?}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), raw);
    }
}
