//! `cargo xtask quickstart` and `cargo xtask setup`.

use crate::command::{self, Outcome};

/// Installs the tools for measuring that the workstation lacks. `arguments` are passed to `rarefy
/// setup`.
pub(crate) fn setup(arguments: &[String]) -> Outcome {
    let mut rarefy = command::rarefy()?;
    // Stdout is reserved for the chore that calls this function.
    rarefy
        .arg("setup")
        .args(arguments)
        .stdout(std::io::stderr());
    command::run("installing what is missing", &mut rarefy)
}

/// Runs the setup, then `rarefy quickstart` with `arguments`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    setup(&[])?;
    let mut rarefy = command::rarefy()?;
    command::run("quickstart", rarefy.arg("quickstart").args(arguments))
}
