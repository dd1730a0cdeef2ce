//! Why a container was refused: which layer, which position, and the two numbers that disagree.

use core::fmt;

use crate::layer::Activation;

/// Why [`crate::Model::parse`] refused a container. Layers, rows and positions count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are named, and each variant's sentence says what they are"
)]
pub enum ParseError {
    /// The bytes do not begin on a 4-byte boundary, but `offset` bytes behind one.
    Misaligned { offset: usize },
    /// Fewer bytes than the header, or than the header and its layer records.
    TooShort { needed: usize, found: usize },
    /// The first three bytes are not `RFY`.
    WrongMagic { found: [u8; 3] },
    /// Another version of the format.
    UnsupportedVersion { found: u8, supported: u8 },
    /// The header states another length than the bytes have: cut off, or more behind.
    WrongLength { stated: usize, found: usize },
    /// The bytes are not those that were written.
    WrongChecksum { stated: u32, computed: u32 },
    /// No layer, or too many.
    LayerCount { found: usize, max: usize },
    /// An encoding this version does not know.
    UnknownEncoding { layer: usize, found: u8 },
    /// An activation this version does not know.
    UnknownActivation { layer: usize, found: u8 },
    /// A shift above 31, or above 0 in the last layer.
    ShiftTooLarge { layer: usize, found: u8, max: u8 },
    /// A reserved byte of the layer's record is not zero.
    ReservedNotZero { layer: usize, found: u8 },
    /// A layer without inputs or without outputs.
    EmptyLayer {
        layer: usize,
        inputs: u16,
        outputs: u16,
    },
    /// A hidden layer that is not followed by a ReLU, or a last layer that is.
    MisplacedActivation { layer: usize, found: Activation },
    /// A layer larger after stripping than before.
    OriginalSmaller {
        layer: usize,
        original: u16,
        stripped: u16,
    },
    /// A layer that reads another number of values than the layer before it writes.
    BrokenChain {
        layer: usize,
        expected: usize,
        found: usize,
    },
    /// A record whose count of stored weights does not fit its dimensions.
    WeightCount {
        layer: usize,
        stated: usize,
        expected: usize,
    },
    /// A section reaches past the end of the container.
    SectionPastEnd {
        layer: usize,
        needed: usize,
        available: usize,
    },
    /// The padding behind a section is not zero, but `found` as a little-endian number.
    PaddingNotZero { layer: usize, found: u32 },
    /// Row lengths that do not add up to the stored weights.
    RowLengths {
        layer: usize,
        stated: usize,
        found: usize,
    },
    /// A weight that reads an input the layer does not have.
    ColumnOutOfRange {
        layer: usize,
        position: usize,
        column: u16,
        inputs: u16,
    },
    /// A column not above the one before it in its row.
    ColumnOrder {
        layer: usize,
        position: usize,
        column: u16,
        previous: u16,
    },
    /// A row whose sum could leave 32 bits: `bound` is `|bias| + 255 * sum |weight| + round`.
    AccumulatorOverflow {
        layer: usize,
        row: usize,
        bound: u32,
        max: u32,
    },
    /// Bytes behind the last section.
    SurplusBytes { surplus: usize },
    /// The header states another arena than the layers need.
    ArenaWords { stated: usize, computed: usize },
}

impl fmt::Display for ParseError {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ParseError as E;
        match *self {
            E::Misaligned { offset } => write!(f, "the container lies {offset} bytes behind a 4-byte boundary: place it on one"),
            E::TooShort { needed, found } => write!(f, "the container has {found} bytes where header and layer records need {needed}"),
            E::WrongMagic { found: [a, b, c] } => write!(f, "not a .rfy container: it begins with {a:02x} {b:02x} {c:02x}, not with RFY"),
            E::UnsupportedVersion { found, supported } => write!(f, "the container has format version {found}, and only version {supported} is supported: export the model again"),
            E::WrongLength { stated, found } => write!(f, "the container states a length of {stated} bytes and has {found}"),
            E::WrongChecksum { stated, computed } => write!(f, "the container is damaged: its checksum is {computed:08x} where {stated:08x} is stated"),
            E::LayerCount { found, max } => write!(f, "the container states {found} layers where 1 to {max} are allowed"),
            E::UnknownEncoding { layer, found } => write!(f, "layer {layer} has the unknown encoding {found}"),
            E::UnknownActivation { layer, found } => write!(f, "layer {layer} has the unknown activation {found}"),
            E::ShiftTooLarge { layer, found, max } => write!(f, "layer {layer} has a shift of {found} where at most {max} is allowed"),
            E::ReservedNotZero { layer, found } => write!(f, "layer {layer} has {found} in a reserved byte that must be 0"),
            E::EmptyLayer { layer, inputs, outputs } => write!(f, "layer {layer} has {inputs} inputs and {outputs} outputs where at least 1 of each is needed"),
            E::MisplacedActivation { layer, found } => write!(f, "layer {layer} has the activation {} where the last layer must be linear and all others relu", found.name()),
            E::OriginalSmaller { layer, original, stripped } => write!(f, "layer {layer} states a dimension of {original} before stripping and {stripped} after"),
            E::BrokenChain { layer, expected, found } => write!(f, "layer {layer} reads {found} values where the layer before it writes {expected}"),
            E::WeightCount { layer, stated, expected } => write!(f, "layer {layer} states {stated} stored weights where its dimensions give {expected}"),
            E::SectionPastEnd { layer, needed, available } => write!(f, "layer {layer} has a section of {needed} bytes where {available} are left"),
            E::PaddingNotZero { layer, found } => write!(f, "layer {layer} has {found} in its padding where 0 must be"),
            E::RowLengths { layer, stated, found } => write!(f, "layer {layer} states {stated} stored weights and its rows add up to {found}"),
            E::ColumnOutOfRange { layer, position, column, inputs } => write!(f, "weight {position} of layer {layer} reads column {column} of {inputs}"),
            E::ColumnOrder { layer, position, column, previous } => write!(f, "weight {position} of layer {layer} has column {column} behind column {previous} in its row"),
            E::AccumulatorOverflow { layer, row, bound, max } => write!(f, "row {row} of layer {layer} could sum up to {bound} where at most {max} fits"),
            E::SurplusBytes { surplus } => write!(f, "the container has {surplus} bytes behind its last section"),
            E::ArenaWords { stated, computed } => write!(f, "the container states an arena of {stated} words where its layers need {computed}"),
        }
    }
}

impl core::error::Error for ParseError {}
