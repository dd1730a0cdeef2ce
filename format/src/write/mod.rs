//! Writing containers, on the host.
//!
//! [`write()`] plans the arena, lays out the bytes, and parses the result with [`Model::parse`],
//! so that no device rejects it. It rejects networks that a container cannot represent, and those
//! whose sums could overflow 32 bits.

mod check;
mod encode;
mod error;
mod plan;
mod shapes;
mod spec;
mod sums;
mod units;

use alloc::vec::Vec;

pub use error::{SpecError, WriteError};
pub use shapes::output_shape;
pub use spec::{LayerSpec, NetworkSpec, SkipSpec, WeightsSpec};
pub use sums::SumRange;
pub use units::{UnitsSpec, with_units};

use crate::error::ParseError;
use crate::header::{
    CHECKSUM_OFFSET, HEADER_BYTES, MAGIC, MAX_ARENA_WORDS, MAX_LAYERS, VERSION, container_checksum,
};
use crate::model::Model;
use crate::operation::Geometry;
use crate::record::{MAX_BLOCK_BYTES, Record};
use check::check_lists;
use plan::{Plan, plan};

/// Returns a container of `network`.
///
/// # Errors
///
/// Returns an error if
/// - a number does not fit its field, or a list does not have an element per output,
/// - an encoding cannot represent a layer,
/// - a sum could overflow 32 bits, or
/// - [`Model::parse`] would reject the result.
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

/// Returns the header, with 0 for its checksum.
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

/// Returns the record of a layer.
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

/// Returns the block of a layer: geometry, links, biases and weights.
fn block(spec: &LayerSpec, plan: &Plan) -> Result<Vec<u8>, SpecError> {
    let geometry = Geometry {
        operation: spec.operation,
        margin: plan.output.margin,
        taps: u16::try_from(plan.taps).map_err(|_| SpecError::Outputs(plan.taps))?,
    };
    let mut block = geometry.to_bytes();
    block.extend(plan.links.iter().flat_map(|links| links.to_bytes()));
    block.extend(&plan.weights);
    Ok(block)
}
