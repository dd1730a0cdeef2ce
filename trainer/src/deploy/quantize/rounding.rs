//! Rounding the weights of a row together: what one loses, another can make good.
//!
//! The nearest integer of each weight alone is not the row that computes nearest to the same. Over
//! calibration samples of what it reads (`x`, less its mean: the bias takes that) and of the sums `y` it
//! should give, the squared error of integers `w` is `w' G w - 2 v' w` plus a constant, with `G = x' x` and
//! `v = x' y`. From the nearest integers, weights move a step up or down as long as one such move makes
//! that smaller (the objective of Nagel et al. 2020, "Up or down? Adaptive rounding for post-training
//! quantization", by coordinate descent). A weight may come out 0 on the way: it is then not stored, which
//! with few bits is better and smaller at once (100x LeNet-300-100, 2 bits: 2.0 points lost instead of
//! 4.1, in 2,115 bytes instead of 2,404).
//!
//! Samples on which a unit behind a ReLU is off count a part: it needs to stay off there, no more.

use super::Values;
use super::grid::Grid;
use crate::deploy::network::{Layer, Operation};

/// Products that [`Correlations`] may take for a layer; rows of larger ones are rounded alone.
const PRODUCTS: usize = 1_000_000_000;

/// Samples at most, and at least for rounding rows together to be worth it.
const SAMPLES: [usize; 2] = [4000, 200];

/// How much a sample counts on which the unit is off.
const OFF: f64 = 0.1;

/// How strongly weights are held to what they were, relative to their inputs' mean square: what a few
/// samples do not show still matters.
const HOLD: f64 = 0.02;

/// Rounds of moves at most; descent ends long before.
const ROUNDS: usize = 30;

/// `G` and `v` of a row.
struct Row {
    g: Vec<f64>,
    v: Vec<f64>,
}

/// `G` and `v` of every row of a layer, in units of what it reads and of its sums in f32.
pub(super) struct Correlations {
    rows: Vec<Row>,
}

impl Correlations {
    /// Those of `layer`, which should give `sums` (before pooling, without what it adds) for what `source`
    /// stores; none where that is too much work.
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
        // Evenly over images and positions.
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
                // A column's samples lie together.
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

    /// Moves the `integers` of `row`, which stand at `columns` and whose sums have the step `sum_step`.
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

/// What the columns of a layer read.
struct Reader<'a> {
    source: &'a Values,
    operation: Operation,
    /// Positions of an output row.
    width: usize,
}

impl<'a> Reader<'a> {
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

    /// What `column` reads of an image for an output position; zero points count as zeros do.
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
