//! `rarefy boards`: where a container can be measured.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::next::Line;
use super::table::{table, text, thousands};
use crate::device::{Board, Boards, firmware_folder};

/// The board that is meant where none is named.
pub(super) const DEFAULT_BOARD: &str = "mps2-an386";

#[derive(Debug, Args)]
pub(super) struct Arguments {}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    boards: Vec<Row>,
}

/// One board.
#[derive(Debug, Serialize)]
struct Row {
    board: String,
    core: String,
    emulated: bool,
    flash: u64,
    ram: u64,
    target: String,
    description: String,
}

pub(super) fn run(_: &Arguments, console: &Console) -> Result<()> {
    let boards = Boards::discover(&firmware_folder()?)?;
    let row = |board: &Board| Row {
        board: board.name.clone(),
        core: board.core.clone(),
        emulated: board.emulated(),
        flash: board.flash.length,
        ram: board.ram.length,
        target: board.target.clone(),
        description: board.description.clone(),
    };
    let report = Report {
        boards: boards.iter().map(row).collect(),
    };
    console.result(
        &report,
        || {
            let mut rows = table(["board", "core", "flash", "RAM", "run by"]);
            for row in &report.boards {
                let by = if row.emulated { "emulator" } else { "probe-rs" };
                let (flash, ram) = (thousands(row.flash), thousands(row.ram));
                rows.add_row([row.board.clone(), row.core.clone(), flash, ram, by.into()]);
            }
            text(&rows)
        },
        Line::new(&["setup", "--dry-run"]),
    )
}
