//! Population statistics of batch norms: what they normalise by when deployed.
//!
//! The paper's code evaluates with the statistics of each test batch, which no device with one
//! sample at a time can do. Here mean and (biased) variance of every batch norm's input are taken
//! over training images with the final masked weights, layer by layer: each layer's are computed
//! with those of the layers before it already in place.

use candle_core::{DType, Result, Tensor};

use super::{Network, State};
use crate::graph::Operation;

/// Mean and biased variance of each unit (of a map: each channel, over its positions too).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moments {
    /// The mean of each unit.
    pub mean: Vec<f32>,
    /// The variance of each unit.
    pub variance: Vec<f32>,
}

/// The moments of every batch norm of a graph, by node.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics(Vec<Moments>);

impl Statistics {
    /// Computes the statistics of `network` over `batches`, a function that gives the tensors
    /// (rows, elements) of the training images anew each time it is called.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn compute<I: Iterator<Item = Result<Tensor>>>(
        network: &Network,
        batches: impl Fn() -> I,
    ) -> Result<Self> {
        let nodes = network.graph().nodes();
        let mut statistics = Self(vec![Moments::default(); nodes.len()]);
        for (index, node) in nodes.iter().enumerate() {
            if node.operation != Operation::BatchNorm {
                continue;
            }
            let source = node.source();
            let (units, area) = (node.shape[0], node.shape[1..].iter().product::<usize>());
            let (mut sum, mut squares, mut count) = (vec![0.0_f64; units], vec![0.0_f64; units], 0);
            for batch in batches() {
                let value = network.forward_to(source, &batch?, &statistics)?;
                count += value.dim(0)? * area;
                let values = value
                    .flatten_all()?
                    .to_dtype(DType::F32)?
                    .to_vec1::<f32>()?;
                for sample in values.chunks_exact(units * area) {
                    let runs = sample.chunks_exact(area);
                    for ((sum, square), run) in sum.iter_mut().zip(&mut squares).zip(runs) {
                        for &x in run {
                            *sum += f64::from(x);
                            *square += f64::from(x) * f64::from(x);
                        }
                    }
                }
            }
            let count = count as f64;
            let mean: Vec<f64> = sum.iter().map(|sum| sum / count).collect();
            let variance = squares
                .iter()
                .zip(&mean)
                .map(|(s, m)| (s / count - m * m).max(0.0) as f32);
            statistics.0[index].variance = variance.collect();
            statistics.0[index].mean = mean.iter().map(|&mean| mean as f32).collect();
        }
        Ok(statistics)
    }

    /// The moments of batch norm `node` (empty for other nodes).
    pub fn of(&self, node: usize) -> &Moments {
        &self.0[node]
    }

    /// Adds them to `state` as `NAME.running_mean` and `NAME.running_var`, as PyTorch calls them.
    pub fn add_to(&self, network: &Network, state: &mut State) {
        for (node, moments) in network.graph().nodes().iter().zip(&self.0) {
            if node.operation == Operation::BatchNorm {
                let (mean, variance) = (moments.mean.clone(), moments.variance.clone());
                state.insert(
                    format!("{}.running_mean", node.name),
                    vec![mean.len()],
                    mean,
                );
                state.insert(
                    format!("{}.running_var", node.name),
                    vec![variance.len()],
                    variance,
                );
            }
        }
    }
}
