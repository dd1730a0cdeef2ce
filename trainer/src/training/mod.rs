//! Training: from a dataset and a recipe to a run folder with trained, pruned weights.
//!
//! [`phase`] trains one network for some epochs by [`momentum`] under a [`schedule`]; [`run`] puts
//! the phases of a pruner together (dense first where it ranks trained weights, then what is
//! left), keeps the [`folder`] so that an interrupted run resumes from its [`checkpoint`], and leaves
//! weights with the population statistics they are deployed with. A [`lock`] keeps a second process
//! out, and [`sums`] bind the files of a finished run together. What is trained is the *effective* mask.

pub mod checkpoint;
pub mod error;
pub mod folder;
mod given;
pub mod lock;
pub mod metrics;
pub mod momentum;
pub mod phase;
pub mod recipe;
pub mod report;
pub mod run;
pub mod schedule;
pub mod sums;

pub use error::TrainError;
pub use recipe::{After, DeviceKind, Recipe};
