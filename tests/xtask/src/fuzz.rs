//! `cargo xtask fuzz`: what is tried at random, one verb for each kind.

use crate::Verb;
use crate::command::{self, Outcome, cargo};

/// The kinds: each takes the rest of the line.
const KINDS: &[Verb] = &[
    (
        "containers",
        "broken containers, parsed and run by the host's kernels: --seconds N, --seed N, --threads N, --file PATH",
        containers,
    ),
    (
        "networks",
        "random networks, each step of the trainer against an oracle: --count N, --time SECONDS, --seed N, --case N",
        networks,
    ),
];

/// Runs the kind that the first word names; lists them without one. Options alone are for `containers`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let Some(first) = arguments.first() else {
        print!("{}", crate::help("cargo xtask fuzz KIND", KINDS));
        return Ok(());
    };
    if first.starts_with("--") {
        return containers(arguments);
    }
    let kind = KINDS.iter().find(|(kind, ..)| kind == first);
    let (.., run) = kind.ok_or(format!(
        "there is nothing called {first:?} to fuzz; `cargo xtask fuzz` lists what there is"
    ))?;
    run(&arguments[1..])
}

/// Fuzzes parser and engine on the host.
fn containers(arguments: &[String]) -> Outcome {
    let mut fuzz = cargo();
    fuzz.args(["run", "--release", "--quiet", "--package", "rarefy-tests"]);
    fuzz.args(["--bin", "fuzz", "--"]).args(arguments);
    command::run("fuzzing parser and engine", &mut fuzz)
}

/// Fuzzes the trainer's spine, from masks to logits.
fn networks(arguments: &[String]) -> Outcome {
    let mut fuzz = cargo();
    fuzz.args(["run", "--release", "--quiet", "--package", "rarefy-tests"]);
    fuzz.args(["--example", "fuzz-networks", "--"])
        .args(arguments);
    // Networks are small: threads of their own would only wait for one another.
    command::run(
        "fuzzing random networks",
        fuzz.env("RAYON_NUM_THREADS", "1"),
    )
}
