//! `rarefy boards`: where a container can be measured.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::next::Line;
use super::table::{table, text, thousands};
use crate::device::{self, Board, Boards, Machine, firmware_folder};

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

/// Whether there is a board called `name`.
pub(super) fn is_known(name: &str) -> bool {
    let boards = firmware_folder().and_then(|folder| Boards::discover(&folder));
    boards.is_ok_and(|boards| boards.get(name).is_ok())
}

/// Returns the line that measures the container `model` on the board of this name, on `data` where
/// that was given; it builds alone where the board is real and no probe can reach it.
pub(super) fn measure_line(model: &Path, board: &str, data: Option<&str>) -> Line {
    let line = Line::new(&["measure"]).path(model).option("--board", board);
    let boards = firmware_folder().and_then(|folder| Boards::discover(&folder));
    let found = boards.and_then(|boards| boards.get(board).cloned());
    let unreachable = found.is_ok_and(|board| {
        !board.emulated() && device::check_runner(&board, &Machine::default()).is_err()
    });
    match (unreachable, data) {
        (true, _) => line.word("--build-only"),
        (false, Some(data)) => line.option("--data", data),
        (false, None) => line,
    }
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
