//! Builds the firmware's program `fuzz` for a core, and runs it in the emulator on a batch of
//! cases.
//!
//! QEMU's Cortex-M0 board has no MPU, so code for the M0 runs on an M3 that traps unaligned
//! accesses. Every ARMv6-M instruction behaves the same on both.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use defmt_decoder::{DecodeError, StreamDecoder, Table};
use object::{Object, ObjectSymbol, SymbolKind};
use rarefy_trainer::device::{Board, Boards, Machine, Setup, Toolchain, firmware_folder};

use super::cases::{self, Case, Mode};

/// The emulator.
const QEMU: &str = "qemu-system-arm";
/// Address at which the emulator loads a batch and the firmware reads it.
const BATCH: &str = "0x21000000";
/// The longest time without output: a case takes a fraction of a second.
const SILENCE: Duration = Duration::from_secs(60);

/// A core whose kernels are fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    M0,
    M3,
    M4,
}

impl Core {
    pub(crate) const ALL: [Core; 3] = [Core::M0, Core::M3, Core::M4];

    /// Returns the core's name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Core::M0 => "m0",
            Core::M3 => "m3",
            Core::M4 => "m4",
        }
    }

    /// Returns the board that emulates the core, with the core's target.
    fn board(self) -> Result<Board, String> {
        let (name, target) = match self {
            Core::M0 => ("mps2-an385", "thumbv6m-none-eabi"),
            Core::M3 => ("mps2-an385", "thumbv7m-none-eabi"),
            Core::M4 => ("mps2-an386", "thumbv7em-none-eabihf"),
        };
        let folder = firmware_folder().map_err(|e| e.to_string())?;
        let boards = Boards::discover(&folder).map_err(|e| e.to_string())?;
        let mut board = boards.get(name).map_err(|e| e.to_string())?.clone();
        board.target = target.to_owned();
        Ok(board)
    }

    /// Returns the commands that install what building and running for this core needs; empty if
    /// nothing is missing.
    pub(crate) fn missing(self) -> Result<String, String> {
        let board = self.board()?;
        let setup = Setup::plan(&Machine::default(), [&board]).map_err(|e| e.to_string())?;
        Ok(setup.steps().join("; "))
    }
}

/// The engine's walks over the layers; a program contains one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    /// The walk over any network.
    Any,
    /// The walk over dense layers, without checks, of an engine built without maps.
    Dense,
}

impl Walk {
    /// Returns the firmware's features.
    fn features(self) -> &'static str {
        match self {
            Walk::Any => {
                "semihosting,fuzz,dense,csr,words,columns,rice,csr-f32,maps,residual,units"
            }
            Walk::Dense => "semihosting,fuzz,dense,csr,words,columns,rice,csr-f32,units",
        }
    }
}

/// The memory accesses that the compiler may emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accesses {
    /// Those that the core supports.
    Any,
    /// Aligned ones only, so that all unaligned accesses are in assembly.
    Aligned,
}

/// A linked program, deleted when this value is dropped.
pub(crate) struct Program {
    pub(crate) core: Core,
    pub(crate) walk: Walk,
    machine: String,
    elf: PathBuf,
    table: Table,
    folder: tempfile::TempDir,
}

/// Why a batch failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Index of the case that was running; `None` if none had started.
    pub(crate) case: Option<usize>,
    /// The reason that the program logged, or the problem with its log.
    pub(crate) why: String,
}

impl Program {
    /// Builds the program.
    ///
    /// # Errors
    ///
    /// Returns what is missing, or the compiler's output.
    pub(crate) fn build(core: Core, walk: Walk, accesses: Accesses) -> Result<Program, String> {
        let (machine, board) = (Machine::default(), core.board()?);
        let toolchain = Toolchain::find(&machine, &board.target).map_err(|e| e.to_string())?;
        // Compiled code for the M0 is always aligned.
        let aligned = accesses == Accesses::Aligned && core != Core::M0;
        let mut target = board.firmware.join(toolchain.target_folder());
        if aligned {
            target.push("aligned");
        }
        let work = target.join("rarefy");
        let file = |e: std::io::Error| format!("{}: {e}", work.display());
        fs::create_dir_all(&work).map_err(file)?;
        // The lock under which `rarefy` builds, too: another build would replace the program.
        let lock = File::create(work.join("lock")).map_err(file)?;
        lock.lock().map_err(file)?;
        let mut build = toolchain.build(&machine);
        build
            .current_dir(&board.firmware)
            .args(["--release", "--locked", "--no-default-features"])
            .args(["--bin", "fuzz", "--features", walk.features()])
            .arg("--target-dir")
            .arg(&target)
            .env("RAREFY_BOARD", &board.name)
            .env("DEFMT_LOG", "info");
        if aligned {
            build.env("RUSTFLAGS", "-Ctarget-feature=+strict-align");
        }
        let output = build.output().map_err(|e| format!("cargo: {e}"))?;
        if !output.status.success() {
            return Err(format!(
                "building the firmware for {} failed:\n{}",
                board.target,
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        let built = target.join(&board.target).join("release/fuzz");
        let folder =
            tempfile::tempdir().map_err(|e| format!("cannot create a temporary folder: {e}"))?;
        let elf = folder.path().join("fuzz.elf");
        fs::copy(&built, &elf).map_err(|e| format!("{}: {e}", built.display()))?;
        drop(lock);
        let bytes = fs::read(&elf).map_err(|e| format!("{}: {e}", elf.display()))?;
        let table = Table::parse(&bytes).ok().flatten();
        Ok(Program {
            core,
            walk,
            machine: board.name,
            elf,
            table: table.ok_or("the firmware has no defmt table")?,
            folder,
        })
    }

    /// Returns `true` if the program's walk supports the network of `case`.
    pub(crate) fn takes(&self, case: &Case) -> bool {
        self.walk == Walk::Any || case.is_dense()
    }

    /// Runs `cases`, all of which this program must support.
    ///
    /// # Errors
    ///
    /// Returns the first case that fails, and why.
    pub(crate) fn run<'c>(
        &self,
        cases: impl ExactSizeIterator<Item = &'c Case>,
        mode: Mode,
    ) -> Result<(), Failure> {
        // On an M0 unaligned accesses always fault.
        let trap_unaligned = mode.trap_unaligned || self.core == Core::M0;
        let batch = cases::batch(
            cases,
            Mode {
                trap_unaligned,
                ..mode
            },
        );
        assert!(batch.len() <= cases::BATCH_BYTES, "the batch is too large");
        let mut log = Log::new(&self.table);
        let mut why = match self.emulate(&batch, &mut log) {
            Ok(()) if log.done => return Ok(()),
            Ok(()) => log
                .failed
                .take()
                .unwrap_or("the program ended without a reason".into()),
            Err(why) => why,
        };
        if let Some(function) = self.function(&why) {
            why += &format!(", in {function}");
        }
        let case = log.case;
        Err(Failure { case, why })
    }

    /// Returns the name of the function in which the program faulted, if `why` is a hard fault.
    fn function(&self, why: &str) -> Option<String> {
        let address = why.strip_prefix("hard fault at 0x")?;
        let address = u64::from_str_radix(address, 16).ok()?;
        let bytes = fs::read(&self.elf).ok()?;
        let file = object::File::parse(&*bytes).ok()?;
        let functions = file.symbols().filter(|symbol| {
            // The lowest bit of a function's address selects Thumb mode.
            let start = symbol.address() & !1;
            symbol.kind() == SymbolKind::Text
                && (start..start + symbol.size().max(1)).contains(&address)
        });
        // Labels in assembly have no size.
        let largest = functions.max_by_key(ObjectSymbol::size)?;
        largest.name().ok().map(str::to_owned)
    }

    /// Runs the emulator until the program ends, fails or is silent for too long.
    fn emulate(&self, batch: &[u8], log: &mut Log<'_>) -> Result<(), String> {
        let file = |e: std::io::Error| format!("{}: {e}", self.folder.path().display());
        let (batch_path, complaints) = (
            self.folder.path().join("batch.bin"),
            self.folder.path().join("complaints.txt"),
        );
        fs::write(&batch_path, batch).map_err(file)?;
        let machine = Machine::default();
        let qemu = machine.find(QEMU);
        let mut command = machine.command(qemu.ok_or(format!("{QEMU} is not on the PATH"))?);
        command
            .args(["-M", &self.machine, "-nographic"])
            .args(["-monitor", "none", "-serial", "none"])
            .args(["-semihosting-config", "enable=on,target=native"])
            .arg("-device")
            .arg(format!(
                "loader,file={},addr={BATCH},force-raw=on",
                batch_path.display()
            ))
            .arg("-kernel")
            .arg(&self.elf)
            .stdout(Stdio::piped())
            .stderr(File::create(&complaints).map_err(file)?);
        let mut child = Ending(command.spawn().map_err(|e| format!("{QEMU}: {e}"))?);
        let receiver = pump(&mut child.0);
        while !log.over() {
            match receiver.recv_timeout(SILENCE) {
                Ok(chunk) => log.accept(&chunk)?,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("no output for {} s", SILENCE.as_secs()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let said = fs::read_to_string(&complaints).unwrap_or_default();
                    let line = said.lines().next().unwrap_or("it printed nothing");
                    return Err(format!("the emulator ended early: {line}"));
                }
            }
        }
        Ok(())
    }
}

/// Kills the emulator when dropped.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // The emulator may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a receiver of the child's output, which a thread forwards until the output is closed.
fn pump(child: &mut Child) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(mut output) = child.stdout.take() {
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

/// The log of a program.
struct Log<'t> {
    decoder: Box<dyn StreamDecoder + Send + Sync + 't>,
    case: Option<usize>,
    done: bool,
    failed: Option<String>,
}

impl<'t> Log<'t> {
    fn new(table: &'t Table) -> Log<'t> {
        Log {
            decoder: table.new_stream_decoder(),
            case: None,
            done: false,
            failed: None,
        }
    }

    /// Returns `true` if the program has logged its last line.
    fn over(&self) -> bool {
        self.done || self.failed.is_some()
    }

    /// Reads the lines that `chunk` completes.
    fn accept(&mut self, chunk: &[u8]) -> Result<(), String> {
        self.decoder.received(chunk);
        loop {
            let line = match self.decoder.decode() {
                Ok(frame) => frame.display_message().to_string(),
                Err(DecodeError::UnexpectedEof) => return Ok(()),
                Err(DecodeError::Malformed) => return Err("the output is not a defmt frame".into()),
            };
            let Some(line) = line.strip_prefix("rarefy ") else {
                return Err(format!("unexpected line: {line}"));
            };
            if line == "done" {
                self.done = true;
            } else if let Some(case) = line.strip_prefix("case=") {
                self.case = case.parse().ok();
            } else {
                self.failed = Some(line.trim_start_matches("failed: ").to_owned());
            }
        }
    }
}
