//! `cargo xtask fuzz`: containers broken at random, parsed and run.

use crate::command::{self, Outcome, cargo};

/// Passes the words on the line to the fuzzer: `--seconds N`, `--seed N`, `--threads N`, `--file PATH`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut fuzz = cargo();
    fuzz.args(["run", "--release", "--quiet", "--package", "rarefy-tests"]);
    fuzz.args(["--bin", "fuzz", "--"]).args(arguments);
    command::run("fuzzing parser and engine", &mut fuzz)
}
