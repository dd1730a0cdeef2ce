//! Compares both versions of the convolution with its definition in 64-bit arithmetic. The
//! native version runs on the stand-ins of `native::host`.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use crate::kernels::geometry::{Convolution, FusedPooling, WindowStrides};
use crate::kernels::taps::{Incoming, Taps};
use crate::kernels::{native, portable};

/// Computes an output channel.
type Run = fn(&Convolution, Taps<'_>, i32, &[u8], Option<&[u8]>, &mut [u8]);

/// The versions of the kernel.
const KERNELS: [Run; 2] = [portable::convolution::run, native::convolution::run];

/// Collects and places taps of the given columns and weights.
fn placed<'a>(
    words: &'a mut [u32],
    window: &WindowStrides,
    taps: impl IntoIterator<Item = (u16, i16)>,
) -> Taps<'a> {
    let mut incoming = Incoming::new(words);
    for (column, weight) in taps {
        incoming.push(column, weight);
    }
    let count = incoming.count();
    portable::convolution::place(words, count, window, false)
}

/// A layer and an input for it.
#[derive(Clone, Debug)]
struct Case {
    channels: usize,
    outputs: usize,
    height: usize,
    width: usize,
    /// Height and width of the window, and its strides down and across.
    size: [usize; 2],
    stride: [usize; 2],
    /// Zeros above and below, and left and right.
    pad: [usize; 2],
    pooling: FusedPooling,
    pool: usize,
    shift: u8,
    skip_shift: Option<u8>,
    margin: usize,
    weights: Vec<i16>,
    biases: Vec<i32>,
    bytes: Vec<u8>,
    skip: Vec<u8>,
}

impl Case {
    /// Returns the height and width of the map before pooling.
    fn positions(&self) -> [usize; 2] {
        let along = |axis: usize, length: usize| {
            (length + 2 * self.pad[axis] - self.size[axis]) / self.stride[axis] + 1
        };
        [along(0, self.height), along(1, self.width)]
    }

    /// Returns the number of columns.
    fn columns(&self) -> usize {
        self.channels * self.size[0] * self.size[1]
    }

    /// Computes the rows of output `channel` by definition.
    fn expected(&self, channel: usize) -> Vec<Vec<u8>> {
        let [height, width] = self.positions();
        let columns = self.columns();
        let weights = &self.weights[channel * columns..][..columns];
        let sum = |y: usize, x: usize| {
            let mut sum = i64::from(self.biases[channel]);
            for (column, &weight) in weights.iter().enumerate() {
                let [rows, across] = self.size;
                let (c, ky, kx) = (
                    column / across / rows,
                    column / across % rows,
                    column % across,
                );
                let row = (y * self.stride[0] + ky).checked_sub(self.pad[0]);
                let place = (x * self.stride[1] + kx).checked_sub(self.pad[1]);
                if let (Some(row), Some(place)) = (row, place)
                    && row < self.height
                    && place < self.width
                {
                    let x = self.bytes[(c * self.height + row) * self.width + place];
                    sum += i64::from(weight) * i64::from(x);
                }
            }
            let skip = i64::from(self.skip[(channel * height + y) * width + x]);
            sum + self.skip_shift.map_or(0, |shift| skip << shift)
        };
        let window = |y: usize, x: usize| {
            let (y, x) = (y * self.pool, x * self.pool);
            let sums =
                (0..self.pool * self.pool).map(|i| sum(y + i / self.pool, x + i % self.pool));
            let joined = match self.pooling {
                FusedPooling::None | FusedPooling::Max => sums.max().unwrap(),
                FusedPooling::Average => sums.map(|sum| sum.max(0)).sum(),
            };
            (joined >> self.shift).clamp(0, 255) as u8
        };
        (0..height / self.pool)
            .map(|y| (0..width / self.pool).map(|x| window(y, x)).collect())
            .collect()
    }

    /// Computes the rows of output `channel` with a kernel, in buffers whose margins must keep
    /// their values.
    fn computed(&self, run: Run, channel: usize) -> Vec<Vec<u8>> {
        // The margins on the right and below differ from those on the left and above.
        let row = self.width + 2 * self.pad[1] + 1;
        let plane = row * (self.height + 2 * self.pad[0]);
        let mut source = vec![0; self.channels * plane];
        for (line, bytes) in self.bytes.chunks(self.width).enumerate() {
            let (c, y) = (line / self.height, line % self.height);
            let start = c * plane + (y + self.pad[0]) * row + self.pad[1];
            source[start..start + self.width].copy_from_slice(bytes);
        }
        let [height, width] = self.positions();
        let skip_row = width + self.margin;
        let skip: Vec<u8> = self.skip[channel * height * width..][..height * width]
            .chunks(width)
            .flat_map(|bytes| bytes.iter().copied().chain(vec![99; self.margin]))
            .collect();
        let geometry = Convolution {
            stride: self.stride[1],
            down: self.stride[0] * row,
            height: height / self.pool,
            width: width / self.pool,
            output_row: width / self.pool + self.margin,
            pooling: self.pooling,
            pool: self.pool,
            shift: self.shift,
            skip_row,
            skip_shift: self.skip_shift.unwrap_or(0),
            zeros: false,
        };
        let columns = self.columns();
        let weights = &self.weights[channel * columns..][..columns];
        let mut words = vec![0xdead_beef; weights.len() + Taps::SPARE];
        let window = WindowStrides::new(self.size, row, plane);
        let taps = (0..).zip(weights.iter().copied());
        let taps = placed(&mut words, &window, taps);
        let mut output = vec![99; geometry.height * geometry.output_row];
        let skip = self.skip_shift.map(|_| &skip[..skip.len() - self.margin]);
        let bias = self.biases[channel];
        run(&geometry, taps, bias, &source, skip, &mut output);
        let rows = output.chunks(geometry.output_row);
        rows.map(|row| {
            let (stored, margin) = row.split_at(geometry.width);
            assert!(margin.iter().all(|&byte| byte == 99));
            stored.to_vec()
        })
        .collect()
    }
}

fn case() -> impl Strategy<Value = Case> {
    let shape = (1..4usize, 1..3usize, 1..16usize, 1..20usize);
    let pair = |numbers: std::ops::Range<usize>| [numbers.clone(), numbers];
    let window = (pair(1..6), pair(1..4), pair(0..3), 1..5usize, 0..3usize);
    (shape, window, 0..=100u8)
        .prop_flat_map(|(shape, window, percent)| {
            let (channels, outputs, height, width) = shape;
            let columns = channels * window.0[0] * window.0[1];
            let weight = (0..100u8, -2000..2000i16)
                .prop_map(move |(chance, weight)| if chance < percent { weight } else { 0 });
            (
                Just((shape, window)),
                proptest::collection::vec(weight, outputs * columns),
                proptest::collection::vec(-2_000_000..2_000_000i32, outputs),
                proptest::collection::vec(any::<u8>(), channels * height * width),
                proptest::collection::vec(any::<u8>(), outputs * 20 * 24),
                (0..20u8, proptest::option::of(0..20u8), any::<bool>()),
            )
        })
        .prop_filter_map("kernel larger than the map", |case| {
            let ((shape, window), weights, biases, bytes, skip, (shift, skip_shift, average)) =
                case;
            let (channels, outputs, height, width) = shape;
            let (size, stride, pad, pool, margin) = window;
            let pooling = match (pool, average) {
                (1, _) => FusedPooling::None,
                (_, true) => FusedPooling::Average,
                (_, false) => FusedPooling::Max,
            };
            // At least one window of one position each.
            let fits = |axis: usize, length: usize| {
                length + 2 * pad[axis] >= size[axis] + (pool - 1) * stride[axis]
            };
            (fits(0, height) && fits(1, width)).then_some(Case {
                channels,
                outputs,
                height,
                width,
                size,
                stride,
                pad,
                pooling,
                pool,
                shift,
                skip_shift,
                margin,
                weights,
                biases,
                bytes,
                skip,
            })
        })
}

proptest! {
    #[test]
    fn matches_the_definition(case in case()) {
        for channel in 0..case.outputs {
            let expected = case.expected(channel);
            for run in KERNELS {
                prop_assert_eq!(&case.computed(run, channel), &expected);
            }
        }
    }
}

/// Returns a window of 2 x 2 over a map of rows of `row` bytes and channels of 100.
fn window(row: usize) -> WindowStrides {
    WindowStrides::new([2, 2], row, 100)
}

/// Returns the geometry of a layer of one channel and one position that reads two bytes, and words
/// for its taps.
fn two_taps() -> (Convolution, [u32; 2 + Taps::SPARE]) {
    let geometry = Convolution {
        stride: 1,
        down: 2,
        height: 1,
        width: 1,
        output_row: 1,
        pooling: FusedPooling::None,
        pool: 1,
        shift: 0,
        skip_row: 1,
        skip_shift: 0,
        zeros: false,
    };
    (geometry, [0; 2 + Taps::SPARE])
}

#[test]
fn slices_too_short_are_left_alone() {
    let (geometry, mut words) = two_taps();
    for kernel in KERNELS {
        let mut output = [7];
        let mut run = |source: &[u8], skip: Option<&[u8]>, output: &mut [u8]| {
            let taps = placed(&mut words, &window(10), [(0, 1), (1, 2)]);
            kernel(&geometry, taps, 3, source, skip, output);
        };
        run(&[1], None, &mut output);
        run(&[1, 10], Some(&[]), &mut output);
        run(&[1, 10], None, &mut []);
        assert_eq!(output, [7]);
        run(&[1, 10], Some(&[100]), &mut output);
        assert_eq!(output, [124]);
    }
}

#[test]
fn a_geometry_that_overflows_fits_nowhere() {
    let (mut geometry, mut words) = two_taps();
    geometry.height = usize::MAX;
    geometry.down = usize::MAX;
    for run in KERNELS {
        let (mut output, taps) = ([7], placed(&mut words, &window(10), []));
        run(&geometry, taps, 3, &[1, 2], None, &mut output);
        assert_eq!(output, [7]);
    }
}

#[test]
fn taps_without_room_are_dropped() {
    let mut words = [0; 1 + Taps::SPARE];
    let taps = placed(&mut words, &window(10), [(0, 0), (1, -1), (2, 2)]);
    assert_eq!(taps.as_slice(), [0xffff_0001]);
    assert_eq!(placed(&mut [], &window(10), [(0, 1)]).as_slice(), [0u32; 0]);
}

#[test]
fn columns_become_offsets() {
    let mut words = [0; 4 + Taps::SPARE];
    let taps = placed(
        &mut words,
        &window(10),
        [0, 3, 6, 9].map(|column| (column, 1)),
    );
    let offsets = [0, 11, 110, 201];
    assert_eq!(taps.as_slice(), offsets.map(|offset| 1 << 16 | offset));
}

#[test]
fn columns_of_a_rectangular_window_become_offsets() {
    // Rows of 10 bytes and channels of 100; a window of 3 x 1 has a column per row.
    let mut words = [0; 5 + Taps::SPARE];
    for (size, columns, offsets) in [
        ([3, 1], [0, 1, 2, 3, 8], [0, 10, 20, 100, 220]),
        ([1, 4], [0, 3, 4, 9, 11], [0, 3, 100, 201, 203]),
        ([2, 3], [0, 2, 3, 6, 11], [0, 2, 10, 100, 112]),
    ] {
        let window = WindowStrides::new(size, 10, 100);
        let taps = placed(&mut words, &window, columns.map(|column| (column, 1)));
        assert_eq!(taps.as_slice(), offsets.map(|offset| 1 << 16 | offset));
        assert_eq!(taps.last(), offsets[4] as usize);
    }
}

#[test]
fn a_window_that_overflows_fits_nowhere() {
    let (geometry, mut words) = two_taps();
    for row in [usize::MAX / 2, usize::MAX - 3, 1 << 16] {
        for run in KERNELS {
            let taps = placed(&mut words, &window(row), [(3, 1), (5, 1), (6, 1)]);
            let mut output = [7];
            run(&geometry, taps, 3, &[1, 2, 3, 4], None, &mut output);
            assert_eq!(output, [7]);
        }
    }
}

#[test]
fn only_blocks_of_stride_1_group_taps() {
    let (geometry, _) = two_taps();
    let geometry = Convolution {
        height: 20,
        width: 20,
        ..geometry
    };
    assert!(geometry.groups());
    // The distance between rows of windows does not matter.
    let apart = Convolution {
        down: 3 * geometry.down,
        ..geometry
    };
    assert!(apart.groups() && apart.in_blocks());
    let others = [
        Convolution {
            pool: 3,
            ..geometry
        },
        Convolution {
            stride: 2,
            ..geometry
        },
        Convolution {
            width: 3,
            ..geometry
        },
        Convolution {
            height: 1,
            ..geometry
        },
    ];
    for other in others {
        assert!(!other.groups(), "{other:?}");
    }
    assert!(others[1].in_blocks() && !others[0].in_blocks() && !others[2].in_blocks());
}

#[test]
fn a_window_with_fewer_words_than_spare_has_no_taps() {
    let mut words = [0; Taps::SPARE - 1];
    assert_eq!(
        placed(&mut words, &window(10), [(0, 1)]).as_slice(),
        [0u32; 0]
    );
}
