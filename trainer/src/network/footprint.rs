//! A lower bound of the memory that training takes on a device.

use candle_core::DType;

use crate::graph::{Graph, Operation, Pooling};

/// Returns a lower bound of the bytes that training `graph` in batches of `batch` images takes on
/// a device, by [`plain`](super::plain) tensor operations in f32 and with `moments` moments per
/// parameter.
///
/// Until the gradients are computed, candle keeps every value that a forward pass computes.
/// Parameters are stored twice, in the network and in the optimizer's flat tensor, and so are
/// their gradients.
#[must_use]
pub fn least_bytes(graph: &Graph, batch: usize, moments: usize) -> usize {
    let nodes = graph.nodes().iter();
    let kept = nodes.map(|node| {
        let values: usize = node.shape.iter().product();
        // What windows read: a copy of the source by position, then one value per tap.
        let read = |taps: usize| {
            let source = &graph.nodes()[node.source()].shape;
            let outputs: usize = node.shape[1..].iter().product();
            source.iter().product::<usize>() + outputs * taps * source[0]
        };
        match node.operation {
            // Views of existing values.
            Operation::Input | Operation::Flatten => 0,
            Operation::Dense { bias, .. } => values * (1 + usize::from(bias)),
            Operation::Conv {
                window,
                groups,
                bias,
                ..
            } => {
                // Groups need what they read, and their products, in another order.
                let copies = 1 + usize::from(groups > 1);
                let source = graph.nodes()[node.source()].shape.iter().product::<usize>();
                let taps = read(window.taps()) - source;
                source + copies * taps + values * (1 + copies + usize::from(bias))
            }
            Operation::Pool { kind, window } => {
                let results = match kind {
                    Pooling::Max => 2,
                    Pooling::Average => 3,
                };
                read(window.taps()) + values * results
            }
            // Centred, squared, divided, scaled and shifted.
            Operation::BatchNorm => 5 * values,
            // The result and a tensor of zeros.
            Operation::Relu => 2 * values,
            // A ReLU, the bound, and the result.
            Operation::Relu6 => 4 * values,
            Operation::Add => values,
        }
    });
    let values = kept.sum::<usize>().saturating_mul(batch);
    let parameters = graph.total() * (4 + moments);
    values
        .saturating_add(parameters)
        .saturating_mul(DType::F32.size_in_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use candle_core::{CpuStorage, Device, Storage, Tensor, Var};

    use super::*;
    use crate::graph::architecture;
    use crate::network::tests::{lenet, random_tensor, residual, speech};
    use crate::network::{Network, initial};
    use crate::random::Random;

    /// Returns the bytes of all arrays that the graph of `result` keeps, each once, without the
    /// parameters.
    fn kept(result: &Tensor) -> usize {
        let mut arrays = BTreeMap::new();
        let nodes = result.sorted_nodes();
        // Parameters come after their views, so that their 0 replaces the bytes of a view.
        for tensor in nodes {
            let (storage, _) = tensor.storage_and_layout();
            let bytes = match &*storage {
                Storage::Cpu(CpuStorage::F32(values)) => size_of_val(values.as_slice()),
                _ => panic!("values are in f32"),
            };
            let bytes = if tensor.is_variable() { 0 } else { bytes };
            arrays.insert(&raw const *storage, bytes);
        }
        arrays.values().sum()
    }

    /// Compares with the arrays of candle's graph. The graph has some that are not counted, and
    /// the zeros of ReLUs, which are counted, are not among its nodes.
    #[test]
    fn the_bound_is_near_to_what_is_kept() {
        let named = |name: &str| architecture::by_name(name).unwrap();
        for graph in [
            named("lenet-300-100"),
            named("lenet-5"),
            lenet(),
            residual(),
            speech(),
        ] {
            let batch = 50;
            let state = initial::state(&graph, 1);
            let network = Network::new(&graph, &state, &Device::Cpu).unwrap().plain();
            let x = random_tensor(&mut Random::new(2), (batch, graph.input_len()));
            // As a variable, so that what the first layer reads is part of the graph.
            let x = Var::from_tensor(&x).unwrap();
            let found = kept(&network.train_forward(x.as_tensor()).unwrap());
            let values = |batch| least_bytes(&graph, batch, 1) - least_bytes(&graph, 0, 1);
            let share = values(batch) as f64 / found as f64;
            let name = graph.name();
            assert!((0.95..=1.15).contains(&share), "{name}: {share}");
            assert_eq!(values(2 * batch), 2 * values(batch));
        }
    }

    #[test]
    fn parameters_count_with_their_gradients_and_moments() {
        let graph = architecture::by_name("lenet-300-100").unwrap();
        // Weights, their flat copy, two sets of gradients, and moments, of four bytes each.
        assert_eq!(least_bytes(&graph, 0, 1), 266_200 * 5 * 4);
        assert_eq!(least_bytes(&graph, 0, 2), 266_200 * 6 * 4);
    }
}
