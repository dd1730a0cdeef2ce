//! The network on a device: its parameters, in which precision and by what means it computes.

use std::ops::Range;

use candle_core::{DType, Device, Result, Var};

use super::operators::GradientSlot;
use super::state::State;
use crate::graph::{Graph, Operation};

/// A trainable parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Its name, such as `fc1.weight`.
    pub name: String,
    /// Its values.
    pub var: Var,
    /// Where the CPU's operators leave its gradient.
    pub gradient: GradientSlot,
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
    ranges: Vec<Range<usize>>,
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

    /// The type of its values.
    pub fn dtype(&self) -> DType {
        self.dtype
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
    pub(super) fn parameters_of(&self, index: usize) -> &[Parameter] {
        &self.parameters[self.ranges[index].clone()]
    }
}
