//! From a trained graph to a stripped network: it computes what the trainer's own forward pass does.

mod graphs;
mod random;
mod refusals;
mod strip;
mod trained;
