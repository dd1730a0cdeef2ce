//! The errors of [`crate::Model::parse`], which name the layer at fault and the numbers that
//! disagree; and those of the encoding `rice`.

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
    /// A container that ends within its header or its layer records.
    TooShort { needed: usize, found: usize },
    /// The first three bytes are not `RFY`.
    WrongMagic { found: [u8; 3] },
    /// A version of the format that this build does not support.
    UnsupportedVersion { found: u8, supported: u8 },
    /// No layers, or too many.
    LayerCount { found: usize, max: usize },
    /// The blocks do not end where the bytes end.
    WrongLength { stated: usize, found: usize },
    /// The checksum does not match the bytes.
    WrongChecksum { stated: u32, computed: u32 },
    /// An encoding that the format does not define, or that this build does not read.
    UnknownEncoding { layer: usize, found: u8 },
    /// An operation or a bit that the format does not define, or that this build does not read.
    UnknownOperation { layer: usize, found: u8 },
    /// An invalid byte in a geometry.
    Field { layer: usize, found: u8 },
    /// A byte that must be zero but is not.
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
    /// An encoding that does not match the operation, floats in a network of integers, or a pooling
    /// layer whose outputs are not as many as the channels of its source.
    Mixed { layer: usize },
    /// A source or skip that does not exist, or a skip that the layer cannot add.
    Link { layer: usize, back: u8 },
    /// A source without the zero margin that the layer expects.
    Margin { layer: usize },
    /// A source that is too large for the operation.
    SourceTooLarge {
        layer: usize,
        max: usize,
        found: usize,
    },
    /// A block of an invalid length. If `needed` exceeds `found`, the block needs at least `needed`
    /// bytes.
    BlockLength {
        layer: usize,
        needed: usize,
        found: usize,
    },
    /// A number of index bits that is out of range, or too small for the columns (or rows).
    IndexBits {
        layer: usize,
        found: u8,
        count: usize,
    },
    /// An invalid head of a run of packed words.
    Run { layer: usize, found: u32 },
    /// Row lengths, runs or pairs of columns that are inconsistent.
    RowLengths {
        layer: usize,
        stated: usize,
        found: usize,
    },
    /// A weight whose index is out of range, not above the one before it, or not that of the other
    /// word of its pair; or a word of 0 among the weights.
    Column {
        layer: usize,
        position: usize,
        column: u16,
        floor: usize,
        inputs: usize,
    },
    /// An invalid `rice` block.
    Rice { layer: usize, error: RiceError },
    /// A layer whose longest row does not have the stated length.
    Taps {
        layer: usize,
        stated: usize,
        found: usize,
    },
    /// Buffers that overlap, exceed the arena, or have been overwritten.
    Place {
        layer: usize,
        place: usize,
        words: usize,
    },
    /// Invalid units.
    Units { error: UnitsError },
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
            E::UnsupportedVersion { found, supported } => write!(f, "the container has format version {found}, but only version {supported} is supported"),
            E::LayerCount { found: found @ 129..=192, .. } if !cfg!(feature = "units") => write!(f, "the container with {} layers states the units of its numbers, which this build does not read: enable the Cargo feature units", found - 128),
            E::LayerCount { found, max } => write!(f, "the container has {found} layers, but 1 to {max} are allowed"),
            E::WrongLength { stated, found } => write!(f, "the container has {found} bytes, but its parts take {stated}"),
            E::WrongChecksum { stated, computed } => write!(f, "the container is damaged: its header states the checksum {stated:08x}, but its bytes have {computed:08x}"),
            E::UnknownEncoding { layer, found } => match feature(found) {
                Some(feature) => write!(f, "layer {layer} has an encoding that this build does not read: enable the Cargo feature {feature}"),
                None => write!(f, "layer {layer} has encoding {found}, which the format does not define"),
            },
            E::UnknownOperation { layer, found } => match found {
                1 | 2 => write!(f, "layer {layer} is a convolution or pooling layer, which this build does not read: enable the Cargo feature maps"),
                0x40 => write!(f, "layer {layer} has links, which this build does not read: enable the Cargo feature residual"),
                _ => write!(f, "layer {layer} has a record that begins with {found:#04x}, which the format does not define"),
            },
            E::Field { layer, found } => write!(f, "layer {layer} has the invalid value {found:#04x} in its geometry"),
            E::NotZero { layer, found } => write!(f, "layer {layer} has {found} in a byte that must be 0"),
            E::EmptyLayer { layer, inputs, outputs } => write!(f, "layer {layer} has {inputs} inputs and {outputs} outputs, but needs at least 1 of each"),
            E::OriginalSmaller { layer, original, stripped } => write!(f, "layer {layer} has {stripped} outputs, but only {original} before stripping"),
            E::LastLayer { layer, shift: 0 } => write!(f, "layer {layer} is the last, but is not dense"),
            E::LastLayer { layer, shift } => write!(f, "layer {layer} is the last and has shift {shift}, but the last layer must have shift 0"),
            E::Mixed { layer } => write!(f, "layer {layer} has an encoding or a number of outputs that does not match its operation or the other layers"),
            E::Link { layer, back } => write!(f, "layer {layer} has an invalid link to the buffer {back} layers back"),
            E::Margin { layer } => write!(f, "layer {layer} expects a different zero margin than its source provides"),
            E::SourceTooLarge { layer, max, found } => write!(f, "layer {layer} reads a source of size {found}, but at most {max} is allowed"),
            E::BlockLength { layer, needed, found } if needed > found => write!(f, "layer {layer} has a block of {found} bytes, but needs at least {needed}"),
            E::BlockLength { layer, found, .. } => write!(f, "layer {layer} has a block of {found} bytes, which its encoding does not allow for its dimensions"),
            E::IndexBits { layer, found, count } => write!(f, "layer {layer} has {found} index bits, which do not suit its {count} columns or rows"),
            E::Run { layer, found } => write!(f, "layer {layer} has a run of rows with the invalid head {found:#010x}"),
            E::RowLengths { layer, stated, found } => write!(f, "layer {layer} has row lengths, runs or pairs of columns that are inconsistent (stated {stated}, found {found})"),
            E::Column { layer, column, floor, inputs, .. } if (floor..inputs).contains(&usize::from(column)) => write!(f, "layer {layer} has a word that is 0 or whose index is out of range, out of order, or not that of its pair"),
            E::Column { layer, position, column, floor, inputs } if floor >= inputs => write!(f, "layer {layer} has index {column} at weight {position}, where no index is allowed"),
            E::Column { layer, position, column, floor, inputs } => write!(f, "layer {layer} has index {column} at weight {position}, but only {floor}..{inputs} is allowed"),
            E::Rice { layer, error } => write!(f, "layer {layer} has an invalid rice block: {error}"),
            E::Taps { layer, stated, found } => write!(f, "layer {layer} states {stated} weights in its longest row, but has {found}"),
            E::Place { layer, place, words } => write!(f, "layer {layer} writes {words} words at word {place} of the arena, but its buffers overlap, exceed the arena, or have been overwritten"),
            E::Units { error } => write!(f, "the container states invalid units: {error}"),
            E::ArenaWords { stated, computed } => write!(f, "the container states an arena of {stated} words, but its layers need {computed}"),
        }
    }
}

impl core::error::Error for ParseError {}

/// Returns the feature that enables reading the encoding with this code, or `None` if the format
/// defines no such encoding.
fn feature(code: u8) -> Option<&'static str> {
    // Does not use `Encoding`, whose module imports this one.
    match code {
        0 => Some("dense"),
        1 => Some("csr"),
        2 => Some("words"),
        3 => Some("columns"),
        4 => Some("rice"),
        5 => Some("csr-f32"),
        15 => Some("maps"),
        _ => None,
    }
}

/// Why a `rice` block was rejected, by the reader or the writer. Rows count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are named, and each variant's message explains them"
)]
pub enum RiceError {
    /// The bits end in or before this row, or one of its codes is too long.
    Ended { row: u16 },
    /// A list of used inputs that runs past the last input, or does not have the stated length.
    Selection { inputs: u16 },
    /// A row with more weights than there are columns.
    Length { row: u16, length: u32, columns: u32 },
    /// A column that does not exist.
    Column { row: u16, column: u32, columns: u32 },
    /// A weight of 0, of more than 16 bits, or without an entry in the codebook.
    Weight { row: u16 },
    /// A run of more rows than the layer has left; when writing, more than 65,535 rows.
    Rows { outputs: u16 },
    /// A set bit after the last row.
    Padding,
    /// Bytes after the last row.
    Surplus { bytes: u32 },
    /// When writing: a row whose columns are not strictly increasing or do not exist, or that has a
    /// weight of 0.
    Unwritable { row: u16 },
    /// When writing: a code of more than 25 bits.
    Overlong,
}

impl fmt::Display for RiceError {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RiceError::Ended { row } => write!(f, "the bits end in or before row {row}, or one of its codes has more than 25 bits"),
            RiceError::Selection { inputs } => write!(f, "the list of used inputs does not match the {inputs} inputs"),
            RiceError::Length { row, length, columns } => write!(f, "row {row} has {length} weights, but there are {columns} columns"),
            RiceError::Column { row, column, columns } => write!(f, "row {row} has a weight in column {column}, but there are {columns} columns"),
            RiceError::Weight { row } => write!(f, "row {row} has a weight that is 0, exceeds 16 bits, or is not in the codebook"),
            RiceError::Rows { outputs } => write!(f, "there are more than {outputs} rows"),
            RiceError::Padding => write!(f, "a bit is set after the last row"),
            RiceError::Surplus { bytes } => write!(f, "{bytes} bytes follow the last row"),
            RiceError::Unwritable { row } => write!(f, "row {row} has columns that are out of order or out of range, or a weight of 0"),
            RiceError::Overlong => write!(f, "its biases, weights or gaps need codes of more than 25 bits: choose another encoding"),
        }
    }
}

impl core::error::Error for RiceError {}

/// Why the units of a container were rejected. The messages are clauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are named, and each variant's message explains them"
)]
pub enum UnitsError {
    /// A byte before the section that must be zero but is not.
    Padding { found: u8 },
    /// An output step, whose bits are given, that is not a positive, finite number.
    Step { bits: u32 },
    /// No maps, or a number of maps that does not divide that of the inputs.
    Maps { found: usize, inputs: usize },
    /// A map whose minimum or factor is not finite, or whose factor is negative. Maps count from 0.
    Map { map: usize },
}

impl fmt::Display for UnitsError {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            UnitsError::Padding { found } => write!(f, "{found} is in a byte before them that must be 0"),
            UnitsError::Step { bits } => write!(f, "the output step is {}, but must be a positive number", f32::from_bits(bits)),
            UnitsError::Maps { found, inputs } => write!(f, "{found} maps to bytes do not share {inputs} inputs evenly"),
            UnitsError::Map { map } => write!(f, "map {map} to bytes has a minimum or a factor that is not finite, or a negative factor"),
        }
    }
}

impl core::error::Error for UnitsError {}
