//! Runs programs side by side: most tests keep less than one core busy, because they wait for a
//! linker or an emulator.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// Programs that run at the same time.
const WORKERS: usize = 2;

/// A program to run, and what the summary calls it.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) command: Command,
}

impl Job {
    /// Creates the job that runs `command`.
    pub(crate) fn new(name: impl Into<String>, command: Command) -> Self {
        Self {
            name: name.into(),
            command,
        }
    }
}

/// How a job ended.
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) time: Duration,
    pub(crate) success: bool,
}

/// Runs all jobs in order, [`WORKERS`] at a time, even if some fail. The output of a job is printed
/// when it ends.
pub(crate) fn run(jobs: Vec<Job>) -> Vec<Ended> {
    let waiting = Mutex::new(jobs.into_iter());
    let ended = Mutex::new(Vec::new());
    let next = || waiting.lock().ok().and_then(|mut jobs| jobs.next());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(job) = next() {
                    let end = finish(job);
                    if let Ok(mut ended) = ended.lock() {
                        ended.push(end);
                    }
                }
            });
        }
    });
    ended.into_inner().unwrap_or_default()
}

/// Runs one job and prints its output as a whole.
fn finish(Job { name, mut command }: Job) -> Ended {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output();
    let time = start.elapsed();
    let mut text = format!("== {name}: {:.1} s\n", time.as_secs_f64()).into_bytes();
    let success = match output {
        Ok(output) => {
            text.extend(output.stdout);
            text.extend(output.stderr);
            output.status.success()
        }
        Err(error) => {
            text.extend(format!("cannot run {:?}: {error}\n", command.get_program()).bytes());
            false
        }
    };
    // A closed stderr is not a failure of the job.
    let _ = std::io::stderr().lock().write_all(&text);
    Ended {
        name,
        time,
        success,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_jobs_run_and_failures_are_told_apart() {
        let cargo = |argument: &str| {
            let mut command = crate::command::cargo();
            command.arg(argument);
            command
        };
        let ended = run(vec![
            Job::new("good", cargo("--version")),
            Job::new("bad", cargo("--no-such-option")),
            Job::new("missing", Command::new("no-such-program-of-rarefy")),
            Job::new("last", cargo("--version")),
        ]);
        let mut found: Vec<(&str, bool)> = ended
            .iter()
            .map(|end| (end.name.as_str(), end.success))
            .collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [
                ("bad", false),
                ("good", true),
                ("last", true),
                ("missing", false)
            ]
        );
    }
}
