//! Runs committed networks on every emulated core.

use std::fs;
use std::path::{Path, PathBuf};

use rarefy_trainer::data::folder;
use rarefy_trainer::device::{Board, MeasureOptions, NetworkReport, measure};

use super::{EMULATED, check, quiet, ready};

/// Network that runs on every board: packed words and columns. The self-test covers all encodings.
const DENSE: &str = "lenet-300-100-100x-speed-m4";

/// Network with convolutions and residual additions, and the boards that it runs on: one of each
/// instruction set, and one without the RAM for it.
const RESIDUAL: (&str, [&str; 6]) = (
    "residual-5x-speed-m4",
    [
        "mps2-an386",
        "mps2-an385",
        "microbit",
        "mps2-an505",
        "qemu-virt-rv32",
        "stm32vldiscovery",
    ],
);

/// Returns the folder of the committed networks.
fn networks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/networks")
}

/// Returns the container of the committed network `name`.
fn network(name: &str) -> Vec<u8> {
    fs::read(networks().join(format!("{name}.rfy"))).unwrap()
}

/// Returns the first `count` of the committed digits.
fn digits(count: usize) -> Vec<Vec<u8>> {
    let data = folder::load(&networks().join("digits")).unwrap();
    let images = (0..data.test.len().min(count)).map(|index| data.test.image(index).to_vec());
    images.collect()
}

/// Runs the network `name` on `board` with `count` digits, and checks that every logit is right or
/// that the report names the memory that is too small.
fn agree(board: &Board, name: &str, count: usize) -> NetworkReport {
    let options = MeasureOptions {
        dense: false,
        ..MeasureOptions::default()
    };
    let report = measure(board, &network(name), &digits(count), &options, &mut quiet).unwrap();
    let network = report.network;
    if network.fits {
        let mismatch = network.mismatch;
        assert_eq!(
            network.matches_host,
            Some(true),
            "{name} on {}: {mismatch:?}",
            board.name
        );
    } else {
        assert_eq!(board.name, "stm32vldiscovery", "{name}: {network:?}");
        assert!(network.over_by > Some(0), "{name}: {network:?}");
        assert_eq!(network.matches_host, None, "{name}");
    }
    network
}

#[test]
fn the_cortex_m3_with_8_kb_of_ram_measures_and_matches_the_host() {
    check("stm32vldiscovery");
}

#[test]
fn the_cortex_m33_measures_and_matches_the_host() {
    check("mps2-an505");
}

#[test]
fn every_core_computes_the_same_logits() {
    for board in EMULATED {
        let Some(board) = ready(board) else { continue };
        agree(&board, DENSE, 10);
        if RESIDUAL.1.contains(&board.name.as_str()) {
            agree(&board, RESIDUAL.0, 10);
        }
    }
}

/// Runs all committed networks with 100 digits, with a program per network and board.
#[test]
#[ignore = "takes minutes: run it with `--ignored` after a change of the kernels"]
fn every_core_computes_the_same_logits_of_all_committed_networks() {
    let mut names: Vec<String> = fs::read_dir(networks())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix(".rfy")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    for board in EMULATED {
        let Some(board) = ready(board) else { continue };
        for name in &names {
            let fits = agree(&board, name, 100).fits;
            eprintln!(
                "{}: {name}: {}",
                board.name,
                if fits { "equal" } else { "does not fit" }
            );
        }
    }
}

#[test]
fn cores_with_the_dsp_extension_take_its_kernels() {
    let median = |board: &str| {
        let board = ready(board)?;
        Some(agree(&board, DENSE, 10).cost.counts().unwrap().median)
    };
    let (Some(m4), Some(m3)) = (median("mps2-an386"), median("mps2-an385")) else {
        return;
    };
    // The same program, so the same instructions.
    for board in ["netduinoplus2", "mps2-an500"] {
        assert_eq!(median(board).unwrap(), m4, "{board}");
    }
    // The same kernels around which the compiler may choose other instructions.
    for board in ["mps2-an505", "mps3-an547"] {
        let Some(count) = median(board) else { continue };
        assert!(count.abs_diff(m4) * 50 < m4, "{board}: {count}, M4: {m4}");
        assert!(count + 1_000 < m3, "{board}: {count}, M3: {m3}");
    }
}
