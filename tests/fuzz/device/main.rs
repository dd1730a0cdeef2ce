//! `cargo xtask fuzz device`: mutated containers on emulated cores, between guards.
//!
//! The host fuzzer reaches the portable kernels alone. Here containers that the parser accepts are
//! run by the firmware's program `fuzz`, that is by the assembly for the M0, M3 and M4, with
//! container, input and arena against stretches of memory that the MPU lets nobody access, and
//! every logit is compared with the host's. Random networks come first, one for each way through a
//! kernel ([`coverage`]), then mutants.
//!
//! Which cases there are follows from the seed alone; a container's inputs follow from its bytes.
#![forbid(unsafe_code)]

mod cases;
mod controls;
#[path = "../corpus.rs"]
mod corpus;
mod coverage;
mod large;
#[path = "../mutate.rs"]
mod mutate;
#[path = "../../../format/tests/networks/mod.rs"]
#[allow(dead_code, unreachable_pub, missing_docs)]
mod networks;
mod program;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{fs, thread};

use cases::{Case, Mode, Origin};
use corpus::Picker;
use coverage::Coverage;
use program::{Accesses, Core, Program, Walk};
use rarefy_format::write;

/// Random networks that are looked at for ways that none before took.
const NETWORKS: u64 = 20_000;
/// The longest sections of columns: two rounds of every kernel.
const SECTIONS: usize = 80;
/// Cases of a batch: little is lost where one fails, and starting the emulator costs little.
const BATCH: usize = 1_000;

/// What is asked for.
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
        Some(path) => again(path, &options.cores),
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
            number.map_err(|_| format!("{name} {value}: no number"))
        };
        match name.as_str() {
            "--count" => options.count = number()? as usize,
            "--seed" => options.seed = number()?,
            "--core" => {
                options.cores.retain(|core| core.name() == value);
                if options.cores.is_empty() {
                    return Err(format!("--core {value}: known are m0, m3 and m4"));
                }
            }
            "--file" => options.file = Some(value.into()),
            _ => {
                return Err(format!(
                    "{name}: known are --count, --seed, --core and --file"
                ));
            }
        }
    }
    Ok(options)
}

/// The programs of the cores asked for, one for each walk.
fn programs(cores: &[Core]) -> Result<Vec<Program>, String> {
    let mut programs = Vec::new();
    for &core in cores {
        let missing = core.missing()?;
        if !missing.is_empty() {
            return Err(format!("{} needs: {missing}", core.name()));
        }
        for walk in [Walk::Any, Walk::Dense] {
            programs.push(Program::build(core, walk, Accesses::Any)?);
        }
    }
    Ok(programs)
}

/// Runs a container that an earlier run has saved.
fn again(path: &Path, cores: &[Core]) -> Result<(), String> {
    let bytes = fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let case = Case::new(Origin::File, &bytes).ok_or(format!(
        "{} is no container that is tried: it is rejected, or larger than the yards",
        path.display()
    ))?;
    for program in programs(cores)? {
        if program.takes(&case) {
            run(&program, &[case.clone()], 0)?;
            println!("{}: no difference on {}", path.display(), name(&program));
        }
    }
    Ok(())
}

/// The core and the walk, for people.
fn name(program: &Program) -> String {
    let walk = match program.walk {
        Walk::Any => "any network",
        Walk::Dense => "dense layers alone",
    };
    format!("{} (built for {walk})", program.core.name())
}

/// Makes cases until none is left, without end: first what covers the kernels, then mutants.
struct Source<'a> {
    seed: u64,
    /// Cases made but not yet taken, the last first.
    covering: Vec<Case>,
    picker: Picker<'a>,
    next: u64,
    seen: HashSet<Vec<u8>>,
}

impl<'a> Source<'a> {
    /// Chooses the cases that come first: the corpus, and random networks until they take every way
    /// through the kernels.
    fn new(seed: u64, corpus: &'a [Vec<u8>]) -> Source<'a> {
        let (mut covering, mut coverage, wanted) =
            (Vec::new(), Coverage::default(), coverage::all());
        for (index, bytes) in corpus.iter().enumerate() {
            covering.extend(Case::new(Origin::Corpus(index), bytes));
        }
        let sections = write(&networks::sections(SECTIONS)).expect("its fields hold it");
        covering.extend(Case::new(Origin::Sections, &sections));
        for (index, network) in large::networks().iter().enumerate() {
            let bytes = write(network).expect("its fields hold it");
            covering.push(Case::new(Origin::Large(index), &bytes).expect("a yard holds it"));
        }
        for case in &covering {
            coverage.add(case);
        }
        for number in 0..NETWORKS {
            if coverage.missing().is_empty() {
                break;
            }
            let bytes = write(&networks::any(number));
            let case = bytes
                .ok()
                .and_then(|bytes| Case::new(Origin::Network(number), &bytes));
            if let Some(case) = case.filter(|case| coverage.gains(case, &wanted)) {
                coverage.add(&case);
                covering.push(case);
            }
        }
        covering.reverse();
        Source {
            seed,
            covering,
            picker: Picker::new(corpus, 60),
            next: 0,
            seen: HashSet::new(),
        }
    }

    /// Returns the next case that no earlier one equals.
    fn next(&mut self) -> Case {
        loop {
            let case = self.covering.pop().or_else(|| self.mutant());
            if let Some(case) = case
                && self.seen.insert(case.container.to_vec())
            {
                return case;
            }
        }
    }

    fn mutant(&mut self) -> Option<Case> {
        let mut random = corpus::random(self.seed, self.next);
        let origin = Origin::Mutant(self.next);
        self.next += 1;
        let bytes = mutate::container(&mut random, |random| self.picker.pick(random));
        Case::new(origin, &bytes)
    }

    /// Returns the next `count` cases, fewer when they fill a batch.
    fn batch(&mut self, count: usize) -> Vec<Case> {
        let (mut cases, mut bytes) = (Vec::new(), 1 << 20);
        while cases.len() < count && bytes < cases::BATCH_BYTES {
            let case = self.next();
            bytes += case.len();
            cases.push(case);
        }
        cases
    }
}

/// Runs what `options` ask for; returns the report.
fn fuzz(options: &Options) -> Result<String, String> {
    let start = Instant::now();
    let programs = programs(&options.cores)?;
    for program in &programs {
        controls::check(program)?;
    }
    let unaligned = unaligned(&options.cores)?;
    let built = start.elapsed();
    eprintln!("{} programs built, their guards armed", programs.len());
    let corpus = corpus::read()?;
    let mut source = Source::new(options.seed, &corpus);
    let (mut coverage, mut done, mut dense) = (Coverage::default(), 0, 0);
    while done < options.count || !source.covering.is_empty() {
        let left = options.count.saturating_sub(done);
        let cases = source.batch(BATCH.min(left.max(source.covering.len())));
        for case in &cases {
            coverage.add(case);
        }
        thread::scope(|scope| {
            let (cases, seed) = (&cases, options.seed);
            let run = |program| scope.spawn(move || run(program, cases, seed));
            let runs: Vec<_> = programs.iter().map(run).collect();
            let joined = runs
                .into_iter()
                .map(|run| run.join().expect("no run panics"));
            joined.collect::<Result<(), String>>()
        })?;
        done += cases.len();
        dense += cases.iter().filter(|case| case.is_dense()).count();
        eprintln!("{done} containers a core, no difference and no fault");
    }
    let missing = coverage.missing();
    if !missing.is_empty() {
        return Err(format!(
            "no case takes these ways through the kernels, so nothing says that they work: {}",
            missing.join("; ")
        ));
    }
    let took = [built, start.elapsed()].map(|time: Duration| time.as_secs_f64());
    let cores: Vec<&str> = options.cores.iter().map(|core| core.name()).collect();
    Ok(format!(
        "{}read by assembly where it is not aligned: {unaligned}\n{done} containers a core on {} (seed {}, {} tried): no difference, no fault; {dense} of \
         them also with the walk over dense layers alone; {:.0} s, of which {:.0} to build and to \
         prove that the guards are armed\n",
        coverage.report(),
        cores.join(", "),
        options.seed,
        source.next,
        took[1],
        took[0],
    ))
}

/// Where assembly reads what is not aligned, a core after the other.
fn unaligned(cores: &[Core]) -> Result<String, String> {
    let program = |&core| Program::build(core, Walk::Any, Accesses::Aligned);
    let found = cores
        .iter()
        .map(|core| controls::unaligned(&program(core)?));
    Ok(found.collect::<Result<Vec<_>, String>>()?.join("; "))
}

/// Runs those of `cases` that `program` takes.
fn run(program: &Program, cases: &[Case], seed: u64) -> Result<(), String> {
    let cases: Vec<&Case> = cases.iter().filter(|case| program.takes(case)).collect();
    let outcome = program.run(cases.iter().copied(), Mode::default());
    outcome.map_err(|failure| {
        let on = name(program);
        let Some(case) = failure.case.and_then(|index| cases.get(index)) else {
            return format!("{on}: {}", failure.why);
        };
        let what = format!("{} of seed {seed} on {on}: {}", case.origin, failure.why);
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

    /// Containers a core: together about a thousand in a minute of emulation at most.
    const COUNT: usize = 350;

    /// Whether every core can be built for and run here.
    fn ready() -> bool {
        let missing: Vec<String> = Core::ALL
            .iter()
            .map(|core| core.missing().unwrap())
            .filter(|missing| !missing.is_empty())
            .collect();
        assert!(
            missing.is_empty() || std::env::var_os("RAREFY_REQUIRE_DEVICE").is_none(),
            "RAREFY_REQUIRE_DEVICE is set, but this needs: {}",
            missing.join("; ")
        );
        if !missing.is_empty() {
            eprintln!("SKIPPED: this needs: {}", missing.join("; "));
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
