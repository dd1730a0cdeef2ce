//! One layer: extends path sums by its connections, forward and backward.
//!
//! `columns` holds, per input channel and tap, the sum that the tap reads at every place of the
//! output: a connection then adds a multiple of one column to the sums of its output channel. A
//! few input channels are processed at a time, so that their columns fit the cache. The groups of a
//! convolution are processed one after another, like layers of their own.

use std::ops::Range;

use super::places::{PADDING, Places, Reads};
use super::products::{Backward, Forward, Tile};
use crate::graph::{Node, Operation};
use crate::pruning::score::rounds::Remaining;

/// Target size of the columns in values, 128 KiB.
const CACHED: usize = 1 << 14;

/// The shape of a layer.
#[derive(Debug)]
pub(super) struct Layer {
    reads: Reads,
    /// Input and output channels per group.
    inputs: usize,
    outputs: usize,
    /// Places of a channel of the source and of the node.
    before: usize,
    after: usize,
    /// Length of a column: `after`, rounded up to whole vectors.
    width: usize,
}

impl Layer {
    /// Returns the layer of `node`, whose places are `target` and those of its source `source`.
    pub(super) fn new(node: &Node, source: &Places, target: &Places) -> Self {
        let after = target.count();
        let groups = match node.operation {
            Operation::Conv { groups, .. } => groups,
            _ => 1,
        };
        Self {
            reads: source.read_by(node, target),
            inputs: source.channels / groups,
            outputs: target.channels / groups,
            before: source.count(),
            after,
            width: match after {
                1 => 1,
                2..=4 => 4,
                _ => after.next_multiple_of(8),
            },
        }
    }

    /// Extends the paths from the input by `connections`: updates `after`, the sums at the
    /// outputs, from `before`, the sums at the inputs.
    pub(super) fn forward(&self, connections: &Remaining, before: &[f64], after: &mut [f64]) {
        // The architecture selects only instructions: every sum adds the same terms in the same
        // order.
        let arch = pulp::Arch::new();
        let mut columns = Vec::new();
        let mut cursors = starts(connections);
        let sides = before
            .chunks_exact(self.inputs * self.before)
            .zip(after.chunks_exact_mut(self.outputs * self.after));
        let groups = sides.zip(cursors.chunks_exact_mut(self.outputs));
        for (group, ((before, after), cursors)) in groups.enumerate() {
            let mut sums = self.widen(after);
            for tile in self.tiles() {
                self.gather(&tile, before, &mut columns);
                arch.dispatch(Forward {
                    tile: self.tile(group, &tile, &columns),
                    connections,
                    cursors: &mut *cursors,
                    sums: &mut sums,
                });
            }
            self.narrow(&sums, after);
        }
    }

    /// Extends the paths to the output by `connections`: updates `before`, the sums at the inputs,
    /// from `after`, the sums at the outputs. Sets the score of each connection to the sum over the
    /// paths through it; `reached` holds the sums over the paths from the input to the layer's
    /// inputs.
    pub(super) fn backward(
        &self,
        connections: &mut Remaining,
        reached: &[f64],
        before: &mut [f64],
        after: &[f64],
    ) {
        // The architecture selects only instructions: every sum adds the same terms in the same
        // order.
        let arch = pulp::Arch::new();
        let (mut columns, mut gradients) = (Vec::new(), Vec::new());
        let mut cursors = starts(connections);
        let (inputs, outputs) = (self.inputs * self.before, self.outputs * self.after);
        let sides = reached
            .chunks_exact(inputs)
            .zip(before.chunks_exact_mut(inputs))
            .zip(after.chunks_exact(outputs));
        let groups = sides.zip(cursors.chunks_exact_mut(self.outputs));
        for (group, (((reached, before), after), cursors)) in groups.enumerate() {
            let sums = self.widen(after);
            for tile in self.tiles() {
                self.gather(&tile, reached, &mut columns);
                gradients.clear();
                gradients.resize(columns.len(), 0.0);
                arch.dispatch(Backward {
                    tile: self.tile(group, &tile, &columns),
                    connections: &mut *connections,
                    cursors: &mut *cursors,
                    sums: &sums,
                    gradients: &mut gradients,
                });
                self.scatter(&tile, &gradients, before);
            }
        }
    }

    /// Returns ranges of a group's input channels whose columns fit the cache.
    fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let inputs = self.inputs;
        let size = (CACHED / (self.reads.len() * self.width)).max(1);
        let starts = (0..inputs).step_by(size);
        starts.map(move |start| start..(start + size).min(inputs))
    }

    /// Returns the tile of the input `channels` of `group`, whose columns are given.
    fn tile<'a>(&self, group: usize, channels: &Range<usize>, columns: &'a [f64]) -> Tile<'a> {
        let taps = self.reads.len();
        let first = (group * self.outputs * self.inputs + channels.start) * taps;
        Tile {
            columns,
            width: self.width,
            first: first as u32,
            count: (channels.len() * taps) as u32,
            all: (self.inputs * taps) as u32,
        }
    }

    /// Copies `sums` (outputs, places) with zeros up to the width of a column.
    fn widen(&self, sums: &[f64]) -> Vec<f64> {
        let mut wide = vec![0.0; self.outputs * self.width];
        let rows = wide.chunks_exact_mut(self.width);
        for (wide, sums) in rows.zip(sums.chunks_exact(self.after)) {
            wide[..self.after].copy_from_slice(sums);
        }
        wide
    }

    /// Copies back what [`widen`](Self::widen) copied.
    fn narrow(&self, wide: &[f64], sums: &mut [f64]) {
        let rows = wide.chunks_exact(self.width);
        for (wide, sums) in rows.zip(sums.chunks_exact_mut(self.after)) {
            sums.copy_from_slice(&wide[..self.after]);
        }
    }

    /// Sets `columns` to what the taps read from the channels `tile` of `before`.
    fn gather(&self, tile: &Range<usize>, before: &[f64], columns: &mut Vec<f64>) {
        columns.clear();
        columns.resize(tile.len() * self.reads.len() * self.width, 0.0);
        let channels = before[tile.start * self.before..].chunks_exact(self.before);
        let blocks = columns.chunks_exact_mut(self.reads.len() * self.width);
        for (block, channel) in blocks.zip(channels) {
            for (column, reads) in block.chunks_exact_mut(self.width).zip(&self.reads) {
                for (value, &place) in column.iter_mut().zip(reads) {
                    if place != PADDING {
                        *value = channel[place as usize];
                    }
                }
            }
        }
    }

    /// Adds `columns` to the places of the channels `tile` of `before` that they were read from.
    fn scatter(&self, tile: &Range<usize>, columns: &[f64], before: &mut [f64]) {
        let channels = before[tile.start * self.before..].chunks_exact_mut(self.before);
        let blocks = columns.chunks_exact(self.reads.len() * self.width);
        for (block, channel) in blocks.zip(channels) {
            for (column, reads) in block.chunks_exact(self.width).zip(&self.reads) {
                for (&value, &place) in column.iter().zip(reads) {
                    if place != PADDING {
                        channel[place as usize] += value;
                    }
                }
            }
        }
    }
}

/// Returns the first of the `connections` to each output.
fn starts(connections: &Remaining) -> Vec<usize> {
    let ends = &connections.ends;
    let starts = [0].iter().chain(&ends[..ends.len() - 1]);
    starts.copied().collect()
}
