//! Rarefy's chores: `cargo xtask` lists them.
//!
//! Only what has to happen around the program is here: everything a user may want to do is a
//! command of `rarefy` itself, which this builds and calls. Assumes cargo and a C linker, as rustup
//! leaves a machine; what else is missing is installed by `rarefy setup`.
#![forbid(unsafe_code)]

mod accuracy;
mod bare;
mod bench;
mod command;
mod fuzz;
mod kill;
mod networks;
mod quickstart;
mod readme;
mod test;

use std::process::ExitCode;

/// A chore: its name, what `cargo xtask` says of it, and what runs it on the rest of the line.
type Verb = (
    &'static str,
    &'static str,
    fn(&[String]) -> command::Outcome,
);

/// All chores.
const VERBS: &[Verb] = &[
    (
        "quickstart",
        "set up what is missing, then the whole way: train, prune, export, measure",
        quickstart::run,
    ),
    (
        "test",
        "set up what is missing, then everything that must hold",
        test::run,
    ),
    (
        "setup",
        "set up what is missing for the two above",
        quickstart::setup,
    ),
    (
        "fuzz",
        "run a fuzzer: containers, device, networks, kill (`cargo xtask fuzz` lists them)",
        fuzz::run,
    ),
    (
        "bare",
        "prove that nothing panics from a container to its class, and weigh the engine alone",
        bare::run,
    ),
    (
        "bench",
        "measure: bench training, pruning, kernels (answers checked first), accuracy (hours); networks (makes those of kernels anew)",
        bench::run,
    ),
    (
        "readme",
        "run what README.md shows and write its output there (needs MNIST)",
        readme::run,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("", String::as_str);
    if matches!(name, "" | "help" | "-h" | "--help") {
        print!("{}", help("cargo xtask CHORE", VERBS));
        return ExitCode::SUCCESS;
    }
    let Some((.., run)) = VERBS.iter().find(|(verb, ..)| *verb == name) else {
        eprintln!("error: there is no chore {name:?}; `cargo xtask` lists them");
        return ExitCode::from(2);
    };
    match run(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the usage and a line for each of `verbs`.
fn help(usage: &str, verbs: &[Verb]) -> String {
    let lines = verbs
        .iter()
        .map(|(name, what, _)| format!("  {name:12} {what}\n"));
    format!("Usage: {usage} [OPTIONS]\n\n{}", lines.collect::<String>())
}
