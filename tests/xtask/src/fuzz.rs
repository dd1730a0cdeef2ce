//! `cargo xtask fuzz`: containers broken at random, parsed and run; with `kill`, processes.

use crate::command::{self, Outcome, cargo};
use crate::kill;

/// Kills processes for `kill`; otherwise passes the words on the line to the fuzzer: `--seconds N`, `--seed N`, `--threads N`, `--file PATH`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if let Some(("kill", rest)) = arguments
        .split_first()
        .map(|(word, rest)| (word.as_str(), rest))
    {
        return kill::run(rest);
    }
    let mut fuzz = cargo();
    fuzz.args(["run", "--release", "--quiet", "--package", "rarefy-tests"]);
    fuzz.args(["--bin", "fuzz", "--"]).args(arguments);
    command::run("fuzzing parser and engine", &mut fuzz)
}
