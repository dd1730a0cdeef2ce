//! The update of one weight.

use super::Step;
use crate::training::hyperparameters::{Adam, Sgd};

/// The update of a weight with `N` moments in one step.
pub(super) trait Rule<const N: usize> {
    /// Updates `weight` and its `moments`, given the gradient of the loss.
    fn apply(&self, weight: &mut f32, moments: &mut [f32; N], gradient: f32);
}

/// Stochastic gradient descent with momentum.
///
/// `v <- mu v - rate g`, `w <- w + v`, or with Nesterov's momentum `w <- w + mu v - rate g`: the
/// rate is part of the velocity, as in Keras. `g` includes the gradient of an l2 decay.
#[derive(Debug, Clone, Copy)]
pub(super) struct SgdRule {
    momentum: f32,
    nesterov: bool,
    rate: f32,
    common: Common,
}

/// Adam: `m <- b1 m + (1 - b1) g`, `s <- b2 s + (1 - b2) g²`,
/// `w <- w - rate / (1 - b1ᵗ) · m / (√(s / (1 - b2ᵗ)) + epsilon)` in step `t`.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdamRule {
    /// b1 and b2.
    keep: [f32; 2],
    /// 1 - b1 and 1 - b2.
    add: [f32; 2],
    /// The rate, corrected for the bias of the mean.
    rate: f32,
    /// The factor of the square root, which corrects the bias of the mean square.
    root: f32,
    epsilon: f32,
    common: Common,
}

/// The factors that all rules have in common.
#[derive(Debug, Clone, Copy)]
struct Common {
    /// The factor that clips the gradient.
    scale: f32,
    /// The multiple of the weight that is added to the gradient: twice the amount of an l2 decay.
    l2: f32,
    /// The factor by which a decoupled decay multiplies the weight.
    keep: f32,
}

impl Common {
    /// Collects the factors of `step`, whose gradients are multiplied by `scale`, for a parameter
    /// that `decays` or not.
    fn new(step: &Step, scale: f64, decays: bool) -> Self {
        let (l2, shrinkage) = match decays {
            true => (step.l2(), step.shrinkage()),
            false => (0.0, 0.0),
        };
        Self {
            scale: scale as f32,
            l2: l2 as f32,
            keep: (1.0 - shrinkage) as f32,
        }
    }

    /// Returns the gradient, clipped, plus that of an l2 decay.
    #[inline]
    fn gradient(&self, weight: f32, gradient: f32) -> f32 {
        self.scale * gradient + self.l2 * weight
    }
}

impl SgdRule {
    /// Creates the rule of `step` for a parameter that `decays` or not.
    pub(super) fn new(sgd: &Sgd, step: &Step, scale: f64, decays: bool) -> Self {
        Self {
            momentum: sgd.momentum as f32,
            nesterov: sgd.nesterov,
            rate: step.rate as f32,
            common: Common::new(step, scale, decays),
        }
    }
}

impl Rule<1> for SgdRule {
    #[inline]
    fn apply(&self, weight: &mut f32, [velocity]: &mut [f32; 1], gradient: f32) {
        let change = self.rate * self.common.gradient(*weight, gradient);
        *velocity = self.momentum * *velocity - change;
        let step = match self.nesterov {
            true => self.momentum * *velocity - change,
            false => *velocity,
        };
        *weight = self.common.keep * *weight + step;
    }
}

impl AdamRule {
    /// Creates the rule of `step` for a parameter that `decays` or not.
    pub(super) fn new(adam: &Adam, step: &Step, scale: f64, decays: bool) -> Self {
        let betas = [adam.beta1, adam.beta2];
        let [mean, square] = corrections(adam, step.number);
        Self {
            keep: betas.map(|beta| beta as f32),
            add: betas.map(|beta| (1.0 - beta) as f32),
            rate: (step.rate * mean) as f32,
            root: square.sqrt() as f32,
            epsilon: adam.epsilon as f32,
            common: Common::new(step, scale, decays),
        }
    }
}

/// Returns the factors that correct the bias of mean and mean square in step `number`, from 1.
pub(super) fn corrections(adam: &Adam, number: u64) -> [f64; 2] {
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    [adam.beta1, adam.beta2].map(|beta| 1.0 / (1.0 - beta.powi(number)))
}

impl Rule<2> for AdamRule {
    #[inline]
    fn apply(&self, weight: &mut f32, [mean, square]: &mut [f32; 2], gradient: f32) {
        let gradient = self.common.gradient(*weight, gradient);
        *mean = self.keep[0] * *mean + self.add[0] * gradient;
        *square = self.keep[1] * *square + self.add[1] * gradient * gradient;
        let step = self.rate * *mean / (square.sqrt() * self.root + self.epsilon);
        *weight = self.common.keep * *weight - step;
    }
}
