//! The short run of the fuzzer that the tests include.

use std::path::Path;
use std::process::Command;

use super::case::case;
use super::check::Counts;
use super::kept::Kept;

/// The number of networks checked.
const NETWORKS: u64 = 200;

#[test]
fn random_networks_agree_with_the_oracle_at_every_step() {
    let (mut counts, mut failures, mut kept) = (Counts::default(), Vec::new(), Vec::new());
    for number in 0..NETWORKS {
        match case(1, number, &mut counts) {
            Ok(containers) => kept.extend(containers),
            Err(failure) => failures.push(failure.report()),
        }
    }
    println!("{counts}");
    assert!(
        failures.is_empty(),
        "{} of {NETWORKS} networks differ:\n{}",
        failures.len(),
        failures.join("\n\n")
    );
    // Enough networks of each kind must have been checked.
    for (what, least) in [
        ("networks folded and stripped", 120),
        ("networks with an addition", 20),
        ("networks pruned", 100),
        ("layers in dense", 50),
        ("layers in csr", 50),
        ("layers in words", 50),
        ("layers in columns", 50),
        ("layers in rice", 50),
        ("layers in csr-f32", 5),
        ("layers that keep weights of constants", 5),
        ("containers of int8", 50),
        ("containers of ternary", 20),
    ] {
        let seen = counts.seen.get(what).copied().unwrap_or(0);
        assert!(seen >= least, "{seen} {what}");
    }
    read_by_python(&kept);
}

/// Tests networks in which a residual addition reads a layer whose output is little more than its
/// bias: the weights are so small that no shift can bring their scale to the step of the sum.
#[test]
fn a_layer_of_faint_weights_can_be_a_skip() {
    for number in [450, 1766] {
        let mut counts = Counts::default();
        if let Err(failure) = case(2, number, &mut counts) {
            panic!("{}", failure.report());
        }
        assert_eq!(counts.seen.get("networks with an addition"), Some(&1));
    }
}

/// Tests a network whose last layer reads a channel that stays at its zero point. The biases that
/// cancel the channel's large weights leave no bits for the other biases if biases have 8 bits.
#[test]
fn the_choice_takes_no_encoding_whose_biases_lose_a_layer() {
    let mut counts = Counts::default();
    if let Err(failure) = case(3, 247, &mut counts) {
        panic!("{}", failure.report());
    }
    assert_eq!(counts.seen.get("containers of int6"), Some(&1));
}

/// Checks the same containers with the Python reader, which was written independently from the
/// specification. Does nothing if Python is not installed.
fn read_by_python(kept: &[Kept]) {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: the Python reader, because python3 is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Every third one: Python is slower than the engine.
    for (number, kept) in kept.iter().step_by(3).enumerate() {
        kept.write(folder.path(), &format!("{number:04}")).unwrap();
    }
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("../format/tests/reader.py");
    let output = Command::new("python3")
        .arg(reader)
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
