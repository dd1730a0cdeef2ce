//! Checks estimated cycles and profiles against the timer, and their absence.

use rarefy_format::{AlignedBytes, Encoding, Model, write};
use rarefy_test_support::resnet;
use rarefy_trainer::device::{
    Board, BoardReport, DeviceError, Estimate, LayerProfile, MeasureOptions, Profile, Range,
    measure,
};

use super::models::{convolutional, floats, lenet, residual, samples, small};
use super::{quiet, ready};

/// Returns options that estimate cycles of the network alone.
fn options<'a>() -> MeasureOptions<'a> {
    MeasureOptions {
        dense: false,
        cycles: true,
        ..MeasureOptions::default()
    }
}

/// Measures `model` on `board` with estimates; whether QEMU takes the plug-in is part of the test.
fn estimated(board: &Board, model: &[u8], inputs: &[Vec<u8>]) -> (BoardReport, Estimate) {
    let report = measure(board, model, inputs, &options(), &mut quiet).unwrap();
    assert_eq!(report.network.no_estimate, None);
    assert_eq!(report.network.matches_host, Some(true));
    let estimate = report.network.estimate.clone().unwrap();
    (report, estimate)
}

#[test]
fn the_plug_in_counts_the_instructions_that_the_timer_counts() {
    // A board of each core that has a table.
    for name in ["microbit", "mps2-an385", "mps2-an386"] {
        let Some(board) = ready(name) else { continue };
        for (model, inputs) in [
            (small(), samples(5, 64)),
            (lenet(), samples(3, 784)),
            (convolutional(), samples(2, 784)),
            (floats(), samples(2, 784)),
        ] {
            let (report, estimate) = estimated(&board, &model, &inputs);
            let counts = report.network.cost.counts().unwrap();
            assert_eq!(estimate.instructions, counts, "{name}");
            // Only IT takes less than a cycle, and few instructions take more than three.
            for range in [estimate.min, estimate.median, estimate.max] {
                assert!(
                    range.low <= range.high && range.low > counts.min,
                    "{range:?}"
                );
            }
            let unknown_multiplier = board.core == "Cortex-M0" && board.multiplier_cycles.is_none();
            let most = if unknown_multiplier { 40 } else { 4 };
            assert!(
                estimate.max.high < most * counts.max,
                "{estimate:?} on {name}"
            );
            let (low, high) = estimate.milliseconds;
            let expected = estimate.median.low as f64 / board.clock_hz.unwrap() as f64 * 1e3;
            assert!((low - expected).abs() < 1e-9 && low <= high);
        }
    }
}

#[test]
fn a_multiplier_and_wait_states_change_the_bounds_as_stated() {
    let Some(board) = ready("microbit") else {
        return;
    };
    let inputs = samples(2, 784);
    let with = |multiplier, wait| {
        let board = Board {
            multiplier_cycles: multiplier,
            flash_wait_states: wait,
            ..board.clone()
        };
        let (_, estimate) = estimated(&board, &lenet(), &inputs);
        let stated = multiplier.map_or(Range { low: 1, high: 32 }, Range::exactly);
        assert_eq!(estimate.multiplier, Some(stated));
        estimate.median
    };
    let (fast, slow, either) = (with(Some(1), None), with(Some(32), None), with(None, None));
    // For this core, the manual leaves nothing open but the cycles of a multiplication.
    assert_eq!((fast.low, slow.low), (fast.high, slow.high));
    assert_eq!((either.low, either.high), (fast.low, slow.high));
    assert_eq!((slow.low - fast.low) % 31, 0);
    let waiting = with(Some(1), Some(2));
    assert_eq!(waiting.low, fast.low);
    assert!(
        waiting.high > fast.high && waiting.high < 5 * fast.high,
        "{waiting:?}"
    );
}

#[test]
fn a_core_without_a_table_gets_no_estimate_and_a_wrong_table_is_an_error() {
    let Some(board) = ready("mps2-an386") else {
        return;
    };
    let other = Board {
        core: "Cortex-M7".to_owned(),
        ..board.clone()
    };
    let report = measure(&other, &small(), &samples(1, 64), &options(), &mut quiet).unwrap();
    let network = report.network;
    assert_eq!((network.matches_host, network.estimate), (Some(true), None));
    let why = network.no_estimate.unwrap();
    assert!(why.contains("Cortex-M7"), "{why}");

    // The table of the Cortex-M3 does not price instructions of the DSP extension.
    let other = Board {
        core: "Cortex-M3".to_owned(),
        ..board
    };
    let error = measure(&other, &lenet(), &samples(1, 784), &options(), &mut quiet).unwrap_err();
    assert!(matches!(error, DeviceError::Unpriced { .. }), "{error}");
    let error = error.to_string();
    assert!(
        error.contains("Cortex-M3") && !error.contains('\n'),
        "{error}"
    );
}

/// Returns the profile of `model` on `board`.
fn profile(board: &Board, model: &[u8], inputs: &[Vec<u8>]) -> Profile {
    let options = MeasureOptions {
        profile: true,
        ..options()
    };
    let report = measure(board, model, inputs, &options, &mut quiet).unwrap();
    let mean = report.network.cost.counts().unwrap().mean;
    let profile = report.network.profile.unwrap();
    // The layers and the rest add up to what the timer counts.
    let parts = profile.layers.iter().map(|layer| layer.share);
    let parts: Vec<_> = parts.chain([profile.outside]).collect();
    let sum: f64 = parts.iter().map(|share| share.instructions).sum();
    assert!((sum - mean).abs() < 1e-6 * mean, "{sum} of {mean}");
    assert!((profile.total.instructions - mean).abs() < 1e-6 * mean);
    let functions = profile.functions.iter().map(|f| f.share.instructions);
    let sum: f64 = functions.sum();
    assert!((sum - mean).abs() < 1e-6 * mean, "{sum} of {mean}");
    for layer in &profile.layers {
        let functions = layer.functions.iter().map(|f| f.share.instructions);
        let sum: f64 = functions.sum();
        assert!(
            (sum - layer.share.instructions).abs() < 1e-6 * mean,
            "{}",
            layer.name
        );
    }
    profile
}

#[test]
fn layers_explain_98_percent_of_a_network_with_residual_additions() {
    for name in ["mps2-an386", "microbit"] {
        let Some(board) = ready(name) else { continue };
        let model = residual();
        let profile = profile(&board, &model, &samples(3, 784));
        let bytes = AlignedBytes::copy_from(&model);
        assert_eq!(
            profile.layers.len(),
            Model::parse(&bytes).unwrap().layers().len()
        );
        assert!(profile.explained() >= 0.98, "{}", profile.explained());
    }
}

/// Tests ResNet-8 with an eighth of its weights.
#[test]
fn layers_explain_98_percent_of_resnet_8_and_follow_their_predictions() {
    let Some(board) = ready("mps2-an386") else {
        return;
    };
    let model = write(&resnet::network(8, Encoding::Csr, 0)).unwrap();
    let profile = profile(&board, &model, &resnet::inputs(1));
    assert!(profile.explained() >= 0.98, "{}", profile.explained());
    // Predictions are within 5 % for the whole network, and coarser for small layers.
    let large =
        |layer: &&LayerProfile| layer.share.instructions > 0.02 * profile.total.instructions;
    let layers: Vec<_> = profile.layers.iter().filter(large).collect();
    assert!(layers.len() > 5, "{layers:?}");
    for layer in layers {
        let error = layer.predicted / layer.share.instructions - 1.0;
        assert!(error.abs() < 0.25, "{}: {error:+.3}", layer.name);
    }
}
