//! `cargo xtask bench accuracy`: the accuracy of every pruner on MNIST.
//!
//! The training budget is that of the reference, a port of the paper's code: LeNet-300-100, 10
//! epochs per phase, batch 100, effective pruning, two seeds. Each run has a folder under
//! `runs/accuracy`; finished runs are not repeated, so an interrupted benchmark resumes. The table
//! is written to `trainer/benches/accuracy.md`. MNIST is needed (`rarefy data fetch mnist`).

use std::collections::VecDeque;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;

use serde_json::Value;

use crate::command::{self, Outcome, root};

/// Effective compressions.
const COMPRESSIONS: [u32; 4] = [10, 100, 300, 1000];

/// Seeds.
const SEEDS: [u32; 2] = [0, 1];

/// Tolerated shortfall against the reference at 10x and 100x, in percentage points.
const ALLOWED: f64 = 0.7;

/// A row of the table: a pruner, its options, and the accuracies of the reference in percent (mean
/// of one or two seeds).
struct Row {
    label: &'static str,
    pruner: &'static str,
    options: &'static [&'static str],
    reference: Option<[f64; 4]>,
}

/// Returns the row of a pruner without options.
const fn row(label: &'static str, reference: Option<[f64; 4]>) -> Row {
    Row {
        label,
        pruner: label,
        options: &[],
        reference,
    }
}

/// All rows. The reference is a port of the paper's code to PyTorch; batch norms use population
/// statistics at evaluation.
const ROWS: &[Row] = &[
    row("random/uniform", Some([97.87, 92.26, 75.87, 50.49])),
    row("random/erk", Some([98.11, 93.29, 83.32, 58.28])),
    row("random/igq", Some([98.21, 94.68, 84.65, 55.14])),
    row("random/snip", None),
    row("random/synflow", None),
    row("synflow", Some([98.00, 94.20, 80.41, 44.73])),
    row("snip", Some([98.34, 95.69, 90.11, 77.23])),
    Row {
        label: "snip, reference loss",
        pruner: "snip",
        options: &["--loss", "reference"],
        reference: Some([98.27, 95.54, 90.81, 76.57]),
    },
    row("snip/iterative", Some([98.28, 95.42, 89.94, 74.20])),
    row("grasp", None),
    row("lamp", Some([98.57, 97.01, 93.25, 76.06])),
    row("magnitude/global", Some([98.63, 96.91, 92.95, 79.69])),
    row("magnitude/uniform", None),
    row("magnitude/erk", None),
    row("magnitude/igq", Some([98.54, 97.01, 92.96, 79.79])),
    Row {
        label: "magnitude/global, fine-tuned",
        pruner: "magnitude/global",
        options: &["--after", "finetune"],
        reference: Some([98.55, 97.07, 92.97, 80.77]),
    },
];

/// A run: its folder, and the arguments of `rarefy train`.
struct Task {
    folder: PathBuf,
    words: Vec<String>,
}

/// Executes the missing runs, one per core at a time, and writes the table.
pub(crate) fn run(_: &[String]) -> Outcome {
    // Build the program before the workers need it.
    command::rarefy()?;
    let dense = SEEDS.map(|seed| task("dense", "dense", 1, seed, &[]));
    work(dense.into())?;
    let mut tasks = VecDeque::new();
    for compression in COMPRESSIONS {
        for row in ROWS {
            for seed in SEEDS {
                tasks.push_back(task(row.label, row.pruner, compression, seed, row.options));
            }
        }
    }
    work(tasks)?;
    let table = table()?;
    let path = root().join("trainer/benches/accuracy.md");
    fs::write(&path, &table).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    print!("{table}");
    Ok(())
}

/// Returns the run of a pruner. With the same seed, all pruners that rank trained weights rank
/// those of the same dense network.
fn task(label: &str, pruner: &str, compression: u32, seed: u32, options: &[&str]) -> Task {
    let mut words: Vec<String> = [
        "--arch",
        "lenet-300-100",
        "--data",
        "mnist",
        "--epochs",
        "10",
        "--json",
        "--quiet",
    ]
    .map(String::from)
    .into();
    let (compression_text, seed_text) = (compression.to_string(), seed.to_string());
    for (option, value) in [
        ("--pruner", pruner),
        ("--compression", &compression_text),
        ("--seed", &seed_text),
    ] {
        words.extend([option.into(), value.into()]);
    }
    words.extend(options.iter().map(|&word| word.into()));
    if pruner.starts_with("magnitude/") || pruner == "lamp" {
        let dense = folder("dense", 1, seed).join("weights.safetensors");
        words.extend(["--weights".into(), dense.display().to_string()]);
    }
    let folder = folder(label, compression, seed);
    words.extend(["-o".into(), folder.display().to_string()]);
    Task { folder, words }
}

/// Returns the folder of a run.
fn folder(label: &str, compression: u32, seed: u32) -> PathBuf {
    let label = label.replace(", ", "-").replace(['/', ' '], "-");
    Path::new("runs/accuracy").join(format!("{label}_{compression}_{seed}"))
}

/// Executes `tasks` with one worker per core. A worker stops at its first failure.
fn work(tasks: VecDeque<Task>) -> Outcome {
    let (all, queue) = (tasks.len(), Mutex::new(tasks));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let worker = || -> Outcome {
        loop {
            let (done, task) = {
                let mut queue = queue.lock().map_err(|_| "another run failed")?;
                (all - queue.len(), queue.pop_front())
            };
            let Some(Task { folder, words }) = task else {
                return Ok(());
            };
            if root().join(&folder).join("result.json").exists() {
                continue;
            }
            eprintln!("== {} of {all}: {}", done + 1, folder.display());
            let mut train = command::rarefy()?;
            train.arg("train").args(&words).stdout(Stdio::null());
            let status = train
                .env("RAYON_NUM_THREADS", "1")
                .status()
                .map_err(|e| format!("cannot run rarefy: {e}"))?;
            if !status.success() {
                return Err(format!("{}: failed, see above", folder.display()));
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let stopped = || Err("a worker panicked, see above".into());
        let mut outcomes = workers.into_iter().map(|worker| worker.join());
        outcomes.try_for_each(|outcome| outcome.unwrap_or_else(|_| stopped()))
    })
}

/// Reads the result of a run.
fn result(folder: &Path) -> Result<Value, String> {
    let path = root().join(folder).join("result.json");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Counts the classes that the masks of a run connect to any input.
fn live_classes(folder: &Path) -> Result<u64, String> {
    let masks = folder.join("masks.safetensors");
    let mut effective = command::rarefy()?;
    effective.args([
        "effective",
        "--arch",
        "lenet-300-100",
        "--json",
        "--quiet",
        "--masks",
    ]);
    let output = effective.arg(&masks).output();
    let output = output.map_err(|e| format!("cannot run rarefy: {e}"))?;
    let report: Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("{}: {e}", masks.display()))?;
    let last = report["layers"].as_array().and_then(|layers| layers.last());
    let live = last.and_then(|layer| layer["live_units"].as_u64());
    live.ok_or_else(|| format!("{}: no live units are reported", masks.display()))
}

/// Formats all results as Markdown.
fn table() -> Result<String, String> {
    let accuracy = |folder: &Path| -> Result<f64, String> {
        let result = result(folder)?;
        let share = result["accuracy"]["pruned"].as_f64();
        Ok(100.0 * share.ok_or_else(|| format!("{}: no accuracy is stated", folder.display()))?)
    };
    let mut text = String::from(
        "# Accuracy of every pruner\n\n\
         Written by `cargo xtask bench accuracy`: LeNet-300-100 on MNIST, effective pruning, 10 epochs per phase,\n\
         batch size 100, learning rate 0.1 divided by 10 three times, momentum 0.9, l2 5e-4. Each cell is the\n\
         accuracy on the 10,000 test images in percent, with population statistics in batch norms: the mean of two\n\
         seeds ± half their difference. In parentheses is the accuracy of a port of the paper's code to PyTorch\n\
         with the same budget; **bold** marks a mean more than 0.7 points below it at 10x or 100x. If some of the\n\
         10 classes are no longer connected to the input, their scores are constant, and square brackets give the\n\
         number of connected classes for each seed.\n\n",
    );
    let dense = SEEDS.map(|seed| accuracy(&folder("dense", 1, seed)));
    let [first, second] = dense;
    let (first, second) = (first?, second?);
    let _ = writeln!(
        text,
        "Dense: {first:.2} and {second:.2} (98.48 and 98.48).\n"
    );
    text += "| pruner | 10x | 100x | 300x | 1000x |\n|---|---|---|---|---|\n";
    for row in ROWS {
        let mut line = format!("| {} |", row.label);
        for (index, &compression) in COMPRESSIONS.iter().enumerate() {
            let runs = SEEDS.map(|seed| accuracy(&folder(row.label, compression, seed)));
            let [first, second] = runs;
            let (first, second) = (first?, second?);
            let (mean, spread) = ((first + second) / 2.0, (first - second).abs() / 2.0);
            let mut cell = format!("{mean:.2} ± {spread:.2}");
            if let Some(reference) = row.reference.map(|all| all[index]) {
                if compression <= 100 && mean < reference - ALLOWED {
                    cell = format!("**{cell}**");
                }
                let _ = write!(cell, " ({reference:.2})");
            }
            let live = SEEDS.map(|seed| live_classes(&folder(row.label, compression, seed)));
            let [first, second] = live;
            let (first, second) = (first?, second?);
            if first.min(second) < 10 {
                let _ = write!(cell, " [{first}, {second}]");
            }
            let _ = write!(line, " {cell} |");
        }
        text += &line;
        text.push('\n');
    }
    Ok(text)
}
