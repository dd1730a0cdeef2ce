//! Checks the plan of a case and reports its failure.

use std::fmt;

use super::build::{describe, graph};
use super::check::{Counts, Fault, checked};
use super::kept::Kept;
use super::plan::Plan;
use super::shrink::shrink;

/// A network for which the trainer or the engine differs from an oracle.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    seed: u64,
    case: u64,
    plan: Plan,
    /// The difference.
    pub(crate) fault: Fault,
}

/// Checks case `case` of the run with `seed`, adds to `counts`, and returns the network's
/// containers.
///
/// # Errors
/// Returns the difference from the oracle.
pub(crate) fn case(seed: u64, case: u64, counts: &mut Counts) -> Result<Vec<Kept>, Box<Failure>> {
    let plan = Plan::draw(seed, case);
    counts.networks += 1;
    let checked = checked(&plan, counts);
    let kept = std::mem::take(&mut counts.kept);
    match checked {
        Ok(()) => Ok(kept),
        Err(fault) => Err(Box::new(Failure {
            seed,
            case,
            plan,
            fault,
        })),
    }
}

impl Failure {
    /// Returns a report: the fault, the smallest network found that still has it, and the command
    /// that repeats the case.
    pub(crate) fn report(&self) -> String {
        let Failure { seed, case, .. } = self;
        let (plan, smaller) = shrink(&self.plan, &self.fault);
        format!(
            "{self}\n  smallest: {}\n{}\n    {plan:?}\n  again: cargo xtask fuzz networks --seed {seed} --case {case}",
            smaller.what,
            describe(&graph(&plan)),
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { step, what } = &self.fault;
        write!(f, "case {}: {step}: {what}", self.case)
    }
}
