//! Planning the arena: shapes, margins and places.
//!
//! A chain needs no places: its layers write at the two ends of the arena in turn. If a layer reads
//! a layer other than the previous one, or adds a map, every layer states the place of its output:
//! the first word of the arena from which the output overlaps nothing that is still to be read.

use alloc::vec;
use alloc::vec::Vec;

use super::check::{check_length, check_sums, check_window};
use super::encode::encode;
use super::error::{SpecError, WriteError};
use super::shapes::{columns, output_shape, taps};
use super::spec::{LayerSpec, NetworkSpec};
use crate::arena::buffer_words;
use crate::encoding::rice::Rice;
use crate::encoding::{Dimensions, Encoding};
use crate::layer::SPARE_WORDS;
use crate::operation::Operation;
use crate::record::Links;
use crate::shape::{Buffer, Margin};

/// The plan of one layer.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) output: Buffer,
    pub(crate) taps: usize,
    pub(crate) links: Option<Links>,
    /// The encoded biases and weights.
    pub(crate) weights: Vec<u8>,
}

/// The indices of the buffers that a layer reads. Buffer 0 is the network's input, buffer k + 1 is
/// the output of layer k.
#[derive(Clone, Copy)]
struct Reads {
    source: usize,
    skip: Option<usize>,
}

/// The weights of a layer, and the memory that they need.
struct Weights {
    encoded: Vec<u8>,
    /// The number of weights in the longest row of a convolution.
    taps: usize,
    /// The size of the scratch buffer in words.
    scratch: usize,
}

/// Plans all layers, and returns the plans and the size of the arena in words.
pub(crate) fn plan(network: &NetworkSpec) -> Result<(Vec<Plan>, usize), WriteError> {
    let layers = &network.layers;
    let reads = (0..layers.len()).map(|layer| reads(layers, layer));
    let reads: Vec<Reads> = reads.collect::<Result<_, _>>()?;
    let mut buffers = buffers(network, &reads)?;
    let mut weights = Vec::new();
    for (layer, spec) in layers.iter().enumerate() {
        let source = &buffers[reads[layer].source];
        weights.push(encode_weights(spec, source).map_err(|error| error.of(layer))?);
    }
    size(&mut buffers, layers);

    let is_chain = layers
        .iter()
        .all(|spec| spec.source == 1 && spec.skip.is_none());
    let mut links = vec![None; layers.len()];
    let mut arena = 0;
    if is_chain {
        for (pair, weights) in buffers.windows(2).zip(&weights) {
            arena = arena.max(pair[0].words + pair[1].words + weights.scratch);
        }
    } else {
        arena = place(&mut buffers, &reads, &weights);
        for (layer, spec) in layers.iter().enumerate() {
            let place = buffers[layer + 1].place;
            links[layer] = Some(link(spec, place).map_err(|error| error.of(layer))?);
        }
    }
    let plans = buffers[1..].iter().zip(links).zip(weights);
    let plans = plans.map(|((&output, links), weights)| Plan {
        output,
        taps: weights.taps,
        links,
        weights: weights.encoded,
    });
    Ok((plans.collect(), arena))
}

/// Returns the buffers that a layer reads, or an error if a link reaches too far back.
fn reads(layers: &[LayerSpec], layer: usize) -> Result<Reads, WriteError> {
    let spec = &layers[layer];
    let buffer = |back: usize| match (layer + 1).checked_sub(back) {
        Some(buffer) if (1..=15).contains(&back) => Ok(buffer),
        _ => Err(SpecError::Link(back).of(layer)),
    };
    Ok(Reads {
        source: buffer(spec.source)?,
        skip: spec.skip.map(|skip| buffer(skip.back)).transpose()?,
    })
}

/// Returns all buffers with their shapes and margins, but without sizes and places.
fn buffers(network: &NetworkSpec, reads: &[Reads]) -> Result<Vec<Buffer>, WriteError> {
    let mut buffers = vec![Buffer {
        shape: network.input,
        ..Buffer::EMPTY
    }];
    for (layer, spec) in network.layers.iter().enumerate() {
        let source = reads[layer].source;
        if u16::try_from(spec.outputs).is_err() {
            return Err(SpecError::Outputs(spec.outputs).of(layer));
        }
        check_window(&spec.operation).map_err(|error| error.of(layer))?;
        let shape = output_shape(&spec.operation, spec.outputs, buffers[source].shape);
        buffers.push(Buffer {
            shape: shape.ok_or(SpecError::Shape.of(layer))?,
            ..Buffer::EMPTY
        });
        if let Operation::Conv { window, .. } | Operation::Pool { window, .. } = spec.operation {
            let margin = &mut buffers[source].margin;
            *margin = wider(*margin, window.padding);
        }
    }
    Ok(buffers)
}

/// Checks and encodes the weights of a layer.
fn encode_weights(spec: &LayerSpec, source: &Buffer) -> Result<Weights, SpecError> {
    let inputs = columns(&spec.operation, source.shape);
    check_sums(spec, inputs)?;
    check_length(spec, inputs)?;
    let encoded = encode(spec, inputs).map_err(SpecError::Unfit)?;
    let taps = taps(spec, source.shape);
    let dims = Dimensions {
        inputs,
        outputs: spec.outputs,
    };
    let scratch = match (spec.operation, spec.encoding) {
        (Operation::Conv { .. }, _) => taps + SPARE_WORDS,
        (Operation::Dense, Encoding::Rice) => {
            let selected = Rice::read(dims, &encoded).selected();
            selected.map_or(0, |inputs| usize::from(inputs).div_ceil(4))
        }
        _ => 0,
    };
    Ok(Weights {
        encoded,
        taps,
        scratch,
    })
}

/// Sets the size of every buffer in words. The input has no words unless a padded copy is needed.
fn size(buffers: &mut [Buffer], layers: &[LayerSpec]) {
    let input = &mut buffers[0];
    if !input.margin.is_none() {
        input.words = input.len().div_ceil(4);
    }
    for (layer, spec) in layers.iter().enumerate() {
        let is_last = layer + 1 == layers.len();
        let buffer = &mut buffers[layer + 1];
        buffer.words = buffer_words(buffer.len(), spec.encoding, is_last);
    }
}

/// Places every output at the first word where it and its scratch buffer fit, and returns the size
/// of the arena in words.
fn place(buffers: &mut [Buffer], reads: &[Reads], weights: &[Weights]) -> usize {
    // The index of the last layer that reads each buffer.
    let mut until = vec![0; buffers.len()];
    for (layer, reads) in reads.iter().enumerate() {
        until[reads.source] = layer;
        reads.skip.inspect(|&skip| until[skip] = layer);
    }
    let mut arena = 0;
    for layer in 0..reads.len() {
        let words = buffers[layer + 1].words + weights[layer].scratch;
        let mut taken: Vec<(usize, usize)> = (1..=layer)
            .filter(|&buffer| until[buffer] >= layer)
            .map(|buffer| (buffers[buffer].place, buffers[buffer].words))
            .collect();
        taken.sort_unstable();
        let mut place = 0;
        for (start, length) in taken {
            if place + words <= start {
                break;
            }
            place = place.max(start + length);
        }
        buffers[layer + 1].place = place;
        // The copy of a padded input lies at the arena's end, after everything that is written
        // before the copy is read for the last time.
        let copy = if until[0] >= layer {
            buffers[0].words
        } else {
            0
        };
        arena = arena.max(place + words + copy);
    }
    arena
}

/// Returns the links of a layer that writes at `place`.
fn link(spec: &LayerSpec, place: usize) -> Result<Links, SpecError> {
    Ok(Links {
        source: spec.source as u8,
        skip: spec.skip.map_or(0, |skip| skip.back as u8),
        skip_shift: spec.skip.map_or(0, |skip| skip.shift),
        place: u16::try_from(place).map_err(|_| SpecError::Place(place))?,
    })
}

/// Returns the wider of two margins on each side.
fn wider(a: Margin, b: Margin) -> Margin {
    Margin {
        top: a.top.max(b.top),
        left: a.left.max(b.left),
        bottom: a.bottom.max(b.bottom),
        right: a.right.max(b.right),
    }
}
