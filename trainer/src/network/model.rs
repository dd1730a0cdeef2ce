//! The network on a device: its parameters and its forward passes.

use candle_core::{DType, Device, Result, Tensor, Var};

use super::operators::{Gradient, batch_norm, linear};
use super::{EPSILON, State, Statistics};
use crate::graph::{Graph, Operation};

/// A trainable parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Its name, such as `fc1.weight`.
    pub name: String,
    /// Its values.
    pub var: Var,
    /// Where the CPU's operators leave its gradient.
    pub gradient: Gradient,
    /// Whether it is a kernel: only kernels are pruned and decay.
    pub kernel: bool,
}

/// A graph's parameters on a device.
#[derive(Debug)]
pub struct Network {
    graph: Graph,
    device: Device,
    parameters: Vec<Parameter>,
    /// Whether the one-pass operators of the CPU are used, or plain tensor operations.
    fused: bool,
    /// For each node, where its parameters (weight, bias) start in `parameters`.
    first: Vec<Option<usize>>,
}

impl Network {
    /// The network of `graph` with the parameters of `state`.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn new(graph: &Graph, state: &State, device: &Device) -> Result<Self> {
        let mut parameters = Vec::new();
        let mut first = Vec::new();
        for node in graph.nodes() {
            let kernel = match node.operation {
                Operation::Dense { .. } => true,
                Operation::BatchNorm => false,
                _ => {
                    first.push(None);
                    continue;
                }
            };
            first.push(Some(parameters.len()));
            for (suffix, kernel) in [("weight", kernel), ("bias", false)] {
                let name = format!("{}.{suffix}", node.name);
                let array = state.get(&name);
                let var = Var::from_slice(&array.values, array.shape.as_slice(), device)?;
                parameters.push(Parameter {
                    name,
                    var,
                    gradient: Gradient::default(),
                    kernel,
                });
            }
        }
        Ok(Self {
            graph: graph.clone(),
            device: device.clone(),
            parameters,
            fused: device.is_cpu(),
            first,
        })
    }

    /// The architecture.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The same network computing by plain tensor operations, as it does on other devices than
    /// the CPU: the operators' oracle.
    #[must_use]
    pub fn plain(self) -> Self {
        Self {
            fused: false,
            ..self
        }
    }

    /// Whether the one-pass operators of the CPU are used.
    pub fn fused(&self) -> bool {
        self.fused
    }

    /// Where the parameters live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// All parameters, in the graph's order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The parameters as host arrays.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn state(&self) -> Result<State> {
        let mut state = State::default();
        for Parameter { name, var, .. } in &self.parameters {
            let values = var.flatten_all()?.to_vec1::<f32>()?;
            state.insert(name.clone(), var.dims().to_vec(), values);
        }
        Ok(state)
    }

    /// Class scores (batch, classes) of `x` (batch, elements), batch norms on the statistics of
    /// this batch, gradients tracked.
    ///
    /// # Errors
    /// When shapes do not agree or the device refuses.
    pub fn train_forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut value = x.clone();
        let mut has_trained_input = false;
        for (node, first) in self.graph.nodes().iter().zip(&self.first) {
            let parameters =
                first.map(|first| (&self.parameters[first], &self.parameters[first + 1]));
            value = match (node.operation, parameters) {
                (Operation::Dense { .. }, Some((weight, bias))) => {
                    let input_gradient = std::mem::replace(&mut has_trained_input, true);
                    self.dense(&value, weight, bias, input_gradient)?
                }
                (Operation::BatchNorm, Some((scale, shift))) => {
                    self.normalise(&value, scale, shift)?
                }
                (Operation::Relu, _) => value.relu()?,
                _ => value,
            };
        }
        Ok(value)
    }

    /// x Wᵀ + b, gradients tracked.
    fn dense(
        &self,
        x: &Tensor,
        weight: &Parameter,
        bias: &Parameter,
        input_gradient: bool,
    ) -> Result<Tensor> {
        if self.fused {
            let weight = (weight.var.as_tensor(), &weight.gradient);
            return linear::linear(x, weight, (&bias.var, &bias.gradient), input_gradient);
        }
        x.matmul(&weight.var.t()?)?.broadcast_add(&bias.var)
    }

    /// Batch norm by the statistics of the batch, gradients tracked.
    fn normalise(&self, x: &Tensor, scale: &Parameter, shift: &Parameter) -> Result<Tensor> {
        if self.fused {
            let scale = (scale.var.as_tensor(), &scale.gradient);
            return batch_norm::batch_norm(x, scale, (&shift.var, &shift.gradient), EPSILON);
        }
        let mean = x.mean_keepdim(0)?;
        let centred = x.broadcast_sub(&mean)?;
        let variance = centred.sqr()?.mean_keepdim(0)?;
        let normal = centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)?;
        normal.broadcast_mul(&scale.var)?.broadcast_add(&shift.var)
    }

    /// The values of node `last` for `x` (batch, elements), batch norms on population
    /// `statistics` as when deployed (those of nodes after `last` are not read).
    ///
    /// # Errors
    /// When shapes do not agree or the device refuses.
    pub fn forward_to(&self, last: usize, x: &Tensor, statistics: &Statistics) -> Result<Tensor> {
        let mut value = x.clone();
        for (index, (node, first)) in self
            .graph
            .nodes()
            .iter()
            .zip(&self.first)
            .enumerate()
            .take(last + 1)
        {
            let parameters =
                first.map(|first| (&self.parameters[first].var, &self.parameters[first + 1].var));
            value = match (node.operation, parameters) {
                (Operation::Dense { .. }, Some((weight, bias))) => value
                    .matmul(&weight.as_detached_tensor().t()?)?
                    .broadcast_add(&bias.as_detached_tensor())?,
                (Operation::BatchNorm, Some((scale, shift))) => {
                    let (scale, shift) = (scale.as_detached_tensor(), shift.as_detached_tensor());
                    let moments = statistics.of(index);
                    let mean = Tensor::from_slice(&moments.mean, moments.mean.len(), &self.device)?;
                    let variance = Tensor::from_slice(
                        &moments.variance,
                        moments.variance.len(),
                        &self.device,
                    )?;
                    let a = scale.div(&(variance + EPSILON)?.sqrt()?)?;
                    let b = shift.sub(&a.mul(&mean)?)?;
                    value.broadcast_mul(&a)?.broadcast_add(&b)?
                }
                (Operation::Relu, _) => value.relu()?,
                _ => value,
            };
        }
        Ok(value)
    }

    /// The class (batch) of each row of `x` (batch, elements) under population `statistics`.
    ///
    /// # Errors
    /// When shapes do not agree or the device refuses.
    pub fn classify(&self, x: &Tensor, statistics: &Statistics) -> Result<Vec<u32>> {
        let scores = self.forward_to(self.graph.nodes().len() - 1, x, statistics)?;
        scores.argmax(1)?.to_dtype(DType::U32)?.to_vec1()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::architecture::multilayer;
    use crate::network::initial;
    use crate::random::Random;

    fn random_tensor(random: &mut Random, shape: (usize, usize)) -> Tensor {
        let values: Vec<f32> = (0..shape.0 * shape.1)
            .map(|_| random.normal() as f32)
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
        assert_eq!(a.dims(), b.dims());
        a.sub(b)
            .unwrap()
            .abs()
            .unwrap()
            .flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar()
            .unwrap()
    }

    /// The CPU's operators against candle's own differentiation of plain tensor operations.
    #[test]
    fn operators_agree_with_plain_tensor_operations() {
        let graph = multilayer("toy", [1, 1, 13], &[11, 7, 5]).unwrap();
        let network = Network::new(&graph, &initial::state(&graph, 3), &Device::Cpu).unwrap();
        let mut random = Random::new(5);
        let x = random_tensor(&mut random, (17, 13));
        let weighting = random_tensor(&mut random, (17, 5));

        let fast = network.train_forward(&x).unwrap();
        fast.mul(&weighting)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();
        let gradients: Vec<Tensor> = network
            .parameters()
            .iter()
            .map(|parameter| {
                parameter
                    .gradient
                    .take()
                    .expect("every parameter gets its gradient")
            })
            .collect();

        let network = network.plain();
        let plain = network.train_forward(&x).unwrap();
        assert!(largest_difference(&fast, &plain) < 1e-4);
        let expected = plain
            .mul(&weighting)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();
        for (parameter, found) in network.parameters().iter().zip(gradients) {
            let expected = expected.get(parameter.var.as_tensor()).unwrap();
            let difference = largest_difference(&found, expected);
            assert!(difference < 2e-4, "{}: {difference}", parameter.name);
            assert!(
                parameter.gradient.take().is_none(),
                "plain operations leave nothing in slots"
            );
        }
    }
}
