//! Training: from a dataset and a recipe to a run folder with trained, pruned weights.
//!
//! [`run`] executes the phases of a [`recipe`]. By default, these are dense training (if the
//! pruner ranks trained weights), pruning, and training of the effective connections. [`phase`]
//! trains an epoch: steps of an [`optimizer`] along the gradients of a [`loss`], at the learning
//! rates of a [`schedule`], as the [`hyperparameters`] say. A finished run folder contains the
//! weights, and the population statistics of batch norms with which they are deployed.
//!
//! The [`folder`] of an interrupted run holds a [`checkpoint`] from which it resumes. A [`lock`]
//! keeps other processes out, and [`sums`] show whether a file of a finished run has changed.

mod capacity;
pub mod checkpoint;
pub mod error;
mod event;
mod feed;
mod finished;
pub mod floats;
pub mod folder;
mod given;
pub mod hyperparameters;
pub mod layout;
pub mod lock;
pub mod loss;
pub mod metrics;
pub mod objective;
pub mod optimizer;
pub mod phase;
mod phases;
mod preflight;
pub mod recipe;
mod replaced;
pub mod report;
mod resume;
pub mod run;
pub mod schedule;
mod session;
pub mod sums;
mod units;

pub use error::{PhaseAt, Remedy, TrainError};
pub use folder::Existing;
pub use hyperparameters::Hyperparameters;
pub use recipe::{After, DeviceKind, Phase, Plan, Recipe, RecipeFile};
