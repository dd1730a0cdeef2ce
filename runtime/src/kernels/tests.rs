//! One suite for every kernel, against a naive dense oracle in 64-bit arithmetic.

extern crate std;

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use rarefy_format::{Activation, AlignedBytes, LayerSpec, Model, Weights, WeightsSpec, write};

use super::{csr, run};
use crate::output::{Finish, Logits, Requantize};

/// A dense layer and an input for it.
#[derive(Clone, Debug)]
struct Case {
    layer: LayerSpec,
    input: Vec<u8>,
    shift: u8,
}

/// Layers of up to 40 inputs and 14 outputs, empty to full: rows of every length from none over
/// the straight code to several rounds, and every remainder of a four-row dense block.
fn case() -> impl Strategy<Value = Case> {
    (1..40usize, 1..14usize, 0..=100u8).prop_flat_map(|(inputs, outputs, percent)| {
        let weight = (0..100u8, any::<i8>())
            .prop_map(move |(chance, weight)| if chance < percent { weight } else { 0 });
        let values = proptest::collection::vec(weight, inputs * outputs);
        let bias = proptest::collection::vec(-2_000_000..2_000_000i32, outputs);
        let input = proptest::collection::vec(any::<u8>(), inputs);
        (values, bias, input, 0..=31u8).prop_map(move |(values, bias, input, shift)| Case {
            layer: LayerSpec {
                inputs,
                outputs,
                original_inputs: inputs,
                original_outputs: outputs,
                activation: Activation::Linear,
                shift: 0,
                bias,
                weights: WeightsSpec::Dense { values },
            },
            input,
            shift,
        })
    })
}

/// The sums of a dense layer, as the definition says and in 64 bits.
fn naive(case: &Case) -> Vec<i64> {
    let WeightsSpec::Dense { values } = &case.layer.weights else {
        panic!("cases are dense")
    };
    let rows = values.chunks_exact(case.layer.inputs).zip(&case.layer.bias);
    rows.map(|(row, &bias)| {
        let products = row
            .iter()
            .zip(&case.input)
            .map(|(&w, &x)| i64::from(w) * i64::from(x));
        i64::from(bias) + products.sum::<i64>()
    })
    .collect()
}

fn naive_byte(sum: i64, shift: u8) -> u8 {
    let round = if shift == 0 { 0 } else { 1i64 << (shift - 1) };
    ((sum + round) >> shift).clamp(0, 255) as u8
}

/// Runs a kernel on a layer that went through a container.
fn through_container<F: Finish>(
    layer: &LayerSpec,
    input: &[u8],
    finish: F,
    empty: F::Output,
    kernel: impl Fn(Weights<'_>, &[i32], &[u8], F, &mut [F::Output]),
) -> Vec<F::Output> {
    let bytes = AlignedBytes::copy_from(&write(std::slice::from_ref(layer)).unwrap());
    let model = Model::parse(&bytes).unwrap();
    let layer = model.layers().next().unwrap();
    let mut output = vec![empty; layer.outputs()];
    kernel(layer.weights(), layer.bias(), input, finish, &mut output);
    output
}

/// The oracle of the unchecked sparse loop.
fn run_checked<F: Finish>(
    weights: Weights<'_>,
    bias: &[i32],
    input: &[u8],
    finish: F,
    output: &mut [F::Output],
) {
    let Weights::Csr(csr) = weights else {
        panic!("the oracle of the sparse kernel")
    };
    csr::run_checked(csr, bias, input, finish, output);
}

macro_rules! kernel_suite {
    ($name:ident, $encode:ident, $run:ident) => {
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(512))]

                #[test]
                fn computes_what_the_definition_says(case in case()) {
                    let layer = case.layer.$encode(0).unwrap();
                    let sums = naive(&case);
                    let logits = through_container(&layer, &case.input, Logits, 0, $run);
                    let logits: Vec<i64> = logits.into_iter().map(i64::from).collect();
                    prop_assert_eq!(&logits, &sums);
                    let shift = case.shift;
                    let finish = Requantize { shift };
                    let bytes = through_container(&layer, &case.input, finish, 0, $run);
                    let expected: Vec<u8> =
                        sums.iter().map(|&sum| naive_byte(sum, shift)).collect();
                    prop_assert_eq!(bytes, expected);
                }
            }

            #[test]
            fn survives_the_largest_sums() {
                for weight in [i8::MIN, i8::MAX] {
                    let inputs = 60_000;
                    let layer = LayerSpec {
                        inputs,
                        outputs: 1,
                        original_inputs: inputs,
                        original_outputs: 1,
                        activation: Activation::Linear,
                        shift: 0,
                        bias: vec![100_000_000 * i32::from(weight.signum())],
                        weights: WeightsSpec::Dense {
                            values: vec![weight; inputs],
                        },
                    };
                    let case = Case {
                        layer,
                        input: vec![255; inputs],
                        shift: 0,
                    };
                    let layer = case.layer.$encode(0).unwrap();
                    let logits = through_container(&layer, &case.input, Logits, 0, $run);
                    assert_eq!(i64::from(logits[0]), naive(&case)[0]);
                }
            }

            #[test]
            fn leaves_a_short_input_alone() {
                let layer = LayerSpec {
                    inputs: 3,
                    outputs: 1,
                    original_inputs: 3,
                    original_outputs: 1,
                    activation: Activation::Linear,
                    shift: 0,
                    bias: vec![5],
                    weights: WeightsSpec::Dense {
                        values: vec![1, 1, 1],
                    },
                };
                let layer = layer.$encode(0).unwrap();
                // Nothing promised but that nothing is read behind the input.
                let _ = through_container(&layer, &[9, 9], Logits, 0, run);
                let _ = through_container(&layer, &[], Logits, 0, run);
            }
        }
    };
}

kernel_suite!(sparse, to_csr, run);
kernel_suite!(sparse_checked, to_csr, run_checked);
kernel_suite!(dense, to_dense, run);
