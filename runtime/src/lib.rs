//! An engine that runs neural networks in place, from `.rfy` containers, on microcontrollers and
//! hosts.
//!
//! It uses no heap and no global state, and it never panics. A [`Model`](rarefy_format::Model) is
//! validated once. After that, an inference returns an error only if the input has the wrong length
//! or the arena is too small. All arithmetic is on integers (except in the `csr-f32` encoding), and
//! every kernel computes the same bits on every target: a prediction on the host *is* the
//! prediction on the device.
//!
//! The features are those of `rarefy-format`: one per encoding, `maps` (convolutions and pooling),
//! `residual`, and `units` (numbers with units). Firmware that disables the features that its model
//! does not need links neither their kernels nor their validation. The feature `defmt` implements
//! `defmt::Format` for the error types.
//!
//! # Examples
//!
//! ```
//! use rarefy_format::{AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, Shape, write};
//! use rarefy_runtime::{Arena, Engine, argmax};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A dense layer of four inputs and two outputs. Per output: a bias, and (input, weight) pairs.
//! let rows = vec![vec![(0, 2), (3, -1)], vec![(1, 1)]];
//! let layer = LayerSpec::dense(Encoding::Csr, 0, vec![-10, 5], rows);
//! let network = NetworkSpec { input: Shape::flat(4), layers: vec![layer] };
//! let container = AlignedBytes::copy_from(&write(&network)?);
//!
//! let model = Model::parse(&container)?;
//! let engine = Engine::new(model)?;
//! let mut arena = Arena::<8>::new();
//! let logits = engine.infer(&[40, 3, 0, 1], arena.as_mut_words())?;
//! assert_eq!(logits, [69, 8]);
//! assert_eq!(argmax(logits), 0);
//! # Ok(())
//! # }
//! ```
//!
//! A container may state what its input bytes and its logits stand for. [`Engine::quantize`] then
//! converts a sensor's numbers to an input, and [`Engine::dequantize`] logits to outputs in their
//! own units.
//!
//! In firmware, the container is a static in flash, and the compiler checks it and sizes the arena
//! (`rarefy new` writes a whole program):
//!
//! ```ignore
//! static BYTES: &Aligned<[u8]> = &Aligned(*include_bytes!("model.rfy"));
//! const MODEL: Model<'_> = match Model::parse(&BYTES.0) {
//!     Ok(model) => model,
//!     Err(_) => panic!("the model is damaged, or needs a feature that is off"),
//! };
//! static ARENA: ConstStaticCell<Arena<{ MODEL.arena_words() }>> =
//!     ConstStaticCell::new(Arena::new());
//! ```
#![cfg_attr(not(test), no_std)]
// All unsafe code is in `kernels::{native, cortex_m, riscv}`, which allow it.
#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]
#![deny(clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks)]

// Cargo unifies the features of all crates in a program, but `chain` relies on a parser that
// rejects everything except chains of dense layers.
#[cfg(not(any(feature = "maps", test)))]
const _: () = assert!(
    !rarefy_format::MAPS,
    "rarefy-format is built with the feature maps, but rarefy-runtime without it: \
     enable it in both or in neither (it is a default feature of both)"
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
#[cfg(feature = "units")]
mod units;

pub use arena::Arena;
pub use engine::{Engine, argmax};
pub use error::{InferError, Misaligned};
#[cfg(test)]
use rarefy_test_support::networks;
#[cfg(feature = "units")]
pub use units::{Dequantized, QuantizeError};
