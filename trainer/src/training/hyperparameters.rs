//! The hyperparameters of a training phase: everything that determines a training step.

use serde::{Deserialize, Serialize};

use super::error::TrainError;
use super::loss::{CrossEntropy, Loss, MeanSquaredError};
use super::schedule::Schedule;
use crate::data::augment::{Augmentation, Elastic};
use crate::data::{Split, Targets};
use crate::pruning;
use crate::remedy::Remedy;

/// The hyperparameters of a phase. The defaults are the paper's for LeNet-300-100.
///
/// In a recipe:
///
/// ```
/// use rarefy_trainer::training::Hyperparameters;
///
/// let recipe = r#"
///     batch = 128
///     learning_rate = 1e-3
///     optimizer = { kind = "adam", beta1 = 0.9 }
///     decay = { kind = "decoupled", amount = 1e-4 }
///     schedule = { kind = "cosine", to = 0.01, warmup = 100 }
///     clip = 1.0
///     label_smoothing = 0.1
///     distillation = { share = 0.9, temperature = 4 }
///     mixup = 0.2
///     augmentation = { rotation = 10, shift = 2, scale = 0.1, elastic = { alpha = 34 } }
/// "#;
/// let hyperparameters: Hyperparameters = toml::from_str(recipe)?;
/// hyperparameters.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table with hyperparameters such as batch"
)]
pub struct Hyperparameters {
    /// The number of images per step.
    pub batch: usize,
    /// The initial learning rate, which `schedule` scales.
    pub learning_rate: f64,
    /// The optimizer, with its coefficients.
    pub optimizer: OptimizerKind,
    /// The weight decay of kernels. Biases and batch norms do not decay.
    pub decay: Decay,
    /// How the learning rate changes over the phase.
    pub schedule: Schedule,
    /// The maximum Euclidean norm of the gradient of all parameters in a step: a larger gradient is
    /// scaled down to it (Pascanu, Mikolov & Bengio 2013). The gradient of an l2 decay is added
    /// after clipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// The loss.
    pub loss: LossKind,
    /// The share of the target that is spread evenly over all classes (Szegedy et al. 2016): at
    /// least 0 and below 1.
    pub label_smoothing: f64,
    /// How much of a teacher is learnt: of the dense network, in the phases after it was trained or
    /// given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distillation: Option<Distillation>,
    /// Mixes the inputs of a batch in pairs, and the losses of their classes, in a share drawn from
    /// a beta distribution with this parameter (Zhang et al. 2018): above 0 and at most 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixup: Option<f64>,
    /// The random changes to training images.
    pub augmentation: Augmentation,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            batch: 100,
            learning_rate: 0.1,
            optimizer: OptimizerKind::default(),
            decay: Decay::default(),
            schedule: Schedule::default(),
            clip: None,
            loss: LossKind::default(),
            label_smoothing: 0.0,
            distillation: None,
            mixup: None,
            augmentation: Augmentation::default(),
        }
    }
}

/// An optimizer and its coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "lowercase",
    expecting = "a table with the key kind (\"sgd\" or \"adam\") and those of that kind"
)]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    Sgd(Sgd),
    /// Adam, or AdamW with a decoupled [`Decay`].
    Adam(Adam),
}

impl Default for OptimizerKind {
    fn default() -> Self {
        Self::Sgd(Sgd::default())
    }
}

/// The coefficients of stochastic gradient descent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table with the keys kind, momentum and nesterov"
)]
pub struct Sgd {
    /// The share of the velocity that each step keeps: at least 0 and below 1.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's (Sutskever et al. 2013).
    pub nesterov: bool,
}

impl Default for Sgd {
    fn default() -> Self {
        Self {
            momentum: 0.9,
            nesterov: false,
        }
    }
}

/// The coefficients of Adam (Kingma & Ba 2015), with that paper's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table with the keys kind, beta1, beta2 and epsilon"
)]
pub struct Adam {
    /// The decay rate of the running mean of the gradient: at least 0 and below 1.
    pub beta1: f64,
    /// The decay rate of the running mean of the squared gradient: at least 0 and below 1.
    pub beta2: f64,
    /// The term added to the square root of the mean squared gradient.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }
}

/// The weight decay of kernels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table with the keys kind and amount"
)]
pub struct Decay {
    /// How weights decay.
    pub kind: DecayKind,
    /// The factor, at least 0.
    pub amount: f64,
}

impl Default for Decay {
    fn default() -> Self {
        Self {
            kind: DecayKind::L2,
            amount: 5e-4,
        }
    }
}

/// How weights decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecayKind {
    /// The loss has a term `amount · w²` per weight, as in Keras; PyTorch's `weight_decay` is twice
    /// the amount.
    #[default]
    L2,
    /// Each step subtracts `rate · amount · w` from a weight, whatever its gradient (Loshchilov &
    /// Hutter 2019), as PyTorch's AdamW does with `weight_decay` equal to the amount.
    Decoupled,
}

/// The loss of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// The mean cross-entropy of the softmax.
    #[default]
    CrossEntropy,
    /// The mean squared error, for targets that are numbers.
    Mse,
}

/// Distillation: learning the scores of a trained network (Hinton, Vinyals & Dean 2015).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table with the keys share and temperature"
)]
pub struct Distillation {
    /// The share of the loss that compares scores with those of the teacher, above 0 and at most 1.
    /// The rest compares them with the targets; at 1, no target is read.
    pub share: f64,
    /// What scores are divided by before their softmax; the higher, the more the scores of wrong
    /// classes count. Outputs that are numbers are compared by their mean squared difference
    /// instead.
    pub temperature: f64,
}

impl Default for Distillation {
    fn default() -> Self {
        Self {
            share: 0.9,
            temperature: 4.0,
        }
    }
}

impl LossKind {
    /// Returns the loss whose targets are smoothed by `label_smoothing`.
    #[must_use]
    pub fn with_smoothing(self, label_smoothing: f64) -> Box<dyn Loss> {
        match self {
            Self::CrossEntropy => Box::new(CrossEntropy { label_smoothing }),
            Self::Mse => Box::new(MeanSquaredError),
        }
    }

    /// Returns the loss whose gradient SNIP computes: `chosen`, unless targets are numbers.
    #[must_use]
    pub fn of_snip(self, chosen: pruning::Loss) -> pruning::Loss {
        match self {
            Self::CrossEntropy => chosen,
            Self::Mse => pruning::Loss::Mse,
        }
    }
}

impl Hyperparameters {
    /// Returns the loss.
    #[must_use]
    pub fn loss(&self) -> Box<dyn Loss> {
        self.loss.with_smoothing(self.label_smoothing)
    }

    /// Returns what to do if training diverges. The weight decay is suspected if it exceeds the
    /// default and, on its own and with momentum fully built up, would change a weight by more
    /// than its size in each step. Augmentation is suspected if there is any.
    #[must_use]
    pub fn remedy_of_divergence(&self) -> Remedy {
        let Decay { kind, amount } = self.decay;
        let amplified = match (self.optimizer, kind) {
            (_, DecayKind::Decoupled) => amount,
            (OptimizerKind::Sgd(sgd), DecayKind::L2) => 2.0 * amount / (1.0 - sgd.momentum),
            // Adam divides a gradient by its own size.
            (OptimizerKind::Adam(_), DecayKind::L2) => 0.0,
        };
        let is_strong = amount > Decay::default().amount && self.learning_rate * amplified > 1.0;
        match (is_strong, self.augmentation.is_identity()) {
            (false, true) => Remedy::LowerRate,
            (true, true) => Remedy::LowerRateOrDecay,
            (false, false) => Remedy::LowerRateOrAugmentLess,
            (true, false) => Remedy::LowerRateOrDecayOrAugmentLess,
        }
    }

    /// Checks every condition that depends on neither the architecture nor the data.
    ///
    /// # Errors
    /// Returns an error that names the first field out of range, and its range.
    pub fn check(&self) -> Result<(), TrainError> {
        if self.batch == 0 {
            return Err(TrainError::value("batch", 0, "must be at least 1"));
        }
        positive("learning_rate", self.learning_rate)?;
        match self.optimizer {
            OptimizerKind::Sgd(Sgd { momentum, nesterov }) => {
                share("momentum", momentum)?;
                if nesterov && momentum == 0.0 {
                    let reason = "must be above 0 for Nesterov momentum";
                    return Err(TrainError::value("momentum", momentum, reason));
                }
            }
            OptimizerKind::Adam(adam) => {
                share("optimizer.beta1", adam.beta1)?;
                share("optimizer.beta2", adam.beta2)?;
                positive("optimizer.epsilon", adam.epsilon)?;
            }
        }
        match self.decay.kind {
            DecayKind::L2 => not_negative("l2", self.decay.amount)?,
            DecayKind::Decoupled => not_negative("decay.amount", self.decay.amount)?,
        }
        if let Some(clip) = self.clip {
            positive("clip", clip)?;
        }
        share("label_smoothing", self.label_smoothing)?;
        if let Some(Distillation { share, temperature }) = self.distillation {
            at_most("distillation.share", share, 1.0)?;
            if !(0.01..=1000.0).contains(&temperature) {
                let reason = "must be between 0.01 and 1000";
                return Err(TrainError::value(
                    "distillation.temperature",
                    temperature,
                    reason,
                ));
            }
        }
        if let Some(mixup) = self.mixup {
            at_most("mixup", mixup, 4.0)?;
        }
        if self.loss == LossKind::Mse && self.label_smoothing > 0.0 {
            let reason = "must be 0 with the loss mse, whose targets are numbers";
            return Err(TrainError::value(
                "label_smoothing",
                self.label_smoothing,
                reason,
            ));
        }
        self.schedule.check()?;
        self.check_augmentation()
    }

    /// Checks the fields of the augmentation.
    fn check_augmentation(&self) -> Result<(), TrainError> {
        let Augmentation {
            rotation,
            shift,
            scale,
            elastic,
            ..
        } = self.augmentation;
        if !(0.0..=180.0).contains(&rotation) {
            let reason = "must be between 0 and 180 degrees";
            return Err(TrainError::value("augmentation.rotation", rotation, reason));
        }
        not_negative("augmentation.shift", shift)?;
        share("augmentation.scale", scale)?;
        if let Some(elastic) = elastic {
            not_negative("augmentation.elastic.alpha", elastic.alpha)?;
            positive("augmentation.elastic.sigma", elastic.sigma)?;
        }
        Ok(())
    }

    /// Checks that loss, augmentation and schedule fit a phase of `epochs` epochs on the training
    /// images `train`.
    ///
    /// # Errors
    /// Returns an error that names the first field out of range, and its range.
    pub fn check_phase(&self, train: &Split, epochs: usize) -> Result<(), TrainError> {
        self.check_targets(train)?;
        self.check_images(train.shape())?;
        let steps = train.len() / self.batch.max(1);
        self.schedule.check_length(steps * epochs)
    }

    /// Checks that the loss is one for the targets of `train`, and that augmentation keeps them.
    fn check_targets(&self, train: &Split) -> Result<(), TrainError> {
        let (loss, reason) = match (self.loss, train.targets()) {
            (LossKind::CrossEntropy, Some(_)) => (
                "cross-entropy",
                "must be mse: the targets of the dataset are numbers",
            ),
            (LossKind::Mse, None) => (
                "mse",
                "must be cross-entropy: the dataset has classes; state which numbers are its targets, or take its inputs",
            ),
            (_, Some(Targets::Inputs { .. })) if !self.augmentation.is_identity() => {
                return Err(TrainError::value(
                    "augmentation",
                    "given",
                    "must be left out: the targets are the inputs, which it would change",
                ));
            }
            _ => return Ok(()),
        };
        Err(TrainError::value("loss", loss, reason))
    }

    /// Checks that images of shape (channels, height, width) are larger than the shift, the crop
    /// and the sigma of the elastic distortion, and that its alpha is not too large for them.
    fn check_images(&self, [_, height, width]: [usize; 3]) -> Result<(), TrainError> {
        let side = height.min(width);
        let reason = format!("must be below {side} pixels, the shorter side of an image");
        let Augmentation {
            shift,
            crop,
            elastic,
            ..
        } = self.augmentation;
        if crop > 0 && crop >= side {
            return Err(TrainError::value("augmentation.crop", crop, reason));
        }
        if shift > 0.0 && shift >= side as f64 {
            return Err(TrainError::value("augmentation.shift", shift, reason));
        }
        match elastic {
            Some(Elastic { sigma, .. }) if sigma >= side as f64 => Err(TrainError::value(
                "augmentation.elastic.sigma",
                sigma,
                reason,
            )),
            Some(Elastic { alpha, sigma }) if alpha > most_alpha(sigma, side) => {
                let reason = format!(
                    "must be at most {}: beyond that, pixels typically move further than {side} pixels, the shorter side of an image",
                    most_alpha(sigma, side)
                );
                Err(TrainError::value(
                    "augmentation.elastic.alpha",
                    alpha,
                    reason,
                ))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the largest alpha, rounded down, of an elastic distortion with this `sigma` of images
/// whose shorter side has `side` pixels: the one at which the standard deviation of displacements
/// is about `side` pixels. A Gaussian of `sigma` smooths displacements that are uniform in [-1, 1]
/// to a standard deviation of 1 / (2 `sigma` √(3π)), about 1 / (6.14 `sigma`).
fn most_alpha(sigma: f64, side: usize) -> f64 {
    // A narrow Gaussian smooths nothing: the deviation is at most 1 / √3.
    (6.0 * sigma.max(0.3) * side as f64).floor()
}

/// Checks that `number` is positive and finite.
fn positive(field: &'static str, number: f64) -> Result<(), TrainError> {
    if number > 0.0 && number.is_finite() {
        return Ok(());
    }
    Err(TrainError::value(
        field,
        number,
        "must be a positive finite number",
    ))
}

/// Checks that `number` is above 0 and at most `most`.
fn at_most(field: &'static str, number: f64, most: f64) -> Result<(), TrainError> {
    if number > 0.0 && number <= most {
        return Ok(());
    }
    let reason = format!("must be above 0 and at most {most}");
    Err(TrainError::value(field, number, reason))
}

/// Checks that `number` is finite and not negative.
fn not_negative(field: &'static str, number: f64) -> Result<(), TrainError> {
    if number >= 0.0 && number.is_finite() {
        return Ok(());
    }
    let reason = "must be a finite number of at least 0";
    Err(TrainError::value(field, number, reason))
}

/// Checks that `number` is at least 0 and below 1.
fn share(field: &'static str, number: f64) -> Result<(), TrainError> {
    if (0.0..1.0).contains(&number) {
        return Ok(());
    }
    let reason = "must be at least 0 and below 1";
    Err(TrainError::value(field, number, reason))
}

#[cfg(test)]
mod tests;
