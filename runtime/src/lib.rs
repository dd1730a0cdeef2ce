//! The engine that runs `.rfy` models where they lie.
//!
//! No heap, no global state, no panic: a [`Model`](rarefy_format::Model) has been validated once, so
//! what is left to go wrong at an inference is an input or an arena of the wrong length, and both are
//! errors. The same kernels run on the host and on the device, on integers alone: a prediction on
//! the host *is* the prediction on the device.
//!
//! The features are those of `rarefy-format`: an encoding each, `maps` and `residual`. A device turns
//! off what its model does not need, and neither the kernel nor its check is linked.
//!
//! ```
//! use rarefy_format::{AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, Shape, write};
//! use rarefy_runtime::{Arena, Engine, argmax};
//!
//! # let rows = vec![vec![(0, 2), (3, -1)], vec![(1, 1)]];
//! # let layer = LayerSpec::dense(Encoding::Csr, 0, vec![-10, 5], rows);
//! # let network = NetworkSpec { input: Shape::flat(4), layers: vec![layer] };
//! # let container = AlignedBytes::copy_from(&write(&network).unwrap());
//! // In firmware: static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("model.rfy"));
//! //              static mut ARENA: Arena<{ arena_words(&MODEL.0) }> = Arena::new();
//! let model = Model::parse(&container).unwrap();
//! let engine = Engine::new(model).unwrap();
//! let mut arena = Arena::<8>::new();
//! let logits = engine.infer(&[40, 3, 0, 1], arena.as_mut_words()).unwrap();
//! assert_eq!(logits, [69, 8]);
//! assert_eq!(argmax(logits), 0);
//! ```
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

// Cargo joins the features that a program's crates ask of one: the walk over dense layers alone relies on a
// parser that refuses everything else.
#[cfg(not(any(feature = "maps", test)))]
const _: () = assert!(
    !rarefy_format::MAPS,
    "rarefy-format is built with the feature maps and rarefy-runtime without: give both the same (rarefy-format has it by default)"
);

mod arena;
#[cfg(any(test, not(feature = "maps")))]
mod chain;
mod engine;
mod error;
#[cfg(feature = "maps")]
mod graph;
mod kernels;
#[cfg(feature = "maps")]
mod maps;
#[cfg(test)]
#[path = "../../format/tests/networks/mod.rs"]
#[allow(dead_code)]
mod networks;

pub use arena::Arena;
pub use engine::{Engine, argmax};
pub use error::{InferError, Misaligned};
