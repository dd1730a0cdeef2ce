//! Tests pruning against its definitions.
//!
//! The trainer computes effective masks by path sums over births, and finds the mask of an
//! effective compression by one selection. The tests compare both with the paper's definitions,
//! implemented naively ([`oracle`]): boolean reachability, and bisection over the number of
//! weights to remove. Further tests cover properties that need no oracle, errors, and golden
//! results of the paper's published code.

mod direct;
mod errors;
mod golden;
mod properties;
mod samples;
mod search;
mod synflow;

use rarefy_test_support::oracle;
