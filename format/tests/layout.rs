//! Compares what the view of a block reports with the numbers from which the block was written.

use proptest::prelude::*;
use rarefy_format::{
    AlignedBytes, Encoding, LayerSpec, Model, Operation, Shape, WeightsSpec, write,
};
use rarefy_test_support::networks;

/// Returns the number of nonzero weights of a layer.
fn nonzeros(layer: &LayerSpec) -> usize {
    match &layer.weights {
        WeightsSpec::None => 0,
        WeightsSpec::Integers { rows, .. } => rows.iter().flatten().filter(|w| w.1 != 0).count(),
        WeightsSpec::Floats { rows, .. } => rows.iter().flatten().filter(|w| w.1 != 0.0).count(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn parts_add_up_and_nonzeros_are_those_written(seed in any::<u64>()) {
        let network = networks::any(seed);
        let Ok(bytes) = write(&network) else { return Ok(()) };
        let model = Model::parse(&bytes).unwrap();
        for (layer, spec) in model.layers().zip(&network.layers) {
            let stored = nonzeros(spec);
            prop_assert_eq!(layer.weights().nonzeros(), stored);
            let parts = layer.weights().parts();
            prop_assert_eq!(parts.bytes(), layer.block().len());
            let geometry = match layer.operation() {
                Operation::Dense => 0,
                Operation::Conv { window, .. } | Operation::Pool { window, .. } => {
                    let ([height, width], [down, across]) = (window.size, window.stride);
                    let short = height == width && down == across && height < 16;
                    if short { 8 } else { 12 }
                }
            };
            let links = layer.links().map_or(0, |_| 4);
            let whole = layer.parts();
            prop_assert_eq!(whole.bytes(), layer.block().len() + geometry + links);
            prop_assert_eq!(whole.positions, parts.positions);
            let (rows, columns) = (layer.outputs(), layer.columns());
            let values = match layer.encoding() {
                Encoding::Dense => Some(rows * columns),
                Encoding::Csr => Some(stored),
                Encoding::CsrF32 => Some(4 * stored),
                _ => None,
            };
            if let Some(values) = values {
                prop_assert_eq!((parts.values, parts.biases), (values, 4 * rows));
            }
        }
    }
}

/// Checks the sizes of the parts of blocks whose layout was worked out by hand, one per encoding.
#[test]
fn the_parts_of_a_layer_drawn_by_hand_are_known() {
    // Five inputs and two rows: the first has one weight, the second has two.
    let integers = |encoding| match encoding {
        Encoding::Words => vec![vec![(1, 9)], vec![(0, 8), (4, 20)]],
        Encoding::Columns => vec![vec![(1, 4)], vec![(0, 5), (4, 7)]],
        _ => vec![vec![(1, 9)], vec![(0, 8), (4, 20)]],
    };
    for (encoding, [positions, values, biases, parameters, value_bits]) in [
        (Encoding::Dense, [0, 10, 8, 0, 8]),
        (Encoding::Csr, [4 + 6, 3, 8, 0, 8]),
        // A run of two rows of two words, the first row padded. A word has 3 of 16 bits for the
        // index: 8 bytes of words, a header, the end, and the mask.
        (Encoding::Words, [4 + 4 + 2, 6, 8, 4, 13]),
        // Starts of three pairs in 8 bytes, the empty block, the counts of two blocks, and three
        // words with 1 of 16 bits for the index, each after 2 bytes of padding.
        (Encoding::Columns, [8 + 4 + 8 + 6, 6, 8, 4, 15]),
    ] {
        let layer = LayerSpec::dense(encoding, 0, vec![3, -3], integers(encoding));
        let network = rarefy_format::NetworkSpec {
            input: Shape::flat(5),
            layers: vec![layer],
        };
        let bytes = write(&network).unwrap();
        let model = Model::parse(&bytes).unwrap();
        let parts = model.layers().next().unwrap().parts();
        let found = [
            parts.positions,
            parts.values,
            parts.biases,
            parts.parameters,
            parts.value_bits,
        ];
        let expected = [positions, values, biases, parameters, value_bits];
        assert_eq!(found, expected, "{encoding:?}");
    }
}

/// Checks that the iterator for engines without maps yields the layers of chains of dense layers,
/// and no others.
#[test]
fn the_lean_walk_yields_no_layers_of_other_networks() {
    let mut seen = [0, 0];
    for seed in 0..300 {
        let network = networks::any(seed);
        let Ok(bytes) = write(&network) else { continue };
        let bytes = AlignedBytes::copy_from(&bytes);
        let model = Model::parse(&bytes).unwrap();
        let is_chain = network.layers.iter().all(|layer| {
            layer.operation == Operation::Dense && layer.source == 1 && layer.skip.is_none()
        });
        let walked: Vec<_> = model.dense_layers().collect();
        if is_chain {
            let outputs = walked.iter().map(|layer| layer.weights.nonzeros());
            assert!(outputs.eq(network.layers.iter().map(nonzeros)), "{seed}");
            assert_eq!(walked.len(), network.layers.len());
        } else {
            assert!(walked.is_empty(), "{seed}");
        }
        seen[usize::from(is_chain)] += 1;
    }
    assert!(seen.iter().all(|&count| count > 50), "{seen:?}");
}

/// Compares the range of sums with the sums of all extreme inputs.
#[test]
fn the_range_of_sums_is_that_of_the_worst_inputs() {
    let layer = LayerSpec::dense(
        Encoding::Csr,
        0,
        vec![1_000, -40],
        vec![vec![(0, 7), (1, -3), (2, 127)], vec![(1, -128), (2, -1)]],
    );
    let rows = match &layer.weights {
        WeightsSpec::Integers { rows, .. } => rows.clone(),
        _ => unreachable!("the layer holds integers"),
    };
    let inputs = (0..8).map(|bits| [0, 1, 2].map(|at| if bits >> at & 1 == 1 { 255 } else { 0 }));
    let inputs: Vec<[i64; 3]> = inputs.collect();
    for ((row, range), bias) in rows.iter().zip(layer.sum_ranges()).zip([1_000, -40]) {
        let sums = inputs.iter().map(|input| {
            let products = row.iter();
            bias + products
                .map(|&(column, weight)| i64::from(weight) * input[usize::from(column)])
                .sum::<i64>()
        });
        let sums: Vec<i64> = sums.collect();
        assert_eq!(range.least, *sums.iter().min().unwrap());
        assert_eq!(range.most, *sums.iter().max().unwrap());
        assert!(range.fits() && range.partial >= range.most.max(-range.least));
    }
}
