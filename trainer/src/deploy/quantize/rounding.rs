//! Rounds the weights of a row jointly, so that their errors compensate each other.
//!
//! Rounding each weight to the nearest integer does not minimise the error of the row's sums. Over
//! calibration samples of the inputs `x` (with their mean removed, since the bias absorbs it) and
//! the desired sums `y`, the squared error of integer weights `w` is `w' G w - 2 v' w` plus a
//! constant, with `G = x' x` and `v = x' y`. Starting from the nearest integers, weights move up
//! or down by one step while a move reduces the error: the objective of Nagel et al. 2020, "Up or
//! down? Adaptive rounding for post-training quantization", by coordinate descent. A weight may
//! become 0 and is then not stored, which at few bits improves both accuracy and size
//! (LeNet-300-100 at 100x, 2 bits: 2.0 points lost instead of 4.1, in 2,115 bytes instead of
//! 2,404).
//!
//! For a unit with a ReLU, samples in which it is off have less weight: there, its sum only needs
//! to stay negative.

use super::Values;
use super::grid::Grid;
use crate::deploy::network::{Layer, Operation};

/// The maximum number of products for a layer's [`Correlations`]; the weights of larger layers are
/// rounded independently.
const PRODUCTS: usize = 1_000_000_000;

/// The maximum number of samples, and the minimum that makes joint rounding worthwhile.
const SAMPLES: [usize; 2] = [4000, 200];

/// The weight of a sample in which the unit is off.
const OFF: f64 = 0.1;

/// The strength of the pull towards the original weights, relative to the mean square of their
/// inputs; it covers what a few samples do not show.
const HOLD: f64 = 0.02;

/// The maximum number of rounds; in practice descent converges much earlier.
const ROUNDS: usize = 30;

/// `G` (n x n, row-major) and `v` (n) of a row of n weights.
struct Row {
    g: Vec<f64>,
    v: Vec<f64>,
}

/// `G` and `v` of every row of a layer, in units of the stored inputs and the f32 sums.
pub(super) struct Correlations {
    rows: Vec<Row>,
}

impl Correlations {
    /// Returns the correlations of `layer`, whose desired sums (before pooling, without the skip)
    /// are `sums` for the stored inputs of `source`; `None` if they would take too long to compute
    /// or if there are too few samples.
    pub(super) fn new(layer: &Layer, source: &Values, sums: &[Vec<f32>]) -> Option<Self> {
        let rows = layer.weights.rows();
        let plane = sums.first()?.len() / rows.max(1);
        let squares: usize = layer
            .weights
            .outer_iterator()
            .map(|row| row.nnz() * row.nnz())
            .sum();
        let all = plane * sums.len();
        let count = all.min(SAMPLES[0]).min(PRODUCTS / squares.max(1));
        if count < SAMPLES[1].min(all) || plane == 0 {
            return None;
        }
        // Evenly spaced over images and positions.
        let samples: Vec<(usize, usize)> = (0..count)
            .map(|sample| {
                let place = (sample as u128 * all as u128 / count as u128) as usize;
                (place / plane, place % plane)
            })
            .collect();
        let window = Reader::new(layer, source);
        let rows = layer
            .weights
            .outer_iterator()
            .enumerate()
            .map(|(row, weights)| {
                let n = weights.nnz();
                let y: Vec<f64> = samples
                    .iter()
                    .map(|&(image, position)| sums[image][row * plane + position].into())
                    .collect();
                let counts: Vec<f64> = y
                    .iter()
                    .map(|&y| if layer.relu && y < 0.0 { OFF } else { 1.0 })
                    .collect();
                let total: f64 = counts.iter().sum();
                let centred = |values: &mut Vec<f64>| {
                    let sum: f64 = values.iter().zip(&counts).map(|(x, count)| x * count).sum();
                    values.iter_mut().for_each(|x| *x -= sum / total);
                };
                let mut y = y;
                centred(&mut y);
                // Column-major: the samples of a column are contiguous.
                let columns: Vec<Vec<f64>> = weights
                    .indices()
                    .iter()
                    .map(|&column| {
                        let read = samples
                            .iter()
                            .map(|&(image, position)| window.read(image, position, column).into());
                        let mut values: Vec<f64> = read.collect();
                        centred(&mut values);
                        values
                    })
                    .collect();
                let product = |a: &[f64], b: &[f64]| -> f64 {
                    let pairs = a.iter().zip(b).zip(&counts);
                    pairs.map(|((a, b), count)| a * b * count).sum()
                };
                let mut g = vec![0.0; n * n];
                for i in 0..n {
                    for j in 0..=i {
                        let product = product(&columns[i], &columns[j]);
                        (g[i * n + j], g[j * n + i]) = (product, product);
                    }
                }
                let v = columns.iter().map(|column| product(column, &y));
                let mut row = Row { v: v.collect(), g };
                let mean = (0..n).map(|i| row.g[i * n + i]).sum::<f64>() / n.max(1) as f64;
                for (i, &weight) in weights.data().iter().enumerate() {
                    row.g[i * n + i] += HOLD * mean;
                    row.v[i] += HOLD * mean * f64::from(weight) * source.step;
                }
                row
            });
        Some(Self {
            rows: rows.collect(),
        })
    }

    /// Improves the `integers` of `row`, which belong to `columns` and whose sums have the step
    /// `sum_step`, by coordinate descent.
    pub(super) fn descend(
        &self,
        integers: &mut [i16],
        (row, columns): (usize, &[usize]),
        grid: Grid,
        sum_step: f64,
    ) {
        let (Row { g, v }, n) = (&self.rows[row], integers.len());
        let mut slopes: Vec<f64> = (0..n)
            .map(|i| {
                let products = g[i * n..][..n].iter().zip(&*integers);
                products.map(|(g, &w)| g * f64::from(w)).sum::<f64>() - v[i] / sum_step
            })
            .collect();
        for _ in 0..ROUNDS {
            let mut moved = false;
            for i in 0..n {
                let curvature = g[i * n + i];
                let gain = |next: i16| {
                    let by = f64::from(next) - f64::from(integers[i]);
                    (by * (2.0 * slopes[i] + by * curvature), next)
                };
                let neighbours = grid.neighbours(integers[i], row, columns[i]);
                let best = neighbours.into_iter().flatten().map(gain);
                let best = best.min_by(|a, b| a.0.total_cmp(&b.0));
                if let Some((gain, next)) = best
                    && gain < -1e-9 * curvature
                {
                    let by = f64::from(next) - f64::from(integers[i]);
                    integers[i] = next;
                    let column = &g[i * n..][..n];
                    slopes
                        .iter_mut()
                        .zip(column)
                        .for_each(|(slope, g)| *slope += by * g);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }
}

/// Reads the inputs of a layer's columns.
struct Reader<'a> {
    source: &'a Values,
    operation: Operation,
    /// The number of positions in an output row.
    width: usize,
}

impl<'a> Reader<'a> {
    /// Returns a reader of the inputs of `layer`.
    fn new(layer: &Layer, source: &'a Values) -> Self {
        let [_, height, width] = source.shape;
        Self {
            source,
            operation: layer.operation,
            width: match layer.operation {
                Operation::Conv { window, .. } => window.outputs([height, width])[1],
                Operation::Dense | Operation::Pool { .. } => 1,
            },
        }
    }

    /// Returns the stored value that `column` reads of an image for an output position; 0 for
    /// padding. Zero points are not subtracted, since centring the samples removes them.
    fn read(&self, image: usize, position: usize, column: usize) -> f32 {
        let stored = &self.source.stored[image];
        let Operation::Conv { window, .. } = self.operation else {
            return stored[column];
        };
        let [_, height, width] = self.source.shape;
        let taps = window.size * window.size;
        let (channel, tap) = (column / taps, column % taps);
        let [y, x] = [position / self.width, position % self.width];
        let row = (y * window.stride + tap / window.size).checked_sub(window.before[0]);
        let place = (x * window.stride + tap % window.size).checked_sub(window.before[1]);
        match (row, place) {
            (Some(row), Some(place)) if row < height && place < width => {
                stored[(channel * height + row) * width + place]
            }
            _ => 0.0,
        }
    }
}
