//! The errors of [`crate::Model::parse`]: the layer, the position, and the two numbers that
//! disagree.

use core::fmt;

/// Why [`crate::Model::parse`] rejected a container. Layers, rows and positions count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are named, and each variant's message explains them"
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
    /// The blocks do not end where the bytes end.
    WrongLength { stated: usize, found: usize },
    /// The checksum does not match the bytes.
    WrongChecksum { stated: u32, computed: u32 },
    /// An encoding that this build does not read.
    UnknownEncoding { layer: usize, found: u8 },
    /// An operation that this build does not read.
    UnknownOperation { layer: usize, found: u8 },
    /// An invalid value in a geometry or in links.
    Field { layer: usize, found: u8 },
    /// A byte that must be zero.
    NotZero { layer: usize, found: u8 },
    /// A layer without inputs or without outputs.
    EmptyLayer {
        layer: usize,
        inputs: usize,
        outputs: usize,
    },
    /// More outputs after stripping than before.
    OriginalSmaller {
        layer: usize,
        original: u16,
        stripped: u16,
    },
    /// A last layer that is not dense or has a shift.
    LastLayer { layer: usize, shift: u8 },
    /// An encoding that does not match the operation, or floats in a network of integers.
    Mixed { layer: usize },
    /// A source or skip that does not exist or has the wrong shape.
    Link { layer: usize, back: u8 },
    /// A source whose margin is not what the layer reads.
    Margin { layer: usize },
    /// A source that is too large for the operation.
    SourceTooLarge {
        layer: usize,
        max: usize,
        found: usize,
    },
    /// A block whose length is not what the layer needs; where `needed` is larger, it is a
    /// minimum.
    BlockLength {
        layer: usize,
        needed: usize,
        found: usize,
    },
    /// Too few or too many index bits for the columns or rows.
    IndexBits {
        layer: usize,
        found: u8,
        count: usize,
    },
    /// An invalid head of a run of packed words.
    Run { layer: usize, found: u32 },
    /// Lengths, runs or block starts that do not add up to what the block holds.
    RowLengths {
        layer: usize,
        stated: usize,
        found: usize,
    },
    /// A weight whose index is out of range or not above the one before it.
    Column {
        layer: usize,
        position: usize,
        column: u16,
        floor: usize,
        inputs: usize,
    },
    /// An invalid `rice` block.
    Rice { layer: usize, error: RiceError },
    /// A convolution whose longest row is not as long as stated.
    Taps {
        layer: usize,
        stated: usize,
        found: usize,
    },
    /// An output that overlaps what the layer reads, or reaches past the arena.
    Place {
        layer: usize,
        place: usize,
        words: usize,
    },
    /// The stated size of the arena is not what the layers need.
    ArenaWords { stated: usize, computed: usize },
}

impl fmt::Display for ParseError {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ParseError as E;
        match *self {
            E::TooShort { needed, found } => write!(f, "the container has {found} bytes, but its header and layer records need {needed}"),
            E::WrongMagic { found: [a, b, c] } => write!(f, "not a .rfy container: the first bytes are {a:02x} {b:02x} {c:02x}, not RFY"),
            E::UnsupportedVersion { found, supported } => write!(f, "the container has format version {found}, but only version {supported} is supported: export the model again"),
            E::LayerCount { found, max } => write!(f, "the container has {found} layers, but 1 to {max} are allowed"),
            E::WrongLength { stated, found } => write!(f, "the container has a length of {found} bytes, but its layers take {stated}"),
            E::WrongChecksum { stated, computed } => write!(f, "the container is damaged: its checksum is {computed:08x}, but {stated:08x} is stated"),
            E::UnknownEncoding { layer, found } => write!(f, "layer {layer} has encoding {found}, which this build does not read: enable its feature"),
            E::UnknownOperation { layer, found } => write!(f, "layer {layer} has kind {found:#04x}, which this build does not read: enable the features maps and residual"),
            E::Field { layer, found } => write!(f, "layer {layer} has the invalid value {found:#04x} in its geometry"),
            E::NotZero { layer, found } => write!(f, "layer {layer} has {found} in a byte that must be 0"),
            E::EmptyLayer { layer, inputs, outputs } => write!(f, "layer {layer} has {inputs} inputs and {outputs} outputs, but needs at least 1 of each"),
            E::OriginalSmaller { layer, original, stripped } => write!(f, "layer {layer} has {stripped} outputs, but only {original} before stripping"),
            E::LastLayer { layer, shift } => write!(f, "layer {layer} is the last and has shift {shift}, but the last layer must be dense and have shift 0"),
            E::Mixed { layer } => write!(f, "layer {layer} has an encoding that does not match its operation or the layers before it"),
            E::Link { layer, back } => write!(f, "layer {layer} refers {back} layers back, where there is no buffer of a matching shape"),
            E::Margin { layer } => write!(f, "layer {layer} expects a different zero margin than its source provides"),
            E::SourceTooLarge { layer, max, found } => write!(f, "layer {layer} reads a source of size {found}, but at most {max} is allowed"),
            E::BlockLength { layer, needed, found } => write!(f, "layer {layer} has a block of {found} bytes, but needs {needed}"),
            E::IndexBits { layer, found, count } => write!(f, "layer {layer} has {found} index bits for {count} units"),
            E::Run { layer, found } => write!(f, "layer {layer} has a run of rows with the invalid head {found:#010x}"),
            E::RowLengths { layer, stated, found } => write!(f, "layer {layer} has lengths that add up to {stated}, but its block holds {found}"),
            E::Column { layer, position, column, floor, inputs } => write!(f, "layer {layer} has index {column} at weight {position}, but only {floor}..{inputs} is allowed"),
            E::Rice { layer, error } => write!(f, "layer {layer} has an invalid rice block: {error}"),
            E::Taps { layer, stated, found } => write!(f, "layer {layer} states {stated} weights in its longest row, but has {found}"),
            E::Place { layer, place, words } => write!(f, "layer {layer} writes {words} words at word {place} of the arena, which overlaps its source or the end"),
            E::ArenaWords { stated, computed } => write!(f, "the container states an arena of {stated} words, but its layers need {computed}"),
        }
    }
}

impl core::error::Error for ParseError {}

/// Why a `rice` block was rejected, by the reader or the writer. Rows count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are named, and each variant's message explains them"
)]
pub enum RiceError {
    /// The bits end in this row or before, or a code there is too long.
    Ended { row: u16 },
    /// A list of used inputs that exceeds the inputs, or has another length than stated.
    Selection { inputs: u16 },
    /// A row with more weights than there are columns.
    Length { row: u16, length: u32, columns: u32 },
    /// A column that does not exist.
    Column { row: u16, column: u32, columns: u32 },
    /// A weight of 0, of more than 16 bits, or without an entry in the codebook.
    Weight { row: u16 },
    /// More rows of one length than the layer has.
    Rows { outputs: u16 },
    /// A set bit after the last row.
    Padding,
    /// Bytes after the last row.
    Surplus { bytes: u32 },
    /// Writing: a row whose columns are not strictly increasing or do not exist, or with a weight
    /// of 0.
    Unwritable { row: u16 },
    /// Writing: a code of more than 25 bits.
    Overlong,
}

impl fmt::Display for RiceError {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RiceError::Ended { row } => write!(f, "the bits end before row {row} does, or a code has more than 25"),
            RiceError::Selection { inputs } => write!(f, "the list of used inputs does not match the {inputs} inputs"),
            RiceError::Length { row, length, columns } => write!(f, "row {row} has {length} weights, but there are {columns} columns"),
            RiceError::Column { row, column, columns } => write!(f, "row {row} has a weight in column {column}, but there are {columns} columns"),
            RiceError::Weight { row } => write!(f, "row {row} has a weight of 0, of more than 16 bits, or not in the codebook"),
            RiceError::Rows { outputs } => write!(f, "it announces more rows than the layer's {outputs}"),
            RiceError::Padding => write!(f, "a bit after the last row is set"),
            RiceError::Surplus { bytes } => write!(f, "{bytes} bytes follow the last row"),
            RiceError::Unwritable { row } => write!(f, "row {row} has columns out of order or a weight of 0"),
            RiceError::Overlong => write!(f, "its biases, weights or gaps need codes of more than 25 bits: choose another encoding"),
        }
    }
}

impl core::error::Error for RiceError {}
