//! Writing containers, on the host.
//!
//! [`write()`] plans the arena, lays the bytes out and lets [`Model::parse`] judge them, so that nothing
//! leaves it that a device would refuse. It refuses by itself what it could not lay out, and what a
//! device would compute modulo 2^32: sums that could leave 32 bits.

mod plan;
mod spec;

use alloc::vec::Vec;
use core::fmt;

pub use spec::{LayerSpec, NetworkSpec, SkipSpec, WeightsSpec};

use crate::encoding::{self, Encoding, Unfit};
use crate::error::ParseError;
use crate::header::{
    CHECKSUM_OFFSET, HEADER_BYTES, MAGIC, MAX_ARENA_WORDS, MAX_LAYERS, VERSION, container_checksum,
};
use crate::model::Model;
use crate::operation::{Geometry, Operation, Pooling};
use crate::record::{MAX_BLOCK_BYTES, Record};
pub(crate) use plan::output_shape;
use plan::{Plan, plan};

/// Writes a container that holds `network`.
///
/// # Errors
///
/// When a number does not fit its field, when lists disagree, when an encoding does not hold a layer,
/// when a sum could overflow, and whenever [`Model::parse`] would refuse the result.
pub fn write(network: &NetworkSpec) -> Result<Vec<u8>, WriteError> {
    let layers = &network.layers;
    if layers.is_empty() || layers.len() > MAX_LAYERS {
        return Err(WriteError::Refused(ParseError::LayerCount {
            found: layers.len(),
            max: MAX_LAYERS,
        }));
    }
    for (layer, spec) in layers.iter().enumerate() {
        check_lists(spec).map_err(|error| error.of(layer))?;
    }
    let (plans, arena_words) = plan(network)?;
    if arena_words > MAX_ARENA_WORDS {
        return Err(WriteError::ArenaTooLarge {
            found: arena_words,
            max: MAX_ARENA_WORDS,
        });
    }

    let mut records = header(network, arena_words)?;
    let mut blocks = Vec::new();
    for (layer, (spec, plan)) in layers.iter().zip(&plans).enumerate() {
        let block = block(spec, plan).map_err(|error| error.of(layer))?;
        if block.len() > MAX_BLOCK_BYTES {
            return Err(SpecError::Length(block.len()).of(layer));
        }
        let record = record(spec, plan, block.len()).map_err(|error| error.of(layer))?;
        records.extend(record.to_bytes());
        blocks.resize(blocks.len().next_multiple_of(spec.encoding.alignment()), 0);
        blocks.extend(block);
    }
    let mut bytes = records;
    bytes.extend(blocks);
    let checksum = container_checksum(&bytes);
    bytes[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4].copy_from_slice(&checksum.to_le_bytes());
    Model::parse(&bytes)?;
    Ok(bytes)
}

/// The header, its checksum left open.
fn header(network: &NetworkSpec, arena_words: usize) -> Result<Vec<u8>, WriteError> {
    let input = network.input;
    let (Ok(height), Ok(channels)) = (u8::try_from(input.height), u8::try_from(input.channels))
    else {
        return Err(WriteError::Input {
            channels: input.channels,
            height: input.height,
        });
    };
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend(MAGIC);
    bytes.extend([VERSION, 0, 0, 0, 0, network.layers.len() as u8]);
    bytes.extend(&(arena_words as u32).to_le_bytes()[..3]);
    bytes.extend(input.width.to_le_bytes());
    bytes.extend([height, channels]);
    Ok(bytes)
}

/// The record of a layer.
fn record(spec: &LayerSpec, plan: &Plan, length: usize) -> Result<Record, SpecError> {
    let narrow = |found: usize| u16::try_from(found).map_err(|_| SpecError::Outputs(found));
    Ok(Record {
        encoding: spec.encoding,
        operation: spec.operation.code(),
        links: plan.links.is_some(),
        shift: spec.shift,
        outputs: narrow(spec.outputs)?,
        original_outputs: narrow(spec.original_outputs)?,
        length,
    })
}

/// The columns of an operation that reads a map of this shape.
fn columns(operation: &Operation, source: crate::Shape) -> usize {
    match operation {
        Operation::Dense => source.len(),
        Operation::Conv { window, .. } => {
            usize::from(source.channels) * usize::from(window.size) * usize::from(window.size)
        }
        Operation::Pool { .. } => 0,
    }
}

/// The block of a layer: geometry, links, weights.
fn block(spec: &LayerSpec, plan: &Plan) -> Result<Vec<u8>, SpecError> {
    let geometry = Geometry {
        operation: spec.operation,
        margin: plan.output.margin,
        taps: u16::try_from(plan.taps).map_err(|_| SpecError::Outputs(plan.taps))?,
    };
    let mut block: Vec<u8> = geometry.to_bytes().into_iter().flatten().collect();
    block.extend(plan.links.iter().flat_map(|links| links.to_bytes()));
    block.extend(&plan.weights);
    Ok(block)
}

/// Biases and weights of a layer with so many columns, as its encoding stores them.
fn encoded(spec: &LayerSpec, columns: usize) -> Result<Vec<u8>, Unfit> {
    match (&spec.weights, spec.encoding) {
        (WeightsSpec::None, Encoding::None) => Ok(Vec::new()),
        (WeightsSpec::Floats { bias, rows }, Encoding::CsrF32) => {
            encoding::csr_f32::write(bias, rows)
        }
        (WeightsSpec::Integers { bias, rows }, encoding) => match encoding {
            Encoding::Dense => encoding::dense::write(columns, bias, rows),
            Encoding::Csr => encoding::csr::write(bias, rows),
            Encoding::Words => encoding::words::write(columns, bias, rows),
            Encoding::Columns => encoding::columns::write(columns, bias, rows),
            Encoding::Rice => {
                let dense = matches!(spec.operation, Operation::Dense);
                encoding::rice::write(columns, bias, rows, dense)
            }
            Encoding::CsrF32 | Encoding::None => Err(Unfit::Operation),
        },
        _ => Err(Unfit::Operation),
    }
}

/// Checks that every list is as long as the others say and every row in order.
fn check_lists(spec: &LayerSpec) -> Result<(), SpecError> {
    let check = |name, found: usize| {
        if found == spec.outputs {
            Ok(())
        } else {
            Err(SpecError::List {
                name,
                expected: spec.outputs,
                found,
            })
        }
    };
    fn rising<T>(rows: &[Vec<(u16, T)>]) -> Result<(), SpecError> {
        for row in rows {
            if let Some(pair) = row.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
                return Err(SpecError::Order(pair[1].0));
            }
        }
        Ok(())
    }
    match &spec.weights {
        WeightsSpec::None => Ok(()),
        WeightsSpec::Integers { bias, rows } => {
            check("biases", bias.len())?;
            check("rows", rows.len())?;
            rising(rows)
        }
        WeightsSpec::Floats { bias, rows } => {
            check("biases", bias.len())?;
            check("rows", rows.len())?;
            rising(rows)
        }
    }
}

/// Checks that columns exist and that no input whatever makes a sum leave 32 bits.
fn check_sums(spec: &LayerSpec, columns: usize) -> Result<(), SpecError> {
    let highest = match &spec.weights {
        WeightsSpec::None => return Ok(()),
        WeightsSpec::Floats { rows, .. } => rows.iter().flatten().map(|weight| weight.0).max(),
        WeightsSpec::Integers { rows, .. } => rows.iter().flatten().map(|weight| weight.0).max(),
    };
    if let Some(column) = highest.filter(|&column| usize::from(column) >= columns) {
        return Err(SpecError::Column { column, columns });
    }
    let WeightsSpec::Integers { bias, rows } = &spec.weights else {
        return Ok(());
    };
    let area = match spec.operation {
        Operation::Conv {
            pooling: Some((Pooling::Average, size)),
            ..
        } => i64::from(size) * i64::from(size),
        _ => 1,
    };
    let skip = spec.skip.map_or(0, |skip| 255_i64 << skip.shift.min(32));
    for (row, (bias, weights)) in bias.iter().zip(rows).enumerate() {
        let sum = |sign: i64| -> i64 {
            let weights = weights
                .iter()
                .map(|&(_, weight)| (sign * i64::from(weight)).max(0));
            255 * weights.sum::<i64>()
        };
        let bias = i64::from(*bias);
        let (most, least) = ((bias + sum(1) + skip) * area, bias - sum(-1));
        if most > i64::from(i32::MAX) || least < i64::from(i32::MIN) {
            return Err(SpecError::Overflow { row, most, least });
        }
    }
    Ok(())
}

/// What is wrong with a layer to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "each variant's sentence says what the fields are"
)]
pub enum SpecError {
    /// A list of another length than the outputs.
    List {
        name: &'static str,
        expected: usize,
        found: usize,
    },
    /// Columns of a row that do not rise.
    Order(u16),
    /// A column that the layer does not have.
    Column { column: u16, columns: usize },
    /// More outputs (or taps of one channel) than 65,535.
    Outputs(usize),
    /// A block longer than a record can state.
    Length(usize),
    /// A source that is not there or too far back.
    Link(usize),
    /// A window that does not fit its source.
    Shape,
    /// A place in the arena that links cannot state.
    Place(usize),
    /// A row whose sum could leave 32 bits.
    Overflow { row: usize, most: i64, least: i64 },
    /// An encoding that does not hold it.
    Unfit(Unfit),
}

impl SpecError {
    fn of(self, layer: usize) -> WriteError {
        WriteError::Layer { layer, error: self }
    }
}

impl fmt::Display for SpecError {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecError::List { name, expected, found } => write!(f, "it has {found} {name} where {expected} are needed"),
            SpecError::Order(column) => write!(f, "its column {column} is not above the one before it in its row"),
            SpecError::Column { column, columns } => write!(f, "it has a weight in column {column} of {columns}"),
            SpecError::Outputs(found) => write!(f, "it has {found} outputs or taps where the container holds at most 65535"),
            SpecError::Length(found) => write!(f, "it takes {found} bytes where the container holds at most {MAX_BLOCK_BYTES} a layer"),
            SpecError::Link(back) => write!(f, "it reads what is {back} layers back, and links reach 1 to 15 layers"),
            SpecError::Shape => write!(f, "its window does not fit the map it reads"),
            SpecError::Place(place) => write!(f, "its output would begin at word {place} of the arena, and links reach 65535"),
            SpecError::Overflow { row, most, least } => write!(f, "its row {row} could sum up to between {least} and {most}, beyond 32 bits"),
            SpecError::Unfit(unfit) => write!(f, "its encoding does not hold it: {unfit}"),
        }
    }
}

/// Why [`write()`] refused. Layers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "each variant's sentence says what the fields are"
)]
pub enum WriteError {
    /// A layer that cannot be written.
    Layer { layer: usize, error: SpecError },
    /// An input that the header cannot state.
    Input { channels: u16, height: u16 },
    /// An arena that the header cannot state.
    ArenaTooLarge { found: usize, max: usize },
    /// A container that would be refused.
    Refused(ParseError),
}

impl fmt::Display for WriteError {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            WriteError::Layer { layer, error } => write!(f, "layer {layer} cannot be written: {error}"),
            WriteError::Input { channels, height } => write!(f, "the input has {channels} channels of {height} rows where the container holds at most 255 of each"),
            WriteError::ArenaTooLarge { found, max } => write!(f, "the model would need an arena of {found} words where the container can state at most {max}"),
            WriteError::Refused(ref error) => write!(f, "the model cannot be written: {error}"),
        }
    }
}

impl core::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            WriteError::Refused(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ParseError> for WriteError {
    fn from(error: ParseError) -> Self {
        WriteError::Refused(error)
    }
}
