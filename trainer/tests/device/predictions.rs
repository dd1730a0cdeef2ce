//! Compares predicted instructions with those that the emulator counts.

use rarefy_format::{AlignedBytes, Encoding, Model, write};
use rarefy_trainer::deploy::costs::{Core, cost, inference, predict};
use rarefy_trainer::device::{MeasureOptions, measure};

use super::models::{floats, rectangular, samples};
use super::{quiet, ready};
use rarefy_test_support::resnet;

/// Maximum relative error of a prediction.
const ERROR: f64 = 0.05;

/// Tests ResNet-8 with all weights, a quarter and a sixteenth of them, and with activations that
/// are nearly all 0.
#[test]
fn instructions_of_resnet_8_are_predicted_within_five_percent() {
    let Some(board) = ready("mps2-an386") else {
        return;
    };
    let options = MeasureOptions {
        dense: false,
        ..MeasureOptions::default()
    };
    let inputs = resnet::inputs(2);
    for (part, encoding, bias) in [
        (1, Encoding::Dense, 0),
        (4, Encoding::Csr, 0),
        (16, Encoding::Csr, 0),
        (4, Encoding::Csr, -60),
    ] {
        let bytes = write(&resnet::network(part, encoding, bias)).unwrap();
        let report = measure(&board, &bytes, &inputs, &options, &mut quiet).unwrap();
        assert_eq!(report.network.matches_host, Some(true), "1/{part}");
        let counted = report.network.cost.counts().unwrap();

        let bytes = AlignedBytes::copy_from(&bytes);
        let model = Model::parse(&bytes).unwrap();
        let predicted = cost(Core::M4, &inference(&model, Core::M4, &inputs));
        let error = predicted / counted.mean - 1.0;
        assert!(
            error.abs() <= ERROR,
            "1/{part}, {bias}: {predicted:.0} predicted, {} counted",
            counted.mean
        );

        // Without inputs, the prediction is an upper bound.
        let bounds = model.layers().map(|layer| predict(&layer, Core::M4, None));
        let bounds: Vec<_> = bounds.collect();
        assert!(bounds.iter().any(|bound| bound.at_most));
        let bound: f64 = bounds.iter().map(|bound| bound.instructions).sum();
        assert!(bound >= counted.mean, "1/{part}: at most {bound:.0}");
    }
}

/// Tests rectangular convolutions and large pooling windows on every core.
#[test]
fn instructions_of_rectangular_windows_are_predicted_within_ten_percent() {
    let options = MeasureOptions {
        dense: false,
        ..MeasureOptions::default()
    };
    for (board, core) in [
        ("mps2-an386", Core::M4),
        ("mps2-an385", Core::M3),
        ("microbit", Core::M0),
        ("qemu-virt-rv32", Core::Rv32),
    ] {
        let Some(board) = ready(board) else { continue };
        for bytes in rectangular() {
            let aligned = AlignedBytes::copy_from(&bytes);
            let model = Model::parse(&aligned).unwrap();
            let inputs = samples(3, model.inputs());
            let report = measure(&board, &bytes, &inputs, &options, &mut quiet).unwrap();
            let counted = report.network.cost.counts().unwrap().mean;
            let predicted = cost(core, &inference(&model, core, &inputs));
            let error = predicted / counted - 1.0;
            println!("{core:?}: {predicted:.0} predicted, {counted} counted");
            assert!(
                error.abs() <= 2.0 * ERROR,
                "{core:?}: {predicted:.0} predicted, {counted} counted"
            );
        }
    }
}

/// Tests f32 networks on every core, with many zeros in the input and without any: cores that
/// compute with floats in software take fewer instructions for zeros.
#[test]
fn instructions_of_floats_are_predicted_within_five_percent() {
    let bytes = floats();
    let aligned = AlignedBytes::copy_from(&bytes);
    let model = Model::parse(&aligned).unwrap();
    let options = MeasureOptions {
        dense: false,
        ..MeasureOptions::default()
    };
    for (board, core) in [
        ("mps2-an386", Core::M4),
        ("mps2-an385", Core::M3),
        ("microbit", Core::M0),
        ("qemu-virt-rv32", Core::Rv32),
    ] {
        let Some(board) = ready(board) else { continue };
        for inputs in [samples(4, 784), vec![vec![77; 784]]] {
            let report = measure(&board, &bytes, &inputs, &options, &mut quiet).unwrap();
            let counted = report.network.cost.counts().unwrap().mean;
            let predicted = cost(core, &inference(&model, core, &inputs));
            let error = predicted / counted - 1.0;
            assert!(
                error.abs() <= ERROR,
                "{core:?}: {predicted:.0} predicted, {counted} counted"
            );
        }
    }
}
