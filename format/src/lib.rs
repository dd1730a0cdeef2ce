//! The `.rfy` container: a neural network as bytes a microcontroller runs where they lie.
//!
//! [`Model::parse`] checks a container once, in time linear in its length and without memory of its
//! own; what it returns is a view that borrows the bytes, from flash if that is where they are.
//! Whoever holds a [`Model`] may rely on everything listed under *Validation* in `SPEC.md`: sections
//! lie inside the bytes, columns lie inside their layer's inputs, no accumulator overflows, the
//! arena is as large as stated. So a kernel has nothing left to check.
//!
//! With the feature `alloc` (the host), [`write()`] makes a container from [`LayerSpec`]s.
//!
//! This crate assumes a little-endian machine and refuses to compile for another.
//!
//! ```
//! # #[cfg(feature = "alloc")] {
//! use rarefy_format::{Activation, AlignedBytes, LayerSpec, Model, WeightsSpec, write};
//!
//! // One layer of two inputs and one output: 3 * x[1] + 7.
//! let layer = LayerSpec {
//!     inputs: 2,
//!     outputs: 1,
//!     original_inputs: 2,
//!     original_outputs: 1,
//!     activation: Activation::Linear,
//!     shift: 0,
//!     bias: vec![7],
//!     weights: WeightsSpec::Csr { row_lengths: vec![1], columns: vec![1], values: vec![3] },
//! };
//! let container = write(&[layer]).unwrap();
//! // A container must lie on a 4-byte boundary: `Aligned` does that for bytes in flash.
//! let container = AlignedBytes::copy_from(&container);
//! let model = Model::parse(&container).unwrap();
//! assert_eq!((model.inputs(), model.outputs()), (2, 1));
//! assert_eq!(model.layers().next().unwrap().bias(), [7]);
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
mod checksum;
mod encoding;
mod error;
mod header;
mod layer;
mod model;
mod sections;
#[cfg(feature = "alloc")]
mod write;

#[cfg(feature = "alloc")]
pub use aligned::AlignedBytes;
pub use arena::{arena_words, arena_words_of};
pub use arithmetic::{MAX_SHIFT, requantize};
pub use checksum::crc32;
pub use encoding::csr::{Csr, Rows};
pub use encoding::dense::Dense;
pub use encoding::{Encoding, Weights};
pub use error::ParseError;
pub use header::{CHECKSUM_OFFSET, HEADER_BYTES, MAGIC, MAX_LAYERS, VERSION, container_checksum};
pub use layer::{Activation, Layer, Layers, RECORD_BYTES};
pub use model::Model;
#[cfg(feature = "alloc")]
pub use write::{LayerSpec, WeightsSpec, WriteError, write};

/// Bytes on the 4-byte boundary that [`Model::parse`] asks for.
///
/// ```
/// use rarefy_format::Aligned;
/// static BYTES: &Aligned<[u8]> = &Aligned(*b"any bytes, or *include_bytes!(..)");
/// assert_eq!(BYTES.0.as_ptr() as usize % 4, 0);
/// ```
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aligned<T: ?Sized>(pub T);
