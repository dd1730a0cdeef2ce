//! `rarefy setup`: what `measure` needs and this machine lacks.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::interrupt;
use super::next::Line;
use crate::device::{Board, Boards, Machine, Setup, firmware_folder};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only say what would be installed
    #[arg(long)]
    dry_run: bool,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    complete: bool,
    steps: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let boards = Boards::discover(&firmware_folder()?)?;
    let machine = Machine::default();
    // A real board's probe is its owner's affair; its compiler comes with the emulated boards'.
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
            (true, _) => "everything that measuring needs is here\n".into(),
            (false, true) => format!(
                "missing; `rarefy setup` would do:\n  {}\n",
                report.steps.join("\n  ")
            ),
            (false, false) => "installed; everything that measuring needs is here\n".into(),
        },
        Line::new(if report.complete {
            &["quickstart"]
        } else {
            &["setup"]
        }),
    )
}
