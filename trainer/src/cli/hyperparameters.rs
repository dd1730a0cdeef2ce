//! The options that determine the steps of training, which override those of a recipe.

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::{augment, usage};
use crate::data::augment::Augmentation;
use crate::training::Hyperparameters;
use crate::training::hyperparameters::{Adam, Decay, DecayKind, Distillation, OptimizerKind, Sgd};
use crate::training::schedule::{Course, Schedule};

/// The options that determine the steps of training.
#[derive(Debug, Args)]
pub(super) struct HyperparameterOptions {
    /// Images per training step [default: 100]
    #[arg(long)]
    batch: Option<usize>,
    /// Initial learning rate [default: 0.1]
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Optimizer; adamw is adam with decoupled decay [default: sgd]
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerChoice>,
    /// Momentum of stochastic gradient descent [default: 0.9]
    #[arg(long)]
    momentum: Option<f64>,
    /// Use Nesterov momentum
    #[arg(long)]
    nesterov: bool,
    /// Factor of the sum of squared weights in the loss [default: 0.0005]
    #[arg(long, conflicts_with = "decay")]
    l2: Option<f64>,
    /// Decoupled weight decay: each step reduces each weight by the learning rate times this
    /// fraction of the weight
    #[arg(long)]
    decay: Option<f64>,
    /// Learning rate over a phase; step divides it by 10 after 26, 52 and 78 % of the phase
    /// [default: step]
    #[arg(long, value_enum)]
    schedule: Option<ScheduleChoice>,
    /// Steps over which the learning rate rises at the start of a phase [default: 0]
    #[arg(long, value_name = "STEPS")]
    warmup: Option<usize>,
    /// Maximum norm of all gradients of a step together; larger gradients are scaled down
    #[arg(long, value_name = "NORM")]
    clip: Option<f64>,
    /// Fraction of the target probability that is spread over all classes [default: 0]
    #[arg(long, value_name = "SHARE")]
    label_smoothing: Option<f64>,
    /// Learn the scores of the dense network in the phases after it, such as
    /// share=0.9,temperature=4
    #[arg(long, value_name = "HOW", value_parser = parse_distillation)]
    distill: Option<Distillation>,
    /// Mix training samples in pairs, in shares of a beta distribution with this parameter
    #[arg(long, value_name = "ALPHA")]
    mixup: Option<f64>,
    /// Random changes to training images, such as
    /// rotation=10,shift=2,scale=0.1,elastic,flip,crop=4,fill=edge
    #[arg(long, value_name = "CHANGES", value_parser = augment::parse)]
    augment: Option<Augmentation>,
}

/// Parses how a teacher is learnt, such as `share=1,temperature=2`.
fn parse_distillation(text: &str) -> Result<Distillation, String> {
    let mut found = Distillation::default();
    for part in text.split(',') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let field = match name.trim() {
            "share" => &mut found.share,
            "temperature" => &mut found.temperature,
            _ => {
                return Err(format!(
                    "{part:?} is not share=SHARE or temperature=TEMPERATURE"
                ));
            }
        };
        let value = value.trim();
        *field = (value.parse()).map_err(|_| format!("{value:?} is not a number"))?;
    }
    Ok(found)
}

/// Optimizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OptimizerChoice {
    /// Stochastic gradient descent with momentum
    Sgd,
    /// Adam
    Adam,
    /// Adam with decoupled weight decay
    Adamw,
}

/// Schedules of the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScheduleChoice {
    /// Divide by 10 after fixed fractions of a phase
    Step,
    /// Half a cosine wave down to zero
    Cosine,
    /// A straight line down to zero
    Linear,
    /// The same rate throughout
    Constant,
}

impl HyperparameterOptions {
    /// Overrides `found` with the options that are given.
    pub(super) fn apply(&self, found: &mut Hyperparameters) -> Result<()> {
        let set = |field: &mut f64, option: Option<f64>| *field = option.unwrap_or(*field);
        found.batch = self.batch.unwrap_or(found.batch);
        set(&mut found.learning_rate, self.learning_rate);
        set(&mut found.label_smoothing, self.label_smoothing);
        found.clip = self.clip.or(found.clip);
        found.distillation = self.distill.or(found.distillation);
        found.mixup = self.mixup.or(found.mixup);
        found.augmentation = self.augment.unwrap_or(found.augmentation);
        match (self.optimizer, found.optimizer) {
            (None, _)
            | (Some(OptimizerChoice::Sgd), OptimizerKind::Sgd(_))
            | (Some(OptimizerChoice::Adam | OptimizerChoice::Adamw), OptimizerKind::Adam(_)) => {}
            (Some(OptimizerChoice::Sgd), _) => {
                found.optimizer = OptimizerKind::Sgd(Sgd::default());
            }
            (Some(_), _) => found.optimizer = OptimizerKind::Adam(Adam::default()),
        }
        match &mut found.optimizer {
            OptimizerKind::Sgd(sgd) => {
                set(&mut sgd.momentum, self.momentum);
                sgd.nesterov |= self.nesterov;
            }
            OptimizerKind::Adam(_) if self.momentum.is_some() || self.nesterov => {
                return Err(usage::wrong(
                    "--momentum and --nesterov are options of sgd: leave them out, or give --optimizer sgd",
                ));
            }
            OptimizerKind::Adam(_) => {}
        }
        if self.optimizer == Some(OptimizerChoice::Adamw) {
            if self.l2.is_some() {
                return Err(usage::wrong(
                    "adamw decays weights separately from the loss: give --decay in place of --l2, or --optimizer adam",
                ));
            }
            // PyTorch's default, unless the recipe has a decoupled decay already.
            if found.decay.kind == DecayKind::L2 {
                found.decay = Decay {
                    kind: DecayKind::Decoupled,
                    amount: 0.01,
                };
            }
        }
        let decay = |kind, amount| Decay { kind, amount };
        let decoupled = self.decay.map(|amount| decay(DecayKind::Decoupled, amount));
        let given = self
            .l2
            .map(|amount| decay(DecayKind::L2, amount))
            .or(decoupled);
        found.decay = given.unwrap_or(found.decay);
        if let Some(choice) = self.schedule {
            found.schedule.course = match choice {
                ScheduleChoice::Step => Course::default(),
                ScheduleChoice::Cosine => Course::Cosine { to: 0.0 },
                ScheduleChoice::Linear => Course::Linear { to: 0.0 },
                ScheduleChoice::Constant => Course::Constant,
            };
        }
        let Schedule { warmup, .. } = &mut found.schedule;
        *warmup = self.warmup.unwrap_or(*warmup);
        Ok(())
    }

    /// Returns the keys of a recipe that the given options override.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static str> {
        let sgd = self.momentum.is_some() || self.nesterov;
        let keys = [
            ("batch", self.batch.is_some()),
            ("learning_rate", self.learning_rate.is_some()),
            ("label_smoothing", self.label_smoothing.is_some()),
            ("clip", self.clip.is_some()),
            ("distillation", self.distill.is_some()),
            ("mixup", self.mixup.is_some()),
            ("augmentation", self.augment.is_some()),
            ("optimizer", self.optimizer.is_some() || sgd),
            ("decay", self.l2.is_some() || self.decay.is_some()),
            ("schedule", self.schedule.is_some() || self.warmup.is_some()),
        ];
        keys.into_iter()
            .filter(|(_, given)| *given)
            .map(|(key, _)| key)
    }

    /// Checks whether an option gives the value of `field` of a recipe.
    pub(super) fn gives(&self, field: &str) -> bool {
        match field {
            "batch" => self.batch.is_some(),
            "learning_rate" => self.learning_rate.is_some(),
            "label_smoothing" => self.label_smoothing.is_some(),
            "clip" => self.clip.is_some(),
            "mixup" => self.mixup.is_some(),
            "distillation.share" | "distillation.temperature" => self.distill.is_some(),
            "momentum" => self.momentum.is_some(),
            "l2" => self.l2.is_some(),
            "decay.amount" => self.decay.is_some(),
            "schedule.warmup" => self.warmup.is_some(),
            field => field.starts_with("augmentation.") && self.augment.is_some(),
        }
    }
}
