//! What a training step minimises: the loss of the scores of its inputs, which may be mixed in
//! pairs, against their classes or other targets, and the scores of a teacher.

use candle_core::{D, Result, Tensor};

use super::hyperparameters::{Distillation, Hyperparameters, LossKind};
use super::loss::{Loss, MeanSquaredError};
use crate::network::{Network, Statistics};
use crate::random::Random;

/// A trained network whose scores another one learns to reproduce (Hinton, Vinyals & Dean 2015).
#[derive(Debug)]
pub struct Teacher {
    network: Network,
    statistics: Statistics,
}

impl Teacher {
    /// Creates the teacher from a network and the population `statistics` of its batch norms.
    pub fn new(network: Network, statistics: Statistics) -> Self {
        Self {
            network,
            statistics,
        }
    }

    /// Returns the scores (batch, classes) of `inputs` (batch, pixels), which are not
    /// differentiated.
    fn scores(&self, inputs: &Tensor) -> Result<Tensor> {
        let last = self.network.graph().nodes().len() - 1;
        let scores = self.network.forward_to(last, inputs, &self.statistics)?;
        Ok(scores.detach())
    }
}

/// What the steps of an epoch minimise.
#[derive(Debug)]
pub(super) struct Objective<'a> {
    loss: Box<dyn Loss>,
    kind: LossKind,
    /// The teacher, and how much of it is learnt; `None` to learn from the targets alone.
    teacher: Option<(&'a Teacher, Distillation)>,
    /// The parameter of the distribution of the shares in which pairs of inputs are mixed.
    mixup: Option<f64>,
}

impl<'a> Objective<'a> {
    /// Creates the objective of `hyperparameters`, with the `teacher` if there is one.
    pub(super) fn new(hyperparameters: &Hyperparameters, teacher: Option<&'a Teacher>) -> Self {
        Self {
            loss: hyperparameters.loss(),
            kind: hyperparameters.loss,
            teacher: teacher.zip(hyperparameters.distillation),
            mixup: hyperparameters.mixup,
        }
    }

    /// Returns whether [`mean`](Self::mean) takes all inputs, although the network is sparse and
    /// reads only some.
    pub(super) fn takes_all_inputs(&self) -> bool {
        self.teacher.is_some()
    }

    /// Returns the mean of a batch as a scalar that candle differentiates with respect to the
    /// parameters of `network`. `inputs` are those that the network takes, or all of them, (batch,
    /// pixels), if there is a teacher; `targets` are those of [`Loss::mean`]. The share in which
    /// inputs are mixed is drawn from `random`.
    ///
    /// # Errors
    /// Returns an error if the shapes do not match or the device fails.
    pub(super) fn mean(
        &self,
        network: &Network,
        inputs: &Tensor,
        targets: &Tensor,
        random: impl FnOnce() -> Random,
    ) -> Result<Tensor> {
        let images = match (network.inputs(), self.takes_all_inputs()) {
            (Some(_), false) => 1,
            _ => 0,
        };
        let share = self.mixup.map(|alpha| share(alpha, &mut random()));
        let inputs = match share {
            Some(share) => &mixed(inputs, share, images)?,
            None => inputs,
        };
        let scores = match network.inputs() {
            Some(selected) if self.takes_all_inputs() => {
                let selected = Tensor::new(&**selected, inputs.device())?;
                let selected = inputs.index_select(&selected, 1)?.t()?.contiguous()?;
                network.train_forward(&selected)?
            }
            _ => network.train_forward(inputs)?,
        };
        let Some((teacher, distillation)) = self.teacher else {
            return self.of_targets(&scores, targets, share);
        };
        let taught = teacher.scores(inputs)?;
        let taught = match self.kind {
            LossKind::CrossEntropy => distillation.loss(&scores, &taught)?,
            LossKind::Mse => MeanSquaredError.mean(&scores, &taught)?,
        };
        if distillation.share == 1.0 {
            return Ok(taught);
        }
        let own = self.of_targets(&scores, targets, share)?;
        (own * (1.0 - distillation.share))? + (taught * distillation.share)?
    }

    /// Returns the mean loss of `scores` against `targets`, of which mixed inputs have two.
    fn of_targets(&self, scores: &Tensor, targets: &Tensor, share: Option<f64>) -> Result<Tensor> {
        let first = self.loss.mean(scores, targets)?;
        let Some(share) = share else {
            return Ok(first);
        };
        let second = self.loss.mean(scores, &targets.flip(&[0])?)?;
        (first * share)? + (second * (1.0 - share))?
    }
}

impl Distillation {
    /// Returns the mean divergence (Kullback & Leibler) of the softmax of `scores` (batch, classes)
    /// from that of the scores of the `teacher`, both divided by the temperature, times its square:
    /// then the gradient has about the same size at every temperature (Hinton, Vinyals & Dean 2015,
    /// section 2).
    ///
    /// # Errors
    /// Returns an error if the shapes do not match or the device fails.
    pub(super) fn loss(&self, scores: &Tensor, teacher: &Tensor) -> Result<Tensor> {
        let logarithms =
            |scores: &Tensor| candle_nn::ops::log_softmax(&(scores / self.temperature)?, D::Minus1);
        let (own, taught) = (logarithms(scores)?, logarithms(teacher)?);
        let divergence = (taught.exp()? * (taught - own)?)?
            .sum(D::Minus1)?
            .mean_all()?;
        divergence * (self.temperature * self.temperature)
    }
}

/// Returns each input times `share` plus the one at the same distance from the other end of the
/// batch, which is dimension `images`, times the rest (Zhang et al. 2018).
fn mixed(inputs: &Tensor, share: f64, images: usize) -> Result<Tensor> {
    let others = inputs.flip(&[images])?;
    (inputs * share)? + (others * (1.0 - share))?
}

/// Draws from the beta distribution whose parameters are both `alpha`: the share of the first of
/// two numbers u^(1/alpha) and v^(1/alpha), of those pairs whose sum is at most 1 (Jöhnk 1964).
fn share(alpha: f64, random: &mut Random) -> f64 {
    loop {
        // 1 - u is never 0.
        let [first, second] = [(); 2].map(|()| (1.0 - random.unit()).ln() / alpha);
        if first.exp() + second.exp() <= 1.0 {
            // For a small alpha, both powers may be too small for a number, their ratio is not.
            return 1.0 / (1.0 + (second - first).exp());
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn shares_have_the_moments_of_the_beta_distribution() {
        for alpha in [0.01, 0.2, 1.0, 3.0] {
            let mut random = Random::new(5);
            let shares: Vec<f64> = (0..20_000).map(|_| share(alpha, &mut random)).collect();
            assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
            let mean = shares.iter().sum::<f64>() / 20_000.0;
            let squares = shares.iter().map(|share| (share - mean).powi(2));
            let variance = squares.sum::<f64>() / 20_000.0;
            assert!((mean - 0.5).abs() < 0.01, "{alpha}: {mean}");
            let expected = 0.25 / (2.0 * alpha + 1.0);
            assert!((variance - expected).abs() < 0.004, "{alpha}: {variance}");
        }
    }

    #[test]
    fn divergence_and_its_gradient_match_their_definitions() {
        let scores = [[0.5_f64, -1.0, 3.0], [2.0, 2.0, -4.0]];
        let taught = [[1.5_f64, 0.0, 0.5], [-1.0, 2.0, 0.25]];
        let distillation = Distillation {
            share: 0.5,
            temperature: 3.0,
        };
        let softmax = |row: [f64; 3]| {
            let powers = row.map(|score| (score / 3.0).exp());
            powers.map(|power| power / powers.iter().sum::<f64>())
        };
        let mut expected = 0.0;
        let mut gradient = [[0.0; 3]; 2];
        for row in 0..2 {
            let (own, other) = (softmax(scores[row]), softmax(taught[row]));
            for at in 0..3 {
                expected += 9.0 / 2.0 * other[at] * (other[at] / own[at]).ln();
                gradient[row][at] = 9.0 / 2.0 / 3.0 * (own[at] - other[at]);
            }
        }
        let scores = Var::new(&scores, &Device::Cpu).unwrap();
        let taught = Tensor::new(&taught, &Device::Cpu).unwrap();
        let loss = distillation.loss(scores.as_tensor(), &taught).unwrap();
        let found = loss
            .backward()
            .unwrap()
            .get(&scores)
            .unwrap()
            .to_vec2::<f64>();
        assert!((loss.to_scalar::<f64>().unwrap() - expected).abs() < 1e-12);
        for (found, expected) in found.unwrap().concat().iter().zip(gradient.concat()) {
            assert!((found - expected).abs() < 1e-12);
        }
        let same = distillation.loss(scores.as_tensor(), scores.as_tensor());
        assert!(same.unwrap().to_scalar::<f64>().unwrap().abs() < 1e-12);
    }

    #[test]
    fn inputs_are_mixed_with_those_from_the_other_end() {
        let inputs = Tensor::new(&[[0_f32, 8.0], [4.0, 16.0], [8.0, 0.0]], &Device::Cpu).unwrap();
        let expected = vec![vec![2.0, 6.0], vec![4.0, 16.0], vec![6.0, 2.0]];
        let found = mixed(&inputs, 0.75, 0).unwrap();
        assert_eq!(found.to_vec2::<f32>().unwrap(), expected);
        let turned = mixed(&inputs.t().unwrap().contiguous().unwrap(), 0.75, 1).unwrap();
        assert_eq!(turned.t().unwrap().to_vec2::<f32>().unwrap(), expected);
    }
}
