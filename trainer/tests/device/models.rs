//! Small forged networks and inputs for them.

use std::collections::BTreeSet;

use rarefy_format::{Activation, LayerSpec, WeightsSpec, write};

/// A small generator: tests need the same numbers everywhere, not good ones.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn weight(&mut self) -> i8 {
        let size = i8::try_from(self.below(127) + 1).unwrap();
        if self.below(2) == 0 { -size } else { size }
    }
}

/// A layer as stripping leaves it: (left, original) inputs and outputs, and nonzeros.
pub(crate) type Shape = ((usize, usize), (usize, usize), usize);

/// The container of a network with these layers.
pub(crate) fn sparse_model(shapes: &[Shape], seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    let last = shapes.len() - 1;
    let layers: Vec<LayerSpec> = shapes
        .iter()
        .enumerate()
        .map(
            |(index, &((inputs, original_inputs), (outputs, original_outputs), nonzeros))| {
                let mut rows = vec![BTreeSet::new(); outputs];
                for nonzero in 0..nonzeros {
                    let row = &mut rows[nonzero % outputs];
                    while !row.insert(u16::try_from(numbers.below(inputs)).unwrap()) {}
                }
                LayerSpec {
                    inputs,
                    outputs,
                    original_inputs,
                    original_outputs,
                    activation: if index == last {
                        Activation::Linear
                    } else {
                        Activation::Relu
                    },
                    shift: if index == last { 0 } else { 7 },
                    bias: (0..outputs)
                        .map(|_| i32::try_from(numbers.below(4000)).unwrap() - 1000)
                        .collect(),
                    weights: WeightsSpec::Csr {
                        row_lengths: rows
                            .iter()
                            .map(|row| u16::try_from(row.len()).unwrap())
                            .collect(),
                        values: (0..nonzeros).map(|_| numbers.weight()).collect(),
                        columns: rows.into_iter().flatten().collect(),
                    },
                }
            },
        )
        .collect();
    write(&layers).unwrap()
}

/// A small network with stripped units.
pub(crate) fn small() -> Vec<u8> {
    sparse_model(
        &[
            ((64, 64), (30, 40), 150),
            ((30, 40), (12, 16), 80),
            ((12, 16), (5, 5), 30),
        ],
        1,
    )
}

/// LeNet-300-100 as 100x effective compression leaves it.
pub(crate) fn lenet() -> Vec<u8> {
    sparse_model(
        &[
            ((784, 784), (283, 300), 1087),
            ((283, 300), (100, 100), 1053),
            ((100, 100), (10, 10), 522),
        ],
        2,
    )
}

/// Inputs, mostly zero as images of digits are; the extremes are among the rest.
pub(crate) fn samples(count: usize, bytes: usize) -> Vec<Vec<u8>> {
    let mut numbers = Numbers(99);
    let mut pixel = || match numbers.below(8) {
        0 => 255,
        1 | 2 => u8::try_from(numbers.below(256)).unwrap(),
        _ => 0,
    };
    (0..count)
        .map(|_| (0..bytes).map(|_| pixel()).collect())
        .collect()
}
