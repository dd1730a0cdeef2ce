//! Tests of errors: programs that do not fit, missing tools, emulators that misbehave.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rarefy_format::{AlignedBytes, Model};
use rarefy_trainer::device::{
    DeviceError, Excess, ImageError, Machine, MeasureOptions, Memory, RunError, STACK_RESERVE,
    dense_twin, footprint, measure,
};

use crate::models::{lenet, samples, small, sparse_model};
use crate::{known, quiet, ready};

/// Creates a program called `name` that runs a shell script.
pub(crate) fn fake(folder: &Path, name: &str, script: &str) {
    // A program that is running cannot be overwritten, but it can be replaced.
    let new = folder.join(format!("{name}.new"));
    fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&new, folder.join(name)).unwrap();
}

/// Returns options that search the folder `tools` first.
pub(crate) fn with_tools<'a>(tools: &Path) -> MeasureOptions<'a> {
    let machine = Machine::default();
    let folders: Vec<_> = env::split_paths(&machine.path).collect();
    let path = env::join_paths([tools.to_path_buf()].into_iter().chain(folders)).unwrap();
    MeasureOptions {
        machine: Machine { path, ..machine },
        dense: false,
        ..Default::default()
    }
}

/// Returns options that search the folder `tools` only.
fn only_tools<'a>(tools: &Path) -> MeasureOptions<'a> {
    let machine = Machine {
        path: tools.into(),
        debian_rustc: tools.join("nothing"),
    };
    MeasureOptions {
        machine,
        ..Default::default()
    }
}

/// Returns the dense twin of a container.
fn twin(container: &[u8]) -> Vec<u8> {
    let container = AlignedBytes::copy_from(container);
    dense_twin(&Model::parse(&container).unwrap()).unwrap()
}

#[test]
fn a_program_too_large_for_its_board_is_reported_with_its_excess_and_not_run() {
    let Some(board) = ready("microbit") else {
        return;
    };
    // With this emulator, any run would be an error.
    let tools = tempfile::tempdir().unwrap();
    fake(tools.path(), "qemu-system-arm", "exit 9");
    let options = with_tools(tools.path());

    let large = twin(&lenet());
    let report = measure(&board, &large, &samples(1, 784), &options, &mut quiet).unwrap();
    assert!(!report.network.fits);
    assert_eq!(report.network.over_in, Some("flash"));
    let sizes = footprint(&board, &large, &options).unwrap();
    let over_by = report.network.over_by.unwrap();
    let excess = Excess {
        memory: Memory::Flash,
        bytes: over_by,
    };
    assert_eq!(sizes.excess(&board, 0), Some(excess));

    // A buffer of 20,000 inputs in 16,384 bytes of RAM.
    let wide = sparse_model(&[((20_000, 20_000), (4, 4), 40)], 3);
    let report = measure(&board, &wide, &samples(1, 20_000), &options, &mut quiet).unwrap();
    assert_eq!(
        (report.network.fits, report.network.over_in),
        (false, Some("ram"))
    );
    let over = report.network.over_by.unwrap();
    assert!(over > 20_000 - 16_384 && over < 20_000, "{over}");
    let error = footprint(&board, &wide, &options).unwrap_err();
    assert!(
        matches!(error, DeviceError::Image(ImageError::NoRoom { over_by, .. }) if over_by + STACK_RESERVE == over),
        "{error}"
    );

    // Static data that fits in RAM but leaves too little for the stack.
    let tight = sparse_model(&[((15_500, 15_500), (4, 4), 40)], 3);
    let report = measure(&board, &tight, &samples(1, 15_500), &options, &mut quiet).unwrap();
    assert_eq!(
        (report.network.fits, report.network.over_in),
        (false, Some("ram"))
    );
    assert!(report.network.flash.is_some());
}

#[test]
fn a_missing_emulator_or_probe_is_reported_before_anything_is_built() {
    let tools = tempfile::tempdir().unwrap();
    let options = only_tools(tools.path());
    for (name, expected) in [("microbit", "qemu-system-arm"), ("nrf52840-dk", "probe-rs")] {
        let mut built = |_: &str| panic!("built");
        let error = measure(
            &known(name),
            &small(),
            &samples(1, 64),
            &options,
            &mut built,
        );
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(name), "{error}");
    }
}

#[test]
fn a_missing_compiler_is_reported_with_its_remedies() {
    let tools = tempfile::tempdir().unwrap();
    fake(tools.path(), "qemu-system-arm", "exit 9");
    let options = only_tools(tools.path());
    let refuse = || {
        let board = known("microbit");
        measure(&board, &small(), &samples(1, 64), &options, &mut quiet)
            .unwrap_err()
            .to_string()
    };
    let error = refuse();
    assert!(error.contains("rustup.rs"), "{error}");
    fake(tools.path(), "cargo", "exit 9");
    let error = refuse();
    assert!(
        error.contains("rustup target add thumbv6m-none-eabi"),
        "{error}"
    );
    let packages = error.contains("rust-web-src");
    assert_eq!(packages, cfg!(target_os = "linux"), "{error}");
}

#[test]
fn invalid_models_and_inputs_are_rejected() {
    let tools = tempfile::tempdir().unwrap();
    fake(tools.path(), "qemu-system-arm", "exit 9");
    let options = with_tools(tools.path());
    let refuse = |model: &[u8], inputs: &[Vec<u8>]| {
        measure(&known("microbit"), model, inputs, &options, &mut quiet).unwrap_err()
    };
    assert!(matches!(
        refuse(b"", &samples(1, 64)),
        DeviceError::Model(_)
    ));
    let mut broken = small();
    broken[40] ^= 1;
    assert!(matches!(
        refuse(&broken, &samples(1, 64)),
        DeviceError::Model(_)
    ));
    assert!(matches!(refuse(&small(), &[]), DeviceError::NoInputs));
    let error = refuse(&small(), &[vec![0; 64], vec![0; 63]]);
    assert!(
        matches!(
            error,
            DeviceError::InputLength {
                index: 1,
                found: 63,
                expected: 64
            }
        ),
        "{error}"
    );
}

#[test]
fn an_emulator_that_hangs_prints_garbage_or_dies_is_an_error_of_one_sentence() {
    let Some(board) = ready("mps2-an386") else {
        return;
    };
    let tools = tempfile::tempdir().unwrap();
    let run = |script: &str, milliseconds: u64| {
        fake(tools.path(), "qemu-system-arm", script);
        let timeout = Duration::from_millis(milliseconds);
        let options = MeasureOptions {
            timeout,
            ..with_tools(tools.path())
        };
        let error = measure(&board, &small(), &samples(1, 64), &options, &mut quiet).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("mps2-an386") && !text.contains('\n'),
            "{text}"
        );
        match error {
            DeviceError::Run(error) => error,
            other => panic!("{other}"),
        }
    };
    assert!(matches!(
        run("exec sleep 600", 300),
        RunError::TimedOut { .. }
    ));
    assert!(matches!(
        run("printf 'no frame at all'", 60_000),
        RunError::Garbage { .. }
    ));
    let error = run("printf '\\377\\376\\375\\374\\000'; exec sleep 600", 60_000);
    assert!(matches!(error, RunError::Garbage { .. }), "{error}");
    assert!(matches!(run("exit 0", 60_000), RunError::Ended { .. }));
    let error = run("echo 'Could not load kernel' >&2; exit 1", 60_000);
    assert!(
        error.to_string().contains("Could not load kernel"),
        "{error}"
    );
}

#[test]
fn a_measurement_stops_when_its_flag_is_set() {
    let Some(board) = ready("mps2-an386") else {
        return;
    };
    let stop = AtomicBool::new(true);
    let options = MeasureOptions {
        stop: Some(&stop),
        ..Default::default()
    };
    let error = measure(&board, &small(), &samples(1, 64), &options, &mut quiet).unwrap_err();
    assert!(error.to_string().starts_with("stopped"), "{error}");
}

#[test]
fn an_emulator_without_plug_ins_measures_without_cycles() {
    let Some(board) = ready("microbit") else {
        return;
    };
    let real = Machine::default().find("qemu-system-arm").unwrap();
    let tools = tempfile::tempdir().unwrap();
    let script = format!(
        "case \"$*\" in *-plugin*) echo 'qemu-system-arm: -plugin: invalid option' >&2; exit 1;; esac\nexec '{}' \"$@\"",
        real.display()
    );
    fake(tools.path(), "qemu-system-arm", &script);
    let options = MeasureOptions {
        cycles: true,
        ..with_tools(tools.path())
    };
    let report = measure(&board, &small(), &samples(2, 64), &options, &mut quiet).unwrap();
    let network = report.network;
    assert_eq!((network.matches_host, network.estimate), (Some(true), None));
    let why = network.no_estimate.unwrap();
    assert!(why.contains("-plugin: invalid option"), "{why}");
}

#[test]
fn an_emulator_without_the_machine_is_an_error_with_a_remedy() {
    let Some(board) = ready("mps3-an547") else {
        return;
    };
    let tools = tempfile::tempdir().unwrap();
    // What QEMU prints.
    let script = "echo 'qemu-system-arm: unsupported machine type' >&2; exit 1";
    fake(tools.path(), "qemu-system-arm", script);
    let options = with_tools(tools.path());
    let error = measure(&board, &small(), &samples(1, 64), &options, &mut quiet).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this qemu-system-arm does not emulate mps3-an547; install QEMU 7.2 or later, or choose \
         another board (`rarefy boards`)"
    );
}

#[test]
fn a_missing_probe_and_two_probes_are_errors_with_a_remedy() {
    let Some(board) = ready("nrf52840-dk") else {
        return;
    };
    let tools = tempfile::tempdir().unwrap();
    let options = MeasureOptions {
        dense: false,
        ..with_tools(tools.path())
    };
    // What probe-rs prints: without a probe, with two, and when it asks which one to use.
    for (printed, expected) in [
        (
            "Error: No connected probes were found.",
            "no debug probe is connected",
        ),
        (
            "Error: 2 probes were found: \n    1. J-Link\n    2. CMSIS-DAP",
            "several debug probes are connected",
        ),
        (
            "Available Probes:\n0: J-Link\n1: CMSIS-DAP\nSelection: Error: Failed to parse",
            "several debug probes are connected",
        ),
    ] {
        let script = format!("cat >&2 <<'END'\n{printed}\nEND\nexit 1");
        fake(tools.path(), "probe-rs", &script);
        let error = measure(&board, &small(), &samples(1, 64), &options, &mut quiet).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(expected), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
}
