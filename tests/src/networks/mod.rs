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

mod build;
mod check;
pub mod container;
mod deployed;
mod folded;
pub mod forward;
mod masks;
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

/// Checks case `case` of the run with `seed`, adding to `counts`; a failure comes back as a report:
/// what differs, the smallest network found that still does, and the command that repeats it.
///
/// # Errors
/// The report.
pub fn case(seed: u64, case: u64, counts: &mut Counts) -> Result<Vec<Kept>, String> {
    let plan = Plan::draw(seed, case);
    counts.networks += 1;
    let checked = checked(&plan, counts);
    let kept = std::mem::take(&mut counts.kept);
    let Err(fault) = checked else {
        return Ok(kept);
    };
    let (plan, smaller) = shrink(&plan, &fault);
    Err(format!(
        "{}: {}\n  smallest: {}\n{}\n    {plan:?}\n  again: cargo xtask fuzz networks --seed {seed} --case {case}",
        fault.step,
        fault.what,
        smaller.what,
        describe(&graph(&plan)),
    ))
}
