//! Progress bars and spinners on stderr.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::printable::printable;
use super::speed::Speed;

/// A progress bar or spinner that is cleared when dropped.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    speed: Arc<Mutex<Speed>>,
}

impl Bar {
    /// Creates a progress bar of `length` steps that shows the remaining time, hidden unless
    /// `shown`. It appears when it is first updated.
    pub(super) fn new(length: u64, shown: bool) -> Self {
        let template = "{prefix:24} {bar:30} {pos:>6}/{len} {left:>10}  {msg}";
        Self::draw(length, template, shown)
    }

    /// Creates a spinner for work of unknown length, hidden unless `shown`.
    pub(super) fn spinner(shown: bool) -> Self {
        let bar = Self::draw(0, "{spinner} {msg} ({elapsed})", shown);
        bar.bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// Creates a bar or spinner from `template`, hidden unless `shown`.
    fn draw(length: u64, template: &str, shown: bool) -> Self {
        let target = match shown {
            true => ProgressDrawTarget::stderr_with_hz(10),
            false => ProgressDrawTarget::hidden(),
        };
        let speed = Arc::new(Mutex::new(Speed::default()));
        let measured = Arc::clone(&speed);
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key(
                "left",
                move |state: &ProgressState, text: &mut dyn fmt::Write| {
                    let speed = measured.lock().unwrap_or_else(PoisonError::into_inner);
                    let length = state.len().unwrap_or(0);
                    if let Some(left) = speed.left(state.pos(), length, Instant::now()) {
                        let _ = write!(text, "{:#} left", HumanDuration(left));
                    }
                },
            )
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(length), target).with_style(style);
        Self { bar, speed }
    }

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

    /// Locks the speed for this thread.
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
