//! The command line: one file per command, and files such as `console` for what commands share.
//!
//! Conventions of every command:
//! - Results go to stdout; notes, progress bars and errors go to stderr.
//! - `--json` prints the result as one JSON object, and nothing else on stdout.
//! - Text output ends with the command to run next, if there is one (`next`).
//! - The exit code is 0 on success, 1 on failure with a one-line error that says what to do, and 2
//!   for wrong usage (`usage`).

mod accelerator;
mod against;
mod arch;
mod augment;
mod bar;
mod blame;
mod boards;
mod calibration;
mod chips;
mod code_report;
mod comparison;
mod console;
mod counts;
mod curve;
mod data;
mod deployable;
mod effective;
mod eval;
mod export;
mod fits;
mod floats;
mod hints;
mod hyperparameters;
mod import;
mod inspect;
mod interrupt;
mod labels;
mod measure;
mod measured;
mod model;
mod network;
mod new;
mod next;
mod overwrite;
mod printable;
mod profile;
mod prune;
mod pruning;
mod quickstart;
mod quotas;
mod reading;
mod recipe;
mod run;
mod run_data;
mod run_fits;
mod run_progress;
mod scale;
mod setup;
mod show;
mod source;
mod speed;
mod stacks;
mod table;
mod threads;
mod train;
mod usage;
mod weights;

use std::backtrace::Backtrace;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::device::{SourceFile, embed_sources};
use crate::memory;
use console::{Console, written};
use printable::{one_line, printable};

/// Prunes and trains neural networks by effective sparsity, strips detached units, writes the rest
/// as a compact container for microcontrollers, and measures it on boards.
#[derive(Debug, Parser)]
#[command(name = "rarefy", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print the result as one JSON object on stdout
    #[arg(long, global = true, display_order = 100)]
    json: bool,
    /// Print only errors on stderr
    #[arg(long, short, global = true, display_order = 100)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  rarefy quickstart                      train, prune, export and run on built-in digits
  rarefy train --pruner magnitude/igq --compression 100 --data mnist -o runs/a
  rarefy export runs/a -o model.rfy
  rarefy eval model.rfy --data mnist
  rarefy measure model.rfy --board mps2-an386
  rarefy new my-app --model model.rfy --board mps2-an386";

/// The commands, in the order a network passes through them.
#[derive(Debug, Subcommand)]
enum Command {
    /// Train, prune and export a network, run it on emulated boards, and print a summary
    Quickstart(quickstart::Arguments),
    /// List datasets, or fetch one
    Data(data::Arguments),
    /// List architectures, or show the prunable tensors of one
    Arch(arch::Arguments),
    /// Write the architecture and the weights of a network in an ONNX file
    Import(import::Arguments),
    /// Show how many weights of each layer a quota keeps
    Quotas(quotas::Arguments),
    /// Train a network, prune it, and train the pruned network
    Train(train::Arguments),
    /// Compute masks from given or untrained weights, without training
    Prune(prune::Arguments),
    /// Count the connected weights of a mask, or plot effective compression
    Effective(effective::Arguments),
    /// Convert a trained network to a container for the device
    Export(export::Arguments),
    /// Show the contents of a container
    Inspect(inspect::Arguments),
    /// Compute a container's accuracy with the device's arithmetic
    Eval(eval::Arguments),
    /// List the boards a container can be measured on
    Boards(boards::Arguments),
    /// List chips with their core and memories
    Chips(chips::Arguments),
    /// Show which chips a container fits, or which containers of a run suit which chip
    Fits(fits::Arguments),
    /// Measure flash, RAM and latency on an emulated or real board, of a container or of all
    /// containers of a run
    Measure(measure::Arguments),
    /// Write a Cargo project that runs a container in your own firmware
    New(new::Arguments),
    /// Run a program on an emulated board and print its log
    Run(run::Arguments),
    /// Install missing tools that `measure` needs
    Setup(setup::Arguments),
}

/// Bytes that every command may allocate besides its data: the built-in dataset, buffers, threads.
const LEAST_MEMORY: usize = 32 << 20;

/// Runs the command line of this process. `sources` are the firmware's, which are used where there
/// is no checkout of Rarefy.
pub fn main(sources: Vec<SourceFile>) -> ExitCode {
    embed_sources(sources);
    panic::set_hook(Box::new(report_panic));
    let matches = usage::with_numbers(Cli::command()).try_get_matches();
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(told) => return tell(&told),
    };
    interrupt::install();
    let console = Console::new(cli.json, cli.quiet);
    let granted = memory::require(LEAST_MEMORY, "rarefy");
    match granted
        .map_err(Into::into)
        .and_then(|()| run(cli.command, &console))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Prints `error` and returns its exit code.
fn fail(error: &anyhow::Error) -> ExitCode {
    // If stderr is closed, only the exit code is left.
    let _ = writeln!(io::stderr(), "error: {}", one_line(&hints::message(error)));
    match usage::is_wrong(error) {
        true => ExitCode::from(2),
        false => ExitCode::FAILURE,
    }
}

/// Prints clap's help or error and returns its exit code.
fn tell(told: &clap::Error) -> ExitCode {
    // clap prints arguments unescaped, so an error that may repeat control characters is escaped
    // here, without clap's colours.
    let repeats = |word: OsString| word.to_string_lossy().contains(char::is_control);
    let printed = match told.use_stderr() && env::args_os().any(repeats) {
        false => told.print(),
        true => write!(io::stderr(), "{}", printable(&told.render().to_string())),
    };
    if told.use_stderr() {
        return ExitCode::from(2);
    }
    let printed = printed.and_then(|()| io::stdout().flush());
    written(printed).map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
}

/// Reports a panic as a bug in one line, with a backtrace if `RUST_BACKTRACE=full`.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let message = one_line(panic.payload_as_str().unwrap_or("unknown reason"));
    let place = panic
        .location()
        .map_or(String::new(), |at| format!(" ({at})"));
    let _ = writeln!(
        io::stderr(),
        "error: this is a bug in rarefy: {message}{place}; please report it with the command you ran"
    );
    if env::var_os("RUST_BACKTRACE").is_some_and(|depth| depth == "full") {
        let _ = writeln!(io::stderr(), "{}", Backtrace::force_capture());
    }
}

/// Runs one command.
fn run(command: Command, console: &Console) -> anyhow::Result<()> {
    match command {
        Command::Quickstart(arguments) => quickstart::run(arguments, console),
        Command::Data(arguments) => data::run(arguments, console),
        Command::Arch(arguments) => arch::run(&arguments, console),
        Command::Import(arguments) => import::run(&arguments, console),
        Command::Quotas(arguments) => quotas::run(&arguments, console),
        Command::Train(arguments) => train::run(&arguments, console),
        Command::Prune(arguments) => prune::run(&arguments, console),
        Command::Effective(arguments) => effective::run(&arguments, console),
        Command::Export(arguments) => export::run(&arguments, console),
        Command::Inspect(arguments) => inspect::run(&arguments, console),
        Command::Eval(arguments) => eval::run(&arguments, console),
        Command::Boards(arguments) => boards::run(&arguments, console),
        Command::Chips(arguments) => chips::run(&arguments, console),
        Command::Fits(arguments) => fits::run(&arguments, console),
        Command::Measure(arguments) => measure::run(&arguments, console),
        Command::New(arguments) => new::run(&arguments, console),
        Command::Run(arguments) => run::run(&arguments, console),
        Command::Setup(arguments) => setup::run(&arguments, console),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that every `rarefy …` line of the README parses.
    #[test]
    fn the_readme_shows_commands_that_exist() {
        let mut seen = 0;
        for line in include_str!("../../../README.md").lines() {
            let line = line.trim_start_matches("$ ");
            let line = line.split(" #").next().unwrap_or_default().trim();
            if line.starts_with("rarefy ") {
                Cli::try_parse_from(line.split_whitespace())
                    .unwrap_or_else(|e| panic!("README: {line}: {e}"));
                seen += 1;
            }
        }
        assert!(seen > 5, "only {seen} commands found");
    }

    #[test]
    fn the_command_line_is_sound() {
        usage::with_numbers(Cli::command()).debug_assert();
    }
}
