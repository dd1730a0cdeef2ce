//! Random networks through the whole spine of the trainer, each step against an independent oracle.
//!
//! | step | oracle |
//! |---|---|
//! | effective masks, pruning | reachability by links (`trainer/tests/pruning/oracle`) |
//! | statistics, forward pass | [`forward`], in f64 |
//! | fold, strip, order | the same scores; what is left, by reachability |
//! | quantize | the same scores, as signal to noise |
//! | container, engine | [`container`], a reader and interpreter written from `format/SPEC.md` |
//! | refusals | [`refusals`]: only what the architecture justifies, naming one of its layers |
//!
//! A case follows from a seed and its number ([`Plan::draw`]); one that fails is made smaller
//! ([`shrink()`]) and told with the command that repeats it.

use std::fmt;

mod build;
mod check;
pub mod container;
mod deployed;
mod folded;
pub mod forward;
mod masks;
mod noise;
mod plan;
mod refusals;
mod shrink;
mod values;

// The pruning tests of the trainer have the oracle; here it serves all steps.
#[path = "../../../trainer/tests/pruning/oracle/mod.rs"]
#[allow(dead_code, unused_imports, missing_docs)]
mod pruning;

pub use build::{describe, graph};
pub use check::{Counts, Fault, Kept, check, checked};
pub use plan::Plan;
pub use shrink::shrink;

/// A network that differs from the oracle.
#[derive(Debug, Clone)]
pub struct Failure {
    seed: u64,
    case: u64,
    plan: Plan,
    /// How it differs.
    pub fault: Fault,
}

/// Checks case `case` of the run with `seed`, adding to `counts`, and returns its containers.
///
/// # Errors
/// How it differs from the oracle.
pub fn case(seed: u64, case: u64, counts: &mut Counts) -> Result<Vec<Kept>, Box<Failure>> {
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
    /// Returns what differs, the smallest network found that still does, and the command that repeats it.
    #[must_use]
    pub fn report(&self) -> String {
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
