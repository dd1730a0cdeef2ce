//! `cargo xtask fuzz kill`: kills `train` and `export` at random moments and runs them again.

use crate::command::{self, Outcome, cargo};

/// Options, and the environment variables that pass them to the test.
const OPTIONS: &[(&str, &str)] = &[
    ("--moments", "RAREFY_KILL_MOMENTS"),
    ("--seed", "RAREFY_KILL_SEED"),
];

/// Runs the test that kills processes of the command `rarefy`. Options: `--moments N` (default 100)
/// and `--seed N` (default 1).
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut test = cargo();
    test.args(["test", "--release", "--package", "rarefy-trainer"]);
    test.args(["--test", "cli", "killed_at_any_moment", "--", "--nocapture"]);
    test.env(OPTIONS[0].1, "100");
    for words in arguments.chunks(2) {
        let known = OPTIONS.iter().find(|(option, _)| *option == words[0]);
        match (known, words.get(1).map(|number| number.parse::<u64>())) {
            (Some((_, variable)), Some(Ok(number))) => test.env(variable, number.to_string()),
            _ => {
                return Err(format!(
                    "fuzz kill takes --moments N and --seed N, not {words:?}"
                ));
            }
        };
    }
    command::run("killing at random moments", &mut test)
}
