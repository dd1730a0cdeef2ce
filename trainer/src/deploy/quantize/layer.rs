//! Quantizes one layer: chooses the steps of its weights and outputs, its biases and its shift.
//!
//! With an input step `s_x`, a weight step `s_w` and a shift by `k` bits, the output step is
//! `s_x s_w 2^k` (divided by `a` after fused average pooling over `a` positions). Requantization
//! has no multiplier, so these steps cannot be chosen independently: coarser weights, clipped
//! weights and clipped activations are alternatives. A layer takes the choice with the smallest
//! squared error of its outputs on the calibration images, for the inputs that the already
//! quantized layers produce.
//!
//! A ReLU with an upper bound (ReLU6) is computed by saturation: if the bound limits an output on
//! the calibration images, the output step is such that the largest integer stands for it.
//!
//! Signed activations have a zero point. The biases absorb the zero points of inputs, outputs and
//! skips, and half of the shift's rounding unit. If it reduces the error, they also absorb the
//! mean error of each row's sums on the calibration images (Nagel et al. 2019, "Data-free
//! quantization", section 4.2).

mod biases;
mod scales;

use super::Values;
use super::grid::Grid;
use super::rounding::Correlations;
use crate::deploy::network::{Layer, Operation};
use crate::deploy::sparse::from_rows;
use crate::graph::Pooling;

use scales::{Scale, largest_of, spread};
pub(in crate::deploy) use scales::{finest, room, step_of_biases};

/// The largest stored activation.
const LARGEST: f64 = 255.0;

/// The zero point of signed activations.
const ZERO: f64 = 128.0;

/// The maximum number of additional scales tried that are finer than the finest candidate.
const FINER: usize = 24;

/// The outputs of a layer are expected to reach this many standard deviations of its sums, even if
/// they do not on the calibration images: a branch that is off for all these images needs a step,
/// too.
const UNSEEN: f64 = 0.25;

/// The quantized parameters of a layer.
#[derive(Debug, Clone)]
pub(super) struct Integers {
    pub(super) rows: Vec<Vec<(u16, i16)>>,
    pub(super) bias: Vec<i32>,
    pub(super) shift: u8,
    pub(super) skip_shift: u8,
}

/// How a layer is to be stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage {
    pub(super) grid: Grid,
    /// The requested bits per weight; the grid may have more.
    pub(super) bits: u8,
    /// Whether biases have 8 bits and a common shift instead of 32 bits.
    pub(super) short_biases: bool,
    /// Whether this is the last layer, whose outputs are its sums.
    pub(super) last: bool,
    /// The minimum step of the outputs; 0 if any step will do.
    pub(super) least: f64,
}

/// Why a layer cannot be quantized.
#[derive(Debug)]
pub(super) enum Unfit {
    /// Its sums overflow 32 bits at every scale that keeps the requested bits.
    Overflow,
    /// Another reason, as a clause.
    Reason(String),
}

/// A layer with its inputs and the f32 outputs to approximate.
pub(super) struct Fit<'a> {
    layer: &'a Layer,
    storage: Storage,
    source: &'a Values,
    skip: Option<&'a Values>,
    /// The f32 sums of each image, including bias and skip.
    sums: Vec<Vec<f32>>,
    /// The f32 outputs of each image.
    exact: Vec<Vec<f32>>,
    /// For rounding the weights of a row jointly; `None` if they are rounded independently.
    correlations: Option<Correlations>,
    /// Height and width of the feature map of sums.
    size: [usize; 2],
    /// The kind and size of fused pooling windows; size 1 if there is no pooling.
    pooled: (Pooling, usize),
    /// The largest output that must be representable.
    range: f64,
    /// The upper bound of the ReLU, if it limits an output.
    ceiling: Option<f64>,
}

/// A choice of steps and its squared error.
struct Choice {
    error: f64,
    step: f64,
    integers: Integers,
    /// The step of a weight.
    weight: f64,
}

/// Returns `operation` without fused pooling.
fn without_pooling(operation: Operation) -> Operation {
    match operation {
        Operation::Conv { window, .. } => Operation::Conv {
            window,
            pooling: None,
        },
        other => other,
    }
}

impl<'a> Fit<'a> {
    /// Computes the f32 sums and outputs of `layer` for the images of `source` and `skip`.
    pub(super) fn new(
        layer: &'a Layer,
        storage: Storage,
        source: &'a Values,
        skip: Option<&'a Values>,
    ) -> Self {
        let (size, pooled) = match layer.operation {
            Operation::Conv { window, pooling } => (
                window.outputs([source.shape[1], source.shape[2]]),
                pooling.unwrap_or((Pooling::Max, 1)),
            ),
            _ => ([1, 1], (Pooling::Max, 1)),
        };
        let linear = Layer {
            operation: without_pooling(layer.operation),
            relu: false,
            ..layer.clone()
        };
        let every = |layer: &Layer| -> Vec<Vec<f32>> {
            let added = |image: usize| skip.map(|skip| &skip.exact[image][..]);
            let images = source.exact.iter().enumerate();
            images
                .map(|(image, values)| layer.forward(values, source.shape, added(image)))
                .collect()
        };
        let sums = every(&linear);
        let without_skip: Vec<Vec<f32>> = match skip {
            None => sums.clone(),
            Some(skip) => {
                let images = sums.iter().zip(&skip.stored);
                let less = |(sum, added): (&f32, &f32)| sum - skip.step as f32 * added;
                images
                    .map(|(sums, added)| sums.iter().zip(added).map(less).collect())
                    .collect()
            }
        };
        let exact = every(layer);
        // The mean of independent positions has a smaller deviation.
        let mean_of = if pooled.0 == Pooling::Average {
            pooled.1
        } else {
            1
        };
        let ceiling = layer.ceiling;
        let limits = ceiling.is_finite() && exact.iter().flatten().any(|&y| y >= ceiling);
        let unseen = UNSEEN * spread(&sums, layer.bias.len()) / mean_of as f64;
        Self {
            layer,
            storage,
            source,
            skip,
            correlations: Correlations::new(layer, source, &without_skip),
            range: largest_of(&exact).max(unseen).min(ceiling.into()),
            ceiling: limits.then_some(ceiling.into()),
            sums,
            exact,
            size,
            pooled,
        }
    }

    /// Returns the best integers and the outputs they produce.
    ///
    /// # Errors
    /// Returns why the layer cannot be quantized.
    pub(super) fn best(self) -> Result<(Integers, Values), Unfit> {
        let weights = self.layer.weights.data().iter().chain(&self.layer.bias);
        if !weights
            .chain(self.exact.iter().flatten())
            .all(|value| value.is_finite())
        {
            let reason = "its weights or activations are not finite";
            return Err(Unfit::Reason(reason.into()));
        }
        let best = self.choice().ok_or(Unfit::Overflow)?;
        let sums = self.stored_sums(&best.integers);
        let stored = sums.iter().map(|sums| self.finish(sums, &best.integers));
        let signed = !self.layer.relu && !self.storage.last;
        let values = Values {
            stored: stored.collect(),
            exact: self.exact,
            step: best.step,
            zero: if signed { ZERO } else { 0.0 },
            shape: self.layer.shape,
        };
        Ok((best.integers, values))
    }

    /// Returns the best choice among the candidate scales and their neighbours; if all of them
    /// overflow, among coarser ones; `None` if those overflow too.
    fn choice(&self) -> Option<Choice> {
        let mut best: Option<Choice> = None;
        let scales = self.coarse_enough(self.scales());
        for &scale in &scales {
            self.attempt(scale, &mut best);
        }
        for scale in self.coarser_scales(&scales) {
            if best.is_some() {
                break;
            }
            self.attempt(scale, &mut best);
        }
        // If the finest scale is the best so far, finer ones may be better still: weights far
        // larger than the others, such as those of a nearly dead channel, are worth clipping.
        let mut edge = self.finest_of(&scales);
        for _ in 0..FINER {
            if best.as_ref().is_none_or(|best| best.weight != edge.0) {
                break;
            }
            edge = self.finer(edge);
            self.attempt(edge, &mut best);
        }
        if let (Some(weight), None) = (best.as_ref().map(|best| best.weight), self.skip) {
            for factor in [-1.0, 1.0] {
                self.attempt((weight * 2_f64.powf(factor / 8.0), 0), &mut best);
            }
        }
        best
    }

    /// Tries a scale with every candidate shift, with and without bias correction.
    fn attempt(&self, (weight, skip_shift): Scale, best: &mut Option<Choice>) {
        let sum_step = self.source.step * weight;
        let mut integers = Integers {
            rows: self.round(weight),
            bias: Vec::new(),
            shift: 0,
            skip_shift,
        };
        let sums = self.stored_sums(&integers);
        let reach = self.reach(&integers);
        let centres = self.centres(&integers, sum_step);
        let errors = self.mean_errors(&sums, &centres, sum_step);
        let area = self.area();
        for shift in self.shifts(sum_step) {
            integers.shift = shift;
            let step = sum_step * 2_f64.powi(shift.into()) / area;
            if !self.saturates_at_ceiling(step) {
                continue;
            }
            for corrected in [false, true] {
                let correction = if corrected { 1.0 } else { 0.0 };
                let biases = centres.iter().zip(&errors);
                let Some(bias) = self.biases(
                    biases.map(|(centre, error)| centre + correction * error),
                    &reach,
                    shift,
                ) else {
                    continue;
                };
                integers.bias = bias;
                if self.overflows(&integers.bias, &reach) {
                    continue;
                }
                let error = self.error(&sums, &integers, step);
                if best.as_ref().is_none_or(|best| error < best.error) {
                    *best = Some(Choice {
                        error,
                        step,
                        integers: integers.clone(),
                        weight,
                    });
                }
            }
        }
    }

    /// Rounds the weights to integer multiples of the step `weight`, and omits those that become 0.
    fn round(&self, weight: f64) -> Vec<Vec<(u16, i16)>> {
        let grid = self.storage.grid;
        let step = weight / grid.unit();
        let coarse = self.is_coarse(weight);
        let rows = self.layer.weights.outer_iterator().enumerate();
        rows.map(|(row, weights)| {
            let nearest = weights.iter().map(|(column, &weight)| {
                let steps = f64::from(weight) / step;
                match coarse {
                    false => grid.integer(steps, row, column),
                    true => grid.integer_or_zero(steps, row, column),
                }
            });
            let mut integers: Vec<i16> = nearest.collect();
            if let Some(correlations) = &self.correlations {
                let place = (row, weights.indices());
                correlations.descend(&mut integers, place, grid, self.source.step * weight);
            }
            // A container has at most 65,535 columns.
            let columns = weights.indices().iter().map(|&column| column as u16);
            columns
                .zip(integers)
                .filter(|&(_, integer)| integer != 0)
                .collect()
        })
        .collect()
    }

    /// Returns the integer sums of each image, with the skip but without biases.
    fn stored_sums(&self, integers: &Integers) -> Vec<Vec<f32>> {
        let rows = integers.rows.iter().map(|row| {
            let weights = row
                .iter()
                .map(|&(column, weight)| (usize::from(column), f32::from(weight)));
            weights.collect()
        });
        let linear = Layer {
            weights: from_rows(self.layer.weights.cols(), rows),
            bias: vec![0.0; self.layer.bias.len()],
            relu: false,
            operation: without_pooling(self.layer.operation),
            ..self.layer.clone()
        };
        let factor = 2_f32.powi(integers.skip_shift.into());
        let images = self.source.stored.iter().enumerate();
        images
            .map(|(image, values)| {
                let mut sums = linear.forward(values, self.source.shape, None);
                if let Some(skip) = self.skip {
                    let added = sums.iter_mut().zip(&skip.stored[image]);
                    added.for_each(|(sum, added)| *sum += factor * added);
                }
                sums
            })
            .collect()
    }

    /// Returns the bias of each row in units of the sums, minus the contribution of zero points.
    fn centres(&self, integers: &Integers, sum_step: f64) -> Vec<f64> {
        let skip = self.skip.map_or(0.0, |skip| {
            skip.zero * 2_f64.powi(integers.skip_shift.into())
        });
        let rows = integers.rows.iter().zip(&self.layer.bias);
        rows.map(|(row, &bias)| {
            let sum: i64 = row.iter().map(|&(_, weight)| i64::from(weight)).sum();
            f64::from(bias) / sum_step - self.source.zero * sum as f64 - skip
        })
        .collect()
    }

    /// Returns the mean error of each row's sums, in integer units.
    fn mean_errors(&self, sums: &[Vec<f32>], centres: &[f64], sum_step: f64) -> Vec<f64> {
        let mut totals = vec![0.0; centres.len()];
        let plane = self.size[0] * self.size[1];
        for (found, exact) in sums.iter().zip(&self.sums) {
            let rows = found.chunks_exact(plane).zip(exact.chunks_exact(plane));
            for (total, (found, exact)) in totals.iter_mut().zip(rows) {
                let sum =
                    |values: &[f32]| values.iter().map(|&value| f64::from(value)).sum::<f64>();
                *total += sum(exact) / sum_step - sum(found);
            }
        }
        let count = (sums.len() * plane) as f64;
        let means = totals.iter().zip(centres);
        means
            .map(|(total, centre)| total / count - centre)
            .collect()
    }

    /// Returns the number of positions that fused average pooling adds up; 1 if there is none.
    fn area(&self) -> f64 {
        match self.pooled {
            (Pooling::Average, size) => (size * size) as f64,
            (Pooling::Max, _) => 1.0,
        }
    }

    /// Returns the squared error of the outputs.
    fn error(&self, sums: &[Vec<f32>], integers: &Integers, step: f64) -> f64 {
        let zero = if self.layer.relu || self.storage.last {
            0.0
        } else {
            ZERO as f32
        };
        let step = step as f32;
        let images = sums.iter().zip(&self.exact);
        images
            .map(|(sums, exact)| {
                let found = self.finish(sums, integers);
                let errors = found.iter().zip(exact);
                errors
                    .map(|(found, exact)| f64::from((found - zero) * step - exact).powi(2))
                    .sum::<f64>()
            })
            .sum()
    }

    /// Returns the stored outputs for the sums of an image.
    fn finish(&self, sums: &[f32], integers: &Integers) -> Vec<f32> {
        let [height, width] = self.size;
        let (kind, size) = self.pooled;
        let part = 0.5_f32.powi(integers.shift.into());
        let last = self.storage.last;
        let requantize = |sum: f32| {
            if last {
                sum
            } else {
                (sum * part).floor().clamp(0.0, 255.0)
            }
        };
        let mut outputs = Vec::with_capacity(sums.len() / (size * size));
        for (map, &bias) in sums.chunks_exact(height * width).zip(&integers.bias) {
            let bias = bias as f32;
            if size == 1 {
                outputs.extend(map.iter().map(|sum| requantize(sum + bias)));
                continue;
            }
            for y in 0..height / size {
                for x in 0..width / size {
                    let rows = map[y * size * width..].chunks(width).take(size);
                    let window = rows.flat_map(|row| &row[x * size..(x + 1) * size]);
                    outputs.push(requantize(match kind {
                        Pooling::Max => {
                            bias + window.fold(f32::NEG_INFINITY, |most, &sum| most.max(sum))
                        }
                        Pooling::Average => window.map(|sum| (sum + bias).max(0.0)).sum(),
                    }));
                }
            }
        }
        outputs
    }
}
