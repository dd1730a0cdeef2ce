//! Datasets: images of small integers in memory, with where they come from.
//!
//! [`catalogue::load`] turns what a person types after `--data` into a [`Dataset`]: the name of
//! the embedded set ([`digits`]), of a published one found on this machine, or a [`folder`] of
//! IDX files ([`idx`]). [`fetch`] brings a published set here. Pixels stay bytes until a batch
//! is made: [`Normalisation`] says how they become the network's inputs.
//!
//! A dataset that has been loaded is whole: every image has the announced shape and every label
//! is below the number of classes. Whatever is not so is refused with the file at fault.

pub mod catalogue;
pub mod content;
mod dataset;
pub mod digits;
pub mod download;
pub mod fetch;
pub mod folder;
mod gzip;
pub mod idx;
pub mod overlap;
mod part;

pub use dataset::{Dataset, Normalisation, NormalisationSource, Split};
