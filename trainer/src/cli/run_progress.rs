//! The progress of a run: a bar of the whole run on a terminal, lines elsewhere.

use super::bar::Bar;
use super::console::Console;
use super::table::{measure, quality};
use crate::training::run::Event;

/// What a run has reported so far.
pub(super) struct RunProgress<'a> {
    console: &'a Console,
    /// Counts the images of all epochs of all phases.
    bar: Bar,
    /// The current phase.
    phase: String,
    /// The current epoch in the run and in its phase.
    epoch: String,
}

impl<'a> RunProgress<'a> {
    /// Creates the progress of a run that has not started, on `console`.
    pub(super) fn new(console: &'a Console) -> Self {
        Self {
            console,
            bar: console.bar(0),
            phase: String::new(),
            epoch: String::new(),
        }
    }

    /// Returns a function that says, from another thread, that the run ends after its current step.
    pub(super) fn stopping(&self) -> impl Fn() + Send + 'static {
        let console = *self.console;
        self.bar.aside_later(move || {
            console.note(
                "stopping after the step under way, with a checkpoint; Ctrl-C again stops at once, without",
            );
        })
    }

    /// Shows `event`.
    pub(super) fn tell(&mut self, event: Event<'_>) {
        let Self { console, bar, .. } = self;
        match event {
            Event::Note(note) => bar.aside(|| console.note(&note)),
            Event::Start { done, of } => {
                bar.length(of as u64);
                bar.at(done as u64);
            }
            Event::Scoring { done, of } => bar.name(&format!("scoring, step {done} of {of}")),
            Event::Epoch {
                phase,
                epoch,
                of,
                done,
                all,
            } => {
                // Phases differ in speed.
                if self.phase != phase {
                    phase.clone_into(&mut self.phase);
                    bar.forget_speed();
                }
                bar.name(&format!("{phase}, epoch {epoch} of {of}"));
                self.epoch = format!("epoch {} of {all} ({phase} {epoch})", done + 1);
            }
            Event::Images(done) => bar.at(done as u64),
            Event::Checkpoint {
                steps,
                of,
                loss,
                seconds,
            } => console.log(&format!(
                "{}, step {steps} of {of}: loss {loss:.4} so far, {seconds:.0} s",
                self.epoch
            )),
            Event::Done(row) => {
                let [loss, quality] = [format!("{:.4}", row.loss), quality(row.accuracy, row.mse)];
                let text = format!("loss {loss}, {} {quality}", measure(row.mse));
                bar.message(&text);
                console.log(&format!("{}: {text}, {:.0} s", self.epoch, row.seconds));
            }
        }
    }
}
