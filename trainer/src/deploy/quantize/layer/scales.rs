//! Lists the scales and shifts worth trying for a layer.
//!
//! Without a skip, the step of the weights is free. A skip fixes it up to a power of two, since
//! the step of the sums times that power must be the step of the skip.

use rarefy_format::MAX_SHIFT;

use super::{Fit, LARGEST, ZERO};
use crate::deploy::network::{Layer, Operation};
use crate::deploy::quantize::Values;
use crate::deploy::quantize::grid::Grid;
use crate::graph::Pooling;

/// The step of a weight, and the left shift of the skip that goes with it.
pub(super) type Scale = (f64, u8);

/// The largest left shift of a skip; 8-bit values shifted so far take 30 of the 31 bits of a sum.
const MOST_SKIP_SHIFT: u8 = 22;

/// The largest shift used to reach a minimum output step; the zero point, shifted so far, takes 30
/// of the 31 bits of a sum.
const LEAST_SHIFT: i32 = 22;

/// How much coarser than the finest a scale may be, in powers of two, before most weights are
/// smaller than a step.
const COARSE: f64 = 1.5;

/// Clipping rows is tried if their largest weights exceed those of most rows by this factor.
const OUTLYING: f64 = 8.0;

/// Biases alone determine the sums if they exceed the contribution of the weights by this factor.
const FAINT: f64 = 1024.0;

/// Returns how far it is worthwhile to clip the largest weights, in quarters of a power of two: the
/// fewer levels, the further.
fn clips(levels: f64) -> i32 {
    match levels {
        32.0.. => 4,
        8.0.. => 6,
        4.0.. => 8,
        2.0.. => 10,
        _ => 14,
    }
}

/// Returns the weight step that maps the largest weight of `layer` to `levels`; `None` for a layer
/// without weights.
pub(in crate::deploy) fn finest(layer: &Layer, levels: f64) -> Option<f64> {
    let largest = largest(layer.weights.data());
    (largest > 0.0).then_some(largest / levels)
}

/// Returns the largest magnitude of a bias of `layer` that sums must represent. Negative biases
/// before a ReLU do not count: they are limited to the value that keeps the output at 0.
fn largest_bias(layer: &Layer) -> f64 {
    let size = |bias: &f32| if layer.relu { *bias } else { bias.abs() };
    layer.bias.iter().map(size).fold(0.0, f32::max).into()
}

/// Returns the smallest step of the sums of `layer` at which its biases fit into 29 bits; for fused
/// average pooling, at which their total over a window does. The other two of the 31 bits of a sum
/// are for rounding and the weights. Returns 0 if any step will do.
pub(in crate::deploy) fn step_of_biases(layer: &Layer) -> f64 {
    let area = match layer.operation {
        Operation::Conv {
            pooling: Some((Pooling::Average, size)),
            ..
        } => (size * size) as f64,
        _ => 1.0,
    };
    largest_bias(layer) * area / 2_f64.powi(29)
}

/// Returns the minimum of log2(step / finest step) for a weight step that a skip fixes. A smaller
/// step would clip the weights by more than half of what is worth trying.
pub(in crate::deploy) fn room(levels: f64) -> f64 {
    -f64::from(clips(levels)) / 8.0
}

impl Fit<'_> {
    /// Returns the step that maps the largest weight to the largest integer.
    fn finest(&self) -> f64 {
        let grid = self.storage.grid;
        match finest(self.layer, grid.levels()) {
            Some(step) => step * grid.unit(),
            // There are only biases: the step is as fine as a shift by 8 bits allows.
            None => self.range.max(1e-6) / (LARGEST * 256.0 * self.source.step),
        }
    }

    /// Returns the finest steps that suit most rows, for layers in which a few rows have far larger
    /// weights; empty for other layers. One nearly dead channel, whose batch norm divides by almost
    /// zero, would otherwise leave hardly any levels to all others.
    fn finest_of_most(&self) -> Vec<f64> {
        let rows = self.layer.weights.outer_iterator();
        let mut rows: Vec<f64> = rows.map(|row| largest(row.data())).collect();
        rows.retain(|&largest| largest > 0.0);
        rows.sort_by(f64::total_cmp);
        let (Some(&most), count) = (rows.last(), rows.len()) else {
            return Vec::new();
        };
        let mut usual = vec![rows[count / 2], rows[count / 4]];
        usual.dedup();
        usual.retain(|&usual| usual < most / OUTLYING);
        let grid = self.storage.grid;
        let steps = usual.into_iter();
        steps
            .map(|usual| usual / grid.levels() * grid.unit())
            .collect()
    }

    /// Returns whether the largest integer of outputs with this `step` stands for the upper bound
    /// of the ReLU, if that limits an output.
    pub(super) fn saturates_at_ceiling(&self, step: f64) -> bool {
        let close = |ceiling: f64| (step * LARGEST / ceiling - 1.0).abs() < 1e-9;
        self.ceiling.is_none_or(close)
    }

    /// Returns the scales with which a shift makes the outputs saturate at `ceiling`: the finest
    /// that suits all weights, one that clips the largest, and coarser ones, in case sums overflow.
    fn scales_of_ceiling(&self, ceiling: f64) -> Vec<Scale> {
        let step = ceiling / LARGEST / self.source.step;
        let nearest = (step / self.finest()).log2().floor();
        let shifts = [1.0, 0.0, -1.0, -2.0, -3.0].map(|more| nearest + more);
        let shifts = shifts.into_iter().filter(|&shift| shift >= 0.0);
        let scale = |shift: f64| (step / 2_f64.powf(shift.min(MAX_SHIFT.into())), 0);
        shifts.map(scale).collect()
    }

    /// Returns the scales worth trying.
    pub(super) fn scales(&self) -> Vec<Scale> {
        if let Some(ceiling) = self.ceiling {
            return self.scales_of_ceiling(ceiling);
        }
        let clips = clips(self.storage.grid.levels());
        let (finest, others) = (self.finest(), self.finest_of_most());
        let Some(skip) = self.skip else {
            let factor = |quarter: i32| 2_f64.powf(f64::from(quarter) / 4.0);
            let around = |finest: f64| (-clips..=4).map(move |quarter| finest * factor(quarter));
            let all = std::iter::once(finest).chain(others).flat_map(around);
            return all.map(|weight| (weight, 0)).collect();
        };
        let all = (0..=MOST_SKIP_SHIFT).map(|shift| self.scale_added(skip, shift));
        let far = |weight: f64| (weight / finest).log2();
        let near = all.clone().filter(|&(weight, _)| {
            let mut finests = std::iter::once(&finest).chain(&others);
            let worth = -f64::from(clips) / 4.0..=COARSE;
            finests.any(|finest| worth.contains(&(weight / finest).log2()))
        });
        let near: Vec<Scale> = near.collect();
        if near.is_empty() {
            let nearest = all.min_by(|a, b| far(a.0).abs().total_cmp(&far(b.0).abs()));
            return nearest.into_iter().collect();
        }
        near
    }

    /// Returns scales coarser than `tried`, for layers whose sums overflow: in packed words as
    /// long as weights keep the requested bits, otherwise down to a largest integer of 1. The last
    /// one is the [scale of the biases](Self::scale_of_biases), if there is one.
    pub(super) fn coarser_scales(&self, tried: &[Scale]) -> Vec<Scale> {
        let grid = self.storage.grid;
        let halvings = match grid {
            // Down to a largest integer of 1, since no other encoding has smaller sums.
            Grid::Plain { .. } => grid.levels().log2(),
            Grid::Words { .. } => {
                let asked = 2_f64.powi(i32::from(self.storage.bits).max(1) - 1);
                (grid.levels() / asked).log2()
            }
        };
        let most = self.finest() * 2_f64.powf(halvings.max(0.0));
        let coarsest = tried.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0));
        let next = |&(weight, shift): &Scale| match self.skip {
            None => Some((weight * 2_f64.sqrt(), 0)),
            Some(_) => Some((weight * 2.0, shift.checked_sub(1)?)),
        };
        let kept = std::iter::successors(coarsest, next).skip(1);
        let kept = kept.take_while(|scale| scale.0 <= most);
        kept.chain(self.scale_of_biases()).collect()
    }

    /// Returns the finest scale at which the biases fit, if they [decide](Self::biases_decide)
    /// alone.
    fn scale_of_biases(&self) -> Option<Scale> {
        let step = self.step_of_biases();
        let decide = step > 0.0 && self.biases_decide();
        decide.then(|| self.scale_from(step.max(self.step_of_least())))?
    }

    /// Returns `scales`, or, if all of them are too fine, only the finest scale that is coarse
    /// enough: for the minimum step of the outputs, and for biases that
    /// [decide](Self::biases_decide) alone. The weights then contribute much less than a step.
    pub(super) fn coarse_enough(&self, scales: Vec<Scale>) -> Vec<Scale> {
        if self.ceiling.is_some() {
            return scales;
        }
        let coarsest = scales.iter().map(|scale| scale.0).fold(0.0, f64::max);
        let (mut step, biases) = (self.step_of_least(), self.step_of_biases());
        // Class scores differ by the contribution of the weights, however large the biases are.
        let scores = self.storage.last;
        if biases > coarsest.max(step) && !scores && self.biases_decide() {
            step = biases;
        }
        if coarsest >= step {
            return scales;
        }
        self.scale_from(step).map_or(scales, |scale| vec![scale])
    }

    /// Returns the smallest weight step with which a shift of at most [`LEAST_SHIFT`] reaches the
    /// minimum output step; 0 if any step will do.
    fn step_of_least(&self) -> f64 {
        self.storage.least * self.area() / 2_f64.powi(LEAST_SHIFT) / self.source.step
    }

    /// Returns the finest scale with a step of at least `step`; `None` if the step of the skip is
    /// too small for that.
    fn scale_from(&self, step: f64) -> Option<Scale> {
        let Some(skip) = self.skip else {
            return Some((step, 0));
        };
        let shift = (skip.step / self.source.step / step).log2().floor();
        let shift = (shift >= 0.0).then(|| shift.min(MOST_SKIP_SHIFT.into()) as u8)?;
        Some(self.scale_added(skip, shift))
    }

    /// Returns the weight step at which the biases fit; 0 if there are no biases.
    fn step_of_biases(&self) -> f64 {
        step_of_biases(self.layer) / self.source.step
    }

    /// Returns whether the weights add next to nothing to the biases, and therefore need no bits.
    fn biases_decide(&self) -> bool {
        self.most_of_weights() * FAINT < largest_bias(self.layer)
    }

    /// Returns the largest magnitude that the weights of a row add to its bias, over all images.
    fn most_of_weights(&self) -> f64 {
        let positions = (self.size[0] * self.size[1]).max(1);
        let most = |(image, sums): (usize, &Vec<f32>)| {
            let added = |at: usize| self.skip.map_or(0.0, |skip| skip.exact[image][at]);
            let of_weights = |(at, sum): (usize, &f32)| {
                f64::from((sum - self.layer.bias[at / positions] - added(at)).abs())
            };
            sums.iter().enumerate().map(of_weights).fold(0.0, f64::max)
        };
        let images = self.sums.iter().enumerate();
        images.map(most).fold(0.0, f64::max)
    }

    /// Returns the scale at which the skip is added after a left shift by `shift` bits.
    fn scale_added(&self, skip: &Values, shift: u8) -> Scale {
        let weight = skip.step / self.source.step * 0.5_f64.powi(shift.into());
        (weight, shift)
    }

    /// Returns the finest of `scales`.
    pub(super) fn finest_of(&self, scales: &[Scale]) -> Scale {
        let finest = scales.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0));
        finest.unwrap_or((self.finest(), 0))
    }

    /// Returns the next finer scale, or the same one if the skip allows no finer one.
    pub(super) fn finer(&self, (weight, shift): Scale) -> Scale {
        match self.skip {
            None => (weight * 0.5_f64.powf(0.25), 0),
            Some(_) if shift < MOST_SKIP_SHIFT => (weight / 2.0, shift + 1),
            Some(_) => (weight, shift),
        }
    }

    /// Returns whether a scale is so coarse that most weights are smaller than a step.
    pub(super) fn is_coarse(&self, weight: f64) -> bool {
        weight > self.finest() * 2_f64.powf(COARSE)
    }

    /// Returns the minimum step that the skip should have, if its own is too small: even at the
    /// coarsest scale that its step allows, weights saturate, or biases that decide alone do not
    /// fit.
    pub(in crate::deploy::quantize) fn least_of_skip(&self) -> Option<f64> {
        let skip = self.skip?;
        let (room, finest) = (room(self.storage.grid.levels()), self.finest());
        let scale = skip.step / self.source.step;
        let saturates = (scale / finest).log2() < room;
        let of_weights = saturates.then(|| finest * 2_f64.powf(room + 0.5));
        let step = self.step_of_biases();
        let of_biases = (scale < step && self.biases_decide()).then(|| step * 2_f64.sqrt());
        let least = of_weights.into_iter().chain(of_biases).reduce(f64::max);
        least.map(|scale| self.source.step * scale)
    }

    /// Returns the shifts worth trying: those that map the largest activation to between half the
    /// largest integer and four times the largest integer, and that reach the minimum output step.
    pub(super) fn shifts(&self, sum_step: f64) -> Vec<u8> {
        if self.storage.last {
            return vec![0];
        }
        let levels = if self.layer.relu {
            LARGEST
        } else {
            LARGEST - ZERO
        };
        let in_steps = |size: f64| (size * self.area() / sum_step).log2();
        // Minus infinity if nothing is active, or if any step will do.
        let (exponent, least) = (in_steps(self.range / levels), in_steps(self.storage.least));
        let shifts = [-1.0, 0.0, 1.0].map(|more| {
            let shift = (exponent.floor() + more).max(least.ceil());
            shift.clamp(0.0, MAX_SHIFT.into()) as u8
        });
        let mut shifts = shifts.to_vec();
        shifts.dedup();
        shifts
    }
}

/// Returns the largest magnitude of `values`.
fn largest(values: &[f32]) -> f64 {
    values
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()))
        .into()
}

/// Returns the largest magnitude over all images.
pub(super) fn largest_of(images: &[Vec<f32>]) -> f64 {
    images
        .iter()
        .map(|values| largest(values))
        .fold(0.0, f64::max)
}

/// Returns the median, over all `rows` rows, of the standard deviation of a row's sums; the median
/// ignores dead channels, whose deviation may have any size.
pub(super) fn spread(images: &[Vec<f32>], rows: usize) -> f64 {
    let plane = images.first().map_or(0, Vec::len) / rows.max(1);
    if plane == 0 {
        return 0.0;
    }
    let count = (images.len() * plane) as f64;
    let variance = |row: usize| {
        let own = || images.iter().flat_map(|sums| &sums[row * plane..][..plane]);
        let mean = own().map(|&sum| f64::from(sum)).sum::<f64>() / count;
        let squares = own().map(|&sum| (f64::from(sum) - mean).powi(2));
        squares.sum::<f64>() / count
    };
    let mut variances: Vec<f64> = (0..rows).map(variance).collect();
    variances.sort_by(f64::total_cmp);
    variances[(rows - 1) / 2].sqrt()
}
