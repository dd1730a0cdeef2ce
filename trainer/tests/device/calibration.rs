//! Compares estimated cycles with those that a physical board reports. The board is simulated: a
//! shell script in place of `probe-rs` prints what the program would log.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use rarefy_format::{AlignedBytes, Model};
use rarefy_runtime::Engine;
use rarefy_trainer::device::{
    CalibrateError, DeviceError, MeasureOptions, RunError, calibrate, measure,
};

use super::models::{samples, small};
use super::{known, quiet, ready};
use crate::refusals::{fake, with_tools};

/// Ticks that measuring itself takes on the simulated board.
const OVERHEAD: u64 = 12;

/// Returns the log of a board that computes the right logits of `inputs`, in the given cycles.
fn log(model: &[u8], inputs: &[Vec<u8>], cycles: &[u64]) -> String {
    let model = AlignedBytes::copy_from(model);
    let model = Model::parse(&model).unwrap();
    let engine = Engine::new(model).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut log = format!(
        "rarefy start samples={} outputs={} overhead={OVERHEAD} load=900 stack=120 base=40\n",
        inputs.len(),
        model.outputs()
    );
    for (index, (input, cycles)) in inputs.iter().zip(cycles).enumerate() {
        let logits = engine.infer(input, &mut arena).unwrap();
        let ticks = cycles + OVERHEAD;
        writeln!(
            log,
            "rarefy sample={index} ticks={ticks} stack=96 logits={logits:?}"
        )
        .unwrap();
    }
    log + "rarefy done\n"
}

/// Makes `probe-rs` in `tools` print `log`.
fn probe(tools: &Path, log: &str) {
    fs::write(tools.join("log"), log).unwrap();
    fake(tools, "probe-rs", &format!("cat {}/log", tools.display()));
}

#[test]
fn counted_cycles_are_divided_by_estimated_ones() {
    let Some(emulated) = ready("mps2-an386") else {
        return;
    };
    let board = known("nrf52840-dk");
    let (model, inputs) = (small(), samples(3, 64));
    let tools = tempfile::tempdir().unwrap();
    let options = with_tools(tools.path());
    probe(
        tools.path(),
        &log(&model, &inputs, &[30_000, 10_000, 20_000]),
    );
    let found = calibrate(&board, &model, &inputs, &options, &mut quiet).unwrap();
    assert_eq!(found.counted.network.matches_host, Some(true));
    let [network] = &found.networks[..] else {
        panic!("{found:?}");
    };
    assert_eq!(network.counted.median, 20_000, "without the overhead");

    // The estimate is that of the emulated board; neither has wait states.
    let options = MeasureOptions {
        cycles: true,
        ..options
    };
    let alone = measure(&emulated, &model, &inputs, &options, &mut quiet).unwrap();
    let estimate = alone.network.estimate.unwrap().median;
    assert_eq!(network.estimated, estimate);
    let expected = [estimate.high, estimate.low].map(|cycles| 20_000.0 / cycles as f64);
    assert_eq!([network.ratio.low, network.ratio.high], expected);

    // A logit that differs is found as in any measurement.
    let wrong = log(&model, &inputs, &[9, 9, 9]).replacen("logits=[", "logits=[1", 1);
    probe(tools.path(), &wrong);
    let found = calibrate(&board, &model, &inputs, &options, &mut quiet).unwrap();
    assert!(found.counted.network.mismatch.is_some(), "{found:?}");
}

#[test]
fn without_a_probe_nothing_is_built() {
    let Some(_) = ready("mps2-an386") else { return };
    let tools = tempfile::tempdir().unwrap();
    let board = known("nrf52840-dk");
    let (model, inputs) = (small(), samples(1, 64));
    let mut options = with_tools(tools.path());
    options.machine.path = tools.path().into();
    let mut built = |_: &str| panic!("built");
    let error = calibrate(&board, &model, &inputs, &options, &mut built).unwrap_err();
    assert!(
        matches!(
            error,
            CalibrateError::Device(DeviceError::Run(RunError::NoProbe { .. }))
        ),
        "{error}"
    );
    // A probe's program that finds no probe.
    let options = with_tools(tools.path());
    fake(
        tools.path(),
        "probe-rs",
        "echo 'Error: No connected probes were found.' >&2; exit 1",
    );
    let error = calibrate(&board, &model, &inputs, &options, &mut quiet).unwrap_err();
    assert!(
        error.to_string().contains("no debug probe is connected"),
        "{error}"
    );
}
