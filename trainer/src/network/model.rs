//! A network on a device: its parameters, its precision, and how it computes.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Var};

use super::operators::GradientSlot;
pub use super::parameter::Parameter;
use super::parameter::suffixes;
use super::sparse::Plan;
use super::state::State;
use crate::graph::{Graph, Operation};
use crate::masks::Masks;

/// The parameters of a graph on a device.
#[derive(Debug)]
pub struct Network {
    graph: Graph,
    device: Device,
    dtype: DType,
    parameters: Vec<Parameter>,
    /// Whether the fused operators of the CPU are used instead of plain tensor operations.
    fused: bool,
    /// For each node, the range of its `parameters`: weight, then bias, if it has them.
    ranges: Vec<Range<usize>>,
    /// For each node, whether its only reader is the node after it, a ReLU.
    before_relu: Vec<bool>,
    /// How the network computes with its kept weights only; `None` if it is dense.
    sparse: Option<Plan>,
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
                    places: None,
                });
            }
            ranges.push(first..parameters.len());
        }
        let mut readers = vec![0; graph.nodes().len()];
        for &source in graph.nodes().iter().flat_map(|node| &node.sources) {
            readers[source] += 1;
        }
        let before_relu = (0..readers.len()).map(|index| {
            let next = graph.nodes().get(index + 1);
            let is_relu = next
                .is_some_and(|next| next.operation == Operation::Relu && next.sources == [index]);
            is_relu && readers[index] == 1
        });
        Ok(Self {
            before_relu: before_relu.collect(),
            graph: graph.clone(),
            device: device.clone(),
            dtype: DType::F32,
            parameters,
            fused: device.is_cpu(),
            ranges,
            sparse: None,
        })
    }

    /// Creates the sparse network of `graph` in f32 on the CPU, with the parameters of `state` and
    /// only the weights that `masks` keep.
    ///
    /// Up to rounding, it computes and trains the same function as the dense network whose pruned
    /// weights are zero, but stores and computes only the kept weights and the live units, which a
    /// kept weight writes or reads. The parameters of other units do not change. Its inputs must
    /// be selected according to [`inputs`](Self::inputs).
    ///
    /// # Errors
    /// Returns an error if a tensor cannot be created.
    pub fn sparse(graph: &Graph, state: &State, masks: &Masks) -> Result<Self> {
        let device = Device::Cpu;
        let plan = Plan::new(graph, state, masks);
        let mut network = Self::new(graph, plan.rest(), &device)?;
        let mut masks = masks.iter();
        for (index, range) in network.ranges.iter().enumerate() {
            for parameter in &mut network.parameters[range.clone()] {
                let mask = if parameter.kernel { masks.next() } else { None };
                let places = plan.places(index, parameter.var.dims(), mask);
                let values = places.gather(&parameter.values()?);
                let length = values.len();
                parameter.var = Var::from_vec(values, length, &device)?;
                parameter.places = Some(places);
            }
        }
        network.sparse = Some(plan);
        Ok(network)
    }

    /// Returns the indices of the image elements that the network reads, in ascending order;
    /// `None` if it reads whole images. A network that returns indices takes the inputs of a batch
    /// as (elements, images).
    pub fn inputs(&self) -> Option<&Arc<[u32]>> {
        self.sparse.as_ref().map(Plan::inputs)
    }

    /// Returns how the network computes with its kept weights, if it is sparse.
    pub(super) fn plan(&self) -> Option<&Plan> {
        self.sparse.as_ref()
    }

    /// Creates the network of `graph` in f64 with plain tensor operations.
    ///
    /// Its kernels, in the order of [`Graph::prunable`], are `kernels`; all other parameters come
    /// from `state`. GraSP computes its gradients with such a network, and so does SNIP if weights
    /// were given in f64.
    ///
    /// # Errors
    /// Returns an error if `kernels` does not contain one kernel of the right length per prunable
    /// tensor, or if the device fails.
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

    /// Returns the same network, computed with plain tensor operations, as on every device but the
    /// CPU. They are the reference implementation of the fused operators.
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

    /// Checks whether training computes node `index` together with the ReLU that follows it, so
    /// that the value between them is not kept. The value of both nodes is then that of the ReLU.
    pub(super) fn takes_relu(&self, index: usize) -> bool {
        let node = &self.graph.nodes()[index];
        let can = matches!(node.operation, Operation::BatchNorm | Operation::Add);
        can && self.fused && self.before_relu[index]
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
        for parameter in &self.parameters {
            let (name, mut values) = (parameter.name.clone(), parameter.values()?);
            if let (Some(places), Some(plan)) = (&parameter.places, &self.sparse) {
                let mut array = plan.rest().get(&name).values.clone();
                places.scatter(&values, &mut array);
                values = array;
            }
            state.insert(name, parameter.shape().to_vec(), values);
        }
        Ok(state)
    }

    /// Returns the parameters of node `index`: weight, then bias, if it has them.
    pub(super) fn parameters_of(&self, index: usize) -> &[Parameter] {
        &self.parameters[self.ranges[index].clone()]
    }
}
