//! Estimates how accurate an integer network can be, by running the oracle with noise as large as
//! that of plain rounding.
//!
//! Per layer, noise moves each weight by up to half a step of its tensor (batch norm folded in),
//! each activation by up to half of an 8-bit step of the layer's range over the calibration
//! images, and, if the encoding has 8-bit biases, each bias likewise. A container may be more
//! accurate; one that is much less accurate has an error that rounding does not explain.

use rarefy_trainer::graph::{Graph, Operation};
use rarefy_trainer::random::Random;

use super::forward::{EPSILON, Oracle};

/// How weights and biases are rounded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounding {
    /// The number of steps in the largest weight.
    pub(crate) levels: f64,
    /// Whether biases have 8 bits.
    pub(crate) short_biases: bool,
}

/// Returns the batch norm that is the only reader of node `index`, if there is one.
fn norm_after(graph: &Graph, index: usize) -> Option<usize> {
    let mut readers = (0..graph.nodes().len()).filter(|&at| {
        let node = &graph.nodes()[at];
        node.sources.contains(&index)
    });
    let reader = readers.next()?;
    let alone = readers.next().is_none();
    (alone && graph.nodes()[reader].operation == Operation::BatchNorm).then_some(reader)
}

/// Returns whether the output of node `index` is stored: whether anything but a batch norm or a
/// ReLU reads it.
fn is_stored(graph: &Graph, index: usize) -> bool {
    let own = graph.nodes()[index].operation;
    let reads = graph.nodes().iter().any(|node| {
        let passes = matches!(
            node.operation,
            Operation::BatchNorm | Operation::Relu | Operation::Relu6
        );
        node.sources.contains(&index) && !passes
    });
    reads && !matches!(own, Operation::Input | Operation::Flatten)
}

/// Rounds weights and biases of `oracle`.
fn round(oracle: &mut Oracle<'_>, rounding: Rounding, random: &mut Random) {
    for index in 0..oracle.graph.nodes().len() {
        if oracle.kernels[index].is_empty() {
            continue;
        }
        let rows = oracle.graph.nodes()[index].shape[0];
        let columns = oracle.kernels[index].len() / rows;
        let norm = norm_after(oracle.graph, index);
        // The scale and shift of each row that folding applies to the weights.
        let affine = |row: usize| match norm {
            None => [1.0, 0.0],
            Some(norm) => {
                let [scale, shift, mean, variance] = oracle.norms[norm][row];
                let a = scale / (variance + EPSILON).sqrt();
                [a, shift - a * mean]
            }
        };
        let affine: Vec<[f64; 2]> = (0..rows).map(affine).collect();
        let largest =
            |values: &mut dyn Iterator<Item = f64>| values.fold(0.0_f64, |a, b| a.max(b.abs()));
        let kernel = &mut oracle.kernels[index];
        let folded = kernel.iter().enumerate();
        let step = largest(&mut folded.map(|(at, weight)| weight * affine[at / columns][0]))
            / rounding.levels;
        for (at, weight) in kernel.iter_mut().enumerate() {
            let scale = affine[at / columns][0];
            if *weight != 0.0 && scale != 0.0 {
                *weight += (random.unit() - 0.5) * step / scale;
            }
        }
        if rounding.short_biases {
            let biases = &mut oracle.biases[index];
            let folded = biases.iter().zip(&affine);
            let step =
                largest(&mut folded.map(|(bias, [scale, shift])| bias * scale + shift)) / 64.0;
            for (bias, [scale, _]) in biases.iter_mut().zip(&affine) {
                if *scale != 0.0 {
                    *bias += (random.unit() - 0.5) * step / scale;
                }
            }
        }
    }
}

/// Computes the scores of each of `images` with noise; `exact` determines the ranges of
/// activations.
pub(crate) fn scores(
    exact: &Oracle<'_>,
    mut noisy: Oracle<'_>,
    images: &[Vec<f64>],
    rounding: Rounding,
    random: &mut Random,
) -> Vec<Vec<f64>> {
    round(&mut noisy, rounding, random);
    let graph = exact.graph;
    let first = || -> Vec<Vec<Vec<f64>>> {
        let images = images.iter();
        images.map(|image| vec![image.clone()]).collect()
    };
    let (mut of_exact, mut of_noisy) = (first(), first());
    for index in 1..graph.nodes().len() {
        for values in &mut of_exact {
            values.push(exact.node(index, values));
        }
        let given = of_exact.iter().flat_map(|values| &values[index]);
        let (least, most) = given.fold((0.0_f64, 0.0_f64), |(least, most), &value| {
            (least.min(value), most.max(value))
        });
        let step = match is_stored(graph, index) {
            true if least < 0.0 => most.max(-least) / 127.0,
            true => most / 255.0,
            false => 0.0,
        };
        for values in &mut of_noisy {
            let mut given = noisy.node(index, values);
            // A zero stays exact, as it does in integers.
            for value in given.iter_mut().filter(|value| **value != 0.0) {
                *value += (random.unit() - 0.5) * step;
            }
            values.push(given);
        }
    }
    let scores = of_noisy.into_iter().map(|mut values| values.pop());
    scores.map(Option::unwrap_or_default).collect()
}
