//! The `.rfy` container: a sparse neural network as bytes that a microcontroller runs in place.
//!
//! [`Model::parse`] checks a container once, in time linear in its length and without allocating.
//! The [`Model`] that it returns is a view that borrows the bytes, which may lie in flash. It
//! guarantees everything listed under *Validation* in `SPEC.md`: sections lie inside the bytes,
//! columns lie inside their layer's inputs, and the stated arena is large enough. No kernel needs
//! to check any of this again.
//!
//! With the feature `alloc`, meant for the host, [`write()`] builds a container from a
//! [`NetworkSpec`]. It rejects networks whose accumulators could overflow.
//!
//! ```
//! # #[cfg(feature = "alloc")] {
//! use rarefy_format::{Encoding, LayerSpec, Model, NetworkSpec, Shape, write};
//!
//! // One dense layer with two inputs and one output: 3 * x[1] + 7.
//! let layer = LayerSpec::dense(Encoding::Csr, 0, vec![7], vec![vec![(1, 3)]]);
//! let network = NetworkSpec { input: Shape::flat(2), layers: vec![layer] };
//! let container = write(&network)?;
//!
//! let model = Model::parse(&container)?;
//! assert_eq!((model.inputs(), model.outputs()), (2, 1));
//! assert_eq!(model.layers().next().unwrap().encoding(), Encoding::Csr);
//!
//! // The reference implementation computes what every engine must compute.
//! assert_eq!(network.infer(&[100, 5]), [22]);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! | feature | default | enables |
//! |---|---|---|
//! | `dense`, `csr`, `words`, `columns`, `rice`, `csr-f32` | yes | reading one encoding each |
//! | `maps` | yes | convolutions and pooling |
//! | `residual` | yes | reading and adding the outputs of earlier layers; implies `maps` |
//! | `units` | yes | reading what input bytes and logits stand for |
//! | `alloc` | no | the writer and the reference implementation, which need a heap |
//! | `defmt` | no | `defmt::Format` for the types that firmware logs |
//!
//! Firmware should disable the features that its model does not need. The crate is `no_std`,
//! forbids unsafe code, and supports little-endian targets only.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(not(target_endian = "little"))]
compile_error!(
    "rarefy-format reads little-endian containers in place: build for a little-endian target"
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
mod units;
#[cfg(feature = "alloc")]
mod write;

#[cfg(feature = "alloc")]
pub use aligned::AlignedBytes;
pub use arena::arena_words;
pub use arithmetic::{MAX_SHIFT, requantize};
#[doc(hidden)]
pub use chain::{DenseLayer, DenseLayers};
pub use checksum::checksum;
#[cfg(feature = "alloc")]
pub use encoding::Unfit;
pub use encoding::columns::Columns;
pub use encoding::csr::{Csr, CsrRows};
pub use encoding::csr_f32::CsrF32;
pub use encoding::dense::{Dense, DenseRows};
pub use encoding::rice;
pub use encoding::words::{Run, Words, WordsRows, WordsRuns, index_bits, pack_word};
pub use encoding::{BlockParts, Encoding, Rows, Weights};
pub use error::{ParseError, UnitsError};
pub use header::{CHECKSUM_OFFSET, HEADER_BYTES, MAGIC, MAX_LAYERS, VERSION, container_checksum};
#[doc(hidden)]
pub use layer::SPARE_WORDS;
pub use layer::{Layer, MAX_SOURCE_BYTES};
pub use layers::Layers;
pub use model::Model;
pub use operation::{
    EXTENSION_BYTES, GEOMETRY_BYTES, MAX_STRIDE, MAX_WINDOW, Operation, Pooling, Window,
};
#[cfg(feature = "alloc")]
pub use record::MAX_BLOCK_BYTES;
pub use record::{LINKS_BYTES, Links, RECORD_BYTES};
#[cfg(feature = "alloc")]
pub use reference::Values;
pub use shape::{Buffer, Margin, Shape};
pub use units::{ByteMap, Units};
#[cfg(feature = "alloc")]
pub use write::{
    LayerSpec, NetworkSpec, SkipSpec, SpecError, SumRange, UnitsSpec, WeightsSpec, WriteError,
    output_shape, with_units, write,
};

/// Whether this build reads convolutions and pooling layers (feature `maps`).
///
/// An engine built without `maps` must not be linked with a parser built with it: the parser would
/// accept convolutions, and the engine would run them as dense layers.
#[doc(hidden)]
pub const MAPS: bool = cfg!(feature = "maps");

/// A value aligned to 4 bytes, as an engine requires of a container.
///
/// ```
/// use rarefy_format::Aligned;
/// static BYTES: &Aligned<[u8]> = &Aligned(*b"any bytes, or *include_bytes!(..)");
/// assert_eq!(BYTES.0.as_ptr() as usize % 4, 0);
/// ```
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aligned<T: ?Sized>(pub T);
