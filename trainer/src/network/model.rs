//! The network on a device: its parameters and its forward passes.

use std::ops::Range;

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
    dtype: DType,
    parameters: Vec<Parameter>,
    /// Whether the one-pass operators of the CPU are used, or plain tensor operations.
    fused: bool,
    /// For each node, which of `parameters` are its own: weight, then bias, as far as it has them.
    own: Vec<Range<usize>>,
}

/// What the parameters of an operation are called, in order.
fn suffixes(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::Dense { bias: false, .. } | Operation::Conv { bias: false, .. } => &["weight"],
        Operation::Dense { .. } | Operation::Conv { .. } | Operation::BatchNorm => {
            &["weight", "bias"]
        }
        _ => &[],
    }
}

impl Network {
    /// The network of `graph` with the parameters of `state`, in f32.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn new(graph: &Graph, state: &State, device: &Device) -> Result<Self> {
        let mut parameters = Vec::new();
        let mut own = Vec::new();
        for node in graph.nodes() {
            let first = parameters.len();
            let has_kernel = node.operation != Operation::BatchNorm;
            for &suffix in suffixes(node.operation) {
                let name = format!("{}.{suffix}", node.name);
                let array = state.get(&name);
                let var = Var::from_slice(&array.values, array.shape.as_slice(), device)?;
                parameters.push(Parameter {
                    name,
                    var,
                    gradient: Gradient::default(),
                    kernel: has_kernel && suffix == "weight",
                });
            }
            own.push(first..parameters.len());
        }
        Ok(Self {
            graph: graph.clone(),
            device: device.clone(),
            dtype: DType::F32,
            parameters,
            fused: device.is_cpu(),
            own,
        })
    }

    /// The network of `graph` computing in f64 by plain tensor operations: its kernels, in the order
    /// of [`Graph::prunable`], from `kernels`, all other parameters from `state`. Scores that rank
    /// weights by gradients are taken from it.
    ///
    /// # Errors
    /// When there is not one kernel of the right length for each tensor, or the device refuses.
    pub fn in_double(
        graph: &Graph,
        state: &State,
        kernels: &[Vec<f64>],
        device: &Device,
    ) -> Result<Self> {
        let mut network = Self::new(graph, state, device)?.plain();
        network.dtype = DType::F64;
        let tensors = graph.prunable().len();
        if kernels.len() != tensors {
            candle_core::bail!(
                "{} kernels for the {tensors} of {}",
                kernels.len(),
                graph.name()
            );
        }
        let mut kernels = kernels.iter().peekable();
        for parameter in &mut network.parameters {
            let var = &parameter.var;
            parameter.var = match kernels.next_if(|_| parameter.kernel) {
                Some(kernel) => Var::from_slice(kernel, var.dims(), device)?,
                None => Var::from_tensor(&var.to_dtype(DType::F64)?)?,
            };
        }
        Ok(network)
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
            let values = var.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            state.insert(name.clone(), var.dims().to_vec(), values);
        }
        Ok(state)
    }

    /// The parameters of node `index`: weight, then bias, as far as it has them.
    fn own(&self, index: usize) -> &[Parameter] {
        &self.parameters[self.own[index].clone()]
    }

    /// Class scores (batch, classes) of `x` (batch, elements), batch norms on the statistics of
    /// this batch, gradients tracked.
    ///
    /// # Errors
    /// When shapes do not agree or the device refuses.
    pub fn train_forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut value = x.to_dtype(self.dtype)?;
        let mut has_trained_input = false;
        for (index, node) in self.graph.nodes().iter().enumerate() {
            value = match (node.operation, self.own(index)) {
                (Operation::Dense { .. }, [weight, bias]) => {
                    let input_gradient = std::mem::replace(&mut has_trained_input, true);
                    self.dense(&value, weight, bias, input_gradient)?
                }
                (Operation::BatchNorm, [scale, shift]) => self.normalise(&value, scale, shift)?,
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
        let mut value = x.to_dtype(self.dtype)?;
        for (index, node) in self.graph.nodes().iter().enumerate().take(last + 1) {
            value = match (node.operation, self.own(index)) {
                (Operation::Dense { .. }, [weight, bias]) => value
                    .matmul(&weight.var.as_detached_tensor().t()?)?
                    .broadcast_add(&bias.var.as_detached_tensor())?,
                (Operation::BatchNorm, [scale, shift]) => {
                    let (scale, shift) = (
                        scale.var.as_detached_tensor(),
                        shift.var.as_detached_tensor(),
                    );
                    let moments = statistics.of(index);
                    let tensor = |values: &[f32]| {
                        Tensor::from_slice(values, values.len(), &self.device)?.to_dtype(self.dtype)
                    };
                    let (mean, variance) = (tensor(&moments.mean)?, tensor(&moments.variance)?);
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

    /// The gradients that the f64 network gives, against f32's and against the values themselves.
    #[test]
    fn double_gives_the_gradients_of_single() {
        let graph = multilayer("toy", [1, 1, 13], &[11, 7, 5]).unwrap();
        let state = initial::state(&graph, 3);
        let kernels: Vec<Vec<f64>> = graph
            .prunable()
            .iter()
            .map(|tensor| {
                state
                    .get(&tensor.name)
                    .values
                    .iter()
                    .map(|&w| f64::from(w))
                    .collect()
            })
            .collect();
        let double = Network::in_double(&graph, &state, &kernels, &Device::Cpu).unwrap();
        let single = Network::new(&graph, &state, &Device::Cpu).unwrap().plain();
        assert_eq!(double.state().unwrap(), single.state().unwrap());
        let x = random_tensor(&mut Random::new(5), (17, 13));
        let gradients = |network: &Network| {
            let scores = network.train_forward(&x).unwrap();
            scores.sqr().unwrap().sum_all().unwrap().backward().unwrap()
        };
        let (found, expected) = (gradients(&double), gradients(&single));
        for (double, single) in double.parameters().iter().zip(single.parameters()) {
            let found = found.get(double.var.as_tensor()).unwrap();
            assert_eq!(found.dtype(), DType::F64);
            let found = found.to_dtype(DType::F32).unwrap();
            let expected = expected.get(single.var.as_tensor()).unwrap();
            assert!(
                largest_difference(&found, expected) < 1e-3,
                "{}",
                single.name
            );
        }
        let refused = |kernels: &[Vec<f64>]| {
            Network::in_double(&graph, &state, kernels, &Device::Cpu).is_err()
        };
        assert!(refused(&kernels[..1]) && refused(&[vec![0.0; 3], vec![], vec![]]));
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
