//! `cargo xtask fuzz device`: runs mutated containers on emulated cores, between guards.
//!
//! The host's fuzzer covers the portable kernels only. Here the firmware's program `fuzz` runs
//! accepted containers with the assembly for the Cortex-M0, M3 and M4. Container, input and arena
//! lie next to regions of the MPU that forbid every access, and each logit is compared with the
//! host's. Networks that together take every path through the kernels come first ([`coverage`]),
//! then mutants.
//!
//! The seed alone determines the cases, and a case's container determines its inputs.
#![forbid(unsafe_code)]

mod cases;
mod controls;
mod coverage;
mod large;
mod program;
mod source;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use std::{fs, thread};

use cases::{Case, Mode, Origin};
use coverage::Coverage;
use program::{Accesses, Core, Program, Walk};
use rarefy_test_support::{corpus, mutate, networks};
use source::Source;

/// Cases per run of the emulator, which starts in a fraction of a second.
const BATCH: usize = 1_000;

/// Options of the command line.
struct Options {
    count: usize,
    seed: u64,
    cores: Vec<Core>,
    file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    let outcome = match &options.file {
        Some(path) => replay(path, &options.cores),
        None => fuzz(&options).map(|report| print!("{report}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Parses the command line.
fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        count: 20_000,
        seed: 1,
        cores: Core::ALL.to_vec(),
        file: None,
    };
    while let Some(name) = words.next() {
        let value = words.next().ok_or(format!("{name} needs a value"))?;
        let number = || {
            let number = value.parse::<u64>();
            number.map_err(|_| format!("{name} needs a number, not {value}"))
        };
        match name.as_str() {
            "--count" => options.count = number()? as usize,
            "--seed" => options.seed = number()?,
            "--core" => {
                options.cores.retain(|core| core.name() == value);
                if options.cores.is_empty() {
                    return Err(format!("unknown core {value}; use m0, m3 or m4"));
                }
            }
            "--file" => options.file = Some(value.into()),
            _ => {
                return Err(format!(
                    "unknown option {name}; use --count, --seed, --core or --file"
                ));
            }
        }
    }
    Ok(options)
}

/// Builds a program for each walk on each of `cores`.
fn programs(cores: &[Core]) -> Result<Vec<Program>, String> {
    let mut programs = Vec::new();
    for &core in cores {
        let missing = core.missing()?;
        if !missing.is_empty() {
            return Err(format!("to fuzz {}, first run: {missing}", core.name()));
        }
        for walk in [Walk::Any, Walk::Dense] {
            programs.push(Program::build(core, walk, Accesses::Any)?);
        }
    }
    Ok(programs)
}

/// Runs the container that an earlier run saved.
fn replay(path: &Path, cores: &[Core]) -> Result<(), String> {
    let bytes = fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let case = Case::new(Origin::File, &bytes).ok_or(format!(
        "{} cannot be run: it is rejected, or too large for the device",
        path.display()
    ))?;
    for program in programs(cores)? {
        if program.takes(&case) {
            run(&program, std::slice::from_ref(&case))?;
            println!("{}: no difference on {}", path.display(), name(&program));
        }
    }
    Ok(())
}

/// Returns the name of a program: its core and walk.
fn name(program: &Program) -> String {
    let walk = match program.walk {
        Walk::Any => "any network",
        Walk::Dense => "dense layers alone",
    };
    format!("{} (built for {walk})", program.core.name())
}

/// Fuzzes as `options` specify, and returns the report.
fn fuzz(options: &Options) -> Result<String, String> {
    let start = Instant::now();
    let programs = programs(&options.cores)?;
    for program in &programs {
        controls::check(program)?;
    }
    let mut beside = start.elapsed();
    eprintln!(
        "{} programs built; reads of guards fault, and falsified logits are reported",
        programs.len()
    );
    let corpus = corpus::read()?;
    let mut source = Source::new(options.seed, &corpus);
    let (mut coverage, mut done, mut dense) = (Coverage::default(), 0, 0);
    while done < options.count || source.covering() > 0 {
        let left = options.count.saturating_sub(done);
        let cases = source.batch(BATCH.min(left.max(source.covering())));
        for case in &cases {
            coverage.add(case);
        }
        thread::scope(|scope| {
            let cases = &cases;
            let run = |program| scope.spawn(move || run(program, cases));
            let runs: Vec<_> = programs.iter().map(run).collect();
            let joined = runs
                .into_iter()
                .map(|run| run.join().expect("no run panics"));
            joined.collect::<Result<(), String>>()
        })?;
        done += cases.len();
        dense += cases.iter().filter(|case| case.is_dense()).count();
        eprintln!("{done} containers per core: no difference, no fault");
    }
    let missing = coverage.missing();
    if !missing.is_empty() {
        return Err(format!(
            "no case took these paths through the kernels; add networks that do: {}",
            missing.join("; ")
        ));
    }
    // This runs after the cases, so that a kernel's fault is reported with its container.
    let ran = start.elapsed();
    let unaligned = unaligned(&options.cores)?;
    beside += start.elapsed() - ran;
    let cores: Vec<&str> = options.cores.iter().map(|core| core.name()).collect();
    Ok(format!(
        "{}kernels whose assembly reads unaligned words: {unaligned}\n\
         {done} containers per core on {} (seed {}, {} mutants tried): no difference, no fault; \
         {dense} of them also on the walk over dense layers; {:.0} s, of which {:.0} s for building \
         and controls\n",
        coverage.report(),
        cores.join(", "),
        options.seed,
        source.mutants(),
        start.elapsed().as_secs_f64(),
        beside.as_secs_f64(),
    ))
}

/// Checks which kernels read unaligned words on each core, and returns their names.
fn unaligned(cores: &[Core]) -> Result<String, String> {
    let program = |&core| Program::build(core, Walk::Any, Accesses::Aligned);
    let found = cores
        .iter()
        .map(|core| controls::unaligned(&program(core)?));
    Ok(found.collect::<Result<Vec<_>, String>>()?.join("; "))
}

/// Runs the `cases` that `program` supports.
fn run(program: &Program, cases: &[Case]) -> Result<(), String> {
    let cases: Vec<&Case> = cases.iter().filter(|case| program.takes(case)).collect();
    let outcome = program.run(cases.iter().copied(), Mode::default());
    outcome.map_err(|failure| {
        let on = name(program);
        let Some(case) = failure.case.and_then(|index| cases.get(index)) else {
            return format!("{on}: {}", failure.why);
        };
        let what = format!("{} on {on}: {}", case.origin, failure.why);
        match corpus::save(&case.container) {
            Ok(path) => format!(
                "{what}\n  again: cargo xtask fuzz device --core {} --file {}",
                program.core.name(),
                path.display()
            ),
            Err(e) => format!("{what}; {e}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Containers per core: about a thousand in total.
    const COUNT: usize = 350;

    /// Returns `true` if programs for every core can be built and run here.
    fn ready() -> bool {
        let missing: Vec<String> = Core::ALL
            .iter()
            .map(|core| core.missing().unwrap())
            .filter(|missing| !missing.is_empty())
            .collect();
        assert!(
            missing.is_empty() || std::env::var_os("RAREFY_REQUIRE_DEVICE").is_none(),
            "RAREFY_REQUIRE_DEVICE is set; first run: {}",
            missing.join("; ")
        );
        if !missing.is_empty() {
            eprintln!(
                "SKIPPED: to run this test, first run: {}",
                missing.join("; ")
            );
        }
        missing.is_empty()
    }

    #[test]
    fn kernels_give_the_hosts_logits_between_guards() {
        if ready() {
            let report = fuzz(&Options {
                count: COUNT,
                seed: 1,
                cores: Core::ALL.to_vec(),
                file: None,
            });
            println!("{}", report.unwrap());
        }
    }
}
