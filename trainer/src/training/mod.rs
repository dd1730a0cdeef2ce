//! Training: from a dataset and a recipe to a run folder with trained, pruned weights.
//!
//! [`phase`] trains one network for some epochs by [`momentum`] under a [`schedule`]; [`run`] puts
//! the phases of a pruner together (dense first where it ranks trained weights, then what is
//! left), keeps the [`folder`] so that an interrupted run goes on, and leaves weights with the
//! population statistics they are deployed with. What is trained is the *effective* mask.

pub mod batches;
pub mod error;
pub mod folder;
mod given;
pub mod momentum;
pub mod phase;
pub mod recipe;
pub mod run;
pub mod schedule;

pub use error::TrainError;
pub use recipe::{After, Recipe};
