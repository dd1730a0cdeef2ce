//! Measures instructions, bytes and stack of the networks in `tests/networks` on emulated boards.
//!
//! `cargo xtask bench kernels` compares every logit with the workstation's and writes `kernels.md`
//! and `kernels.csv` to the same folder. It then measures synthetic networks, fits the cost of each
//! [unit](rarefy_trainer::deploy::costs::Unit) of work, and prints the table for `costs/table.rs`.
//!
//! - `--check` compares the measurements with the committed table instead.
//! - `--check short` compares those of a network of each kind only, as `cargo xtask test` does.
//! - `--costs` only fits the costs; `--costs BOARD` only those of the core of this board.
//!
//! Counts are exact, and the same in every run with the same compiler. The emulator and the
//! compilers for the boards are required; `cargo xtask setup` installs them.

mod convolutions;
mod fit;
mod networks;
mod programs;
mod synthetic;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rarefy_test_support::resnet;
use rarefy_trainer::deploy::costs::Core;
use rarefy_trainer::device::{Board, Boards, Machine, MeasureOptions, Toolchain, firmware_folder};

/// Result of a step; the error is one sentence.
type Outcome<T> = Result<T, String>;

/// Networks that `--check short` measures: packed words and columns on each core, Golomb-Rice
/// codes, and convolutions with residual additions.
const SHORT: &[&str] = &[
    "lenet-300-100-100x-size",
    "lenet-300-100-100x-speed-m0",
    "lenet-300-100-100x-speed-m4",
    "lenet-300-100-100x-speed-rv32",
    "residual-5x-speed-m4",
];

/// Paths, boards and options that all measurements share.
struct Bench {
    networks: PathBuf,
    /// Whether to measure only the networks of [`SHORT`].
    short: bool,
    boards: Boards,
    options: MeasureOptions<'static>,
}

impl Bench {
    /// Finds the boards and the networks.
    fn new(short: bool) -> Outcome<Self> {
        let firmware = firmware_folder().map_err(|e| e.to_string())?;
        Ok(Self {
            networks: Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/networks"),
            short,
            boards: Boards::discover(&firmware).map_err(|e| e.to_string())?,
            options: MeasureOptions {
                dense: false,
                cycles: true,
                ..MeasureOptions::default()
            },
        })
    }

    /// Returns the emulated board that represents `core`.
    fn board(&self, core: Core) -> Outcome<&Board> {
        let name = match core {
            Core::M4 => "mps2-an386",
            Core::M3 => "mps2-an385",
            Core::M0 => "microbit",
            Core::Rv32 => "qemu-virt-rv32",
        };
        self.boards.get(name).map_err(|e| e.to_string())
    }

    /// Returns the version of the compiler for the Cortex-M4.
    fn compiler(&self) -> Outcome<String> {
        let machine = Machine::default();
        let toolchain = Toolchain::find(&machine, &self.board(Core::M4)?.target);
        let toolchain = toolchain.map_err(|e| e.to_string())?;
        let version = toolchain.version(&machine);
        version.ok_or_else(|| "the compiler does not report its version".into())
    }

    /// Returns the revision of the sources, and whether they have uncommitted changes.
    fn revision(&self) -> String {
        let machine = Machine::default();
        let git = |arguments: &[&str]| {
            let folder = self.networks.to_string_lossy();
            machine.ask("git", &[&["-C", &folder], arguments].concat())
        };
        let revision = git(&["rev-parse", "--short=12", "HEAD"]);
        let sources = [":/format", ":/runtime", ":/firmware", ":/trainer"];
        let changed = git(&[&["status", "--porcelain", "--"], &sources[..]].concat());
        match (revision, changed) {
            (Some(revision), Some(changes)) if changes.is_empty() => revision,
            (Some(revision), _) => format!("{revision} with changes"),
            (None, _) => "unknown".into(),
        }
    }

    /// Measures all figures of the table.
    fn figures(&self) -> Outcome<table::Table> {
        let mut table = table::Table::new(self.revision(), self.compiler()?);
        networks::measure(self, &mut table)?;
        programs::measure(self, &mut table)?;
        Ok(table)
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let (mode, argument) = (words.next(), words.next());
    match run(mode.as_deref(), argument.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the benchmark in the mode that the option `mode`, with its `argument`, selects.
fn run(mode: Option<&str>, argument: Option<&str>) -> Outcome<()> {
    let short = mode == Some("--check") && argument == Some("short");
    let bench = Bench::new(short)?;
    let [csv, markdown] = ["kernels.csv", "kernels.md"].map(|name| bench.networks.join(name));
    match mode {
        None => {
            let table = bench.figures()?;
            for (path, text) in [(csv, table.csv()), (markdown, table.markdown())] {
                fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
            }
            println!("{}", table.markdown());
            fit::costs(&bench, None)
        }
        Some("--costs") => fit::costs(&bench, argument),
        Some("--check") => {
            let text = fs::read_to_string(&csv).map_err(|e| format!("{}: {e}", csv.display()))?;
            let mut committed = table::Table::read(&text)?;
            if short {
                committed.keep(|of| {
                    let name = of.split(", ").next().unwrap_or(of);
                    let container = bench.networks.join(format!("{name}.rfy"));
                    SHORT.contains(&name) || !container.exists()
                });
            }
            let notes = bench.figures()?.judge(&committed)?;
            notes.iter().for_each(|note| println!("{note}"));
            Ok(())
        }
        Some(other) => Err(format!("unknown option {other}; use --check or --costs")),
    }
}
