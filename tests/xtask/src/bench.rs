//! `cargo xtask bench`: benchmarks of speed, size and accuracy. Results are checked before they
//! are timed.

use crate::command::{self, Outcome};
use crate::{accuracy, networks};

/// Benchmarks that are bench targets of the trainer.
const BENCHES: &[&str] = &["training", "deep", "pruning", "kernels"];

/// Runs the benchmark that the first argument names. Benchmarks that are bench targets run on one
/// core.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let known = format!("{}, accuracy, networks", BENCHES.join(", "));
    let Some(name) = arguments.first() else {
        return Err(format!("name a benchmark: {known}"));
    };
    if name == "accuracy" {
        return accuracy::run(&arguments[1..]);
    }
    if name == "networks" {
        return networks::run(&arguments[1..]);
    }
    if !BENCHES.contains(&name.as_str()) {
        return Err(format!("unknown benchmark {name:?}; use one of {known}"));
    }
    let mut bench = command::cargo();
    bench.arg("bench").args(command::profile());
    bench.args(["--package", "rarefy-trainer", "--bench", name, "--"]);
    bench.args(&arguments[1..]).env("RAYON_NUM_THREADS", "1");
    command::run(&format!("benchmark {name}, one core"), &mut bench)
}
