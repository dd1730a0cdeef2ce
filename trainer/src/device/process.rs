//! Running another program with an eye on the clock and on the user.
//!
//! Output is handed over in chunks as it comes. The program is killed when its time is up, when
//! the user wants to stop, when the reader has seen enough, and when the caller goes away: no
//! child outlives the call, and none this process, however it ends. That is what a watchdog is for: a shell
//! that reads from a pipe until nobody is left to write, then kills the process group that it shares with the
//! program and the program's own children.

use std::io::{self, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may run, and whether the user still wants it to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits<'a> {
    pub(crate) timeout: Option<Duration>,
    pub(crate) stop: Option<&'a AtomicBool>,
}

impl Limits<'_> {
    pub(crate) fn stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// A chunk of what a program says.
pub(crate) enum Output<'a> {
    Stdout(&'a [u8]),
    Stderr(&'a [u8]),
}

/// What the reader wants after a chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    /// The program need not go on.
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

/// Kills the child, and whoever shares a watchdog's group with it, when dropped.
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

/// Kills its process group once its pipe is closed: by dropping it, or by the end of this process.
struct Watchdog {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts one; `None` where there is no shell to be one.
    #[cfg(unix)]
    fn start() -> Option<Self> {
        use std::os::unix::process::CommandExt;

        let mut shell = Command::new("/bin/sh")
            .args(["-c", "read -r line; kill -KILL 0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .ok()?;
        let pipe = shell.stdin.take();
        Some(Self { shell, pipe })
    }

    #[cfg(not(unix))]
    fn start() -> Option<Self> {
        None
    }

    /// Lets `command` run in the group. It is so from its first instruction on: no moment is left in which
    /// the program runs unwatched.
    #[cfg(unix)]
    fn watch(&self, command: &mut Command) {
        use std::os::unix::process::CommandExt;

        if let Ok(group) = i32::try_from(self.shell.id()) {
            command.process_group(group);
        }
    }

    #[cfg(not(unix))]
    fn watch(&self, _: &mut Command) {}
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.shell.wait();
    }
}

/// Runs `command` to its end or to a limit. Nothing that it starts outlives the call or this process.
pub(crate) fn run(
    mut command: Command,
    limits: Limits<'_>,
    reader: impl FnMut(Output<'_>) -> Flow,
) -> io::Result<End> {
    let watchdog = Watchdog::start();
    if let Some(watchdog) = &watchdog {
        watchdog.watch(&mut command);
    }
    run_with(watchdog, command, limits, reader)
}

/// Runs `command` to its end or to a limit. What it has started may go on: an installer that is killed in
/// the middle leaves worse behind.
pub(crate) fn run_unwatched(
    command: Command,
    limits: Limits<'_>,
    reader: impl FnMut(Output<'_>) -> Flow,
) -> io::Result<End> {
    run_with(None, command, limits, reader)
}

/// Runs `command`, which `watchdog` watches.
fn run_with(
    watchdog: Option<Watchdog>,
    mut command: Command,
    limits: Limits<'_>,
    mut reader: impl FnMut(Output<'_>) -> Flow,
) -> io::Result<End> {
    /// How often the clock and the user are looked at.
    const TICK: Duration = Duration::from_millis(20);
    /// How long an ended program's pipes may stay open (a grandchild may hold them).
    const DRAIN: Duration = Duration::from_millis(300);

    let start = Instant::now();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut guard = Guard {
        child: command.spawn()?,
        _watchdog: watchdog,
    };
    let child = &mut guard.child;
    let (sender, receiver) = mpsc::channel();
    pump(child.stdout.take(), false, sender.clone());
    pump(child.stderr.take(), true, sender);

    let mut ended: Option<(ExitStatus, Instant)> = None;
    loop {
        let mut silent = false;
        match receiver.recv_timeout(TICK) {
            Ok((error, chunk)) => {
                let output = if error {
                    Output::Stderr(&chunk)
                } else {
                    Output::Stdout(&chunk)
                };
                if reader(output) == Flow::Enough {
                    return Ok(End::Enough);
                }
            }
            Err(RecvTimeoutError::Timeout) => silent = true,
            Err(RecvTimeoutError::Disconnected) => match ended {
                Some((status, _)) => return Ok(End::Exit(status)),
                None => thread::sleep(TICK),
            },
        }
        if ended.is_none() {
            ended = child.try_wait()?.map(|status| (status, Instant::now()));
        }
        // What it said before it ended is read to the end, however long a slow reader takes.
        if let Some((status, at)) = ended
            && silent
            && at.elapsed() > DRAIN
        {
            return Ok(End::Exit(status));
        }
        if limits.stopped() {
            return Ok(End::Stopped);
        }
        if limits
            .timeout
            .is_some_and(|timeout| start.elapsed() > timeout)
        {
            return Ok(End::TimedOut);
        }
    }
}

/// Sends what `pipe` delivers until it closes.
fn pump<R: Read + Send + 'static>(pipe: Option<R>, error: bool, sender: Sender<(bool, Vec<u8>)>) {
    let Some(mut pipe) = pipe else { return };
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            if sender.send((error, buffer[..count].to_vec())).is_err() {
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
                    Output::Stdout(bytes) => out.extend_from_slice(bytes),
                    Output::Stderr(bytes) => err.extend_from_slice(bytes),
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
    fn hanging_stopped_and_sated_runs_end() {
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
    fn a_slow_reader_of_a_program_that_has_ended_hears_all_of_it() {
        let mut heard = 0;
        let script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.02; done";
        let end = run(shell(script), Limits::default(), |chunk| {
            let (Output::Stdout(bytes) | Output::Stderr(bytes)) = chunk;
            heard += bytes.len();
            thread::sleep(Duration::from_millis(150));
            Flow::Continue
        });
        assert!(matches!(end.unwrap(), End::Exit(status) if status.success()));
        assert_eq!(heard, 12);
    }

    #[test]
    fn a_grandchild_that_holds_the_pipes_does_not_hold_us() {
        let end = run(shell("sleep 5 & exit 0"), Limits::default(), |_| {
            Flow::Continue
        })
        .unwrap();
        assert!(matches!(end, End::Exit(status) if status.success()));
    }
}
