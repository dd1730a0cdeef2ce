//! Compares Winograd convolution with a direct convolution of small whole numbers: the transforms
//! multiply by powers of two only, so the results are exact.

use super::*;
use crate::graph::Padding;
use crate::random::Random;

/// A convolution by its definition, and its gradients.
struct Direct {
    y: Vec<f32>,
    d_kernel: Vec<f32>,
    dx: Vec<f32>,
}

/// Returns small whole numbers.
fn whole(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.below(7) as f32 - 3.0).collect()
}

/// Convolves by the definition.
fn direct(
    window: Window,
    [inputs, outputs]: [usize; 2],
    [height, width]: [usize; 2],
    (x, kernel, bias, dy): (&[f32], &[f32], &[f32], &[f32]),
) -> Direct {
    let [rows, columns] = window.outputs([height, width]);
    let mut y = vec![0.0; dy.len()];
    let (mut d_kernel, mut dx) = (vec![0.0; kernel.len()], vec![0.0; x.len()]);
    for (at, (y, dy)) in y.iter_mut().zip(dy).enumerate() {
        let (column, row) = (at % columns, at / columns % rows);
        let (output, image) = (
            at / (rows * columns) % outputs,
            at / (rows * columns * outputs),
        );
        *y = bias[output];
        for input in 0..inputs {
            for tap in 0..9 {
                let read = [row + tap / 3, column + tap % 3];
                let inside = |axis: usize, length: usize| {
                    let position = read[axis].checked_sub(window.before[axis]);
                    position.filter(|&position| position < length)
                };
                let (Some(i), Some(j)) = (inside(0, height), inside(1, width)) else {
                    continue;
                };
                let x_at = ((image * inputs + input) * height + i) * width + j;
                let kernel_at = (output * inputs + input) * 9 + tap;
                *y += x[x_at] * kernel[kernel_at];
                d_kernel[kernel_at] += dy * x[x_at];
                dx[x_at] += dy * kernel[kernel_at];
            }
        }
    }
    Direct { y, d_kernel, dx }
}

#[test]
fn whole_numbers_are_convolved_exactly() {
    let mut random = Random::new(3);
    for (images, inputs, outputs, input, padding) in [
        (3, 16, 32, [7, 9], Padding::Same),
        (2, 32, 16, [8, 6], Padding::Valid),
        (5, 16, 16, [5, 4], Padding::Each(2)),
        (1, 16, 16, [1, 1], Padding::Same),
        // More images than a chunk has, more panels and tiles than are multiplied at a time.
        (300, 16, 16, [2, 2], Padding::Same),
        (2, 272, 16, [4, 4], Padding::Same),
        (1, 16, 16, [26, 26], Padding::Same),
    ] {
        let window = Window::new(3, 1, padding, input).unwrap();
        let area: usize = window.outputs(input).iter().product();
        let x = whole(&mut random, images * inputs * input[0] * input[1]);
        let kernel = whole(&mut random, outputs * inputs * 9);
        let bias = whole(&mut random, outputs);
        let dy = whole(&mut random, images * outputs * area);
        let fast = Winograd::new(window, inputs, outputs, input).unwrap();
        let y = fast.forward(&x, &kernel, Some(&bias));
        let (d_kernel, dx) = fast.backward(&x, &dy, Some(&kernel));
        let expected = direct(window, [inputs, outputs], input, (&x, &kernel, &bias, &dy));
        assert!(y == expected.y, "{images} {inputs} {input:?}: y");
        assert!(
            d_kernel == expected.d_kernel,
            "{images} {inputs} {input:?}: kernel"
        );
        assert!(dx.unwrap() == expected.dx, "{images} {inputs} {input:?}: x");
        let (alone, none) = fast.backward(&x, &dy, None);
        assert!(alone == d_kernel && none.is_none());
    }
}

#[test]
fn other_convolutions_are_left_to_others() {
    let new = |size, stride, inputs, outputs| {
        let window = Window::new(size, stride, Padding::Same, [8, 8]).unwrap();
        Winograd::new(window, inputs, outputs, [8, 8])
    };
    assert!(new(3, 1, 16, 32).is_some());
    assert!(new(5, 1, 16, 32).is_none() && new(3, 2, 16, 32).is_none());
    assert!(new(3, 1, 3, 32).is_none() && new(3, 1, 16, 10).is_none());
    for (size, stride) in [([3, 1], [1, 1]), ([3, 3], [1, 2]), ([1, 9], [1, 1])] {
        let window = Window::rectangular(size, stride, Padding::Same, [8, 8]).unwrap();
        assert!(Winograd::new(window, 16, 32, [8, 8]).is_none());
    }
}

#[test]
fn threads_do_not_change_the_bits() {
    let window = Window::new(3, 1, Padding::Same, [9, 8]).unwrap();
    let fast = Winograd::new(window, 32, 48, [9, 8]).unwrap();
    let mut random = Random::new(5);
    let mut normal =
        |count: usize| -> Vec<f32> { (0..count).map(|_| random.normal() as f32).collect() };
    let (x, dy) = (normal(20 * 32 * 72), normal(20 * 48 * 72));
    let kernel = normal(48 * 32 * 9);
    assert!(fast.multiplications(20) >= gemm::get_threading_threshold());
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let y = fast.forward(&x, &kernel, None);
            (y, fast.backward(&x, &dy, Some(&kernel)))
        })
    };
    let one = with(1);
    assert!(with(2) == one && with(3) == one);
}
