//! Tests random graphs with operations in any order: folding rejects them or preserves their
//! function.

use rarefy_trainer::deploy::network::Operation as Layer;
use rarefy_trainer::deploy::{DeployError, Network, strip};
use rarefy_trainer::graph::{Graph, Operation, Padding, Pooling, Window};
use rarefy_trainer::random::Random;

use crate::graphs::Builder;
use crate::trained::{MNIST, Trained, random_masks};

/// Returns a random graph in which each operation may read any earlier node.
fn graph(random: &mut Random) -> Graph {
    let mut below = |bound: usize| random.below(bound as u64) as usize;
    let mut builder = Builder::new("random", [1 + below(2), 6 + below(4), 6 + below(4)]);
    for _ in 0..3 + below(9) {
        let count = builder.last() + 1;
        // Mostly the last node, sometimes one that has other readers.
        let source = if below(4) > 0 {
            count - 1
        } else {
            below(count)
        };
        let shape = builder.0.nodes()[source].shape.clone();
        let is_map = shape.len() == 3;
        match below(8) {
            0..=1 if is_map => {
                let padding = [Padding::Valid, Padding::Same, Padding::Each(1)][below(3)];
                let (size, stride) = ([1 + below(3), 1 + below(3)], [1 + below(2), 1 + below(2)]);
                let window = Window::rectangular(size, stride, padding, [shape[1], shape[2]]);
                if let Some(window) = window {
                    let (channels, groups) = match below(4) {
                        0 => (shape[0] * (1 + below(2)), shape[0]),
                        1 if shape[0].is_multiple_of(2) => (2 * (1 + below(3)), 2),
                        _ => (1 + below(5), 1),
                    };
                    builder.conv_by(source, (channels, groups), window);
                }
            }
            0..=1 => {
                builder.dense(source, 1 + below(6));
            }
            2 if is_map => {
                let kind = [Pooling::Max, Pooling::Average][below(2)];
                let (size, stride) = [
                    ([2, 2], [2, 2]),
                    ([2, 2], [1, 1]),
                    ([3, 3], [2, 2]),
                    ([2, 3], [1, 2]),
                    ([shape[1], shape[2]], [1, 1]),
                ][below(5)];
                let input = [shape[1], shape[2]];
                let window = Window::rectangular(size, stride, Padding::Valid, input);
                if let Some(window) = window {
                    builder.push(Operation::Pool { kind, window }, &[source]);
                }
            }
            3 if is_map && shape[1] * shape[2] < 20 => {
                builder.push(Operation::Flatten, &[source]);
            }
            4 => {
                builder.norm(source);
            }
            5 | 6 => {
                let equal: Vec<usize> = (0..count)
                    .filter(|&node| builder.0.nodes()[node].shape == shape)
                    .collect();
                builder.add(source, equal[below(equal.len())]);
            }
            7 if below(3) == 0 => {
                builder.push(Operation::Relu6, &[source]);
            }
            _ => {
                builder.relu(source);
            }
        }
    }
    let last = builder.last();
    let scores = builder.dense(last, 3);
    if below(2) == 0 {
        builder.norm(scores);
    }
    builder.0
}

/// Checks the guarantees of a stripped network.
fn is_stripped(network: &Network) {
    let (output, layers) = (network.layers.len() - 1, &network.layers);
    for (index, layer) in layers.iter().enumerate() {
        assert!(
            layer.source.max(layer.skip) < Some(index),
            "layers are not in topological order"
        );
        assert!(
            index == output || network.readers(index).count() > 0,
            "{}",
            layer.name
        );
        let shape = network.shape(layer.source);
        if !matches!(layer.operation, Layer::Pool { .. }) {
            let columns = shape[0] * layer.columns(shape);
            assert_eq!(
                layer.weights.shape(),
                (layer.shape[0], columns),
                "{}",
                layer.name
            );
        }
        if !network.can_reorder(index) {
            continue;
        }
        for (unit, row) in layer.weights.outer_iterator().enumerate() {
            let reads = |reader: &rarefy_trainer::deploy::Layer| {
                let block = reader.columns(layer.shape);
                let columns = reader.weights.indices();
                columns.iter().any(|column| column / block == unit)
            };
            let read = network.readers(index).any(reads);
            let constant = network
                .readers(index)
                .any(|reader| reader.pads() && reads(reader));
            assert!(
                read || layer.shape[0] == 1,
                "unit {unit} of {} is not read",
                layer.name
            );
            assert!(
                row.nnz() > 0 || constant || !read,
                "unit {unit} of {} reads nothing",
                layer.name
            );
        }
    }
}

#[test]
fn random_graphs_compute_the_same_after_folding_stripping_and_permuting() {
    let mut random = Random::new(4);
    let (mut refused, mut folds, mut skips, mut pooled, mut moved) = (0, 0, 0, 0, 0);
    for sample in 0..3000 {
        let graph = graph(&mut random);
        let density = [1.0, 0.5, 0.2][sample % 3];
        let pixels = [MNIST, (0.0, 0.5)][sample % 2];
        let masks = random_masks(&graph, density, &mut random);
        let trained = Trained::new(graph, masks, pixels, &mut random);
        let folded = match trained.fold() {
            Ok(folded) => folded,
            Err(DeployError::Fold { reason, .. }) => {
                assert!(reason.contains("which has no ReLU"), "{reason}");
                refused += 1;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        // A batch norm over almost constant values amplifies rounding: f32 results are then
        // meaningless.
        if trained.rounding > 2e-6 {
            continue;
        }
        folds += 1;
        trained.agrees(&folded, "folded");
        let mut stripped = strip::strip(&folded);
        trained.agrees(&stripped, "stripped");
        is_stripped(&stripped);
        for index in 0..stripped.layers.len() {
            let layer = &stripped.layers[index];
            skips += usize::from(layer.skip.is_some());
            let fused = |layer: &Layer| {
                matches!(
                    layer,
                    Layer::Conv {
                        pooling: Some(_),
                        ..
                    }
                )
            };
            pooled += usize::from(fused(&layer.operation));
            if stripped.can_reorder(index) {
                let mut order: Vec<usize> = (0..layer.shape[0]).collect();
                random.shuffle(&mut order);
                moved += usize::from(!order.is_sorted());
                stripped.permute(index, &order);
            }
        }
        trained.agrees(&stripped, "permuted");
    }
    // Every kind of network was covered.
    let seen = [folds, refused, skips, pooled, moved];
    assert!(seen.iter().all(|&count| count > 50), "{seen:?}");
}
