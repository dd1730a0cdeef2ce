//! One layer: its record of 16 bytes, and the view that joins the record to its sections.
//!
//! ```text
//!  0          1            2       3      4        6         8                 10                 12      16
//!  +----------+------------+-------+------+--------+---------+-----------------+------------------+--------+
//!  | encoding | activation | shift | zero | inputs | outputs | original inputs | original outputs | stored |
//!  +----------+------------+-------+------+--------+---------+-----------------+------------------+--------+
//! ```

use crate::arena::buffer_words;
use crate::arithmetic::MAX_SHIFT;
use crate::encoding::{Encoding, Weights};
use crate::error::ParseError;
use crate::header::HEADER_BYTES;
use crate::sections::{Sections, padded};

/// Bytes of a layer record.
pub const RECORD_BYTES: usize = 16;

/// What follows a layer's sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Activation {
    /// The sums themselves, as 32-bit integers: the last layer. Code 0.
    Linear,
    /// [`crate::requantize`], whose clamp is the ReLU: every hidden layer. Code 1.
    Relu,
}

impl Activation {
    /// The name used in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Activation::Linear => "linear",
            Activation::Relu => "relu",
        }
    }

    /// The code in a layer record.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Activation::Linear => 0,
            Activation::Relu => 1,
        }
    }
}

/// The fields of a layer record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) encoding: Encoding,
    pub(crate) activation: Activation,
    pub(crate) shift: u8,
    pub(crate) inputs: u16,
    pub(crate) outputs: u16,
    pub(crate) original_inputs: u16,
    pub(crate) original_outputs: u16,
    pub(crate) stored: u32,
}

impl Record {
    #[inline(always)]
    fn read(layer: usize, bytes: &[u8; RECORD_BYTES]) -> Result<Record, ParseError> {
        let [
            encoding,
            activation,
            shift,
            zero,
            i0,
            i1,
            o0,
            o1,
            p0,
            p1,
            q0,
            q1,
            s0,
            s1,
            s2,
            s3,
        ] = *bytes;
        let Some(encoding) = Encoding::from_code(encoding) else {
            return Err(ParseError::UnknownEncoding {
                layer,
                found: encoding,
            });
        };
        let activation = match activation {
            0 => Activation::Linear,
            1 => Activation::Relu,
            found => return Err(ParseError::UnknownActivation { layer, found }),
        };
        if shift > MAX_SHIFT {
            return Err(ParseError::ShiftTooLarge {
                layer,
                found: shift,
                max: MAX_SHIFT,
            });
        }
        if zero != 0 {
            return Err(ParseError::ReservedNotZero { layer, found: zero });
        }
        Ok(Record {
            encoding,
            activation,
            shift,
            inputs: u16::from_le_bytes([i0, i1]),
            outputs: u16::from_le_bytes([o0, o1]),
            original_inputs: u16::from_le_bytes([p0, p1]),
            original_outputs: u16::from_le_bytes([q0, q1]),
            stored: u32::from_le_bytes([s0, s1, s2, s3]),
        })
    }

    #[cfg(feature = "alloc")]
    pub(crate) fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[0] = self.encoding.code();
        bytes[1] = self.activation.code();
        bytes[2] = self.shift;
        bytes[4..6].copy_from_slice(&self.inputs.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.outputs.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.original_inputs.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.original_outputs.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.stored.to_le_bytes());
        bytes
    }
}

/// One layer of a [`crate::Model`], borrowed from its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    record: Record,
    bias: &'a [i32],
    weights: Weights<'a>,
}

impl<'a> Layer<'a> {
    /// Inputs that the stored layer reads, one byte each.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.record.inputs as usize
    }

    /// Outputs (rows) that the stored layer computes: what is left after stripping.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.record.outputs as usize
    }

    /// Inputs of the layer before stripping, for reports.
    #[must_use]
    pub const fn original_inputs(&self) -> usize {
        self.record.original_inputs as usize
    }

    /// Outputs of the layer before stripping, for reports.
    #[must_use]
    pub const fn original_outputs(&self) -> usize {
        self.record.original_outputs as usize
    }

    /// What follows the sums: [`Activation::Linear`] for the last layer, [`Activation::Relu`] for
    /// all others.
    #[must_use]
    pub const fn activation(&self) -> Activation {
        self.record.activation
    }

    /// Bits shifted out by [`crate::requantize`], 0..=31; 0 for the last layer.
    #[must_use]
    pub const fn shift(&self) -> u8 {
        self.record.shift
    }

    /// The biases, one an output, in units of the accumulator.
    #[must_use]
    pub const fn bias(&self) -> &'a [i32] {
        self.bias
    }

    /// The weights, as they are stored.
    #[must_use]
    pub const fn weights(&self) -> Weights<'a> {
        self.weights
    }

    /// How the weights are stored.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.record.encoding
    }

    /// Weights stored, zeros among them included.
    #[must_use]
    pub const fn stored(&self) -> usize {
        self.record.stored as usize
    }

    /// Weights that are not zero. Counts them: time linear in the stored weights.
    #[must_use]
    pub fn nonzeros(&self) -> usize {
        self.weights
            .values()
            .iter()
            .filter(|&&value| value != 0)
            .count()
    }

    /// Words of the arena that the layer's outputs take.
    #[must_use]
    pub const fn buffer_words(&self) -> usize {
        buffer_words(
            self.outputs(),
            matches!(self.record.activation, Activation::Linear),
        )
    }

    /// Bytes of the layer's record in the container.
    #[must_use]
    pub const fn record_bytes(&self) -> usize {
        RECORD_BYTES
    }

    /// Bytes that say where the weights are (row lengths and columns, padding included).
    #[must_use]
    pub const fn positions_bytes(&self) -> usize {
        match self.weights {
            Weights::Csr(csr) => {
                padded(size_of_val(csr.row_lengths())) + padded(size_of_val(csr.columns()))
            }
            Weights::Dense(_) => 0,
        }
    }

    /// Bytes that say what the weights are, padding included.
    #[must_use]
    pub const fn values_bytes(&self) -> usize {
        padded(self.weights.values().len())
    }

    /// Bytes of the biases.
    #[must_use]
    pub const fn bias_bytes(&self) -> usize {
        size_of_val(self.bias)
    }

    /// Checks all that needs no other layer.
    pub(crate) fn validate(&self, layer: usize, last: bool) -> Result<(), ParseError> {
        let record = &self.record;
        if record.inputs == 0 || record.outputs == 0 {
            let (inputs, outputs) = (record.inputs, record.outputs);
            return Err(ParseError::EmptyLayer {
                layer,
                inputs,
                outputs,
            });
        }
        if (record.activation == Activation::Linear) != last {
            let found = record.activation;
            return Err(ParseError::MisplacedActivation { layer, found });
        }
        if last && record.shift != 0 {
            return Err(ParseError::ShiftTooLarge {
                layer,
                found: record.shift,
                max: 0,
            });
        }
        for (original, stripped) in [
            (record.original_inputs, record.inputs),
            (record.original_outputs, record.outputs),
        ] {
            if original < stripped {
                return Err(ParseError::OriginalSmaller {
                    layer,
                    original,
                    stripped,
                });
            }
        }
        self.weights.validate(layer, record, self.bias)
    }
}

/// The layers of a [`crate::Model`], from the input to the output. Reads the records again at each
/// pass instead of keeping a table in RAM.
#[derive(Clone, Debug)]
pub struct Layers<'a> {
    records: &'a [u8],
    sections: Sections<'a>,
    index: usize,
}

impl<'a> Layers<'a> {
    /// The layers of a container whose header states `count` of them.
    pub(crate) fn new(bytes: &'a [u8], count: usize) -> Result<Self, ParseError> {
        let behind = bytes.get(HEADER_BYTES..).unwrap_or(&[]);
        let needed = count * RECORD_BYTES;
        let Some((records, sections)) = behind.split_at_checked(needed) else {
            let (needed, found) = (HEADER_BYTES + needed, bytes.len());
            return Err(ParseError::TooShort { needed, found });
        };
        Ok(Layers {
            records,
            sections: Sections::new(sections),
            index: 0,
        })
    }

    /// No layers at all.
    pub(crate) fn none() -> Self {
        Layers {
            records: &[],
            sections: Sections::new(&[]),
            index: 0,
        }
    }

    /// The next layer, its sections cut but not yet validated.
    #[inline]
    pub(crate) fn read_next(&mut self) -> Option<Result<Layer<'a>, ParseError>> {
        let (record, records) = self.records.split_first_chunk::<RECORD_BYTES>()?;
        let layer = self.read(record);
        self.records = records;
        self.index += 1;
        Some(layer)
    }

    #[inline(always)]
    fn read(&mut self, record: &[u8; RECORD_BYTES]) -> Result<Layer<'a>, ParseError> {
        let record = Record::read(self.index, record)?;
        let bias = self
            .sections
            .take(self.index, usize::from(record.outputs))?;
        let weights = Weights::read(self.index, &record, &mut self.sections)?;
        Ok(Layer {
            record,
            bias,
            weights,
        })
    }

    /// Bytes behind the last section read.
    pub(crate) fn remaining_bytes(&self) -> usize {
        self.sections.remaining()
    }
}

impl<'a> Iterator for Layers<'a> {
    type Item = Layer<'a>;

    // Inlined, so that an engine pays for the fields it uses and for no error value.
    #[inline(always)]
    fn next(&mut self) -> Option<Layer<'a>> {
        let (record, records) = self.records.split_first_chunk::<RECORD_BYTES>()?;
        // `Model::parse` has read every layer once: no error is left to meet here.
        let layer = self.read(record).ok()?;
        self.records = records;
        self.index += 1;
        Some(layer)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.records.len() / RECORD_BYTES;
        (count, Some(count))
    }
}

impl ExactSizeIterator for Layers<'_> {}
