//! What becomes of a row's sum: a byte for the next layer, or a logit.

use rarefy_format::requantize;

/// Turns accumulators into what a layer stores. Kernels are generic over it, so that they hold the
/// loop and nothing of the arithmetic behind it.
pub(crate) trait Finish: Copy {
    /// What is stored for an output.
    type Output: Copy;

    /// The stored form of an accumulator.
    fn finish(self, acc: i32) -> Self::Output;
}

/// A hidden layer: shifted and clamped to a byte.
#[derive(Clone, Copy)]
pub(crate) struct Requantize {
    pub(crate) shift: u8,
}

impl Finish for Requantize {
    type Output = u8;

    #[inline(always)]
    fn finish(self, acc: i32) -> u8 {
        requantize(acc, self.shift)
    }
}

/// The last layer: the accumulator itself.
#[derive(Clone, Copy)]
pub(crate) struct Logits;

impl Finish for Logits {
    type Output = i32;

    #[inline(always)]
    fn finish(self, acc: i32) -> i32 {
        acc
    }
}
