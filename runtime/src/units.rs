//! The conversion of numbers to the bytes that a network takes, and of logits to numbers, with the
//! units that a container states.

use core::fmt;

use crate::engine::Engine;

/// Why numbers could not be converted to an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum QuantizeError {
    /// The container does not state which numbers its input bytes stand for.
    NoUnits,
    /// There are not as many numbers, or not as much room for bytes, as the model has inputs.
    Length {
        /// Inputs of the model.
        expected: usize,
        /// Numbers, or bytes of room.
        found: usize,
    },
}

impl fmt::Display for QuantizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            QuantizeError::NoUnits => f.write_str(
                "the container does not state which numbers its input bytes stand for: \
                 export the model with its units",
            ),
            QuantizeError::Length { expected, found } => write!(
                f,
                "there are {found} numbers or bytes, but the model has {expected} inputs"
            ),
        }
    }
}

impl core::error::Error for QuantizeError {}

/// The outputs of a network in their own units: an iterator that [`Engine::dequantize`] returns.
#[derive(Clone, Debug)]
pub struct Dequantized<'a> {
    logits: core::slice::Iter<'a, i32>,
    step: f32,
}

impl Iterator for Dequantized<'_> {
    type Item = f32;

    #[inline]
    fn next(&mut self) -> Option<f32> {
        self.logits.next().map(|&logit| logit as f32 * self.step)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.logits.size_hint()
    }
}

impl ExactSizeIterator for Dequantized<'_> {}

impl Engine<'_> {
    /// Converts `values` to the bytes of an input, for [`Engine::infer`]. The numbers are in the
    /// units of the data that the network was trained on, such as a sensor's readings, in the order
    /// of the input. Numbers outside the range that the network knows become 0 or 255; NaN becomes
    /// 0. The bytes are those that the workstation makes of the same numbers.
    ///
    /// Integers of up to 16 bits are converted to `f32` first. Cores without floating-point
    /// hardware take a few hundred instructions per number.
    ///
    /// ```
    /// use rarefy_format::{
    ///     AlignedBytes, ByteMap, Encoding, LayerSpec, Model, NetworkSpec, Shape, UnitsSpec,
    ///     with_units, write,
    /// };
    /// use rarefy_runtime::{Arena, Engine};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Twice the second input. A byte stands for a 16th of a degree, and a logit, too.
    /// let layer = LayerSpec::dense(Encoding::Csr, 0, vec![0], vec![vec![(1, 2)]]);
    /// let network = NetworkSpec { input: Shape::flat(2), layers: vec![layer] };
    /// let maps = vec![ByteMap { minimum: 0.0, factor: 16.0 }];
    /// let units = UnitsSpec { output_step: 1.0 / 16.0, maps };
    /// let container = AlignedBytes::copy_from(&with_units(&write(&network)?, &units)?);
    ///
    /// let engine = Engine::new(Model::parse(&container)?)?;
    /// let (mut input, mut arena) = ([0; 2], Arena::<1>::new());
    /// engine.quantize(&[3.0, 2.5], &mut input)?;
    /// let logits = engine.infer(&input, arena.as_mut_words())?;
    /// assert!(engine.dequantize(logits).unwrap().eq([5.0]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the container states no units, or unless there are exactly as many
    /// values and bytes of `input` as the model has inputs.
    pub fn quantize<T: Copy + Into<f32>>(
        &self,
        values: &[T],
        input: &mut [u8],
    ) -> Result<(), QuantizeError> {
        let units = self.model().units().ok_or(QuantizeError::NoUnits)?;
        let expected = self.model().inputs();
        for found in [values.len(), input.len()] {
            if found != expected {
                return Err(QuantizeError::Length { expected, found });
            }
        }
        // At least 1, which the compiler does not know.
        let share = units.share().max(1);
        let rows = values.chunks(share).zip(input.chunks_mut(share));
        for (map, (values, bytes)) in units.maps().zip(rows) {
            for (&value, byte) in values.iter().zip(bytes) {
                *byte = map.byte(value.into());
            }
        }
        Ok(())
    }

    /// Returns what a logit of 1 stands for, or `None` if the container does not state it. An
    /// output in its own units is its logit times this step.
    #[must_use]
    pub fn output_step(&self) -> Option<f32> {
        self.model().units().map(|units| units.output_step())
    }

    /// Returns the outputs in their own units that `logits` stand for, or `None` if the container
    /// does not state the units.
    #[must_use]
    pub fn dequantize<'a>(&self, logits: &'a [i32]) -> Option<Dequantized<'a>> {
        let step = self.output_step()?;
        let logits = logits.iter();
        Some(Dequantized { logits, step })
    }
}
