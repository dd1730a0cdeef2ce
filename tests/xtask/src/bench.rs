//! `cargo xtask bench`: how fast and how small, once the answers are known to be right, and how accurate.

use crate::command::{self, Outcome};
use crate::{accuracy, networks};

/// The benchmarks that are bench targets of the trainer.
const BENCHES: &[&str] = &["training", "pruning", "kernels"];

/// Runs the benchmark named first on the line; those of the trainer on one core.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let known = format!("{}, accuracy, networks", BENCHES.join(", "));
    let Some(name) = arguments.first() else {
        return Err(format!("say which benchmark: {known}"));
    };
    if name == "accuracy" {
        return accuracy::run(&arguments[1..]);
    }
    if name == "networks" {
        return networks::run(&arguments[1..]);
    }
    if !BENCHES.contains(&name.as_str()) {
        return Err(format!(
            "there is no benchmark {name:?}: the known ones are {known}"
        ));
    }
    let mut bench = command::cargo();
    bench.args([
        "bench",
        "--package",
        "rarefy-trainer",
        "--bench",
        name,
        "--",
    ]);
    bench.args(&arguments[1..]).env("RAYON_NUM_THREADS", "1");
    command::run(&format!("benchmark {name}, one core"), &mut bench)
}
