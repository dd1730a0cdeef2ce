//! Runs external programs with a time limit and a stop flag.
//!
//! Output is passed on in chunks as it arrives. The program is killed at its time limit, when the
//! stop flag is set, when the reader has seen enough, and when the calling process ends. Except
//! for installers, a [`Watchdog`] makes sure that no descendant outlives the call or this process.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::watchdog::Watchdog;

/// Limits of a program's run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits<'a> {
    pub(crate) timeout: Option<Duration>,
    /// Flag that is set to stop the program.
    pub(crate) stop: Option<&'a AtomicBool>,
}

impl Limits<'_> {
    /// Returns `true` if the stop flag is set.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Returns the limit that a program started at `start` has reached, if any.
    fn reached(&self, start: Instant) -> Option<End> {
        let late = |timeout| start.elapsed() > timeout;
        if self.stopped() {
            Some(End::Stopped)
        } else if self.timeout.is_some_and(late) {
            Some(End::TimedOut)
        } else {
            None
        }
    }
}

/// A chunk of a program's output.
pub(crate) enum Output {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
}

impl Output {
    /// Returns the bytes of the chunk, whichever stream it comes from.
    pub(crate) fn bytes(&self) -> &[u8] {
        let (Self::Stdout(bytes) | Self::Stderr(bytes)) = self;
        bytes
    }
}

/// A reader's decision after a chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    /// The reader has seen enough; the program is killed.
    Enough,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) enum End {
    Exit(ExitStatus),
    Enough,
    TimedOut,
    Stopped,
}

/// Kills the child and everything in its watchdog's process group when dropped.
struct Guard {
    child: Child,
    /// Dropped after the child has been waited for.
    _watchdog: Option<Watchdog>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `command` until it exits or reaches a limit. Nothing that it starts outlives the call or
/// this process.
pub(crate) fn run(
    mut command: Command,
    limits: Limits<'_>,
    reader: impl FnMut(Output) -> Flow,
) -> io::Result<End> {
    let watchdog = Watchdog::start(&mut command);
    run_with(watchdog, command, limits, reader)
}

/// Runs `command` until it exits or reaches a limit, without a watchdog: descendants of an
/// installer should finish, because killing them can leave a broken installation.
pub(crate) fn run_unwatched(
    command: Command,
    limits: Limits<'_>,
    reader: impl FnMut(Output) -> Flow,
) -> io::Result<End> {
    run_with(None, command, limits, reader)
}

/// Runs `command` in the process group of `watchdog`, if there is one.
fn run_with(
    watchdog: Option<Watchdog>,
    mut command: Command,
    limits: Limits<'_>,
    mut reader: impl FnMut(Output) -> Flow,
) -> io::Result<End> {
    /// Interval at which limits are checked.
    const TICK: Duration = Duration::from_millis(20);
    /// How long the pipes of an exited program may stay open: a grandchild may hold them.
    const DRAIN: Duration = Duration::from_millis(300);

    let start = Instant::now();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut guard = Guard {
        child: command.spawn()?,
        _watchdog: watchdog,
    };
    let child = &mut guard.child;
    let (sender, receiver) = mpsc::channel();
    pump(child.stdout.take(), Output::Stdout, sender.clone());
    pump(child.stderr.take(), Output::Stderr, sender);

    let mut exited: Option<(ExitStatus, Instant)> = None;
    loop {
        let mut silent = false;
        match receiver.recv_timeout(TICK) {
            Ok(chunk) => {
                if reader(chunk) == Flow::Enough {
                    return Ok(End::Enough);
                }
            }
            Err(RecvTimeoutError::Timeout) => silent = true,
            Err(RecvTimeoutError::Disconnected) => match exited {
                Some((status, _)) => return Ok(End::Exit(status)),
                None => thread::sleep(TICK),
            },
        }
        if exited.is_none() {
            exited = child.try_wait()?.map(|status| (status, Instant::now()));
        }
        // Output from before the exit is read completely, however slow the reader is.
        if let Some((status, at)) = exited
            && silent
            && at.elapsed() > DRAIN
        {
            return Ok(End::Exit(status));
        }
        if let Some(end) = limits.reached(start) {
            return Ok(end);
        }
    }
}

/// Spawns a thread that sends the output of `pipe` until it closes.
fn pump<R: Read + Send + 'static>(
    pipe: Option<R>,
    stream: fn(Vec<u8>) -> Output,
    sender: Sender<Output>,
) {
    let Some(mut pipe) = pipe else { return };
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            if sender.send(stream(buffer[..count].to_vec())).is_err() {
                break;
            }
        }
    });
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_and_status_arrive() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let end = run(
            shell("echo a; echo b >&2; exit 3"),
            Limits::default(),
            |chunk| {
                match chunk {
                    Output::Stdout(bytes) => out.extend(bytes),
                    Output::Stderr(bytes) => err.extend(bytes),
                }
                Flow::Continue
            },
        )
        .unwrap();
        assert!(matches!(end, End::Exit(status) if status.code() == Some(3)));
        assert_eq!(
            (out.as_slice(), err.as_slice()),
            (b"a\n".as_slice(), b"b\n".as_slice())
        );
    }

    #[test]
    fn runs_end_at_the_timeout_the_stop_flag_and_the_readers_request() {
        let limits = Limits {
            timeout: Some(Duration::from_millis(50)),
            stop: None,
        };
        let end = run(shell("exec sleep 600"), limits, |_| Flow::Continue).unwrap();
        assert!(matches!(end, End::TimedOut));
        let stop = AtomicBool::new(true);
        let limits = Limits {
            timeout: None,
            stop: Some(&stop),
        };
        let end = run(shell("exec sleep 600"), limits, |_| Flow::Continue).unwrap();
        assert!(matches!(end, End::Stopped));
        let end = run(
            shell("echo enough; exec sleep 600"),
            Limits::default(),
            |_| Flow::Enough,
        );
        assert!(matches!(end.unwrap(), End::Enough));
    }

    #[test]
    fn a_slow_reader_gets_all_output_of_a_program_that_has_exited() {
        let mut read = 0;
        let script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.02; done";
        let end = run(shell(script), Limits::default(), |chunk| {
            read += chunk.bytes().len();
            thread::sleep(Duration::from_millis(150));
            Flow::Continue
        });
        assert!(matches!(end.unwrap(), End::Exit(status) if status.success()));
        assert_eq!(read, 12);
    }

    #[test]
    fn a_grandchild_that_holds_the_pipes_does_not_block() {
        let end = run(shell("sleep 5 & exit 0"), Limits::default(), |_| {
            Flow::Continue
        })
        .unwrap();
        assert!(matches!(end, End::Exit(status) if status.success()));
    }
}
