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
    /// List only chips whose core's name contains this text, such as m4 or m33, in any case; chips
    /// whose core may be another one are listed, too
    #[arg(long)]
    core: Option<String>,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    chips: Vec<Chip>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    // A name with its package need not be part of a listed name, so it is looked up as a whole.
    let filter = arguments.filter.as_ref();
    let named = filter.map(|name| Chip::find(name)).transpose();
    let exact = named.as_ref().ok().cloned().flatten();
    let is_exact = |chip: &Chip| exact.as_ref() == Some(chip);
    let listed = chips().filter(|chip| arguments.lists(chip, is_exact(chip)));
    let mut listed: Vec<Chip> = listed.collect();
    if listed.is_empty() {
        if !filter.is_some_and(|part| chips().any(|chip| contains(chip.name, part))) {
            named?;
        }
        return Err(anyhow!(
            "no chip has all of these properties; ask for less flash (--flash), less RAM (--ram) or another core (--core)"
        ));
    }
    listed.sort_by_key(|chip| (chip.name, chip.flash.length));
    let report = Report { chips: listed };
    let next = match report.chips.first() {
        Some(chip) if chip.is_usable() => Next::Run(
            Line::new(&["measure", "model.rfy", "--build-only"]).option("--chip", chip.name),
        ),
        _ => Next::Nothing(Why::NoCore),
    };
    console.result(&report, || listing(&report.chips), next)
}

impl Arguments {
    /// Returns `true` if `chip` passes all filters; `exact` states that the filter is its name.
    fn lists(&self, chip: &Chip, exact: bool) -> bool {
        let named = match &self.filter {
            Some(part) => exact || contains(chip.name, part),
            None => self.core.is_some() || chip.is_usable(),
        };
        let core = self.core.as_ref();
        named
            && core.is_none_or(|part| is_core(chip.core.name(), part))
            && chip.flash.length >= self.flash << 10
            && chip.ram.length >= self.ram << 10
    }
}

/// Returns `true` if `text` contains `part`, ignoring case.
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// Returns `true` if the name of a core, or one of those that a slash in it separates, contains
/// `part`.
fn is_core(name: &str, part: &str) -> bool {
    let cores = name.trim_start_matches("Cortex-").split('/');
    contains(name, part)
        || name.starts_with("Cortex-")
            && cores
                .into_iter()
                .any(|core| contains(&format!("Cortex-{core}"), part))
}

/// Formats the first [`SHOWN`] chips as a table.
fn listing(chips: &[Chip]) -> String {
    let mut rows = table(["chip", "core", "flash", "RAM"]);
    for chip in chips.iter().take(SHOWN) {
        let flash = match (chip.has_flash(), chip.external_flash()) {
            (false, _) => "none".to_owned(),
            (true, true) => format!("external, up to {}", thousands(chip.flash.length)),
            (true, false) => thousands(chip.flash.length),
        };
        rows.add_row([
            chip.name.to_owned(),
            chip.core.name().to_owned(),
            flash,
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
    let shown = chips.iter().take(SHOWN);
    if shown.into_iter().any(|chip| chip.core.name().contains('/')) {
        listing += "  a core with / is one of those named: the registry does not tell which\n";
    }
    listing
}

/// Returns the chip called `name` as a board. If its program will be run (`runs`), checks that the
/// chip starts it.
pub(super) fn board(name: &str, runs: bool) -> Result<Board> {
    let chip = Chip::find(name)?;
    let board = chip.board(&firmware_folder()?)?;
    if runs {
        chip.check_start()?;
    }
    Ok(board)
}

/// Returns whether the chip called `name` starts a program as the firmware links it.
pub(super) fn starts(name: &str) -> bool {
    Chip::find(name).is_ok_and(|chip| chip.check_start().is_ok())
}
