//! A network on a device: its parameters, its precision, and how it computes.

use std::ops::Range;

use candle_core::{DType, Device, Result, Var};

use super::operators::GradientSlot;
use super::state::State;
use crate::graph::{Graph, Operation};

/// A trainable parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Name of the tensor, such as `fc1.weight`.
    pub name: String,
    /// The values.
    pub var: Var,
    /// The slot in which the fused operators store the gradient.
    pub gradient: GradientSlot,
    /// Whether it is a kernel. Only kernels are pruned and subject to weight decay.
    pub kernel: bool,
}

/// The parameters of a graph on a device.
#[derive(Debug)]
pub struct Network {
    graph: Graph,
    device: Device,
    dtype: DType,
    parameters: Vec<Parameter>,
    /// Whether the fused operators of the CPU are used instead of plain tensor operations.
    fused: bool,
    /// The range of `parameters` of each node: weight, then bias, if it has them.
    ranges: Vec<Range<usize>>,
}

/// Returns the name suffixes of an operation's parameters, in order.
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
    /// Creates the network of `graph` in f32 with the parameters of `state`.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn new(graph: &Graph, state: &State, device: &Device) -> Result<Self> {
        let mut parameters = Vec::new();
        let mut ranges = Vec::new();
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
                    gradient: GradientSlot::default(),
                    kernel: has_kernel && suffix == "weight",
                });
            }
            ranges.push(first..parameters.len());
        }
        Ok(Self {
            graph: graph.clone(),
            device: device.clone(),
            dtype: DType::F32,
            parameters,
            fused: device.is_cpu(),
            ranges,
        })
    }

    /// Creates the network of `graph` in f64 with plain tensor operations.
    ///
    /// Its kernels, in the order of [`Graph::prunable`], are `kernels`; all other parameters come
    /// from `state`. Scores that rank weights by their gradients are computed with it.
    ///
    /// # Errors
    /// Returns an error unless there is one kernel of the right length per prunable tensor, or if
    /// the device fails.
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
                "{} kernels were given for the {tensors} prunable tensors of {}",
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

    /// Returns the architecture.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Returns the same network with plain tensor operations, as used on other devices. They are
    /// the reference implementation of the fused operators.
    #[must_use]
    pub fn plain(self) -> Self {
        Self {
            fused: false,
            ..self
        }
    }

    /// Returns the element type of the network's values.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Returns whether the fused operators of the CPU are used.
    pub fn fused(&self) -> bool {
        self.fused
    }

    /// Returns the device of the parameters.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Returns all parameters, in the order of the graph's nodes.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Copies the parameters to host arrays.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn state(&self) -> Result<State> {
        let mut state = State::default();
        for Parameter { name, var, .. } in &self.parameters {
            let values = var.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            state.insert(name.clone(), var.dims().to_vec(), values);
        }
        Ok(state)
    }

    /// Returns the parameters of node `index`: weight, then bias, if it has them.
    pub(super) fn parameters_of(&self, index: usize) -> &[Parameter] {
        &self.parameters[self.ranges[index].clone()]
    }
}
