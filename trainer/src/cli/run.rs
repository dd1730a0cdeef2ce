//! `rarefy run`: runs a program on an emulated board and prints its log. The projects that `rarefy
//! new` writes start it with `cargo run`.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use serde::Serialize;

use super::console::{Console, written};
use super::measured;
use super::next::{Next, Why};
use super::printable::printable;
use crate::device::{Boards, emulate, firmware_folder};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Program (ELF file) that logs with defmt through semihosting
    program: PathBuf,
    /// Emulated board: a name listed by `rarefy boards`
    #[arg(long)]
    board: String,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    board: String,
    success: bool,
    /// Lines of the log, which the text output prints as they arrive.
    log: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let boards = Boards::discover(&firmware_folder()?)?;
    let board = boards.get(&arguments.board)?;
    let (mut log, mut printed) = (Vec::new(), Ok(()));
    let mut print = |line: &str| match console.is_json() {
        true => log.push(line.to_owned()),
        false if printed.is_ok() => printed = writeln!(io::stdout(), "{}", printable(line)),
        false => {}
    };
    let success = emulate(&arguments.program, board, &measured::options(), &mut print)?;
    written(printed)?;
    if console.is_json() {
        let report = Report {
            board: board.name.clone(),
            success,
            log,
        };
        console.result(&report, String::new, Next::Nothing(Why::Arrived))?;
    }
    match success {
        true => Ok(()),
        false => Err(anyhow!(
            "the program on {} ended with failure; see its log",
            board.name
        )),
    }
}
