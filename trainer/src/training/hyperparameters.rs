//! The hyperparameters of a training phase: everything that determines a training step.

use serde::{Deserialize, Serialize};

use super::error::TrainError;
use super::loss::{CrossEntropy, Loss};
use super::schedule::Schedule;
use crate::data::Split;
use crate::data::augment::Augmentation;

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
///     augmentation = { rotation = 10, shift = 2, scale = 0.1, elastic = { alpha = 34 } }
/// "#;
/// let hyperparameters: Hyperparameters = toml::from_str(recipe)?;
/// hyperparameters.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
            augmentation: Augmentation::default(),
        }
    }
}

/// An optimizer and its coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
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
#[serde(default, deny_unknown_fields)]
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
#[serde(default, deny_unknown_fields)]
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
#[serde(default, deny_unknown_fields)]
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
}

impl LossKind {
    /// Returns the loss whose targets are smoothed by `label_smoothing`.
    #[must_use]
    pub fn with_smoothing(self, label_smoothing: f64) -> Box<dyn Loss> {
        match self {
            Self::CrossEntropy => Box::new(CrossEntropy { label_smoothing }),
        }
    }
}

impl Hyperparameters {
    /// Returns the loss.
    #[must_use]
    pub fn loss(&self) -> Box<dyn Loss> {
        self.loss.with_smoothing(self.label_smoothing)
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

    /// Checks that augmentation and schedule fit a phase of `epochs` epochs on the training images
    /// `train`.
    ///
    /// # Errors
    /// Returns an error that names the first field out of range, and its range.
    pub fn check_phase(&self, train: &Split, epochs: usize) -> Result<(), TrainError> {
        self.check_images(train.shape())?;
        let steps = train.len() / self.batch.max(1);
        self.schedule.check_length(steps * epochs)
    }

    /// Checks that images of shape (channels, height, width) are larger than the shift, the crop
    /// and the sigma of the elastic distortion.
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
            Some(elastic) if elastic.sigma >= side as f64 => Err(TrainError::value(
                "augmentation.elastic.sigma",
                elastic.sigma,
                reason,
            )),
            _ => Ok(()),
        }
    }
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
mod tests {
    use super::*;

    #[test]
    fn every_default_is_the_papers_and_survives_a_file() {
        let default: Hyperparameters = toml::from_str("").unwrap();
        assert_eq!(default, Hyperparameters::default());
        default.check().unwrap();
        let text = toml::to_string(&default).unwrap();
        assert_eq!(toml::from_str::<Hyperparameters>(&text).unwrap(), default);
        let all = r#"
            batch = 128
            learning_rate = 1
            optimizer = { kind = "sgd", nesterov = true }
            decay = { kind = "decoupled", amount = 0.5 }
            schedule = { fractions = [0.5, 0.75], factor = 0.2, warmup = 3, restarts = 2 }
            clip = 2
            loss = "cross-entropy"
            label_smoothing = 0.1
            augmentation = { rotation = 10, shift = 2, scale = 0.1, flip = true, crop = 4, elastic = {} }
        "#;
        let read: Hyperparameters = toml::from_str(all).unwrap();
        read.check().unwrap();
        let sgd = Sgd {
            momentum: 0.9,
            nesterov: true,
        };
        assert_eq!(read.optimizer, OptimizerKind::Sgd(sgd));
        assert_eq!(read.augmentation.elastic.unwrap().alpha, 34.0);
        let text = toml::to_string(&read).unwrap();
        assert_eq!(toml::from_str::<Hyperparameters>(&text).unwrap(), read);
    }

    #[test]
    fn unknown_keys_and_options_of_another_kind_are_named() {
        for (text, words) in [
            ("batches = 3", "batches"),
            ("optimizer = { kind = \"sgd\", beta1 = 0.5 }", "beta1"),
            (
                "optimizer = { kind = \"adam\", momentum = 0.5 }",
                "momentum",
            ),
            ("optimizer = { kind = \"lion\" }", "lion"),
            ("schedule = { kind = \"step\", to = 0.5 }", "`to`"),
            ("schedule = { kind = \"cosine\", factor = 0.5 }", "`factor`"),
            ("schedule = { kind = \"constant\", to = 0.5 }", "`to`"),
            (
                "schedule = { fractions = [0.5], boundaries = [3] }",
                "either `fractions` or `boundaries`",
            ),
            ("decay = { kind = \"l1\" }", "l1"),
            ("augmentation = { blur = 1 }", "blur"),
            ("augmentation = { elastic = { beta = 1 } }", "beta"),
        ] {
            let error = toml::from_str::<Hyperparameters>(text).unwrap_err();
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        for (text, sentence) in [
            ("batch = 0", "batch is 0, but must be at least 1"),
            (
                "learning_rate = 0",
                "learning_rate is 0, but must be a positive finite number",
            ),
            (
                "learning_rate = inf",
                "learning_rate is inf, but must be a positive finite number",
            ),
            (
                "optimizer = { kind = \"sgd\", momentum = 1 }",
                "momentum is 1, but must be at least 0 and below 1",
            ),
            (
                "optimizer = { kind = \"sgd\", momentum = 0, nesterov = true }",
                "momentum is 0, but must be above 0 for Nesterov momentum",
            ),
            (
                "optimizer = { kind = \"adam\", beta2 = nan }",
                "optimizer.beta2 is NaN, but must be at least 0 and below 1",
            ),
            (
                "decay = { amount = -1 }",
                "l2 is -1, but must be a finite number of at least 0",
            ),
            (
                "clip = 0",
                "clip is 0, but must be a positive finite number",
            ),
            (
                "label_smoothing = 1",
                "label_smoothing is 1, but must be at least 0 and below 1",
            ),
            (
                "schedule = { kind = \"linear\", to = 2 }",
                "schedule.to is 2, but must be between 0 and 1: it is a factor of the learning rate",
            ),
            (
                "schedule = { fractions = [0.5, 0.5] }",
                "schedule.fractions is [0.5, 0.5], but must be increasing numbers between 0 and 1",
            ),
            (
                "augmentation = { rotation = 200 }",
                "augmentation.rotation is 200, but must be between 0 and 180 degrees",
            ),
            (
                "augmentation = { scale = 1 }",
                "augmentation.scale is 1, but must be at least 0 and below 1",
            ),
            (
                "augmentation = { elastic = { sigma = 0 } }",
                "augmentation.elastic.sigma is 0, but must be a positive finite number",
            ),
        ] {
            let read: Hyperparameters = toml::from_str(text).unwrap();
            assert_eq!(read.check().unwrap_err().to_string(), sentence);
        }
    }
}
