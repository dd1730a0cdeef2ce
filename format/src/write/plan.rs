//! Where everything lies in the arena: shapes, margins and places, for the writer.
//!
//! A chain needs no plan: its layers write at the two ends of the arena in turn. As soon as one layer
//! reads something else than the one before, or adds a map, every layer states its place: the first,
//! from the arena's front, where it overlaps nothing that is still to be read.

use alloc::vec;
use alloc::vec::Vec;

use super::spec::{LayerSpec, NetworkSpec, WeightsSpec};
use super::{SpecError, WriteError, check_sums, columns};
use crate::arena::buffer_words;
use crate::encoding::rice::Rice;
use crate::encoding::{Dimensions, Encoding};
use crate::layer::SPARE_WORDS;
use crate::operation::Operation;
use crate::record::Links;
use crate::shape::{Buffer, Margin, Shape};

/// The plan of one layer.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) output: Buffer,
    pub(crate) taps: usize,
    pub(crate) links: Option<Links>,
    /// Its biases and weights as its encoding stores them.
    pub(crate) weights: Vec<u8>,
}

/// The plan of all layers and the arena's words.
pub(crate) fn plan(network: &NetworkSpec) -> Result<(Vec<Plan>, usize), WriteError> {
    let layers = &network.layers;
    // Buffer 0 is the input's, buffer k + 1 is that of layer k.
    let sources = |layer: usize| {
        let spec = &layers[layer];
        let back = |back: usize| match (layer + 1).checked_sub(back) {
            Some(slot) if (1..=15).contains(&back) => Ok(slot),
            _ => Err(SpecError::Link(back).of(layer)),
        };
        Ok::<_, WriteError>((
            back(spec.source)?,
            spec.skip.map(|skip| back(skip.back)).transpose()?,
        ))
    };

    let mut buffers = vec![Buffer {
        shape: network.input,
        ..Buffer::EMPTY
    }];
    for (layer, spec) in layers.iter().enumerate() {
        let (source, _) = sources(layer)?;
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
    let taps: Vec<usize> = (0..layers.len())
        .map(|layer| Ok(taps(&layers[layer], buffers[sources(layer)?.0].shape)))
        .collect::<Result<_, WriteError>>()?;
    let (mut weights, mut scratch) = (Vec::new(), Vec::new());
    for (layer, spec) in layers.iter().enumerate() {
        let inputs = columns(&spec.operation, buffers[sources(layer)?.0].shape);
        check_sums(spec, inputs).map_err(|error| error.of(layer))?;
        let encoded = super::encoded(spec, inputs);
        let encoded = encoded.map_err(|unfit| SpecError::Unfit(unfit).of(layer))?;
        let dims = Dimensions {
            inputs,
            outputs: spec.outputs,
        };
        scratch.push(match (spec.operation, spec.encoding) {
            (Operation::Conv { .. }, _) => taps[layer] + SPARE_WORDS,
            (Operation::Dense, Encoding::Rice) => {
                let listed = Rice::read(dims, &encoded).selected();
                listed.map_or(0, |inputs| usize::from(inputs).div_ceil(4))
            }
            _ => 0,
        });
        weights.push(encoded);
    }
    let count = buffers.len();
    let input = &mut buffers[0];
    if !input.margin.is_none() {
        input.words = input.len().div_ceil(4);
    }
    for (layer, spec) in layers.iter().enumerate() {
        let buffer = &mut buffers[layer + 1];
        buffer.words = buffer_words(buffer.len(), spec.encoding, layer + 2 == count);
    }

    let chain = layers
        .iter()
        .all(|spec| spec.source == 1 && spec.skip.is_none());
    let mut links = vec![None; layers.len()];
    let mut arena = 0;
    if chain {
        for (pair, scratch) in buffers.windows(2).zip(scratch) {
            arena = arena.max(pair[0].words + pair[1].words + scratch);
        }
    } else {
        // The last layer that reads each buffer.
        let mut until = vec![0; count];
        for layer in 0..layers.len() {
            let (source, skip) = sources(layer)?;
            until[source] = layer;
            skip.inspect(|&skip| until[skip] = layer);
        }
        // The copy of a padded input lies at the arena's end, behind all that is written while it is
        // read.
        for layer in 0..layers.len() {
            let words = buffers[layer + 1].words + scratch[layer];
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
            let copy = if until[0] >= layer {
                buffers[0].words
            } else {
                0
            };
            arena = arena.max(place + words + copy);
            let (source, skip) = (&layers[layer].source, layers[layer].skip);
            let place = u16::try_from(place).map_err(|_| SpecError::Place(place).of(layer))?;
            links[layer] = Some(Links {
                source: *source as u8,
                skip: skip.map_or(0, |skip| skip.back as u8),
                skip_shift: skip.map_or(0, |skip| skip.shift),
                place,
            });
        }
    }
    let plans = buffers[1..].iter().zip(taps).zip(links).zip(weights);
    let plans = plans.map(|(((&output, taps), links), weights)| Plan {
        output,
        taps,
        links,
        weights,
    });
    Ok((plans.collect(), arena))
}

/// The shape that an operation gives, pooling included; none when its window does not fit.
pub(crate) fn output_shape(operation: &Operation, outputs: usize, source: Shape) -> Option<Shape> {
    let channels = u16::try_from(outputs).ok()?;
    let (window, size) = match *operation {
        Operation::Dense => return Some(Shape::flat(channels)),
        Operation::Conv { window, pooling } => (window, pooling.map_or(1, |(_, size)| size)),
        Operation::Pool { window, .. } => (window, 1),
    };
    let padding = window.padding;
    let height = window.outputs(padding.top, source.height, padding.bottom);
    let width = window.outputs(padding.left, source.width, padding.right);
    let shape = Shape {
        channels,
        height: height.checked_div(size.into())?,
        width: width.checked_div(size.into())?,
    };
    (!shape.is_empty()).then_some(shape)
}

/// The longest row of a convolution over `source` as a reader of its encoding will find it; 0 for
/// anything else.
fn taps(spec: &LayerSpec, source: Shape) -> usize {
    match (&spec.operation, &spec.weights) {
        (Operation::Conv { .. }, _) if spec.encoding == Encoding::Dense => {
            columns(&spec.operation, source)
        }
        (Operation::Conv { .. }, WeightsSpec::Integers { rows, .. }) => {
            rows.iter().map(Vec::len).max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// The wider of two margins on each side.
fn wider(a: Margin, b: Margin) -> Margin {
    Margin {
        top: a.top.max(b.top),
        left: a.left.max(b.left),
        bottom: a.bottom.max(b.bottom),
        right: a.right.max(b.right),
    }
}
