//! The command line: one file per command, the conventions in `console` and `interrupt`.
//!
//! Every command: `--json` prints one JSON object on stdout and nothing else there; people's text,
//! bars and logs go to stderr. What people read ends with the command to run next, where there is
//! one (`next`). Exit code 0 done, 1 failed with one line that says what to do, 2 wrong usage
//! (`usage`).

mod accelerator;
mod arch;
mod boards;
mod console;
mod counts;
mod curve;
mod data;
mod effective;
mod eval;
mod export;
mod goal;
mod hints;
mod inspect;
mod interrupt;
mod measure;
mod model;
mod next;
mod output;
mod prune;
mod quickstart;
mod quotas;
mod setup;
mod source;
mod table;
mod threads;
mod train;
mod usage;

use std::backtrace::Backtrace;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::memory;
use console::{Console, printable, written};

/// Takes a neural network from a workstation to a microcontroller as the smallest thing that still
/// computes the same answer: prunes and trains it by effective sparsity, strips what came
/// detached, writes the rest as a compact container, and measures it on boards.
#[derive(Debug, Parser)]
#[command(name = "rarefy", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object on stdout, and nothing else there
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  rarefy quickstart                      the whole way on digits that come with the program
  rarefy train --pruner magnitude/igq --compression 100 --data mnist -o runs/a
  rarefy export runs/a -o model.rfy
  rarefy eval model.rfy --data mnist
  rarefy measure model.rfy --board mps2-an386";

/// The commands, in the order of a network's way to a device.
#[derive(Debug, Subcommand)]
enum Command {
    /// The whole way: train, prune, export, run on emulated boards, print the table
    Quickstart(quickstart::Arguments),
    /// List datasets, or fetch one
    Data(data::Arguments),
    /// List architectures, or show one's prunable tensors
    Arch(arch::Arguments),
    /// Show what a quota leaves each layer at a compression
    Quotas(quotas::Arguments),
    /// Train a network, prune it, and train what is left
    Train(train::Arguments),
    /// Make masks alone, of given or untrained weights
    Prune(prune::Arguments),
    /// Count what of a mask is really connected
    Effective(effective::Arguments),
    /// Write a finished run as a container for the device
    Export(export::Arguments),
    /// Show what a container holds
    Inspect(inspect::Arguments),
    /// Run a container on test images with the device's own arithmetic
    Eval(eval::Arguments),
    /// List the boards that a container can be measured on
    Boards(boards::Arguments),
    /// Measure a container's flash, RAM and latency on a board, emulated or real
    Measure(measure::Arguments),
    /// Install what `measure` needs and this machine lacks
    Setup(setup::Arguments),
}

/// What every command may allocate besides its data: the embedded dataset, buffers, threads.
const LEAST_MEMORY: usize = 32 << 20;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    panic::set_hook(Box::new(report_panic));
    let cli = match Cli::try_parse() {
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

/// Says what went wrong; returns the exit code that goes with it.
fn fail(error: &anyhow::Error) -> ExitCode {
    // Nobody may be listening any more: then the exit code alone tells.
    let _ = writeln!(io::stderr(), "error: {}", one_line(&hints::message(error)));
    match usage::is_wrong(error) {
        true => ExitCode::from(2),
        false => ExitCode::FAILURE,
    }
}

/// Prints what clap has to say, help or wrong usage; returns the exit code that goes with it.
fn tell(told: &clap::Error) -> ExitCode {
    // clap repeats arguments as they are, in colours of its own on a terminal.
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

/// Says in one line that Rarefy is at fault; where `RUST_BACKTRACE=full` asks for it, where.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let message = one_line(panic.payload_as_str().unwrap_or("no reason is known"));
    let place = panic
        .location()
        .map_or(String::new(), |at| format!(" ({at})"));
    let _ = writeln!(
        io::stderr(),
        "error: this is a fault of rarefy itself: {message}{place}; please report it with the command that you gave"
    );
    if env::var_os("RUST_BACKTRACE").is_some_and(|depth| depth == "full") {
        let _ = writeln!(io::stderr(), "{}", Backtrace::force_capture());
    }
}

/// Returns `text` in one line that is safe to print, whatever a library put into it.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    printable(&words.join(" ")).into_owned()
}

/// Runs one command.
fn run(command: Command, console: &Console) -> anyhow::Result<()> {
    match command {
        Command::Quickstart(arguments) => quickstart::run(arguments, console),
        Command::Data(arguments) => data::run(arguments, console),
        Command::Arch(arguments) => arch::run(&arguments, console),
        Command::Quotas(arguments) => quotas::run(&arguments, console),
        Command::Train(arguments) => train::run(&arguments, console),
        Command::Prune(arguments) => prune::run(&arguments, console),
        Command::Effective(arguments) => effective::run(&arguments, console),
        Command::Export(arguments) => export::run(&arguments, console),
        Command::Inspect(arguments) => inspect::run(&arguments, console),
        Command::Eval(arguments) => eval::run(&arguments, console),
        Command::Boards(arguments) => boards::run(&arguments, console),
        Command::Measure(arguments) => measure::run(&arguments, console),
        Command::Setup(arguments) => setup::run(&arguments, console),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every `rarefy …` line of the README is understood.
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
        Cli::command().debug_assert();
    }
}
