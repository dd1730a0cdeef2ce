//! Pruning against its definitions.
//!
//! The trainer finds effective masks by one sweep over times and effective compressions by one
//! selection. Here both are held against what the paper defines, written the slow and plain way
//! ([`oracle`]): boolean reachability, and bisection over the number of weights to remove. On top
//! come properties that need no oracle, refusals, and golden results of the paper's own code.

mod direct;
mod golden;
mod properties;
mod refusals;
mod samples;
mod search;
mod synflow;

use rarefy_test_support::oracle;
