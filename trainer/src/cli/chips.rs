//! `rarefy chips`: the chips that `--chip` names.

use anyhow::{Result, anyhow};
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::next::{Line, Next, Why};
use super::table::{table, text};
use crate::device::{Board, Chip, chips, firmware_folder};
use crate::numbers::thousands;

/// Number of chips that the text output lists at most.
const SHOWN: usize = 100;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// List only chips whose names contain this text, in any case [default: all chips with a core
    /// that the firmware runs on]
    filter: Option<String>,
    /// List only chips with at least this much flash, in KiB
    #[arg(long, value_name = "KIB", default_value = "0")]
    flash: u64,
    /// List only chips with at least this much RAM in one piece, in KiB
    #[arg(long, value_name = "KIB", default_value = "0")]
    ram: u64,
    /// List only chips whose core's name contains this text, such as m4 or m33
    #[arg(long)]
    core: Option<String>,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    chips: Vec<Chip>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let mut chips: Vec<Chip> = chips().filter(|chip| arguments.lists(chip)).collect();
    if chips.is_empty() {
        // The error suggests names, if there is no chip of that name at all.
        if let Some(name) = &arguments.filter {
            Chip::find(name)?;
        }
        return Err(anyhow!(
            "no chip has all of these properties; ask for less flash (--flash), less RAM (--ram) or another core (--core)"
        ));
    }
    chips.sort_by_key(|chip| (chip.name, chip.flash.length));
    let report = Report { chips };
    let next = match report.chips.first() {
        Some(chip) if chip.core.target().is_some() => Next::Run(
            Line::new(&["measure", "model.rfy", "--build-only"]).option("--chip", chip.name),
        ),
        _ => Next::Nothing(Why::NoCore),
    };
    console.result(&report, || listing(&report.chips), next)
}

impl Arguments {
    /// Returns `true` if `chip` passes all filters.
    fn lists(&self, chip: &Chip) -> bool {
        let contains = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        let named = match &self.filter {
            Some(part) => contains(chip.name, part),
            None => chip.core.target().is_some(),
        };
        let core = self.core.as_ref();
        named
            && core.is_none_or(|part| contains(chip.core.name(), part))
            && chip.flash.length >= self.flash << 10
            && chip.ram.length >= self.ram << 10
    }
}

/// Formats the first [`SHOWN`] chips as a table.
fn listing(chips: &[Chip]) -> String {
    let mut rows = table(["chip", "core", "flash", "RAM"]);
    for chip in chips.iter().take(SHOWN) {
        let external = if chip.external_flash() {
            "external, up to "
        } else {
            ""
        };
        rows.add_row([
            chip.name.to_owned(),
            chip.core.name().to_owned(),
            format!("{external}{}", thousands(chip.flash.length)),
            thousands(chip.ram.length),
        ]);
    }
    let mut listing = text(&rows);
    if chips.len() > SHOWN {
        listing += &format!(
            "  ... and {} more; name a part of the chip's name, or give --flash, --ram or --core\n",
            thousands((chips.len() - SHOWN) as u64)
        );
    }
    listing
}

/// Returns the chip called `name` as a board. With `runs`, checks that the chip can be started.
pub(super) fn board(name: &str, runs: bool) -> Result<Board> {
    let chip = Chip::find(name)?;
    let board = chip.board(&firmware_folder()?)?;
    if runs {
        chip.check_start()?;
    }
    Ok(board)
}
