//! The learning rate over a phase: constant, in steps, or along a line or a cosine, with warm-up
//! and restarts.
//!
//! [`Schedule`] is an option in a recipe; [`Rates`] computes its learning rates over a phase of
//! known length.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::error::TrainError;

/// How the learning rate changes over a phase. By default, it is divided by ten after each of
/// the fractions of the phase that the paper uses.
///
/// In a recipe it is a table with a `kind` and the options of that kind, such as
/// `{ kind = "cosine", to = 0.01, warmup = 500 }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct Schedule {
    /// The course of the rate after warm-up.
    pub course: Course,
    /// The number of warm-up steps. In warm-up step `s`, counted from 0, the rate is multiplied by
    /// `(s + 1) / (warmup + 1)`.
    pub warmup: usize,
    /// The number of times that the schedule starts again, warm-up included (Loshchilov & Hutter
    /// 2017). It runs once over each of `restarts + 1` equal parts of the phase.
    pub restarts: usize,
}

/// The course of a learning rate, as a factor of the initial rate.
#[derive(Debug, Clone, PartialEq)]
pub enum Course {
    /// The initial rate throughout.
    Constant,
    /// The rate is multiplied by `factor` after each of the `boundaries`.
    Step {
        /// The boundaries, in increasing order, counted from the start of warm-up.
        boundaries: Boundaries,
        /// The factor, above 0 and at most 1.
        factor: f64,
    },
    /// A straight line from 1, after warm-up, to `to`.
    Linear {
        /// The factor at the end, between 0 and 1.
        to: f64,
    },
    /// Half a cosine wave from 1, after warm-up, to `to`.
    Cosine {
        /// The factor at the end, between 0 and 1.
        to: f64,
    },
}

/// The boundaries of a piecewise constant rate.
#[derive(Debug, Clone, PartialEq)]
pub enum Boundaries {
    /// Fractions, between 0 and 1, of the phase or of the part from one restart to the next.
    Fractions(Vec<f64>),
    /// Numbers of steps from the start of the phase or of that part.
    Steps(Vec<usize>),
}

/// The fractions of the phase after which the paper divides the rate by ten: it trains
/// LeNet-300-100 for 96,000 steps and divides after 25,000, 50,000 and 75,000.
pub const FRACTIONS: [f64; 3] = [25.0 / 96.0, 50.0 / 96.0, 75.0 / 96.0];

/// The factor that the paper uses.
const FACTOR: f64 = 0.1;

impl Default for Course {
    fn default() -> Self {
        Self::Step {
            boundaries: Boundaries::Fractions(FRACTIONS.to_vec()),
            factor: FACTOR,
        }
    }
}

/// The name of a [`Course`] in a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Step,
    Cosine,
    Linear,
    Constant,
}

/// A [`Schedule`] as written in a recipe, with the options of one kind only.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table with the keys kind, warmup, restarts and those of that kind"
)]
struct Table {
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    fractions: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    boundaries: Option<Vec<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<f64>,
    #[serde(skip_serializing_if = "is_zero")]
    warmup: usize,
    #[serde(skip_serializing_if = "is_zero")]
    restarts: usize,
}

/// Checks whether `number` is 0, the default of warm-up and restarts.
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl TryFrom<Table> for Schedule {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let stepwise = [
            ("fractions", table.fractions.is_some()),
            ("boundaries", table.boundaries.is_some()),
            ("factor", table.factor.is_some()),
        ];
        let gradual = [("to", table.to.is_some())];
        let (foreign, kinds): (&[_], _) = match table.kind {
            Kind::Step => (&gradual, "`linear` and `cosine`"),
            Kind::Linear | Kind::Cosine => (&stepwise, "`step`"),
            Kind::Constant if table.to.is_some() => (&gradual, "`linear` and `cosine`"),
            Kind::Constant => (&stepwise, "`step`"),
        };
        if let Some((name, _)) = foreign.iter().find(|(_, given)| *given) {
            return Err(format!(
                "`{name}` is an option of {kinds} schedules only: leave it out"
            ));
        }
        let to = table.to.unwrap_or(0.0);
        let course = match table.kind {
            Kind::Constant => Course::Constant,
            Kind::Linear => Course::Linear { to },
            Kind::Cosine => Course::Cosine { to },
            Kind::Step => Course::Step {
                boundaries: match (table.fractions, table.boundaries) {
                    (Some(_), Some(_)) => {
                        return Err("give either `fractions` or `boundaries`, not both".into());
                    }
                    (None, Some(steps)) => Boundaries::Steps(steps),
                    (Some(fractions), None) => Boundaries::Fractions(fractions),
                    (None, None) => Boundaries::Fractions(FRACTIONS.to_vec()),
                },
                factor: table.factor.unwrap_or(FACTOR),
            },
        };
        Ok(Self {
            course,
            warmup: table.warmup,
            restarts: table.restarts,
        })
    }
}

impl From<Schedule> for Table {
    fn from(schedule: Schedule) -> Self {
        let mut table = Self {
            warmup: schedule.warmup,
            restarts: schedule.restarts,
            ..Self::default()
        };
        match schedule.course {
            Course::Constant => table.kind = Kind::Constant,
            Course::Linear { to } => (table.kind, table.to) = (Kind::Linear, Some(to)),
            Course::Cosine { to } => (table.kind, table.to) = (Kind::Cosine, Some(to)),
            Course::Step { boundaries, factor } => {
                table.factor = (factor != FACTOR).then_some(factor);
                match boundaries {
                    Boundaries::Fractions(at) if at == FRACTIONS => {}
                    Boundaries::Fractions(at) => table.fractions = Some(at),
                    Boundaries::Steps(at) => table.boundaries = Some(at),
                }
            }
        }
        table
    }
}

impl Schedule {
    /// Checks every condition that does not depend on the length of the phase.
    ///
    /// # Errors
    /// Returns an error that names the first option out of range.
    pub fn check(&self) -> Result<(), TrainError> {
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        match &self.course {
            Course::Constant if self.restarts > 0 && self.warmup == 0 => {
                let reason = "must be 0 for a constant schedule without warm-up, which restarts do not change";
                return Err(TrainError::value(
                    "schedule.restarts",
                    self.restarts,
                    reason,
                ));
            }
            Course::Constant => {}
            Course::Linear { to } | Course::Cosine { to } => {
                if !is_share(*to) {
                    let reason = "must be between 0 and 1: it is a factor of the learning rate";
                    return Err(TrainError::value("schedule.to", to, reason));
                }
            }
            Course::Step { boundaries, factor } => {
                if !(*factor > 0.0 && *factor <= 1.0) {
                    let reason = "must be above 0 and at most 1";
                    return Err(TrainError::value("schedule.factor", factor, reason));
                }
                let (field, list, increases) = match boundaries {
                    Boundaries::Fractions(at) => (
                        "schedule.fractions",
                        format!("{at:?}"),
                        at.is_sorted_by(|a, b| a < b) && at.iter().all(|&at| is_share(at)),
                    ),
                    Boundaries::Steps(at) => (
                        "schedule.boundaries",
                        format!("{at:?}"),
                        at.is_sorted_by(|a, b| a < b),
                    ),
                };
                if !increases {
                    let reason = match boundaries {
                        Boundaries::Fractions(_) => "must be increasing numbers between 0 and 1",
                        Boundaries::Steps(_) => "must be increasing numbers of steps",
                    };
                    return Err(TrainError::value(field, list.as_str(), reason));
                }
            }
        }
        Ok(())
    }

    /// Checks that the schedule fits in a phase of `steps` steps.
    ///
    /// # Errors
    /// Returns an error that names the option that exceeds the phase.
    pub fn check_length(&self, steps: usize) -> Result<(), TrainError> {
        if self.restarts >= steps {
            let reason = format!("must be below {steps}, the number of steps of the phase");
            return Err(TrainError::value(
                "schedule.restarts",
                self.restarts,
                reason,
            ));
        }
        let cycle = steps / (self.restarts + 1);
        let limit = match self.restarts {
            0 => format!("must be below {cycle}, the number of steps of the phase"),
            _ => format!("must be below {cycle}, the number of steps from one restart to the next"),
        };
        if self.warmup >= cycle {
            return Err(TrainError::value("schedule.warmup", self.warmup, limit));
        }
        if let Course::Step {
            boundaries: Boundaries::Steps(at),
            ..
        } = &self.course
            && let Some(last) = at.last()
            && *last >= cycle
        {
            return Err(TrainError::value("schedule.boundaries", last, limit));
        }
        Ok(())
    }
}

/// The learning rates of a phase.
#[derive(Debug, Clone)]
pub struct Rates {
    schedule: Schedule,
    initial: f64,
    steps: usize,
}

impl Rates {
    /// Creates the learning rates of a phase of `steps` steps, which start from the rate `initial`
    /// and follow `schedule`. The schedule must [fit](Schedule::check_length) in the phase.
    #[must_use]
    pub fn new(schedule: &Schedule, initial: f64, steps: usize) -> Self {
        Self {
            schedule: schedule.clone(),
            initial,
            steps,
        }
    }

    /// Returns the rate at `step`, counted from 0.
    #[must_use]
    pub fn at(&self, step: usize) -> f64 {
        let Schedule {
            ref course,
            warmup,
            restarts,
        } = self.schedule;
        let cycles = restarts + 1;
        let start = |cycle: usize| (cycle as u128 * self.steps as u128 / cycles as u128) as usize;
        // The last cycle that has started.
        let mut cycle = (step as u128 * cycles as u128 / self.steps.max(1) as u128) as usize;
        cycle = cycle.min(restarts);
        if cycle < restarts && start(cycle + 1) <= step {
            cycle += 1;
        }
        let (step, steps) = (step - start(cycle), start(cycle + 1) - start(cycle));
        let rate = self.initial * factor(course, step, steps, warmup);
        if step < warmup {
            rate * (step + 1) as f64 / (warmup + 1) as f64
        } else {
            rate
        }
    }
}

/// Returns the factor of `course` at `step` of a cycle of `steps` steps, the first `warmup` of
/// which are warm-up.
fn factor(course: &Course, step: usize, steps: usize, warmup: usize) -> f64 {
    let progress = step.saturating_sub(warmup) as f64 / steps.saturating_sub(warmup).max(1) as f64;
    match course {
        Course::Constant => 1.0,
        Course::Linear { to } => 1.0 + (to - 1.0) * progress,
        Course::Cosine { to } => to + (1.0 - to) * 0.5 * (1.0 + (PI * progress).cos()),
        Course::Step { boundaries, factor } => {
            let passed = match boundaries {
                Boundaries::Fractions(at) => {
                    let passed = at.iter().filter(|&&at| step > (at * steps as f64) as usize);
                    passed.count()
                }
                Boundaries::Steps(at) => at.iter().filter(|&&at| step >= at).count(),
            };
            factor.powi(passed as i32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the rates of `schedule` at some steps, given as (step, factor of the initial rate).
    fn check(schedule: &str, steps: usize, expected: &[(usize, f64)]) {
        let schedule: Schedule = toml::from_str(schedule).unwrap();
        schedule.check().unwrap();
        schedule.check_length(steps).unwrap();
        let rates = Rates::new(&schedule, 0.1, steps);
        for &(step, factor) in expected {
            let rate = rates.at(step);
            assert!((rate - 0.1 * factor).abs() < 1e-12, "{step}: {rate}");
        }
    }

    #[test]
    fn six_thousand_steps_fall_where_the_papers_fractions_do() {
        let at = [(0, 1.0), (1562, 1.0), (1563, 0.1), (3125, 0.1)];
        check("", 6000, &at);
        check("", 6000, &[(3126, 1e-2), (4688, 1e-3), (5999, 1e-3)]);
    }

    #[test]
    fn boundaries_count_steps_and_the_factor_is_the_users() {
        let schedule = "boundaries = [3, 5]\nfactor = 0.5";
        check(
            schedule,
            7,
            &[(2, 1.0), (3, 0.5), (4, 0.5), (5, 0.25), (6, 0.25)],
        );
        check("fractions = []", 7, &[(0, 1.0), (6, 1.0)]);
    }

    #[test]
    fn lines_and_cosines_run_from_the_end_of_warm_up_to_the_end() {
        check("kind = \"constant\"", 3, &[(0, 1.0), (2, 1.0)]);
        let warm = [(0, 0.25), (1, 0.5), (2, 0.75), (3, 1.0)];
        check("kind = \"constant\"\nwarmup = 3", 8, &warm);
        check("kind = \"linear\"\nwarmup = 3", 8, &warm);
        check("kind = \"cosine\"\nwarmup = 3", 8, &warm);
        check(
            "kind = \"linear\"\nto = 0.2\nwarmup = 3",
            7,
            &[(5, 0.6), (6, 0.4)],
        );
        // (1 + cos(pi / 3)) / 2 = 0.75 and (1 + cos(2 pi / 3)) / 2 = 0.25.
        check("kind = \"cosine\"", 3, &[(0, 1.0), (1, 0.75), (2, 0.25)]);
        check(
            "kind = \"cosine\"\nto = 0.2",
            3,
            &[(0, 1.0), (1, 0.8), (2, 0.4)],
        );
    }

    #[test]
    fn restarts_repeat_the_whole_schedule_in_equal_parts() {
        let schedule = "kind = \"linear\"\nwarmup = 1\nrestarts = 2";
        // Ten steps are cut before steps 3 and 6; the parts have 3, 3 and 4 steps.
        let first = [(0, 0.5), (1, 1.0), (2, 0.5), (3, 0.5), (4, 1.0), (5, 0.5)];
        check(schedule, 10, &first);
        let third = [(6, 0.5), (7, 1.0), (8, 2.0 / 3.0), (9, 1.0 / 3.0)];
        check(schedule, 10, &third);
    }

    #[test]
    fn a_schedule_longer_than_its_phase_is_refused() {
        for (schedule, steps, sentence) in [
            (
                "warmup = 10",
                10,
                "schedule.warmup is 10, but must be below 10, the number of steps of the phase",
            ),
            (
                "warmup = 5\nrestarts = 1",
                10,
                "schedule.warmup is 5, but must be below 5, the number of steps from one restart to the next",
            ),
            (
                "boundaries = [3, 12]",
                10,
                "schedule.boundaries is 12, but must be below 10, the number of steps of the phase",
            ),
            (
                "restarts = 10",
                10,
                "schedule.restarts is 10, but must be below 10, the number of steps of the phase",
            ),
        ] {
            let schedule: Schedule = toml::from_str(schedule).unwrap();
            let error = schedule.check_length(steps).unwrap_err();
            assert_eq!(error.to_string(), sentence);
        }
    }
}
