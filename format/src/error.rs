//! Why a container was refused: which layer, which position, and the two numbers that disagree.

use core::fmt;

use crate::encoding::rice::RiceError;

/// Why [`crate::Model::parse`] refused a container. Layers, rows and positions count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are named, and each variant's sentence says what they are"
)]
pub enum ParseError {
    /// Fewer bytes than the header, or than the header and its layer records.
    TooShort { needed: usize, found: usize },
    /// The first three bytes are not `RFY`.
    WrongMagic { found: [u8; 3] },
    /// Another version of the format.
    UnsupportedVersion { found: u8, supported: u8 },
    /// No layer, or too many.
    LayerCount { found: usize, max: usize },
    /// The layers take another number of bytes than there are: cut off, or more behind.
    WrongLength { stated: usize, found: usize },
    /// The bytes are not those that were written.
    WrongChecksum { stated: u32, computed: u32 },
    /// An encoding that format 1 does not know, or this build does not read.
    UnknownEncoding { layer: usize, found: u8 },
    /// An operation that format 1 does not know, or this build does not read.
    UnknownOperation { layer: usize, found: u8 },
    /// A field of a geometry or of links that says nothing possible.
    Field { layer: usize, found: u8 },
    /// Bytes that must be zero.
    NotZero { layer: usize, found: u8 },
    /// A layer without inputs or without outputs.
    EmptyLayer {
        layer: usize,
        inputs: usize,
        outputs: usize,
    },
    /// A layer larger after stripping than before.
    OriginalSmaller {
        layer: usize,
        original: u16,
        stripped: u16,
    },
    /// A last layer that is not dense or has a shift.
    LastLayer { layer: usize, shift: u8 },
    /// A layer of pooling with weights, or one of another operation without; floats among integers;
    /// an encoding that is not for the operation.
    Mixed { layer: usize },
    /// A source or a map to add that is not there or not of the right shape.
    Link { layer: usize, back: u8 },
    /// A source whose margin is not what the layer reads.
    Margin { layer: usize },
    /// A source too large for a convolution.
    SourceTooLarge {
        layer: usize,
        max: usize,
        found: usize,
    },
    /// A block of another length than its layer needs (of `needed` at least, where that is more).
    BlockLength {
        layer: usize,
        needed: usize,
        found: usize,
    },
    /// Index bits that do not name every column or row.
    IndexBits {
        layer: usize,
        found: u8,
        count: usize,
    },
    /// The head of a run of packed words that says nothing possible.
    Run { layer: usize, found: u32 },
    /// Rows that do not add up to what is there.
    RowLengths {
        layer: usize,
        stated: usize,
        found: usize,
    },
    /// A weight that reads an input the layer does not have, or not above the one before it.
    Column {
        layer: usize,
        position: usize,
        column: u16,
        floor: usize,
        inputs: usize,
    },
    /// A stream of bits that makes no sense.
    Rice { layer: usize, error: RiceError },
    /// A convolution that states another longest row than it has.
    Taps {
        layer: usize,
        stated: usize,
        found: usize,
    },
    /// A layer whose output overlaps what it reads or reaches past the arena.
    Place {
        layer: usize,
        place: usize,
        words: usize,
    },
    /// The header states another arena than the layers need.
    ArenaWords { stated: usize, computed: usize },
}

impl fmt::Display for ParseError {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ParseError as E;
        match *self {
            E::TooShort { needed, found } => write!(f, "the container has {found} bytes where header and layer records need {needed}"),
            E::WrongMagic { found: [a, b, c] } => write!(f, "not a .rfy container: it begins with {a:02x} {b:02x} {c:02x}, not with RFY"),
            E::UnsupportedVersion { found, supported } => write!(f, "the container has format version {found}, and only version {supported} is supported: export the model again"),
            E::LayerCount { found, max } => write!(f, "the container states {found} layers where 1 to {max} are allowed"),
            E::WrongLength { stated, found } => write!(f, "the container states a length of {stated} bytes and has {found}"),
            E::WrongChecksum { stated, computed } => write!(f, "the container is damaged: its checksum is {computed:08x} where {stated:08x} is stated"),
            E::UnknownEncoding { layer, found } => write!(f, "layer {layer} has the encoding {found}, which this build does not read"),
            E::UnknownOperation { layer, found } => write!(f, "layer {layer} is of the kind {found:#04x}, which this build does not read"),
            E::Field { layer, found } => write!(f, "layer {layer} has {found:#04x} in a field where that means nothing"),
            E::NotZero { layer, found } => write!(f, "layer {layer} has {found} where 0 must be"),
            E::EmptyLayer { layer, inputs, outputs } => write!(f, "layer {layer} has {inputs} inputs and {outputs} outputs where at least 1 of each is needed"),
            E::OriginalSmaller { layer, original, stripped } => write!(f, "layer {layer} states {original} outputs before stripping and {stripped} after"),
            E::LastLayer { layer, shift } => write!(f, "layer {layer} is the last and has a shift of {shift}: the last layer must be dense and have none"),
            E::Mixed { layer } => write!(f, "layer {layer} has an encoding that is not for its operation or not for the layer before it"),
            E::Link { layer, back } => write!(f, "layer {layer} reads what is {back} layers back, where nothing of its shape is"),
            E::Margin { layer } => write!(f, "layer {layer} reads zeros around a map that has them not, or none around one that has"),
            E::SourceTooLarge { layer, max, found } => write!(f, "layer {layer} slides over a map of {found} bytes where at most {max} are allowed"),
            E::BlockLength { layer, needed, found } => write!(f, "layer {layer} has a block of {found} bytes where {needed} are needed"),
            E::IndexBits { layer, found, count } => write!(f, "layer {layer} has words with {found} index bits for {count} units"),
            E::Run { layer, found } => write!(f, "layer {layer} has a run of rows with the head {found:#010x}, which means nothing"),
            E::RowLengths { layer, stated, found } => write!(f, "layer {layer} states {stated} and has {found} rows or weights"),
            E::Column { layer, position, column, floor, inputs } => write!(f, "weight {position} of layer {layer} has index {column} where {floor} to {inputs} (not included) is allowed"),
            E::Rice { layer, error } => write!(f, "layer {layer} is not as coded: {error}"),
            E::Taps { layer, stated, found } => write!(f, "layer {layer} states {stated} weights in its longest row and has {found}"),
            E::Place { layer, place, words } => write!(f, "layer {layer} writes {words} words from word {place} of the arena, over what it reads or past the end"),
            E::ArenaWords { stated, computed } => write!(f, "the container states an arena of {stated} words where its layers need {computed}"),
        }
    }
}

impl core::error::Error for ParseError {}
