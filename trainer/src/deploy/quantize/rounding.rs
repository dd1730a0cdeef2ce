//! Rounds the weights of a row jointly, so that their errors compensate each other.
//!
//! Rounding each weight to the nearest integer does not minimise the error of the row's sums. Over
//! calibration samples of the inputs `x` (with their mean removed, since the bias absorbs it) and
//! the desired sums `y`, the squared error of integer weights `w` is `w' G w - 2 v' w` plus a
//! constant, with `G = x' x` and `v = x' y`. Starting from the nearest integers, weights move up
//! or down by one step while a move reduces the error: the objective of Nagel et al. 2020, "Up or
//! down? Adaptive rounding for post-training quantization", by coordinate descent. A weight may
//! become 0 and is then not stored, which at few bits improves both accuracy and size
//! (LeNet-300-100 at 100x, 2 bits: 2.0 points of accuracy lost instead of 4.1, in 2,115 bytes
//! instead of 2,404).
//!
//! For a unit with a ReLU, samples in which the unit is off count less: there, its sum only needs
//! to stay negative.

use sprs::CsVecView;

use super::Values;
use super::grid::Grid;
use crate::deploy::network::{Layer, Operation};

/// The maximum number of products for a layer's [`Correlations`]; the weights of larger layers are
/// rounded independently.
const PRODUCTS: usize = 1_000_000_000;

/// The maximum number of samples.
const MOST_SAMPLES: usize = 4000;

/// The minimum number of samples that makes joint rounding worthwhile.
const LEAST_SAMPLES: usize = 200;

/// The weight of a sample in which the unit is off.
const OFF: f64 = 0.1;

/// The strength of the pull towards the original weights, relative to the mean square of their
/// inputs; it regularises what the samples do not determine.
const HOLD: f64 = 0.02;

/// The maximum number of rounds; in practice descent converges much earlier.
const ROUNDS: usize = 30;

/// An output position of a calibration image.
#[derive(Debug, Clone, Copy)]
struct Sample {
    image: usize,
    position: usize,
}

/// Returns samples of `layer`, evenly spaced over `images` images of `plane` output positions;
/// `None` if the correlations would take too long to compute or if there are too few samples.
fn samples(layer: &Layer, plane: usize, images: usize) -> Option<Vec<Sample>> {
    let rows = layer.weights.outer_iterator();
    let squares: usize = rows.map(|row| row.nnz() * row.nnz()).sum();
    let all = plane * images;
    let count = all.min(MOST_SAMPLES).min(PRODUCTS / squares.max(1));
    if count < LEAST_SAMPLES.min(all) || plane == 0 {
        return None;
    }
    let sample = |index: usize| {
        let place = (index as u128 * all as u128 / count as u128) as usize;
        Sample {
            image: place / plane,
            position: place % plane,
        }
    };
    Some((0..count).map(sample).collect())
}

/// `G` (n x n, row-major) and `v` (n) of a row of n weights.
struct Row {
    g: Vec<f64>,
    v: Vec<f64>,
}

impl Row {
    /// Returns the correlations of a row of `weights` whose desired sums for `samples` are `y`;
    /// `relu` tells whether a ReLU follows.
    fn new(
        weights: &CsVecView<'_, f32>,
        mut y: Vec<f64>,
        samples: &[Sample],
        reader: &Reader<'_>,
        relu: bool,
    ) -> Self {
        let n = weights.nnz();
        let counts: Vec<f64> = y
            .iter()
            .map(|&y| if relu && y < 0.0 { OFF } else { 1.0 })
            .collect();
        centre(&mut y, &counts);
        // Column-major: the samples of a column are contiguous.
        let columns: Vec<Vec<f64>> = weights
            .indices()
            .iter()
            .map(|&column| {
                let read = samples.iter().map(|&Sample { image, position }| {
                    f64::from(reader.read(image, position, column))
                });
                let mut values: Vec<f64> = read.collect();
                centre(&mut values, &counts);
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
        let mut v: Vec<f64> = columns.iter().map(|column| product(column, &y)).collect();
        let mean = (0..n).map(|i| g[i * n + i]).sum::<f64>() / n.max(1) as f64;
        for (i, &weight) in weights.data().iter().enumerate() {
            g[i * n + i] += HOLD * mean;
            v[i] += HOLD * mean * f64::from(weight) * reader.source.step;
        }
        Self { g, v }
    }
}

/// Subtracts from `values` their mean, weighted by `counts`.
fn centre(values: &mut [f64], counts: &[f64]) {
    let total: f64 = counts.iter().sum();
    let sum: f64 = values.iter().zip(counts).map(|(x, count)| x * count).sum();
    values.iter_mut().for_each(|x| *x -= sum / total);
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
        let plane = sums.first()?.len() / layer.weights.rows().max(1);
        let samples = samples(layer, plane, sums.len())?;
        let reader = Reader::new(layer, source);
        let rows = layer.weights.outer_iterator().enumerate();
        let rows = rows.map(|(row, weights)| {
            let sum =
                |sample: &Sample| f64::from(sums[sample.image][row * plane + sample.position]);
            Row::new(
                &weights,
                samples.iter().map(sum).collect(),
                &samples,
                &reader,
                layer.relu,
            )
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

    /// Returns the stored value that `column` reads for an output position of an image; 0 for
    /// padding. Zero points are not subtracted, since centring the samples removes them.
    fn read(&self, image: usize, position: usize, column: usize) -> f32 {
        let stored = &self.source.stored[image];
        let Operation::Conv { window, .. } = self.operation else {
            return stored[column];
        };
        let [_, height, width] = self.source.shape;
        let taps = window.taps();
        let (channel, tap) = (column / taps, column % taps);
        let [y, x] = [position / self.width, position % self.width];
        let [row, column] = window.place(tap);
        let row = (y * window.stride[0] + row).checked_sub(window.before[0]);
        let column = (x * window.stride[1] + column).checked_sub(window.before[1]);
        match (row, column) {
            (Some(row), Some(column)) if row < height && column < width => {
                stored[(channel * height + row) * width + column]
            }
            _ => 0.0,
        }
    }
}
