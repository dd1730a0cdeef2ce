//! Kills a program together with its descendants, even if this process is killed first.
//!
//! On Unix a watchdog is a shell that reads from a pipe until its only writer, this process, has
//! closed it or has ended. It then kills its process group, which the program and its descendants
//! share. Elsewhere the program alone is killed, by its parent; cargo kills its own children
//! there, and emulators have none.

#[cfg(not(unix))]
pub(super) use fallback::Watchdog;
#[cfg(unix)]
pub(super) use group::Watchdog;

#[cfg(unix)]
mod group {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, ChildStdin, Command, Stdio};

    /// Kills its process group when dropped or when this process ends.
    pub(crate) struct Watchdog {
        shell: Child,
        pipe: Option<ChildStdin>,
    }

    impl Watchdog {
        /// Starts a watchdog and makes `command` start in its process group, so that the program
        /// is never unwatched. Returns `None` if there is no shell.
        pub(crate) fn start(command: &mut Command) -> Option<Self> {
            let mut shell = Command::new("/bin/sh")
                .args(["-c", "read -r line; kill -KILL 0"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()
                .ok()?;
            let pipe = shell.stdin.take();
            if let Ok(group) = i32::try_from(shell.id()) {
                command.process_group(group);
            }
            Some(Self { shell, pipe })
        }
    }

    impl Drop for Watchdog {
        fn drop(&mut self) {
            drop(self.pipe.take());
            let _ = self.shell.wait();
        }
    }
}

#[cfg(not(unix))]
mod fallback {
    use std::process::Command;

    /// A placeholder: the parent process kills the program itself.
    pub(crate) struct Watchdog;

    impl Watchdog {
        /// Keeps Ctrl-C in the console from reaching the program that `command` starts: this
        /// process handles it and kills the program.
        pub(crate) fn start(command: &mut Command) -> Option<Self> {
            #[cfg(windows)]
            {
                use std::os::windows::process::CommandExt;
                const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
                command.creation_flags(CREATE_NEW_PROCESS_GROUP);
            }
            #[cfg(not(windows))]
            let _ = command;
            Some(Self)
        }
    }
}
