//! The oracle for a graph's class scores, computed from masked weights, link by link, in f64.
//!
//! It is built on the links of the pruning oracle, one per use of a weight, so it shares no
//! indexing with the trainer's operators, the folded network or the engine.

use std::cell::RefCell;

use rarefy_trainer::graph::{Graph, Operation, Pooling};
use rarefy_trainer::network::State;
use rarefy_trainer::pruning::effective::Mode;
use rarefy_trainer::random::Random;

use super::pruning::reachability::{Link, links};

/// The constant that batch norms add to a variance; the trainer uses the same (Keras' default).
pub(crate) const EPSILON: f64 = 1e-3;

/// A graph with its parameters, ready to run.
pub(crate) struct Oracle<'a> {
    pub(crate) graph: &'a Graph,
    /// The links of each node.
    links: Vec<Vec<Link>>,
    /// The masked kernel of each node; empty if it has none.
    pub(crate) kernels: Vec<Vec<f64>>,
    /// The biases of each node, one per unit.
    pub(crate) biases: Vec<Vec<f64>>,
    /// The scale, shift, mean and variance of each unit of each batch norm.
    pub(crate) norms: Vec<Vec<[f64; 4]>>,
    /// Draws the rounding errors of values, if values are to be rounded.
    rounding: Option<RefCell<Random>>,
}

impl<'a> Oracle<'a> {
    /// Returns the oracle of `graph` with the parameters of `state` under `masks`. Where `state`
    /// lacks running statistics, means are 0 and variances 1.
    #[must_use]
    pub(crate) fn new(graph: &'a Graph, state: &State, masks: &[Vec<bool>]) -> Self {
        let values = |name: &str, kind: &str, otherwise: f64, count: usize| -> Vec<f64> {
            let array = state.0.get(&format!("{name}.{kind}"));
            array.map_or(vec![otherwise; count], |array| {
                array.values.iter().map(|&value| value.into()).collect()
            })
        };
        let mut oracle = Self {
            graph,
            links: Vec::new(),
            kernels: Vec::new(),
            biases: Vec::new(),
            norms: Vec::new(),
            rounding: None,
        };
        let mut masks = masks.iter();
        for (index, node) in graph.nodes().iter().enumerate() {
            let weighted = graph.kernel_shape(index).is_some();
            let mask = if weighted { masks.next() } else { None };
            let (mut kernel, mut bias, mut norm) = (vec![], vec![], vec![]);
            if let Some(mask) = mask {
                kernel = values(&node.name, "weight", 0.0, mask.len());
                kernel
                    .iter_mut()
                    .zip(mask)
                    .for_each(|(weight, keep)| *weight *= f64::from(u8::from(*keep)));
                bias = values(&node.name, "bias", 0.0, node.shape[0]);
            }
            if node.operation == Operation::BatchNorm {
                let count = node.shape[0];
                let read = |kind, otherwise| values(&node.name, kind, otherwise, count);
                let (scale, shift) = (read("weight", 1.0), read("bias", 0.0));
                let (mean, variance) = (read("running_mean", 0.0), read("running_var", 1.0));
                let unit = |unit: usize| [scale[unit], shift[unit], mean[unit], variance[unit]];
                norm = (0..count).map(unit).collect();
            }
            let mut found = Vec::new();
            let keep = mask.map(Vec::as_slice);
            links(graph, index, keep, Mode::Exact, &mut |link| {
                found.push(link);
            });
            oracle.links.push(found);
            oracle.kernels.push(kernel);
            oracle.biases.push(bias);
            oracle.norms.push(norm);
        }
        oracle
    }

    /// Perturbs every parameter, and every value that is computed later, by as much as rounding to
    /// f32 could. How much the results change shows their sensitivity to rounding.
    pub(crate) fn round(&mut self, mut random: Random) {
        let kernels = self.kernels.iter_mut().chain(&mut self.biases).flatten();
        let norms = self.norms.iter_mut().flatten().flatten();
        for value in kernels.chain(norms) {
            *value *= 1.0 + random.normal() * f64::from(f32::EPSILON);
        }
        self.rounding = Some(RefCell::new(random));
    }

    /// Computes node `index` from the `values` of the nodes before it.
    pub(crate) fn node(&self, index: usize, values: &[Vec<f64>]) -> Vec<f64> {
        let node = &self.graph.nodes()[index];
        let units: usize = node.shape.iter().product();
        let plane = units / node.shape[0];
        let links = || {
            self.links[index]
                .iter()
                .map(|link| (link, values[link.source][link.from]))
        };
        let mut given = vec![0.0; units];
        // The largest term of each sum.
        let mut largest = vec![0.0_f64; units];
        match node.operation {
            Operation::Dense { .. } | Operation::Conv { .. } => {
                for (unit, value) in given.iter_mut().enumerate() {
                    *value = self.biases[index][unit / plane];
                    largest[unit] = value.abs();
                }
                for (link, value) in links() {
                    let product = self.kernels[index][link.weight] * value;
                    given[link.to] += product;
                    largest[link.to] = largest[link.to].max(product.abs());
                }
            }
            Operation::Pool {
                kind: Pooling::Max, ..
            } => {
                given.fill(f64::NEG_INFINITY);
                for (link, value) in links() {
                    given[link.to] = given[link.to].max(value);
                }
            }
            Operation::Pool {
                kind: Pooling::Average,
                ..
            } => {
                let mut counts = vec![0.0; units];
                for (link, value) in links() {
                    given[link.to] += value;
                    counts[link.to] += 1.0;
                }
                let means = given.iter_mut().zip(&counts);
                means.for_each(|(value, count)| *value /= count);
            }
            Operation::BatchNorm => {
                for (link, value) in links() {
                    let [scale, shift, mean, variance] = self.norms[index][link.to / plane];
                    let part = scale / (variance + EPSILON).sqrt();
                    given[link.to] = part * (value - mean) + shift;
                    // The trainer computes `part * value` and adds the rest.
                    largest[link.to] = (part * mean).abs();
                }
            }
            Operation::Relu => links().for_each(|(link, value)| given[link.to] = value.max(0.0)),
            Operation::Relu6 => {
                links().for_each(|(link, value)| given[link.to] = value.clamp(0.0, 6.0));
            }
            Operation::Input | Operation::Flatten | Operation::Add => {
                links().for_each(|(link, value)| given[link.to] += value);
            }
        }
        self.rounded(&mut given, &largest);
        given
    }

    /// Perturbs values, which are sums of terms of magnitude up to `largest`, if values are to be
    /// rounded.
    fn rounded(&self, given: &mut [f64], largest: &[f64]) {
        if let Some(random) = &self.rounding {
            for (value, largest) in given.iter_mut().zip(largest) {
                let size = largest.max(value.abs()) * f64::from(f32::EPSILON);
                *value += random.borrow_mut().normal() * size;
            }
        }
    }

    /// Computes the class scores of a normalised image.
    #[must_use]
    pub(crate) fn scores(&self, image: &[f64]) -> Vec<f64> {
        let mut values = vec![image.to_vec()];
        for index in 1..self.graph.nodes().len() {
            values.push(self.node(index, &values));
        }
        values.pop().unwrap_or_default()
    }

    /// Sets the mean and the (biased) variance of each batch norm to those of `images`, from the
    /// first batch norm to the last, and returns them by node.
    pub(crate) fn measure(&mut self, images: &[Vec<f64>]) -> Vec<Vec<[f64; 2]>> {
        let mut values: Vec<Vec<Vec<f64>>> =
            images.iter().map(|image| vec![image.clone()]).collect();
        let mut moments = vec![Vec::new(); self.graph.nodes().len()];
        for (index, moments) in moments.iter_mut().enumerate().skip(1) {
            let node = &self.graph.nodes()[index];
            if node.operation == Operation::BatchNorm {
                let source = node.source();
                let plane: usize = node.shape[1..].iter().product();
                for unit in 0..node.shape[0] {
                    let of_unit = values
                        .iter()
                        .flat_map(|values| &values[source][unit * plane..][..plane]);
                    let count = (images.len() * plane) as f64;
                    let mean = of_unit.clone().sum::<f64>() / count;
                    let variance = of_unit.map(|x| (x - mean).powi(2)).sum::<f64>() / count;
                    // As stored, in f32.
                    self.norms[index][unit][2] = f64::from(mean as f32);
                    self.norms[index][unit][3] = f64::from(variance as f32);
                    moments.push([mean, variance]);
                }
            }
            for values in &mut values {
                let given = self.node(index, values);
                values.push(given);
            }
        }
        moments
    }
}
