//! The engine that runs `.rfy` models where they lie.
//!
//! No heap, no global state, no panic: a [`Model`](rarefy_format::Model) has been validated once, so
//! what is left to go wrong at an inference is an input or an arena of the wrong length, and both are
//! errors. The same kernels run on the host and on the device, on integers alone: a prediction on
//! the host *is* the prediction on the device.
//!
//! The features `csr` and `dense` say which kernels are linked.
//!
//! ```
//! use rarefy_format::{Activation, AlignedBytes, LayerSpec, Model, WeightsSpec, write};
//! use rarefy_runtime::{Arena, Engine, argmax};
//!
//! # let layer = LayerSpec {
//! #     inputs: 4, outputs: 2, original_inputs: 4, original_outputs: 2,
//! #     activation: Activation::Linear, shift: 0, bias: vec![-10, 5],
//! #     weights: WeightsSpec::Csr { row_lengths: vec![2, 1], columns: vec![0, 3, 1], values: vec![2, -1, 1] },
//! # };
//! # let container = AlignedBytes::copy_from(&write(&[layer]).unwrap());
//! // In firmware: static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("model.rfy"));
//! //              static mut ARENA: Arena<{ arena_words(&MODEL.0) }> = Arena::new();
//! let model = Model::parse(&container).unwrap();
//! let engine = Engine::new(model).unwrap();
//! let mut arena = Arena::<8>::new();
//! let logits = engine.infer(&[40, 3, 0, 1], arena.as_mut_words()).unwrap();
//! assert_eq!(logits, [69, 8]);
//! assert_eq!(argmax(logits), 0);
//! ```
#![no_std]
#![deny(unsafe_code)]

#[cfg(not(any(feature = "csr", feature = "dense")))]
compile_error!(
    "rarefy-runtime without a kernel runs no model: enable the feature csr, dense or both"
);

mod arena;
mod engine;
mod error;
mod kernels;
mod output;

pub use arena::Arena;
pub use engine::{Engine, argmax};
pub use error::{InferError, Unsupported};
