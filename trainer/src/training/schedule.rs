//! The learning rate over a phase: it is divided by ten after fixed fractions of the phase.
//!
//! The paper trains LeNet-300-100 for 96,000 iterations and divides the rate after 25,000, 50,000
//! and 75,000; shorter phases use the same fractions.

/// The fractions of a phase after which the rate is divided by ten.
const BOUNDARIES: [f64; 3] = [25.0 / 96.0, 50.0 / 96.0, 75.0 / 96.0];

/// A stepwise constant learning rate.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    initial: f64,
    steps: usize,
}

impl Schedule {
    /// Creates the schedule of a phase of `steps` steps that starts at the rate `initial`.
    pub fn new(initial: f64, steps: usize) -> Self {
        Self { initial, steps }
    }

    /// Returns the rate at `step`, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        let passed = BOUNDARIES
            .iter()
            .filter(|&&at| step > (at * self.steps as f64) as usize);
        self.initial * 0.1_f64.powi(passed.count() as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_thousand_steps_fall_where_the_papers_fractions_do() {
        let schedule = Schedule::new(0.1, 6000);
        for (step, rate) in [
            (0, 0.1),
            (1562, 0.1),
            (1563, 0.01),
            (3125, 0.01),
            (3126, 1e-3),
            (4688, 1e-4),
            (5999, 1e-4),
        ] {
            assert!((schedule.rate(step) / rate - 1.0).abs() < 1e-12, "{step}");
        }
    }
}
