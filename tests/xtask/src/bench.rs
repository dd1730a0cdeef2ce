//! `cargo xtask bench`: how fast, once the answers are known to be right, and how accurate.

use crate::accuracy;
use crate::command::{self, Outcome};

/// The benchmarks of speed, each a bench target of the trainer.
const BENCHES: &[&str] = &["training", "pruning"];

/// Runs the benchmark named first on the line; those of speed on one core.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let known = format!("{}, accuracy", BENCHES.join(", "));
    let Some(name) = arguments.first() else {
        return Err(format!("say which benchmark: {known}"));
    };
    if name == "accuracy" {
        return accuracy::run(&arguments[1..]);
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
