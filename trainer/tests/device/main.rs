//! Builds models for boards, runs them in the emulator, and compares every logit.
//!
//! If the compiler for a board or the emulator is missing, these tests print `SKIPPED` and pass;
//! with RAREFY_REQUIRE_DEVICE=1 they fail instead.

#[cfg(unix)]
mod calibration;
mod chips;
mod cores;
mod cycles;
mod models;
mod predictions;
#[cfg(unix)]
mod refusals;

use std::env;
use std::fs;

use models::{coded, convolutional, crowded, lenet, rectangular, residual, samples, small};
use rarefy_format::{AlignedBytes, ByteMap, Model, UnitsSpec, with_units};
use rarefy_trainer::device::{
    Board, BoardReport, Boards, DeviceError, Machine, MeasureOptions, NetworkReport, Runner, Setup,
    firmware_folder, footprint, measure, selftest,
};

/// All emulated boards.
const EMULATED: [&str; 11] = [
    "mps2-an386",
    "microbit",
    "mps2-an385",
    "lm3s6965evb",
    "qemu-virt-rv32",
    "sifive-e",
    "stm32vldiscovery",
    "netduinoplus2",
    "mps2-an500",
    "mps2-an505",
    "mps3-an547",
];

/// Returns the board called `name`.
fn known(name: &str) -> Board {
    Boards::discover(&firmware_folder().unwrap())
        .unwrap()
        .get(name)
        .unwrap()
        .clone()
}

/// Returns the board called `name` if programs for it can be built and run here.
fn ready(name: &str) -> Option<Board> {
    built(known(name))
}

/// Returns `board` if programs for it can be built here and, if it is emulated, run.
fn built(board: Board) -> Option<Board> {
    let name = &board.name;
    let setup = Setup::plan(&Machine::default(), [&board]).unwrap();
    if setup.is_complete() {
        return Some(board);
    }
    let steps = setup.steps().join("; ");
    assert!(
        env::var_os("RAREFY_REQUIRE_DEVICE").is_none(),
        "RAREFY_REQUIRE_DEVICE is set, but {name} needs: {steps}"
    );
    eprintln!("SKIPPED: {name} needs: {steps}");
    None
}

/// Ignores progress.
fn quiet(_: &str) {}

/// Returns the bytes of flash that `model` occupies, padded to a multiple of 4.
fn stored(model: &[u8]) -> u64 {
    model.len().next_multiple_of(4) as u64
}

/// Measures a small model and its dense twin on a board and checks every figure.
fn check(name: &str) {
    let Some(board) = ready(name) else { return };
    let (model, inputs) = (small(), samples(7, 64));
    let options = MeasureOptions::default();
    let report = measure(&board, &model, &inputs, &options, &mut quiet).unwrap();
    let network = &report.network;
    assert!(network.fits);
    assert_eq!(network.matches_host, Some(true), "{:?}", network.mismatch);
    assert_eq!(report.samples, 7);

    let flash = network.flash.unwrap();
    assert_eq!(flash.model, stored(&model));
    assert_eq!(flash.total, flash.code + flash.model);
    assert!(flash.code > 1_000 && flash.code < 20_000, "{flash:?}");
    // The reported figures do not depend on the number of samples.
    let sizes = footprint(&board, &model, &options).unwrap();
    assert_eq!(sizes.flash(), flash.total);
    assert!(sizes.samples >= 64 && sizes.samples < 128, "{sizes:?}");
    let ram = network.ram.unwrap();
    // 8 + 3 words for the hidden layers, then 3 + 5: the arena is the larger sum.
    assert_eq!((ram.arena, ram.input), (44, 64));
    let stack = ram.stack_peak.unwrap();
    assert!(stack > 32 && stack < 2_000, "{ram:?}");
    assert_eq!(ram.total, Some(ram.static_bytes + ram.arena + stack));

    // A nonzero costs at least the loads of its column, its weight and its input.
    let counts = network.cost.counts().unwrap();
    assert!(counts.min > 260 * 3 && counts.max < 20_000, "{counts:?}");
    assert!(counts.min <= counts.median && counts.median <= counts.max);

    // The dense twin has equal logits, more bytes and more instructions.
    let dense = report.dense.as_ref().unwrap();
    assert_eq!(dense.matches_host, Some(true), "{:?}", dense.mismatch);
    let dense_counts = dense.cost.counts().unwrap();
    assert!(
        dense_counts.min > 64 * 40 + 40 * 16 + 16 * 5,
        "{dense_counts:?}"
    );
    assert!(dense.flash.unwrap().model > flash.model);

    // Counts are exact: a second measurement repeats every figure.
    let again = measure(&board, &model, &inputs, &options, &mut quiet).unwrap();
    assert_eq!(again, report);
    check_json(&report, name);
}

/// Checks the keys of the report's JSON.
fn check_json(report: &BoardReport, name: &str) {
    let counts = report.network.cost.counts().unwrap();
    let dense_counts = report.dense.as_ref().unwrap().cost.counts().unwrap();
    let ram = report.network.ram.unwrap();
    let json = serde_json::to_value(report).unwrap();
    assert_eq!(json["board"], name);
    assert_eq!(json["instructions"]["min"], counts.min);
    assert_eq!(json["ram"]["static"], ram.static_bytes);
    assert_eq!(json["dense"]["instructions"]["max"], dense_counts.max);
    for key in [
        "emulated",
        "fits",
        "matches_host",
        "samples",
        "flash",
        "ram",
        "dense",
    ] {
        assert!(!json[key].is_null(), "{key}: {json}");
    }
}

#[test]
fn the_cortex_m4f_measures_and_matches_the_host() {
    check("mps2-an386");
}

#[test]
fn the_cortex_m0_measures_and_matches_the_host() {
    check("microbit");
}

#[test]
fn the_cortex_m3_measures_and_matches_the_host() {
    check("mps2-an385");
}

#[test]
fn the_risc_v_measures_and_matches_the_host() {
    check("qemu-virt-rv32");
}

#[test]
fn instructions_do_not_depend_on_the_boards_clock_or_memories() {
    // Core and code are the same, clock and memories are not: ticks differ, instructions and stack
    // use do not.
    same_counts("mps2-an385", "lm3s6965evb");
    same_counts("qemu-virt-rv32", "sifive-e");
}

#[test]
fn the_clock_of_a_board_changes_milliseconds_and_no_instructions() {
    let Some(board) = ready("netduinoplus2") else {
        return;
    };
    let options = MeasureOptions {
        dense: false,
        cycles: true,
        ..MeasureOptions::default()
    };
    let at = |clock_hz| {
        let board = Board {
            clock_hz: Some(clock_hz),
            ..board.clone()
        };
        let report = measure(&board, &lenet(), &samples(2, 784), &options, &mut quiet);
        report.unwrap().network
    };
    let (fast, slow) = (at(168_000_000), at(84_000_000));
    assert_eq!((fast.cost, fast.load), (slow.cost, slow.load));
    let milliseconds = |network: &NetworkReport| network.estimate.as_ref().unwrap().milliseconds.0;
    assert!((milliseconds(&slow) / milliseconds(&fast) - 2.0).abs() < 1e-9);
}

#[test]
fn a_machine_whose_clock_is_not_known_is_checked_against_the_plug_in() {
    let Some(board) = ready("netduinoplus2") else {
        return;
    };
    let Some(known) = ready("mps2-an385") else {
        return;
    };
    let options = MeasureOptions {
        dense: false,
        cycles: true,
        ..MeasureOptions::default()
    };
    // QEMU's netduino2 has the same memories, a Cortex-M3 and 120 MHz.
    let count = |board: &Board| {
        let report = measure(board, &lenet(), &samples(2, 784), &options, &mut quiet)?;
        Ok::<_, DeviceError>(report.network.cost)
    };
    let at = |clock_hz| Board {
        runner: Runner::Emulator {
            machine: "netduino2".to_owned(),
        },
        core: known.core.clone(),
        target: known.target.clone(),
        clock_hz: Some(clock_hz),
        ..board.clone()
    };
    assert_eq!(count(&at(120_000_000)).unwrap(), count(&known).unwrap());
    let error = count(&at(60_000_000)).unwrap_err();
    assert!(matches!(error, DeviceError::WrongClock { .. }), "{error}");
}

/// Checks that two boards with the same core count the same.
fn same_counts(one: &str, other: &str) {
    let (Some(fast), Some(slow)) = (ready(one), ready(other)) else {
        return;
    };
    let options = MeasureOptions {
        dense: false,
        ..MeasureOptions::default()
    };
    let count = |board| {
        let report = measure(board, &lenet(), &samples(3, 784), &options, &mut quiet).unwrap();
        let network = report.network;
        (
            network.cost.counts().unwrap(),
            network.load,
            network.ram.unwrap().stack_peak,
        )
    };
    let (fast, slow) = (count(&fast), count(&slow));
    assert_eq!(fast, slow);
}

#[test]
fn the_dense_twin_of_lenet_exceeds_the_microbit_by_an_exact_number_of_bytes() {
    let Some(board) = ready("microbit") else {
        return;
    };
    let report = measure(
        &board,
        &lenet(),
        &samples(3, 784),
        &MeasureOptions::default(),
        &mut quiet,
    )
    .unwrap();
    assert!(report.network.fits);
    assert_eq!(report.network.matches_host, Some(true));
    let flash = report.network.flash.unwrap();
    assert!(flash.total * 2 < report.board.flash_size, "{flash:?}");
    let ram = report.network.ram.unwrap();
    assert!(ram.total.unwrap() * 2 < report.board.ram_size, "{ram:?}");

    let dense = report.dense.unwrap();
    assert!(!dense.fits);
    let flash = dense.flash.unwrap();
    assert!(flash.model > 266_200, "{flash:?}");
    assert_eq!(dense.over_by, Some(flash.total - report.board.flash_size));
    let json = serde_json::to_value(&dense).unwrap();
    assert!(
        json["instructions"].is_null() && json["matches_host"].is_null(),
        "{json}"
    );
    assert!(json["ram"]["stack_peak"].is_null(), "{json}");
}

#[test]
fn more_samples_than_flash_holds_run_in_batches() {
    let Some(board) = ready("lm3s6965evb") else {
        return;
    };
    let inputs = samples(400, 784);
    assert!((inputs.len() * 784) as u64 > board.flash.length);
    let options = MeasureOptions {
        dense: false,
        ..MeasureOptions::default()
    };
    let report = measure(&board, &lenet(), &inputs, &options, &mut quiet).unwrap();
    assert_eq!(
        report.network.matches_host,
        Some(true),
        "{:?}",
        report.network.mismatch
    );
    assert_eq!(report.samples, 400);
}

#[test]
fn a_real_boards_program_links() {
    let Some(board) = ready("nrf52840-dk") else {
        return;
    };
    let sizes = footprint(&board, &small(), &MeasureOptions::default()).unwrap();
    assert_eq!(sizes.excess(&board, 1024), None);
    assert_eq!(sizes.model, stored(&small()));
    // RAM holds the log's buffer: the transport is RTT.
    assert!(sizes.ram_static > 1024, "{sizes:?}");
}

#[test]
fn maps_match_the_host_on_every_architecture() {
    // RISC-V runs a committed network with convolutions in `cores`.
    for name in ["mps2-an386", "microbit"] {
        let Some(board) = ready(name) else { continue };
        for model in [convolutional(), residual()] {
            let inputs = samples(5, 784);
            let options = MeasureOptions {
                dense: name == "mps2-an386",
                ..MeasureOptions::default()
            };
            let report = measure(&board, &model, &inputs, &options, &mut quiet).unwrap();
            let network = &report.network;
            assert_eq!(network.matches_host, Some(true), "{:?}", network.mismatch);
            assert_eq!(network.flash.unwrap().model, stored(&model));
            // The dense twin has all channels and multiplies by every weight.
            let Some(dense) = report.dense.as_ref() else {
                continue;
            };
            assert_eq!(dense.matches_host, Some(true), "{:?}", dense.mismatch);
            let median = |report: &NetworkReport| report.cost.counts().unwrap().median;
            assert!(median(dense) > 2 * median(network), "{report:?}");
            assert!(dense.ram.unwrap().arena > network.ram.unwrap().arena);
        }
    }
}

#[test]
fn entropy_coded_rows_of_every_kind_match_the_host_on_every_instruction_set() {
    let model = coded();
    // All kinds of streams must occur: sorted, with a list, adjacency, a codebook; see SPEC.md.
    let bytes = AlignedBytes::copy_from(&model);
    let heads = Model::parse(&bytes).unwrap().layers();
    let heads: Vec<u8> = heads.map(|layer| layer.block()[0] & 0xf0).collect();
    for bit in 4..8 {
        let set = heads.iter().filter(|head| *head >> bit & 1 == 1).count();
        assert!(0 < set && set < heads.len(), "bit {bit} of {heads:x?}");
    }
    for name in ["mps2-an386", "mps2-an385", "microbit", "qemu-virt-rv32"] {
        let Some(board) = ready(name) else { continue };
        let options = MeasureOptions {
            dense: false,
            ..MeasureOptions::default()
        };
        let report = measure(&board, &model, &samples(9, 48), &options, &mut quiet).unwrap();
        let network = report.network;
        assert_eq!(network.matches_host, Some(true), "{:?}", network.mismatch);
    }
}

#[test]
fn crowded_convolutions_match_the_host_on_every_instruction_set() {
    for name in ["mps2-an386", "microbit", "qemu-virt-rv32"] {
        let Some(board) = ready(name) else { continue };
        for model in crowded() {
            // Kernels may distinguish inputs that are mostly zeros from inputs without zeros.
            let mut inputs = samples(4, 784);
            inputs.push(vec![255; 784]);
            inputs.push((0..784).map(|i| (i * 37 % 255 + 1) as u8).collect());
            let options = MeasureOptions {
                dense: false,
                ..MeasureOptions::default()
            };
            let report = measure(&board, &model, &inputs, &options, &mut quiet).unwrap();
            let network = &report.network;
            assert_eq!(network.matches_host, Some(true), "{:?}", network.mismatch);
        }
    }
}

#[test]
fn rectangular_windows_match_the_host_on_every_instruction_set() {
    for name in ["mps2-an386", "mps2-an385", "microbit", "qemu-virt-rv32"] {
        let Some(board) = ready(name) else { continue };
        for model in rectangular() {
            let length = Model::parse(&model).unwrap().inputs();
            let mut inputs = samples(4, length);
            inputs.push((0..length).map(|i| (i * 37 % 255 + 1) as u8).collect());
            let options = MeasureOptions {
                dense: name == "mps2-an386",
                ..MeasureOptions::default()
            };
            let report = measure(&board, &model, &inputs, &options, &mut quiet).unwrap();
            let network = &report.network;
            assert_eq!(network.matches_host, Some(true), "{:?}", network.mismatch);
            let dense = report.dense.as_ref().map(|dense| dense.matches_host);
            assert!(matches!(dense, None | Some(Some(true))), "{dense:?}");
        }
    }
}

/// Checks that a board runs a container that states units, as fast as one without.
#[test]
fn units_do_not_slow_an_inference() {
    let Some(board) = ready("mps2-an386") else {
        return;
    };
    let units = UnitsSpec {
        output_step: 0.5,
        maps: vec![ByteMap::new(-1.0, 1.0)],
    };
    let (plain, inputs) = (small(), samples(3, 64));
    let stating = with_units(&plain, &units).unwrap();
    let report = |model: &[u8]| {
        let options = MeasureOptions::default();
        measure(&board, model, &inputs, &options, &mut quiet).unwrap()
    };
    let (plain, stating) = (report(&plain).network, report(&stating).network);
    assert_eq!(stating.matches_host, Some(true), "{:?}", stating.mismatch);
    let counts = [stating, plain].map(|network| network.cost.counts().unwrap().median);
    // A model that may have units is one word of flags larger.
    assert!(counts[0].abs_diff(counts[1]) <= 4, "{counts:?}");
}

#[test]
fn the_self_test_passes_with_every_golden_container_on_every_emulated_board() {
    let golden = firmware_folder().unwrap().join("../format/tests/golden");
    let names: Vec<String> = fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix(".rfy")?.to_owned()))
        .collect();
    assert!(!names.is_empty());
    for board in EMULATED {
        let Some(board) = ready(board) else { continue };
        let log = selftest(&board, &MeasureOptions::default(), &mut quiet).unwrap();
        for name in &names {
            let passed = format!("rarefy selftest {name}: pass");
            assert!(log.iter().any(|line| line.ends_with(&passed)), "{log:?}");
        }
    }
}
