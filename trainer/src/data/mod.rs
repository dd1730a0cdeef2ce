//! Datasets: labelled 8-bit images in memory, and where they come from. In place of labels, they
//! can have [`Targets`] that are numbers.
//!
//! [`catalogue::load`] resolves the name of a dataset to a [`Dataset`]: the embedded set
//! ([`digits`]), a [`published`] set found on this machine, a [`folder`] of IDX files ([`idx`]),
//! the files of [`cifar`], or files of other formats ([`tables`]), whose numbers become bytes by an
//! [`InputMap`] as their [`Reading`] says. [`fetch`] downloads a published set. Pixels stay bytes
//! until [`batches`] turns them into input tensors, scaled by a [`Normalisation`].
//!
//! A loaded dataset is valid: every image has the announced shape, and every label is below the
//! number of classes. Loading anything else fails with an error that names the file at fault.

pub mod augment;
pub mod batches;
pub mod catalogue;
pub mod cifar;
pub mod content;
mod dataset;
pub mod digits;
pub mod fetch;
pub mod folder;
mod gzip;
pub mod http;
pub mod idx;
mod input_map;
mod input_scale;
mod normalisation;
pub mod overlap;
mod partial;
pub mod published;
mod reading;
mod resident;
pub mod tables;
mod targets;

pub use dataset::{Dataset, Note, Split};
pub use input_map::{InputMap, InputRange};
pub use input_scale::{InputScale, ScaleError};
pub use normalisation::{Normalisation, NormalisationSource, PerChannel, Scaling};
pub use reading::{Extent, NO_LABELS, Reading, TestShare};
pub use targets::{Standard, TargetSource, Targets};
