//! The command `rarefy`: see `rarefy help`.
#![forbid(unsafe_code)]

mod sources;

use std::process::ExitCode;

fn main() -> ExitCode {
    rarefy_trainer::cli::main(sources::all())
}
