//! Links programs for chips by name, and compares networks with the memories of many chips.

use std::fs;
use std::path::Path;

use rarefy_trainer::device::{
    Board, Chip, MeasureOptions, STACK_RESERVE, StackNeed, WELL_KNOWN, build, build_with_stack,
    firmware_folder, fits, stack_need,
};

use super::{built, quiet};
#[cfg(unix)]
use crate::refusals::{fake, with_tools};

/// Chips whose programs cover all Arm targets of the boards; the first has a second boot stage.
const CHOSEN: [&str; 4] = ["RP2040", "STM32F103C8", "STM32F411CEUx", "STM32L552CE"];

/// Returns the container of a LeNet-300-100 pruned to 100x.
fn lenet_100x() -> Vec<u8> {
    let networks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/networks");
    fs::read(networks.join("lenet-300-100-100x-size.rfy")).unwrap()
}

/// Returns the chip called `name` as a board, if programs for it can be built here.
fn chip(name: &str) -> Option<Board> {
    let chip = Chip::find(name).unwrap();
    built(chip.board(&firmware_folder().unwrap()).unwrap())
}

/// Links the program for `board` with a LeNet at 100x, and checks its sizes.
fn link(board: &Board) {
    let options = MeasureOptions {
        dense: false,
        ..MeasureOptions::default()
    };
    let report = build(board, &lenet_100x(), &options, &mut quiet).unwrap();
    assert_eq!(report.board.name, board.name);
    assert!(!report.board.emulated);
    let (flash, ram) = (report.network.flash.unwrap(), report.network.ram.unwrap());
    assert_eq!(flash.model, lenet_100x().len().next_multiple_of(4) as u64);
    assert!(flash.code > 4_000 && flash.code < 20_000, "{flash:?}");
    // The input and the log's buffer are part of the static data.
    assert!(ram.static_bytes > 784 + 1_024, "{ram:?}");
    let needed = ram.static_bytes + ram.arena + STACK_RESERVE;
    let fits = flash.total <= board.flash.length && needed <= board.ram.length;
    assert_eq!(report.network.fits, fits, "{report:?}");
}

#[test]
fn a_lenet_links_for_a_chip_of_every_target() {
    for name in CHOSEN {
        if let Some(board) = chip(name) {
            link(&board);
        }
    }
}

/// Links a program for each of the well-known chips, which takes minutes.
#[test]
#[ignore = "takes minutes: run it with `--ignored` after a change of the table of chips"]
fn a_lenet_links_for_every_well_known_chip() {
    for name in WELL_KNOWN {
        if let Some(board) = chip(name) {
            link(&board);
            eprintln!("{name}: linked");
        }
    }
}

#[test]
fn a_lenet_is_compared_with_the_memories_of_every_well_known_chip() {
    let options = MeasureOptions {
        dense: false,
        ..MeasureOptions::default()
    };
    let chips: Vec<Chip> = WELL_KNOWN.map(|name| Chip::find(name).unwrap()).to_vec();
    let firmware = firmware_folder().unwrap();
    let boards = chips.iter().map(|chip| chip.board(&firmware).unwrap());
    if !boards.into_iter().all(|board| built(board).is_some()) {
        return;
    }
    let found = fits(&chips, &lenet_100x(), &options, &mut quiet).unwrap();
    assert_eq!(found.chips.len(), WELL_KNOWN.len());
    for fit in &found.chips {
        let (flash, ram) = (fit.chip.flash.length, fit.chip.ram.length);
        assert_eq!(
            fit.fits,
            fit.flash_used <= flash && fit.ram_used <= ram,
            "{fit:?}"
        );
    }
    // The sizes are those of a program that is linked for the chip.
    for name in CHOSEN {
        let Some(board) = chip(name) else { return };
        let sized = fits(
            &[Chip::find(name).unwrap()],
            &lenet_100x(),
            &options,
            &mut quiet,
        );
        let sized = &sized.unwrap().chips[0];
        let report = build(&board, &lenet_100x(), &options, &mut quiet).unwrap();
        let ram = report.network.ram.unwrap();
        let stack = stack_need(&board.target, &lenet_100x(), &options, &firmware).unwrap();
        // There is an emulated core with the same instructions.
        assert!(
            stack.measured_on.is_some() && stack.bytes < STACK_RESERVE,
            "{stack:?}"
        );
        assert_eq!(
            sized.flash_used,
            report.network.flash.unwrap().total,
            "{name}"
        );
        assert_eq!(
            sized.ram_used,
            ram.static_bytes + ram.arena + stack.bytes,
            "{name}"
        );
        assert_eq!(sized.stack, stack, "{name}");
    }
}

/// Compares chips with 3 and 2 KB of RAM, where stack and reserve may decide differently.
#[test]
fn the_table_of_chips_and_the_program_for_a_chip_agree_on_what_fits() {
    let emulated = MeasureOptions {
        dense: false,
        ..MeasureOptions::default()
    };
    for name in ["CIU32F003F5Px", "STM32L011F4"] {
        let Some(board) = chip(name) else { return };
        let chip = Chip::find(name).unwrap();
        let fit = fits(&[chip], &lenet_100x(), &emulated, &mut quiet).unwrap();
        let fit = &fit.chips[0];
        let network = build_with_stack(&board, &lenet_100x(), &emulated, &mut quiet);
        let network = network.unwrap().network;
        assert_eq!(network.fits, fit.fits, "{fit:?} {network:?}");
        let over = match network.over_in {
            Some("flash") => fit.flash_over,
            Some(_) => fit.ram_over,
            None => 0,
        };
        assert_eq!(network.over_by.unwrap_or(0), over, "{fit:?} {network:?}");
        assert_ne!(fit.stack, StackNeed::RESERVE);
    }
}

#[cfg(unix)]
#[test]
fn a_program_is_built_for_a_chip_although_the_emulator_fails() {
    let Some(board) = chip("STM32F103C8") else {
        return;
    };
    let tools = tempfile::tempdir().unwrap();
    fake(tools.path(), "qemu-system-arm", "exit 9");
    let options = with_tools(tools.path());
    let report = build_with_stack(&board, &lenet_100x(), &options, &mut quiet).unwrap();
    let ram = report.network.ram.unwrap();
    assert!(
        report.network.fits && ram.stack_peak.is_none(),
        "{report:?}"
    );
    let chip = Chip::find("STM32F103C8").unwrap();
    let fit = fits(&[chip], &lenet_100x(), &options, &mut quiet).unwrap();
    assert_eq!(fit.chips[0].stack, StackNeed::RESERVE);
    assert_eq!(
        fit.chips[0].ram_used,
        ram.static_bytes + ram.arena + STACK_RESERVE
    );
}

#[test]
fn a_network_that_exceeds_a_chip_is_too_large_by_an_exact_number_of_bytes() {
    // 16 KB of flash, which a LeNet at 10x exceeds, and 4 KB of RAM.
    let Some(board) = chip("STM32F030F4") else {
        return;
    };
    let networks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/networks");
    let model = fs::read(networks.join("lenet-300-100-10x-size.rfy")).unwrap();
    let options = MeasureOptions {
        dense: false,
        ..MeasureOptions::default()
    };
    let network = build(&board, &model, &options, &mut quiet).unwrap().network;
    assert!(!network.fits);
    let total = network.flash.unwrap().total;
    assert_eq!(network.over_by, Some(total - 16_384));
    assert_eq!(network.over_in, Some("flash"));
}
