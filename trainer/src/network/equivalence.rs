//! Checks the values and gradients of every operator, in plain tensor operations (f32 and f64) and
//! fused (f32), against finite differences and against definitions written out as loops.

use candle_core::{DType, Device, Tensor, Var};

use super::operators::{GradientSlot, Operand, batch_norm, conv, linear, pool, relu};
use super::plain;
use super::statistics::EPSILON;
use crate::graph::{Padding, Pooling, Window};
use crate::random::Random;

/// The operators of a training step.
#[derive(Debug, Clone, Copy)]
enum Operator {
    Linear,
    Conv(Window),
    Pool(Pooling, Window),
    Relu,
    BatchNorm,
}

/// An operator and its operands in f64: x, then the parameters.
struct Case {
    operator: Operator,
    operands: Vec<Tensor>,
}

/// A result, and the gradients of its weighted sum with respect to each operand.
struct Outcome {
    values: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

fn values(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    flat.to_vec1().unwrap()
}

/// Draws normally distributed values that f32 represents exactly.
fn normal(random: &mut Random, shape: &[usize]) -> Tensor {
    let draw = |_| f64::from(random.normal() as f32);
    let values: Vec<f64> = (0..shape.iter().product()).map(draw).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Draws small integers around 0, so that windows contain ties.
fn coarse(random: &mut Random, shape: &[usize]) -> Tensor {
    let draw = |_| random.below(4) as f64 - 2.0;
    let values: Vec<f64> = (0..shape.iter().product()).map(draw).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

impl Case {
    /// Computes the operator in plain tensor operations of the operands' type.
    fn plain(&self, operands: &[Tensor]) -> Tensor {
        let result = match (self.operator, operands) {
            (Operator::Linear, [x, weight, bias @ ..]) => plain::linear(x, weight, bias.first()),
            (Operator::Conv(window), [x, weight, bias @ ..]) => {
                plain::conv(x, weight, bias.first(), window)
            }
            (Operator::Pool(kind, window), [x]) => plain::pool(x, kind, window),
            (Operator::Relu, [x]) => plain::relu(x),
            (Operator::BatchNorm, [x, scale, shift]) => plain::batch_norm(x, scale, shift),
            (operator, _) => panic!("{operator:?} has other operands"),
        };
        result.unwrap()
    }

    /// Computes the fused operator.
    fn fused(&self, x: &Tensor, parameters: &[Operand<'_>]) -> Tensor {
        let result = match (self.operator, parameters) {
            (Operator::Linear, [weight, bias @ ..]) => linear::linear(x, weight, bias.first()),
            (Operator::Conv(window), [weight, bias @ ..]) => {
                conv::conv(x, weight, bias.first(), window)
            }
            (Operator::Pool(kind, window), _) => pool::pool(x, kind, window),
            (Operator::Relu, _) => relu::relu(x),
            (Operator::BatchNorm, [scale, shift]) => {
                batch_norm::batch_norm(x, scale, shift, EPSILON)
            }
            (operator, _) => panic!("{operator:?} has other parameters"),
        };
        result.unwrap()
    }

    /// Returns the weights of the sum whose gradients are compared.
    fn weighting(&self) -> Tensor {
        let shape = self.plain(&self.operands);
        normal(&mut Random::new(11), shape.dims())
    }

    fn variables(&self, dtype: DType) -> Vec<Var> {
        let variable = |operand: &Tensor| Var::from_tensor(&operand.to_dtype(dtype).unwrap());
        self.operands
            .iter()
            .map(|operand| variable(operand).unwrap())
            .collect()
    }

    /// Computes the outcome with plain tensor operations in `dtype`.
    fn of_plain(&self, dtype: DType) -> Outcome {
        let variables = self.variables(dtype);
        let operands: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
        let result = self.plain(&operands);
        assert_eq!(result.dtype(), dtype);
        let weighting = self.weighting().to_dtype(dtype).unwrap();
        let store = result.mul(&weighting).unwrap().backward().unwrap();
        let gradient = |v: &Var| values(store.get(v).expect("every operand's gradient"));
        Outcome {
            values: values(&result),
            gradients: variables.iter().map(gradient).collect(),
        }
    }

    /// Computes the outcome of the fused operator.
    fn of_fused(&self) -> Outcome {
        let variables = self.variables(DType::F32);
        let slots: Vec<GradientSlot> = variables.iter().map(|_| Default::default()).collect();
        let operand = |(variable, gradient): (&Var, _)| Operand {
            values: variable.as_tensor().clone(),
            gradient,
        };
        let parameters: Vec<Operand<'_>> = variables[1..].iter().zip(&slots).map(operand).collect();
        let result = self.fused(variables[0].as_tensor(), &parameters);
        let weighting = self.weighting().to_dtype(DType::F32).unwrap();
        let store = result.mul(&weighting).unwrap().backward().unwrap();
        let of_x = values(store.get(&variables[0]).expect("the gradient of x"));
        let of_parameters = slots[..parameters.len()]
            .iter()
            .map(|slot| values(&slot.take().expect("every parameter's gradient")));
        Outcome {
            values: values(&result),
            gradients: std::iter::once(of_x).chain(of_parameters).collect(),
        }
    }

    /// Returns the central difference of the weighted sum with respect to one element of an
    /// operand.
    fn difference(&self, operand: usize, element: usize) -> f64 {
        const STEP: f64 = 1e-5;
        let weighting = values(&self.weighting());
        let moved = |by: f64| {
            let mut operands = self.operands.clone();
            let mut elements = values(&operands[operand]);
            elements[element] += by;
            let shape = operands[operand].dims().to_vec();
            operands[operand] = Tensor::from_vec(elements, shape, &Device::Cpu).unwrap();
            let result = values(&self.plain(&operands));
            result
                .iter()
                .zip(&weighting)
                .map(|(y, w)| y * w)
                .sum::<f64>()
        };
        (moved(STEP) - moved(-STEP)) / (2.0 * STEP)
    }
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], most: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        let close = (a - b).abs() <= most * (1.0 + b.abs());
        assert!(close || a == b, "{what}[{index}]: {a}, not {b}");
    }
}

/// Returns windows of all kinds over a map of size `input` (height, width): overlapping, with gaps,
/// padded evenly, unevenly, and by more than the windows read, rectangular, and as large as the
/// map.
fn windows(input: [usize; 2]) -> Vec<Window> {
    let window = |size, stride, padding| Window::new(size, stride, padding, input).unwrap();
    let uneven = Window {
        before: [0, 2],
        after: [1, 0],
        ..window(3, 2, Padding::Valid)
    };
    let rectangular = |size, stride, padding| {
        Window::rectangular(size, stride, padding, input).expect("a window that fits")
    };
    vec![
        window(1, 1, Padding::Valid),
        window(1, 2, Padding::Valid),
        window(2, 2, Padding::Valid),
        window(2, 3, Padding::Valid),
        window(3, 1, Padding::Each(1)),
        window(3, 2, Padding::Same),
        window(2, 1, Padding::Same),
        window(5, 3, Padding::Each(2)),
        uneven,
        rectangular([3, 1], [1, 2], Padding::Valid),
        rectangular([2, 4], [2, 1], Padding::Same),
        rectangular([4, 3], [3, 2], Padding::Each(1)),
        rectangular([1, 5], [2, 3], Padding::Same),
        rectangular(input, input, Padding::Valid),
    ]
}

/// Returns a case per operator, shape and window.
fn cases() -> Vec<Case> {
    let mut random = Random::new(4);
    let mut cases = Vec::new();
    let mut push = |operator, operands: &[&[usize]]| {
        let operands = operands.iter().map(|shape| normal(&mut random, shape));
        let operands = operands.collect();
        cases.push(Case { operator, operands });
    };
    push(Operator::Linear, &[&[5, 7], &[3, 7], &[3]]);
    push(Operator::Linear, &[&[1, 4], &[2, 4]]);
    for window in windows([7, 6]) {
        let kernel = [4, 3, window.size[0], window.size[1]];
        push(Operator::Conv(window), &[&[2, 3, 7, 6], &kernel, &[4]]);
        push(Operator::Conv(window), &[&[2, 3, 7, 6], &kernel]);
        for (outputs, inputs) in [(6, 2), (4, 1), (8, 1)] {
            let kernel = [outputs, inputs, window.size[0], window.size[1]];
            push(
                Operator::Conv(window),
                &[&[2, 4, 7, 6], &kernel, &[outputs]],
            );
        }
        for kind in [Pooling::Max, Pooling::Average] {
            push(Operator::Pool(kind, window), &[&[2, 3, 7, 6]]);
        }
    }
    push(Operator::Relu, &[&[3, 4, 2, 5]]);
    push(Operator::BatchNorm, &[&[6, 3], &[3], &[3]]);
    push(Operator::BatchNorm, &[&[3, 2, 4, 3], &[2], &[2]]);
    cases
}

/// Compares the f64 gradients with central differences, and the f32 results, plain and fused, with
/// the f64 ones.
#[test]
fn every_operator_matches_finite_differences_in_both_precisions() {
    for case in cases() {
        let name = format!("{:?}", case.operator);
        let exact = case.of_plain(DType::F64);
        for (operand, gradient) in exact.gradients.iter().enumerate() {
            let elements: Vec<usize> = (0..gradient.len()).step_by(5).collect();
            let found: Vec<f64> = elements.iter().map(|&at| gradient[at]).collect();
            let expected: Vec<f64> = elements
                .iter()
                .map(|&at| case.difference(operand, at))
                .collect();
            assert_close(&found, &expected, 1e-6, &format!("{name}, {operand}"));
        }
        for (kind, outcome) in [
            ("plain", case.of_plain(DType::F32)),
            ("fused", case.of_fused()),
        ] {
            assert_close(
                &outcome.values,
                &exact.values,
                2e-5,
                &format!("{kind} {name}"),
            );
            assert_eq!(outcome.gradients.len(), exact.gradients.len());
            for (found, expected) in outcome.gradients.iter().zip(&exact.gradients) {
                assert_close(found, expected, 1e-4, &format!("{kind} gradient of {name}"));
            }
        }
    }
}

/// Enumerates what a convolution or pooling of `x` reads, straight from the definition. Calls
/// `visit(output, plane, reads)` for each output position of each channel plane; `reads` are
/// indices into the flattened `x`, in the order of taps, without padding.
fn each_output(x: &Tensor, window: Window, mut visit: impl FnMut(usize, usize, &[usize])) {
    let (batch, channels, rows, columns) = x.dims4().unwrap();
    let [height, width] = window.outputs([rows, columns]);
    let mut output = 0;
    for plane in 0..batch * channels {
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let mut reads = Vec::new();
            let [height, width] = window.size;
            for (i, j) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))) {
                let row = (y * window.stride[0] + i).checked_sub(window.before[0]);
                let column = (x * window.stride[1] + j).checked_sub(window.before[1]);
                if let (Some(row), Some(column)) = (row, column)
                    && row < rows
                    && column < columns
                {
                    reads.push((plane * rows + row) * columns + column);
                }
            }
            visit(output, plane, &reads);
            output += 1;
        }
    }
}

/// Checks that the first of several equal maxima gets the whole gradient, in every variant.
#[test]
fn the_first_of_tied_maxima_gets_the_gradient() {
    let mut random = Random::new(8);
    for window in windows([7, 6]) {
        let x = coarse(&mut random, &[3, 2, 7, 6]);
        let elements = values(&x);
        let case = Case {
            operator: Operator::Pool(Pooling::Max, window),
            operands: vec![x.clone()],
        };
        let weighting = values(&case.weighting());
        let (mut expected, mut gradient) = (Vec::new(), vec![0.0; elements.len()]);
        let mut ties = 0;
        each_output(&x, window, |output, _, reads| {
            let largest = reads.iter().map(|&at| elements[at]);
            let largest = largest.fold(f64::NEG_INFINITY, f64::max);
            let mut holders = reads.iter().filter(|&&at| elements[at] == largest);
            gradient[*holders.next().unwrap()] += weighting[output];
            ties += holders.count();
            expected.push(largest);
        });
        assert!(ties > 0 || window.size == [1; 2], "{window:?} has ties");
        for outcome in [
            case.of_plain(DType::F64),
            case.of_plain(DType::F32),
            case.of_fused(),
        ] {
            assert_close(&outcome.values, &expected, 0.0, &format!("{window:?}"));
            assert_close(
                &outcome.gradients[0],
                &gradient,
                1e-5,
                &format!("{window:?}"),
            );
        }
    }
}

/// Checks that ReLU passes the gradient on unchanged where x is positive, and that its gradient is
/// 0 elsewhere, at 0 and -0 too.
#[test]
fn the_gradient_of_relu_at_zero_is_zero() {
    let x = [-1.0, -0.0, 0.0, 1e-30, 2.0, f64::INFINITY];
    let case = Case {
        operator: Operator::Relu,
        operands: vec![
            Tensor::new(&x, &Device::Cpu)
                .unwrap()
                .reshape((2, 3))
                .unwrap(),
        ],
    };
    let weighting = values(&case.weighting());
    let positive = |(&x, w): (&f64, &f64)| if x > 0.0 { *w } else { 0.0 };
    let gradient: Vec<f64> = x.iter().zip(&weighting).map(positive).collect();
    let expected: Vec<f64> = x.iter().map(|x| x.max(0.0)).collect();
    for outcome in [
        case.of_plain(DType::F64),
        case.of_plain(DType::F32),
        case.of_fused(),
    ] {
        assert_close(&outcome.values, &expected, 1e-6, "value");
        assert_close(&outcome.gradients[0], &gradient, 1e-6, "gradient");
    }
}

/// Checks that ReLU6 clips at 0 and 6, has gradient 0 there and beyond, and passes NaN on.
#[test]
fn relu6_clips_on_both_sides() {
    let x = [-1.0, -0.0, 0.0, 1e-30, 2.0, 5.5, 6.0, 6.5, f64::INFINITY];
    for dtype in [DType::F32, DType::F64] {
        let tensor = Tensor::new(&x, &Device::Cpu).unwrap();
        let x_var = Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap();
        let y = plain::relu6(x_var.as_tensor()).unwrap();
        let expected: Vec<f64> = x.iter().map(|x| x.clamp(0.0, 6.0)).collect();
        assert_close(&values(&y), &expected, 1e-6, "value");
        let store = y.backward().unwrap();
        let gradient = values(store.get(&x_var).unwrap());
        let inside = |x: &f64| f64::from(u8::from(*x > 0.0 && *x < 6.0));
        let expected: Vec<f64> = x.iter().map(inside).collect();
        assert_eq!(gradient, expected);
        let nan = Tensor::new(&[f64::NAN], &Device::Cpu).unwrap();
        let nan = plain::relu6(&nan.to_dtype(dtype).unwrap()).unwrap();
        assert!(values(&nan)[0].is_nan());
    }
}

/// Checks that exactly the outputs that depend on a NaN of x are NaN, in every variant.
#[test]
fn nan_reaches_every_output_that_depends_on_it() {
    for mut case in cases() {
        let x = &case.operands[0];
        let (shape, batch) = (x.dims().to_vec(), x.dim(0).unwrap());
        let mut elements = values(x);
        let at = elements.len() / 2 + 1;
        elements[at] = f64::NAN;
        let image = at / (elements.len() / batch);
        case.operands[0] =
            Tensor::from_vec(elements.clone(), shape.as_slice(), &Device::Cpu).unwrap();
        let x = &case.operands[0];
        let mut expected = Vec::new();
        match case.operator {
            Operator::Relu => expected = elements.iter().map(|x| x.is_nan()).collect(),
            Operator::Linear => {
                let units = case.operands[1].dim(0).unwrap();
                expected = (0..batch * units).map(|o| o / units == image).collect();
            }
            Operator::Pool(_, window) => each_output(x, window, |_, _, reads| {
                expected.push(reads.contains(&at));
            }),
            Operator::Conv(window) => {
                // Every output channel reads every channel of its group and image.
                let channels = shape[1];
                let (outputs, inputs, _, _) = case.operands[1].dims4().unwrap();
                let per_group = outputs / (channels / inputs);
                let mut reached = Vec::new();
                each_output(x, window, |_, plane, reads| {
                    reached.push((plane, reads.contains(&at)));
                });
                let area = reached.len() / (batch * channels);
                for (image, output) in
                    (0..batch).flat_map(|i| (0..outputs * area).map(move |o| (i, o)))
                {
                    let position = output % area;
                    let first = image * channels + output / area / per_group * inputs;
                    let planes = first..first + inputs;
                    let reads = |plane: usize| reached[plane * area + position];
                    expected.push(planes.into_iter().any(|plane| reads(plane).1));
                }
            }
            Operator::BatchNorm => {
                let area: usize = shape[2..].iter().product();
                let unit = |element: usize| element / area % shape[1];
                expected = (0..elements.len()).map(|o| unit(o) == unit(at)).collect();
            }
        }
        for (kind, outcome) in [
            ("plain f64", case.of_plain(DType::F64)),
            ("plain f32", case.of_plain(DType::F32)),
            ("fused", case.of_fused()),
        ] {
            let found: Vec<bool> = outcome.values.iter().map(|y| y.is_nan()).collect();
            assert_eq!(found, expected, "{kind} {:?}", case.operator);
        }
    }
}

/// Checks that no gradient is computed for an input that needs none, and that the gradients of the
/// parameters do not change by a bit.
#[test]
fn an_input_without_gradient_costs_none() {
    for case in cases() {
        if !matches!(case.operator, Operator::Linear | Operator::Conv(_)) {
            continue;
        }
        let expected = case.of_plain(DType::F64);
        let variables = case.variables(DType::F64);
        let x = &case.operands[0];
        let mut operands = vec![x.clone()];
        operands.extend(variables[1..].iter().map(|v| v.as_tensor().clone()));
        let result = case.plain(&operands);
        let store = result.mul(&case.weighting()).unwrap().backward().unwrap();
        assert!(store.get(x).is_none(), "{:?}", case.operator);
        for (variable, expected) in variables.iter().zip(&expected.gradients).skip(1) {
            assert_eq!(&values(store.get(variable).unwrap()), expected);
        }
    }
}
