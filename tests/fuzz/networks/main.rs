//! `cargo xtask fuzz networks`: takes random networks through all steps of the trainer, and checks
//! each step against an independent oracle.
//!
//! | step | oracle |
//! |---|---|
//! | effective masks, pruning | reachability by links (`rarefy_test_support::oracle`) |
//! | statistics, forward pass | [`forward`], in f64 |
//! | fold, strip, order | the same scores; the remaining weights, by reachability |
//! | quantize | the same scores, by signal-to-noise ratio |
//! | container, engine | [`container`], a reader and interpreter written from `format/SPEC.md` |
//! | rejections | [`refusals`]: only for reasons that hold, naming a layer of the architecture |
//!
//! A seed and a number determine a case ([`Plan::draw`]). A failing case is made smaller
//! ([`shrink()`]) and reported with the command that repeats it. The first failures of each step
//! are reported in full, the others in one line each.
//!
//! - `--count N` checks N networks, `--time SECONDS` as many as the time allows.
//! - `--seed S` selects the run, which starts with case 0.
//! - `--case N` checks only that case.
//! - `--threads N` is the number of threads.
//! - `--write FOLDER` keeps the containers, with inputs and logits, for other readers.
//!
//! The tests include a short run.
#![forbid(unsafe_code)]

mod build;
mod case;
mod check;
mod container;
mod deployed;
mod folded;
mod forward;
mod kept;
mod known;
mod masks;
mod noise;
mod plan;
mod refusals;
#[cfg(test)]
mod short;
mod shrink;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use case::case;
use check::Counts;
use kept::Kept;
use rarefy_test_support::oracle as pruning;

/// The options of the command line.
struct Options {
    time: Duration,
    count: u64,
    seed: u64,
    case: Option<u64>,
    threads: usize,
    write: Option<PathBuf>,
}

/// The number of failures per step that are made smaller and reported in full.
const REPORTED: usize = 3;

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    // Panics are faults, reported with their network.
    std::panic::set_hook(Box::new(|_| {}));
    let begun = Instant::now();
    let first = options.case.unwrap_or(0);
    let (next, failures) = (AtomicU64::new(first), Mutex::new(BTreeMap::new()));
    let counts = thread::scope(|scope| {
        let worker = |_| scope.spawn(|| work(&options, begun, &next, &failures));
        let workers: Vec<_> = (0..options.threads).map(worker).collect();
        let mut counts = Counts::default();
        for worker in workers {
            counts.add(worker.join().expect("no worker panics"));
        }
        counts
    });
    let failures = failures.into_inner().expect("no worker panics");
    print!("{counts}");
    for (step, count) in &failures {
        println!("{count:7} differ: {step}");
    }
    let failures: usize = failures.values().sum();
    println!(
        "{} networks of seed {} in {:.0} s: {failures} differ",
        counts.networks,
        options.seed,
        begun.elapsed().as_secs_f64()
    );
    match failures {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Checks networks until there are enough; failures are reported and counted by step.
fn work(
    options: &Options,
    begun: Instant,
    next: &AtomicU64,
    failures: &Mutex<BTreeMap<&str, usize>>,
) -> Counts {
    let end = options.case.map_or(options.count, |case| case + 1);
    let mut counts = Counts::default();
    while begun.elapsed() < options.time {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            break;
        }
        match case(options.seed, number, &mut counts) {
            Ok(kept) => write(options, number, &kept),
            Err(failure) => {
                let reported = {
                    let mut failures = failures.lock().expect("no worker panics");
                    let of_step = failures.entry(failure.fault.step).or_insert(0);
                    *of_step += 1;
                    *of_step <= REPORTED || options.case.is_some()
                };
                match reported {
                    true => println!("{}\n", failure.report()),
                    false => println!("{failure}"),
                }
            }
        }
    }
    counts
}

/// Writes the containers of network `number` if the options ask for it.
fn write(options: &Options, number: u64, kept: &[Kept]) {
    let Some(folder) = &options.write else { return };
    for (export, kept) in kept.iter().enumerate() {
        let name = format!("{}-{number}-{export}", options.seed);
        let written = std::fs::create_dir_all(folder).and_then(|()| kept.write(folder, &name));
        if let Err(error) = written {
            eprintln!(
                "error: cannot write {name} in {}: {error}",
                folder.display()
            );
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        time: Duration::MAX,
        count: u64::MAX,
        seed: 1,
        case: None,
        threads: thread::available_parallelism().map_or(1, usize::from),
        write: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().ok_or(format!("{name} needs a value"))?;
        let number = || {
            let number = value.parse::<u64>();
            number.map_err(|_| format!("{name} needs a whole number, not {value}"))
        };
        match name.as_str() {
            "--time" => options.time = Duration::from_secs(number()?),
            "--count" => options.count = number()?,
            "--write" => options.write = Some(value.into()),
            "--seed" => options.seed = number()?,
            "--case" => options.case = Some(number()?),
            "--threads" => options.threads = number()?.clamp(1, 64) as usize,
            _ => {
                return Err(format!(
                    "unknown option {name}; use --time, --count, --seed, --case, --threads or --write"
                ));
            }
        }
    }
    if options.time == Duration::MAX && options.count == u64::MAX && options.case.is_none() {
        options.time = Duration::from_secs(30);
    }
    Ok(options)
}
