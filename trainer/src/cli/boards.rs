//! `rarefy boards`: the boards a container can be measured on.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::next::Line;
use super::table::{table, text};
use crate::device::{self, Board, Boards, BrokenBoard, Machine, firmware_folder};
use crate::numbers::thousands;

/// The board used unless one is named.
pub(super) const DEFAULT_BOARD: &str = "mps2-an386";

#[derive(Debug, Args)]
pub(super) struct Arguments {}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    boards: Vec<Row>,
    /// Boards that cannot be used.
    broken: Vec<Broken>,
}

/// A board whose files are invalid.
#[derive(Debug, Serialize)]
struct Broken {
    board: String,
    why: String,
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

impl Broken {
    /// Describes `board`.
    fn new(board: &BrokenBoard) -> Self {
        Self {
            board: board.name.clone(),
            why: board.error.to_string(),
        }
    }
}

/// Returns whether a board called `name` exists.
pub(super) fn is_known(name: &str) -> bool {
    let boards = firmware_folder().and_then(|folder| Boards::discover(&folder));
    boards.is_ok_and(|boards| boards.get(name).is_ok())
}

/// Returns the command that measures the container `model` on `board`, with the dataset `data` if
/// given. If the board is real and probe-rs is not installed, the command only builds the program.
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
        broken: boards.broken().map(Broken::new).collect(),
    };
    console.result(
        &report,
        || {
            let mut rows = table(["board", "core", "flash", "RAM", "runs on"]);
            for row in &report.boards {
                let by = if row.emulated { "emulator" } else { "hardware" };
                let (flash, ram) = (thousands(row.flash), thousands(row.ram));
                rows.add_row([row.board.clone(), row.core.clone(), flash, ram, by.into()]);
            }
            let broken = report.broken.iter();
            let broken: String = broken
                .map(|it| format!("  unusable: {}\n", it.why))
                .collect();
            text(&rows) + &broken
        },
        Line::new(&["setup", "--dry-run"]),
    )
}
