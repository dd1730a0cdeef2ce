//! Tests folding and stripping: the resulting networks must compute what the trainer's forward
//! pass does.

mod graphs;
mod random;
mod refusals;
mod strip;
mod trained;
mod variants;
