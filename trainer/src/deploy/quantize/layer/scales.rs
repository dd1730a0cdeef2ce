//! Which scales and shifts of a layer are worth trying.
//!
//! The step of a weight's integer is free where nothing is added. What is added fixes it up to a
//! power of two: the step of what is added is that of the sums times one.

use rarefy_format::MAX_SHIFT;

use super::{Fit, LARGEST, ZERO};
use crate::deploy::network::{Layer, Operation};
use crate::deploy::quantize::Values;
use crate::deploy::quantize::grid::Grid;
use crate::graph::Pooling;

/// The step of a weight's integer, and the shift of what is added that goes with it.
pub(super) type Scale = (f64, u8);

/// The largest shift of what is added: 8 bits by more leave 31.
const MOST_SKIP_SHIFT: u8 = 22;

/// The shift that is enough for a step that outputs have at least: the zero point by one more leaves
/// 31 bits.
const LEAST_SHIFT: i32 = 22;

/// How much coarser than the finest a scale may be, in powers of two, before its weights are
/// mostly less than a step.
const COARSE: f64 = 1.5;

/// How many times larger than those of most rows the largest weights are where they are clipped
/// for the others' sake.
const OUTLYING: f64 = 8.0;

/// How many times larger than what weights add biases are that decide alone what they add up to.
const FAINT: f64 = 1024.0;

/// Quarters of a power of two by which the largest weights are worth clipping: the fewer the
/// levels, the more.
fn clips(levels: f64) -> i32 {
    match levels {
        32.0.. => 4,
        8.0.. => 6,
        4.0.. => 8,
        2.0.. => 10,
        _ => 14,
    }
}

/// The step of a weight's integer by which the largest weight of `layer` is the largest integer of
/// `levels`; none for a layer without weights.
pub(in crate::deploy) fn finest(layer: &Layer, levels: f64) -> Option<f64> {
    let largest = largest(layer.weights.data());
    (largest > 0.0).then_some(largest / levels)
}

/// Returns the largest bias of `layer` that has to fit, by size: below a ReLU a negative one need be no
/// larger than what is added to it.
fn largest_bias(layer: &Layer) -> f64 {
    let size = |bias: &f32| if layer.relu { *bias } else { bias.abs() };
    layer.bias.iter().map(size).fold(0.0, f32::max).into()
}

/// Returns the step of the sums of `layer` at which its biases fit, two bits below the 31 of a sum (of
/// all sums that a fused mean adds up), for what rounding and the weights add; 0 where any will do.
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

/// How far above the finest the step of weights must reach that go with what is added, a power of
/// two: so far that half of the clipping worth trying is left.
pub(in crate::deploy) fn room(levels: f64) -> f64 {
    -f64::from(clips(levels)) / 8.0
}

impl Fit<'_> {
    /// The step of an integer of 1 by which the largest weight is the largest integer.
    fn finest(&self) -> f64 {
        let grid = self.storage.grid;
        match finest(self.layer, grid.levels()) {
            Some(step) => step * grid.unit(),
            // Biases alone: as fine as leaves a shift of 8 bits.
            None => self.range.max(1e-6) / (LARGEST * 256.0 * self.source.step),
        }
    }

    /// Further finest steps, of most rows, where the largest weights are those of a few: a nearly
    /// dead channel, whose batch norm divides by next to nothing, would take the levels of all
    /// others.
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

    /// The scales worth trying.
    pub(super) fn scales(&self) -> Vec<Scale> {
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

    /// Scales coarser than `tried`, as long as weights keep the bits asked for: where sums
    /// overflow.
    pub(super) fn coarser_scales(&self, tried: &[Scale]) -> Vec<Scale> {
        let grid = self.storage.grid;
        let halvings = match grid {
            // All the way: there is no encoding with smaller sums.
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

    /// Returns the finest scale at which biases fit, where they [decide](Self::biases_decide) alone.
    fn scale_of_biases(&self) -> Option<Scale> {
        let step = self.step_of_biases();
        let decide = step > 0.0 && self.biases_decide();
        decide.then(|| self.scale_from(step.max(self.step_of_least())))?
    }

    /// Returns `scales`, or the finest at which the step that outputs have at least can be reached and
    /// biases fit that [decide](Self::biases_decide) alone, where all of `scales` are finer than that:
    /// what weights add is then far below a step.
    pub(super) fn coarse_enough(&self, scales: Vec<Scale>) -> Vec<Scale> {
        let coarsest = scales.iter().map(|scale| scale.0).fold(0.0, f64::max);
        let (mut step, biases) = (self.step_of_least(), self.step_of_biases());
        // Class scores differ by what weights add, however large a bias is.
        let scores = self.storage.last;
        if biases > coarsest.max(step) && !scores && self.biases_decide() {
            step = biases;
        }
        if coarsest >= step {
            return scales;
        }
        self.scale_from(step).map_or(scales, |scale| vec![scale])
    }

    /// Returns the step of a weight's integer from which on a shift of at most [`LEAST_SHIFT`] gives
    /// outputs the step that they have at least; 0 where any will do.
    fn step_of_least(&self) -> f64 {
        self.storage.least * self.area() / 2_f64.powi(LEAST_SHIFT) / self.source.step
    }

    /// Returns the finest scale with a step of at least `step`; `None` where what is added has a
    /// step too small.
    fn scale_from(&self, step: f64) -> Option<Scale> {
        let Some(skip) = self.skip else {
            return Some((step, 0));
        };
        let shift = (skip.step / self.source.step / step).log2().floor();
        let shift = (shift >= 0.0).then(|| shift.min(MOST_SKIP_SHIFT.into()) as u8)?;
        Some(self.scale_added(skip, shift))
    }

    /// Returns the step of a weight's integer at which biases fit; 0 where there are none.
    fn step_of_biases(&self) -> f64 {
        step_of_biases(self.layer) / self.source.step
    }

    /// Returns whether weights add next to nothing to the biases, and so need no bits.
    fn biases_decide(&self) -> bool {
        self.most_of_weights() * FAINT < largest_bias(self.layer)
    }

    /// Returns the most that the weights of a row add to its bias for an image.
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

    /// Returns the scale that goes with what is added, shifted by this many bits.
    fn scale_added(&self, skip: &Values, shift: u8) -> Scale {
        let weight = skip.step / self.source.step * 0.5_f64.powi(shift.into());
        (weight, shift)
    }

    /// The finest of `scales`.
    pub(super) fn finest_of(&self, scales: &[Scale]) -> Scale {
        let finest = scales.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0));
        finest.unwrap_or((self.finest(), 0))
    }

    /// The scale next to one, finer.
    pub(super) fn finer(&self, (weight, shift): Scale) -> Scale {
        match self.skip {
            None => (weight * 0.5_f64.powf(0.25), 0),
            Some(_) if shift < MOST_SKIP_SHIFT => (weight / 2.0, shift + 1),
            Some(_) => (weight, shift),
        }
    }

    /// Whether a scale is so coarse that most weights are less than a step.
    pub(super) fn is_coarse(&self, weight: f64) -> bool {
        weight > self.finest() * 2_f64.powf(COARSE)
    }

    /// Returns the step that what is added should have at least, where its own is too small: at the
    /// finest scale that goes with it, weights saturate or biases that decide alone do not fit.
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

    /// The shifts worth trying: those that bring the largest activation to the largest integer, or
    /// up to four times beyond, and that make the step as coarse as it must be.
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
        // Minus infinity where nothing is active, or any step will do.
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

/// The largest size of these numbers.
fn largest(values: &[f32]) -> f64 {
    values
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()))
        .into()
}

/// The largest size of the numbers of all images.
pub(super) fn largest_of(images: &[Vec<f32>]) -> f64 {
    images
        .iter()
        .map(|values| largest(values))
        .fold(0.0, f64::max)
}

/// The standard deviation of the sums of a row, the median of `rows`: a dead channel's may be of
/// any size.
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
