//! `cargo xtask fuzz containers --seconds N`: parses and runs mutated containers with correct
//! checksums.
//!
//! Mutates a golden container, a committed seed (`seeds/`) or a random network ([`mutate`]), and
//! checks the mutant ([`harmless::check`]): it must be rejected with a message, or run within
//! bounds, twice with the same result, and agree with the reference implementation. A panic, a run
//! of more than two seconds, or any difference is a failure: the container is saved, and the
//! command that runs it again is printed.
//!
//! The seed alone determines case k of thread t, so runs with the same seed and number of threads
//! have the same cases in the same order; only the number of cases depends on the machine.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rarefy_test_support::corpus::{self, Picker};
use rarefy_test_support::harmless::{self, Verdict};
use rarefy_test_support::mutate;
use rarefy_test_support::networks::Random;

/// The longest time that one container may take.
const LONGEST: Duration = Duration::from_secs(2);
/// The time after which a container that is still running is a failure.
const GIVEN_UP: Duration = Duration::from_secs(20);

/// The command line.
struct Options {
    seconds: u64,
    seed: u64,
    threads: usize,
    file: Option<PathBuf>,
}

/// The outcomes of a thread's cases.
#[derive(Default)]
struct Counts {
    executions: usize,
    accepted: usize,
    compared: usize,
    /// The number of rejected containers, by the name of their error.
    refused: BTreeMap<String, usize>,
}

/// The start time and bytes of the container that a thread is running.
type Running = Mutex<(Instant, Vec<u8>)>;

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    let outcome = match &options.file {
        Some(path) => again(path),
        None => fuzz(&options),
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
fn options() -> Result<Options, String> {
    let mut options = Options {
        seconds: 30,
        seed: 1,
        threads: thread::available_parallelism().map_or(1, usize::from),
        file: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(name) = words.next() {
        let value = words.next().ok_or(format!("{name} needs a value"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("{name} needs a number, not {value}"))
        };
        match name.as_str() {
            "--seconds" => options.seconds = number()?,
            "--seed" => options.seed = number()?,
            "--threads" => options.threads = number()?.clamp(1, 64) as usize,
            "--file" => options.file = Some(value.into()),
            _ => {
                return Err(format!(
                    "unknown option {name}; use --seconds, --seed, --threads or --file"
                ));
            }
        }
    }
    Ok(options)
}

/// Runs a container that an earlier run saved.
fn again(path: &Path) -> Result<(), String> {
    let bytes = fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let verdict = judged(&bytes)?;
    println!("{}: {verdict:?}", path.display());
    Ok(())
}

/// Checks a container. Panics and runs that take too long are errors.
fn judged(bytes: &[u8]) -> Result<Verdict, String> {
    let run = || {
        let start = Instant::now();
        let verdict = catch_unwind(AssertUnwindSafe(|| harmless::check(bytes, input)));
        (verdict, start.elapsed())
    };
    let (mut verdict, mut took) = run();
    if took > LONGEST {
        // The machine may have been busy: try once more.
        (verdict, took) = run();
    }
    match verdict {
        Err(_) => Err("it panicked, see above".into()),
        Ok(_) if took > LONGEST => Err(format!("it took {:.1} s", took.as_secs_f64())),
        Ok(verdict) => verdict,
    }
}

/// Returns input `round` of a model that reads `count` bytes: noise first, then mostly zeros.
fn input(round: usize, count: usize) -> Vec<u8> {
    let mut random = Random::new(round as u64);
    let byte = |_| {
        let byte = random.next();
        if round > 0 && byte % 7 < 5 {
            0
        } else {
            (byte >> 8) as u8
        }
    };
    (0..count).map(byte).collect()
}

/// Runs the corpus, then mutants on all threads until the time is up.
fn fuzz(options: &Options) -> Result<(), String> {
    let corpus = corpus::read()?;
    for bytes in &corpus {
        judged(bytes).map_err(|what| failure(bytes, &what))?;
    }
    let stop = AtomicBool::new(false);
    let running: Vec<Running> = (0..options.threads)
        .map(|_| Mutex::new((Instant::now(), Vec::new())))
        .collect();
    let start = Instant::now();
    let counts = thread::scope(|scope| {
        let (corpus, stop) = (&corpus, &stop);
        let worker = |(index, running)| {
            let seed = options.seed.wrapping_add((index as u64) << 32);
            scope.spawn(move || work(corpus, seed, stop, running))
        };
        let workers: Vec<_> = running.iter().enumerate().map(worker).collect();
        while !stop.load(Ordering::Relaxed) && start.elapsed().as_secs() < options.seconds {
            thread::sleep(Duration::from_millis(50));
            for running in &running {
                let (since, bytes) = &*running.lock().expect("no worker panics");
                if since.elapsed() > GIVEN_UP {
                    // A thread cannot be stopped from outside.
                    eprintln!("error: {}", failure(bytes, "its run does not end"));
                    std::process::exit(1);
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().expect("no worker panics"));
        joined.collect::<Result<Vec<Counts>, String>>()
    })?;
    report(options, &counts, start.elapsed());
    Ok(())
}

/// Mutates and checks containers until told to stop.
fn work(
    corpus: &[Vec<u8>],
    seed: u64,
    stop: &AtomicBool,
    running: &Running,
) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let picker = Picker::new(corpus, 40);
    let mut case = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let mut random = corpus::random(seed, case);
        case += 1;
        let bytes = mutate::container(&mut random, |random| picker.pick(random));
        *running.lock().expect("no worker panics") = (Instant::now(), bytes.clone());
        counts.executions += 1;
        match judged(&bytes) {
            Ok(Verdict::Refused(error)) => {
                let name = format!("{error:?}");
                let name = name.split(' ').next().unwrap_or_default().to_owned();
                *counts.refused.entry(name).or_default() += 1;
            }
            Ok(verdict) => {
                counts.accepted += 1;
                counts.compared += usize::from(verdict == Verdict::Compared);
            }
            Err(what) => {
                stop.store(true, Ordering::Relaxed);
                return Err(failure(&bytes, &what));
            }
        }
        running.lock().expect("no worker panics").0 = Instant::now();
    }
    Ok(counts)
}

/// Saves a container, and returns what is wrong with it and how to run it again.
fn failure(bytes: &[u8], what: &str) -> String {
    match corpus::save(bytes) {
        Ok(path) => {
            let path = path.display();
            format!(
                "a container failed: {what}\n  again: cargo xtask fuzz containers --file {path}"
            )
        }
        Err(e) => format!("a container failed: {what}; {e}"),
    }
}

/// Prints the outcomes of all threads.
fn report(options: &Options, counts: &[Counts], took: Duration) {
    let sum = |of: fn(&Counts) -> usize| counts.iter().map(of).sum::<usize>();
    let executions = sum(|counts| counts.executions).max(1);
    let (accepted, compared) = (sum(|counts| counts.accepted), sum(|counts| counts.compared));
    let percent = |part: usize| 100.0 * part as f64 / executions as f64;
    println!(
        "{executions} containers in {:.0} s on {} threads (seed {}): {:.0} per second, {:.1} % accepted and run, {:.1} % compared with the reference",
        took.as_secs_f64(),
        options.threads,
        options.seed,
        executions as f64 / took.as_secs_f64(),
        percent(accepted),
        percent(compared),
    );
    let mut refused = BTreeMap::new();
    for (name, count) in counts.iter().flat_map(|counts| &counts.refused) {
        *refused.entry(name).or_insert(0) += count;
    }
    for (name, count) in refused {
        println!("  {name:20} {count}");
    }
}
