//! `cargo xtask fuzz`: runs a fuzzer.

use std::process::Command;

use crate::Verb;
use crate::command::{self, Outcome, cargo};
use crate::kill;

/// All fuzzers; each receives the remaining arguments.
const FUZZERS: &[Verb] = &[
    (
        "containers",
        "mutated containers on the host's kernels: --seconds N, --seed N, --threads N, --file PATH",
        containers,
    ),
    (
        "device",
        "mutated containers between guards on emulated cores: --count N (per core), --seed N, --core m0|m3|m4, --file PATH",
        device,
    ),
    (
        "networks",
        "random networks, checked from masks to logits against oracles: --time SECONDS, --count N, --seed N, --case N",
        networks,
    ),
    (
        "kill",
        "train and export, killed at random moments and run again: --moments N, --seed N",
        kill::run,
    ),
];

/// Runs the fuzzer that the first argument names, or `containers` if the first argument is an
/// option. Lists all fuzzers if there are no arguments.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let Some(first) = arguments.first() else {
        print!("{}", crate::help("cargo xtask fuzz FUZZER", FUZZERS));
        return Ok(());
    };
    if first.starts_with("--") {
        return containers(arguments);
    }
    let fuzzer = FUZZERS.iter().find(|(name, ..)| name == first);
    let (.., run) = fuzzer.ok_or(format!(
        "unknown fuzzer {first:?}; `cargo xtask fuzz` lists all"
    ))?;
    run(&arguments[1..])
}

/// Returns the command that runs a program of the package with the fuzzers.
fn program() -> Command {
    let mut run = cargo();
    run.arg("run").args(command::profile());
    run.args(["--quiet", "--package", "rarefy-tests"]);
    run
}

/// Fuzzes parser and engine on the host.
fn containers(arguments: &[String]) -> Outcome {
    let mut fuzz = program();
    fuzz.args(["--bin", "fuzz", "--"]).args(arguments);
    command::run("fuzzing parser and engine", &mut fuzz)
}

/// Fuzzes the kernels for Cortex-M in the emulator.
fn device(arguments: &[String]) -> Outcome {
    let mut fuzz = program();
    fuzz.args(["--example", "fuzz-device", "--"])
        .args(arguments);
    command::run("fuzzing the kernels on emulated cores", &mut fuzz)
}

/// Checks each step of the trainer, from masks to logits, on random networks.
fn networks(arguments: &[String]) -> Outcome {
    let mut fuzz = program();
    fuzz.args(["--example", "fuzz-networks", "--"])
        .args(arguments);
    // The networks are too small to gain from several threads.
    command::run(
        "fuzzing random networks",
        fuzz.env("RAYON_NUM_THREADS", "1"),
    )
}
