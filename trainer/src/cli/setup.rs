//! `rarefy setup`: installs the tools that `measure` needs and this machine lacks.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::interrupt;
use super::next::Line;
use crate::device::{Board, Boards, Machine, Setup, firmware_folder};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// List what would be installed without installing it
    #[arg(long)]
    dry_run: bool,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    complete: bool,
    steps: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let boards = Boards::discover(&firmware_folder()?)?;
    let machine = Machine::default();
    // The compilers for emulated boards also serve the real ones; probe-rs is left to the user.
    let setup = Setup::plan(
        &machine,
        boards.iter().filter(|board| Board::emulated(board)),
    )?;
    let mut complete = setup.is_complete();
    if !arguments.dry_run && !complete {
        let spinner = console.spinner();
        setup.apply(&machine, Some(interrupt::flag()), &mut |step| {
            spinner.aside(|| console.note(&format!("installing: {step}")));
            spinner.message(step);
        })?;
        complete = true;
    }
    let report = Report {
        complete,
        steps: setup.steps(),
    };
    console.result(
        &report,
        || match (report.steps.is_empty(), arguments.dry_run) {
            (true, _) => "all tools for measuring are installed\n".into(),
            (false, true) => format!(
                "`rarefy setup` would run:\n  {}\n",
                report.steps.join("\n  ")
            ),
            (false, false) => "done; all tools for measuring are installed\n".into(),
        },
        Line::new(if report.complete {
            &["quickstart"]
        } else {
            &["setup"]
        }),
    )
}
