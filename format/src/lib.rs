//! The `.rfy` container: a neural network as bytes a microcontroller runs where they lie.
//!
//! [`Model::parse`] checks a container once, in time linear in its length and without memory of its
//! own; what it returns is a view that borrows the bytes, from flash if that is where they are.
//! Whoever holds a [`Model`] may rely on everything listed under *Validation* in `SPEC.md`: sections
//! lie inside the bytes, columns lie inside their layer's inputs, no accumulator overflows, the
//! arena is as large as stated. So a kernel has nothing left to check.
//!
//! With the feature `alloc` (the host), [`write()`] makes a container from a [`NetworkSpec`].
//!
//! The other features say what this build reads: an encoding each (`dense`, `csr`, `words`, `columns`,
//! `rice`, `csr-f32`), `maps` (convolutions and pooling), `residual` (links between layers that are not
//! neighbours). All are on by default; a device turns off what its model does not need.
//!
//! This crate assumes a little-endian machine and refuses to compile for another.
//!
//! ```
//! # #[cfg(feature = "alloc")] {
//! use rarefy_format::{Encoding, LayerSpec, Model, NetworkSpec, Shape, write};
//!
//! // One layer of two inputs and one output: 3 * x[1] + 7.
//! let layer = LayerSpec::dense(Encoding::Csr, 0, vec![7], vec![vec![(1, 3)]]);
//! let container = write(&NetworkSpec { input: Shape::flat(2), layers: vec![layer] }).unwrap();
//! let model = Model::parse(&container).unwrap();
//! assert_eq!((model.inputs(), model.outputs()), (2, 1));
//! assert_eq!(model.layers().next().unwrap().encoding(), Encoding::Csr);
//! # }
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(not(target_endian = "little"))]
compile_error!(
    "rarefy-format reads containers in place and they are little-endian: build for a little-endian target"
);

#[cfg(feature = "alloc")]
mod aligned;
mod arena;
mod arithmetic;
mod bytes;
mod chain;
mod checksum;
mod encoding;
mod error;
mod header;
mod layer;
mod layers;
mod model;
mod operation;
mod record;
#[cfg(feature = "alloc")]
mod reference;
mod shape;
#[cfg(feature = "alloc")]
mod write;

#[cfg(feature = "alloc")]
pub use aligned::AlignedBytes;
pub use arena::arena_words;
pub use arithmetic::{MAX_SHIFT, requantize};
pub use chain::{DenseLayer, DenseLayers};
pub use checksum::checksum;
#[cfg(feature = "alloc")]
pub use encoding::Unfit;
pub use encoding::columns::Columns;
pub use encoding::csr::{Csr, CsrRows};
pub use encoding::csr_f32::CsrF32;
pub use encoding::dense::{Dense, DenseRows};
pub use encoding::rice;
pub use encoding::words::{Run, Words, WordsRows, WordsRuns, index_bits};
pub use encoding::{Dimensions, Encoding, Rows, Weights};
pub use error::ParseError;
pub use header::{CHECKSUM_OFFSET, HEADER_BYTES, MAGIC, MAX_LAYERS, VERSION, container_checksum};
pub use layer::{Layer, MAX_SOURCE_BYTES, SPARE_WORDS};
pub use layers::Layers;
pub use model::Model;
pub use operation::{GEOMETRY_BYTES, Operation, Pooling, Window};
#[cfg(feature = "alloc")]
pub use record::MAX_BLOCK_BYTES;
pub use record::{LINKS_BYTES, Links, RECORD_BYTES};
#[cfg(feature = "alloc")]
pub use reference::Values;
pub use shape::{Buffer, Margin, Shape};
#[cfg(feature = "alloc")]
pub use write::{LayerSpec, NetworkSpec, SkipSpec, SpecError, WeightsSpec, WriteError, write};

/// Whether this build reads maps (the feature `maps`). An engine that was built without has to refuse one
/// that was built with: it would take for dense layers what [`Model::parse`] has let in.
pub const MAPS: bool = cfg!(feature = "maps");

/// Bytes on the 4-byte boundary that an engine asks for.
///
/// ```
/// use rarefy_format::Aligned;
/// static BYTES: &Aligned<[u8]> = &Aligned(*b"any bytes, or *include_bytes!(..)");
/// assert_eq!(BYTES.0.as_ptr() as usize % 4, 0);
/// ```
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aligned<T: ?Sized>(pub T);
