//! `cargo xtask quickstart` and `cargo xtask setup`.

use crate::command::{self, Outcome};

/// Installs what measuring needs and this machine lacks.
pub(crate) fn setup(arguments: &[String]) -> Outcome {
    let mut rarefy = command::rarefy()?;
    // What setup says is for a person: stdout belongs to the chore that called it.
    rarefy
        .arg("setup")
        .args(arguments)
        .stdout(std::io::stderr());
    command::run("setting up what is missing", &mut rarefy)
}

/// Sets up, then `rarefy quickstart` with the rest of the line.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    setup(&[])?;
    let mut rarefy = command::rarefy()?;
    command::run("quickstart", rarefy.arg("quickstart").args(arguments))
}
