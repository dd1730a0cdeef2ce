//! Times, on one core, the search for an effective compression of 100x and the computation of
//! effective masks.
//!
//! Computing the scores is not timed. The result of each search is checked first: a bisection over
//! the budget that computes a whole effective mask per step must find the same masks. Run by
//! `cargo xtask bench pruning`; with `--answers` nothing is checked or timed, and only the counts
//! are printed.

use std::time::Instant;

use rarefy_trainer::graph::{Graph, architecture};
use rarefy_trainer::pruning::effective::{self, Mode};
use rarefy_trainer::pruning::ordering::Rounding;
use rarefy_trainer::pruning::quota::Quota;
use rarefy_trainer::pruning::score::{Scores, random};
use rarefy_trainer::pruning::search::prune;
use rarefy_trainer::pruning::{Compression, Target};
use rarefy_trainer::pruning::{Ordering, Outcome};

/// Effective compression to search for.
const COMPRESSION: f64 = 100.0;

/// Timed runs per case.
const RUNS: usize = 5;

/// Searches: architecture, quota per layer (`None` for a global ordering), and time limit in
/// seconds.
const SEARCHES: &[(&str, Option<Quota>, f64)] = &[
    ("lenet-300-100", None, 0.007),
    ("lenet-300-100", Some(Quota::Igq), 0.007),
    ("lenet-5", None, 0.007),
    ("lenet-5", Some(Quota::Igq), 0.007),
    ("vgg-16", None, 1.5),
    ("vgg-16", Some(Quota::Igq), 1.5),
    ("vgg-19", None, 2.0),
    ("vgg-19", Some(Quota::Igq), 2.0),
    ("resnet-18", None, 1.5),
    ("resnet-18", Some(Quota::Igq), 1.5),
];

fn main() {
    let answers_only = std::env::args().any(|argument| argument == "--answers");
    println!("effective search to {COMPRESSION}x, scores given, one core; median of {RUNS} runs");
    println!("| network | order | seconds | at most | direct | effective |");
    println!("|---|---|---|---|---|---|");
    let mut kept = Vec::new();
    for &(name, quota, most) in SEARCHES {
        let graph = architecture::by_name(name).expect("a known architecture");
        let scores = random::scores(&graph.prunable(), 7);
        let outcome = search(&graph, scores.clone(), quota);
        let seconds = if answers_only {
            "-".to_owned()
        } else {
            check(&graph, scores.clone(), quota, &outcome);
            let seconds = median(|| {
                let scores = scores.clone();
                let start = Instant::now();
                std::hint::black_box(search(&graph, scores, quota));
                start.elapsed().as_secs_f64()
            });
            format!("{seconds:.4}")
        };
        println!(
            "| {name} | {} | {seconds} | {most} | {} | {} |",
            quota.map_or("global", Quota::name),
            outcome.direct.nonzeros(),
            outcome.effective.nonzeros()
        );
        if name == "vgg-19" && quota.is_some() && !answers_only {
            kept.push((graph, outcome));
        }
    }
    for (graph, outcome) in &kept {
        for mode in [Mode::Exact, Mode::Graph] {
            let seconds = median(|| {
                let start = Instant::now();
                std::hint::black_box(effective::masks(graph, &outcome.direct, mode));
                start.elapsed().as_secs_f64()
            });
            println!(
                "{} effective mask of {} at {COMPRESSION}x: {seconds:.4} s (at most 0.06)",
                mode.name(),
                graph.name()
            );
        }
    }
    if answers_only {
        return;
    }
    if let Some(peak) = peak_memory() {
        println!("peak memory of all of this: {peak} MB");
    }
}

/// Prunes `graph` by `scores` to [`COMPRESSION`].
fn search(graph: &Graph, scores: Scores, quota: Option<Quota>) -> Outcome {
    let ordering = ordering(graph, scores, quota);
    prune(
        graph,
        &ordering,
        Target::Effective,
        Compression::new(COMPRESSION).expect("a constant of at least 1"),
        "the benchmark",
    )
    .expect("a reachable target")
}

/// Returns the ordering of the weights of `graph` by `scores`.
fn ordering(graph: &Graph, scores: Scores, quota: Option<Quota>) -> Ordering {
    let tensors = graph.prunable();
    match quota {
        None => Ordering::global(&tensors, scores),
        Some(quota) => Ordering::by_quota(&tensors, scores, quota, Rounding::HalfToEven),
    }
    .expect("finite scores")
}

/// Checks that a bisection over the budget, with a whole effective mask per step, finds the masks
/// of `outcome`.
fn check(graph: &Graph, scores: Scores, quota: Option<Quota>, outcome: &Outcome) {
    let ordering = ordering(graph, scores, quota);
    let count = |budget: u32| {
        let direct = ordering.prefix(budget);
        effective::masks(graph, &direct, Mode::Exact).nonzeros()
    };
    let wanted = (graph.total() as f64 / COMPRESSION).ceil() as usize;
    let (mut low, mut high) = (0, graph.total() as u32);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if count(middle) >= wanted {
            high = middle;
        } else {
            low = middle;
        }
    }
    assert!(
        ordering.prefix(high) == outcome.direct,
        "{}: the mask differs from the bisection's",
        graph.name()
    );
    let effective = effective::masks(graph, &outcome.direct, Mode::Exact);
    assert!(
        effective == outcome.effective,
        "{}: the effective mask differs from that of the direct mask",
        graph.name()
    );
}

/// Returns the median of [`RUNS`] times in seconds.
fn median(mut run: impl FnMut() -> f64) -> f64 {
    let mut times: Vec<f64> = (0..RUNS).map(|_| run()).collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

/// Returns the peak memory of this process in MB; Linux only.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024)
}
