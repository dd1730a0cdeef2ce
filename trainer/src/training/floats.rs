//! Evaluates a network in f32: one that is given, rather than trained here.

use std::sync::atomic::AtomicBool;

use candle_core::{Device, Result as TensorResult};

use super::phase;
use crate::data::Dataset;
use crate::data::batches::Batches;
use crate::graph::{Graph, Operation};
use crate::network::{Network, State, Statistics};

/// A given network, evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The accuracy on the test images, 0 to 1.
    pub accuracy: f64,
    /// The statistics of batch norms with which it was evaluated.
    pub statistics: Statistics,
}

/// Evaluates the network of `graph` with the parameters `state` on `data`, on the CPU. Batch norms
/// use the running statistics in `state`, or else statistics of the training images.
///
/// # Errors
/// Returns an error if `stop` is set, or if the tensor library fails.
///
/// # Panics
/// Panics if `state` lacks a parameter of `graph`.
pub fn evaluate(
    graph: &Graph,
    state: &State,
    data: &Dataset,
    stop: &AtomicBool,
) -> TensorResult<Evaluated> {
    let device = Device::Cpu;
    let [train, test] =
        [&data.train, &data.test].map(|split| Batches::new(split, &data.normalisation, &device));
    let network = Network::new(graph, state, &device)?;
    evaluate_on(&network, state, [&train, &test], stop)
}

/// Returns the class scores of the network of `graph` with the parameters `state` for each test
/// sample of `data`, computed as [`evaluate`] does.
///
/// # Errors
/// Returns an error if `stop` is set, or if the tensor library fails.
///
/// # Panics
/// Panics if `state` lacks a parameter of `graph`.
pub fn outputs(
    graph: &Graph,
    state: &State,
    data: &Dataset,
    stop: &AtomicBool,
) -> TensorResult<Vec<Vec<f32>>> {
    let device = Device::Cpu;
    let batches = |split| Batches::new(split, &data.normalisation, &device);
    let network = Network::new(graph, state, &device)?;
    let statistics = statistics(&network, state, &batches(&data.train), stop)?;
    let last = graph.nodes().len() - 1;
    let test = batches(&data.test);
    let scores = phase::unless_stopped(test.in_order(usize::MAX), stop).map(|batch| {
        let scores = network.forward_to(last, &batch?, &statistics)?;
        scores.to_vec2::<f32>()
    });
    let scores: Vec<Vec<Vec<f32>>> = scores.collect::<TensorResult<_>>()?;
    Ok(scores.concat())
}

/// Returns the statistics of `network` in `state`, or else those of the images of `train`.
///
/// # Errors
/// Returns an error if `stop` is set, or if the device fails.
pub(super) fn statistics(
    network: &Network,
    state: &State,
    train: &Batches<'_>,
    stop: &AtomicBool,
) -> TensorResult<Statistics> {
    match Statistics::of_state(network.graph(), state) {
        Some(statistics) => Ok(statistics),
        None => Statistics::compute(network, || {
            phase::unless_stopped(train.in_order(usize::MAX), stop)
        }),
    }
}

/// Evaluates `network`, whose parameters are `state`, as [`evaluate`] does, on the images of
/// `test`; those of `train` provide statistics that `state` lacks.
///
/// # Errors
/// Returns an error if `stop` is set, or if the device fails.
pub(super) fn evaluate_on(
    network: &Network,
    state: &State,
    [train, test]: [&Batches<'_>; 2],
    stop: &AtomicBool,
) -> TensorResult<Evaluated> {
    let statistics = statistics(network, state, train, stop)?;
    Ok(Evaluated {
        accuracy: phase::accuracy(network, &statistics, test, stop)?,
        statistics,
    })
}

/// Returns the names of the running statistics of `graph` that `state` lacks.
#[must_use]
pub fn missing_statistics(graph: &Graph, state: &State) -> Vec<String> {
    let norms = graph.nodes().iter();
    let norms = norms.filter(|node| node.operation == Operation::BatchNorm);
    let names = norms.flat_map(|node| {
        ["running_mean", "running_var"].map(|kind| format!("{}.{kind}", node.name))
    });
    names.filter(|name| !state.0.contains_key(name)).collect()
}
