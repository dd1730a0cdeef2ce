//! Development tasks of Rarefy, called chores: `cargo xtask` lists them.
//!
//! Everything that a user may want to do is a command of `rarefy`; chores build and call it. Cargo
//! and a C linker must be installed; `rarefy setup` installs everything else.
#![forbid(unsafe_code)]

mod accuracy;
mod bare;
mod bench;
mod c_library;
mod chips;
mod command;
mod cuda;
mod device;
mod examples;
mod fuzz;
mod house;
mod jobs;
mod kill;
mod networks;
mod quickstart;
mod readme;
mod suite;
mod test;

use std::process::ExitCode;

/// A chore: its name, its description, and the function that runs it with the remaining arguments.
type Verb = (
    &'static str,
    &'static str,
    fn(&[String]) -> command::Outcome,
);

/// All chores.
const VERBS: &[Verb] = &[
    (
        "quickstart",
        "install what is missing, then train, prune, export and measure a network",
        quickstart::run,
    ),
    (
        "test",
        "install what is missing, then run all checks; arguments are passed to `cargo test`",
        test::run,
    ),
    (
        "setup",
        "install what the two above need",
        quickstart::setup,
    ),
    (
        "fuzz",
        "run a fuzzer: containers, device, networks, kill (`cargo xtask fuzz` lists them)",
        fuzz::run,
    ),
    (
        "bare",
        "prove that inference cannot panic, and check the code size of the engine alone; --sizes lists it by features",
        bare::run,
    ),
    (
        "examples",
        "lint and link the example programs for boards, the one on embassy included (a minute)",
        examples::run,
    ),
    (
        "c-library",
        "build the engine as a static library for C, for a target",
        c_library::run,
    ),
    (
        "bench",
        "run a benchmark: training, deep, pruning, kernels or accuracy (hours); `bench networks` trains and exports the networks of kernels again",
        bench::run,
    ),
    (
        "readme",
        "run the commands that README.md shows and update their output (needs MNIST); --check only compares",
        readme::run,
    ),
    (
        "cuda",
        "build rarefy for NVIDIA GPUs without CUDA or a GPU, and check its refusals (half an hour)",
        cuda::run,
    ),
    (
        "chips",
        "write the table of chips from the registry of probe-rs (needs the network); --check only compares, --link links a network for thirty of them",
        chips::run,
    ),
    ("house", "check the style of comments", house::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("", String::as_str);
    if matches!(name, "" | "help" | "-h" | "--help") {
        print!("{}", help("cargo xtask CHORE", VERBS));
        return ExitCode::SUCCESS;
    }
    let Some((.., run)) = VERBS.iter().find(|(verb, ..)| *verb == name) else {
        eprintln!("error: unknown chore {name:?}; `cargo xtask` lists all");
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

/// Formats the usage and a line per verb.
fn help(usage: &str, verbs: &[Verb]) -> String {
    let lines = verbs
        .iter()
        .map(|(name, what, _)| format!("  {name:12} {what}\n"));
    format!("Usage: {usage} [OPTIONS]\n\n{}", lines.collect::<String>())
}
