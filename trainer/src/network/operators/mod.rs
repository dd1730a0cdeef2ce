//! Fused forward and backward passes of training for the CPU.
//!
//! candle adds the gradient of every parameter to a new tensor of zeros and computes batch norm in
//! a dozen passes, which takes half the time of a training step at the size of LeNet. Each of these
//! operators makes one pass per direction and stores the gradients of parameters in
//! [`GradientSlot`]s. They require contiguous f32 tensors on the CPU; [`Network`](super::Network)
//! uses [`plain`](super::plain) tensor operations otherwise.

pub mod batch_norm;
pub mod conv;
mod jobs;
pub mod likelihood;
pub mod linear;
pub(super) mod operand;
pub mod pool;
pub mod relu;
mod spans;
mod units;
mod winograd;

pub use operand::{GradientSlot, Operand};
