//! The options of dynamic sparse training, and its schedule.

use std::collections::BTreeSet;
use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::Training;

/// Which connections are grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The connections with the largest gradients in the dense network
    #[default]
    Rigl,
    /// Random connections
    Set,
}

impl Method {
    /// Returns "rigl" or "set".
    pub fn name(self) -> &'static str {
        match self {
            Self::Rigl => "rigl",
            Self::Set => "set",
        }
    }
}

/// The options of dynamic sparse training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Regrow {
    /// How the phase trains.
    #[serde(skip)]
    pub training: Training,
    /// Which connections are grown.
    pub method: Method,
    /// The fraction of each layer's connections that an update drops and grows elsewhere, at the
    /// start of the phase.
    pub fraction: f64,
    /// The number of training steps from one update of the masks to the next.
    pub every: usize,
    /// The fraction of the phase after which the masks are fixed.
    pub until: f64,
}

impl Default for Regrow {
    fn default() -> Self {
        Self {
            training: Training::default(),
            method: Method::default(),
            fraction: 0.3,
            every: 100,
            until: 0.75,
        }
    }
}

impl Regrow {
    /// Returns the steps before which a phase of `steps` steps drops and grows connections.
    pub(in crate::training) fn updates(&self, steps: usize) -> BTreeSet<usize> {
        let every = self.every.max(1);
        (every..self.end(steps)).step_by(every).collect()
    }

    /// Returns the step at which the masks become fixed.
    fn end(&self, steps: usize) -> usize {
        (self.until * steps as f64).round() as usize
    }

    /// Returns the fraction of connections that the update before step `at` drops and grows.
    pub(in crate::training) fn fraction(&self, steps: usize, at: usize) -> f64 {
        let progress = at as f64 / self.end(steps).max(1) as f64;
        self.fraction / 2.0 * (1.0 + (PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_falls_along_a_cosine_until_the_masks_are_fixed() {
        let options = Regrow {
            fraction: 0.4,
            every: 10,
            until: 0.6,
            ..Regrow::default()
        };
        let updates: Vec<usize> = options.updates(100).into_iter().collect();
        assert_eq!(updates, [10, 20, 30, 40, 50]);
        // cos(pi / 6) = sqrt(3) / 2, cos(pi / 2) = 0.
        assert!((options.fraction(100, 10) - 0.2 * (1.0 + 3.0_f64.sqrt() / 2.0)).abs() < 1e-12);
        assert!((options.fraction(100, 30) - 0.2).abs() < 1e-12);
    }
}
