//! The products of one layer's connections with the path sums at its inputs, and their backward
//! pass.
//!
//! `columns` holds, per input channel and tap, the sum that the tap reads at every place of the
//! output: a connection then adds a multiple of one column to the sums of its output channel. A
//! few input channels are processed at a time, so that their columns fit the cache. The groups of a
//! convolution are processed one after another, like layers of their own.

use std::ops::Range;

use super::places::{PADDING, Places, Reads};
use crate::graph::{Node, Operation};
use crate::pruning::paths::Connection;

/// Target size of the columns in values, 128 KiB.
const CACHED: usize = 1 << 14;

/// The shape of a layer.
#[derive(Debug)]
pub(super) struct Layer {
    reads: Reads,
    groups: usize,
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
            groups,
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
    pub(super) fn forward(
        &self,
        connections: &[Connection<f64>],
        before: &[f64],
        after: &mut [f64],
    ) {
        // The architecture selects only instructions: every sum adds the same terms in the same
        // order.
        let arch = pulp::Arch::new();
        let (mut columns, mut rest) = (Vec::new(), connections);
        let sides = before.chunks_exact(self.inputs * self.before);
        let sides = sides.zip(after.chunks_exact_mut(self.outputs * self.after));
        for (group, (before, after)) in sides.enumerate() {
            let (own, others) = rest.split_at(self.count(group, rest));
            rest = others;
            let mut sums = self.widen(after);
            let mut rows = self.rows(group, own);
            for tile in self.tiles() {
                self.gather(&tile, before, &mut columns);
                arch.dispatch(Forward {
                    tile: Tile::new(self, group, &tile, &columns),
                    connections: own,
                    rows: &mut rows,
                    sums: &mut sums,
                });
            }
            self.narrow(&sums, after);
        }
    }

    /// Extends the paths to the output by `connections`: updates `before`, the sums at the inputs,
    /// from `after`, the sums at the outputs. Replaces the value of each connection by the sum
    /// over the paths through it; `reached` holds the sums over the paths from the input to the
    /// layer's inputs.
    pub(super) fn backward(
        &self,
        connections: &mut [Connection<f64>],
        reached: &[f64],
        before: &mut [f64],
        after: &[f64],
    ) {
        // The architecture selects only instructions: every sum adds the same terms in the same
        // order.
        let arch = pulp::Arch::new();
        let (mut columns, mut gradients) = (Vec::new(), Vec::new());
        let (inputs, outputs) = (self.inputs * self.before, self.outputs * self.after);
        let sides = reached
            .chunks_exact(inputs)
            .zip(before.chunks_exact_mut(inputs));
        let sides = sides.zip(after.chunks_exact(outputs));
        let mut rest = connections;
        for (group, ((reached, before), after)) in sides.enumerate() {
            let count = self.count(group, rest);
            let (own, others) = std::mem::take(&mut rest).split_at_mut(count);
            rest = others;
            let sums = self.widen(after);
            let mut rows = self.rows(group, own);
            for tile in self.tiles() {
                self.gather(&tile, reached, &mut columns);
                gradients.clear();
                gradients.resize(columns.len(), 0.0);
                arch.dispatch(Backward {
                    tile: Tile::new(self, group, &tile, &columns),
                    connections: &mut *own,
                    rows: &mut rows,
                    sums: &sums,
                    gradients: &mut gradients,
                });
                self.scatter(&tile, &gradients, before);
            }
        }
    }

    /// Returns the number of `connections`, which begin with those of `group`, that belong to it.
    fn count(&self, group: usize, connections: &[Connection<f64>]) -> usize {
        if group + 1 == self.groups {
            return connections.len();
        }
        let end = self.first(group + 1);
        connections.partition_point(|c| c.element < end)
    }

    /// Returns the flat index of the first weight of `group`.
    fn first(&self, group: usize) -> u32 {
        (group * self.outputs * self.inputs * self.reads.len()) as u32
    }

    /// Returns ranges of a group's input channels whose columns fit the cache.
    fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let inputs = self.inputs;
        let size = (CACHED / (self.reads.len() * self.width)).max(1);
        let starts = (0..inputs).step_by(size);
        starts.map(move |start| start..(start + size).min(inputs))
    }

    /// Returns the range of the `connections` of `group` to each of its outputs.
    fn rows(&self, group: usize, connections: &[Connection<f64>]) -> Vec<Range<usize>> {
        let (length, first) = (self.inputs * self.reads.len(), self.first(group));
        let mut start = 0;
        let row = |output: usize| {
            // A row has at most `length` connections.
            let rest = &connections[start..connections.len().min(start + length)];
            let end = first + ((output + 1) * length) as u32;
            let from = start;
            start += rest.partition_point(|c| c.element < end);
            from..start
        };
        (0..self.outputs).map(row).collect()
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

/// The columns of some input channels.
#[derive(Clone, Copy)]
struct Tile<'a> {
    columns: &'a [f64],
    width: usize,
    /// The flat index of the first weight from the first of these channels to the group's first
    /// output.
    first: u32,
    /// The number of columns.
    count: u32,
    /// The number of columns of all input channels of the group.
    all: u32,
}

impl<'a> Tile<'a> {
    /// Returns the tile of the `channels` of `group` of `layer`.
    fn new(layer: &Layer, group: usize, channels: &Range<usize>, columns: &'a [f64]) -> Self {
        let taps = layer.reads.len();
        Self {
            columns,
            width: layer.width,
            first: layer.first(group) + (channels.start * taps) as u32,
            count: (channels.len() * taps) as u32,
            all: (layer.inputs * taps) as u32,
        }
    }

    /// Takes the connections of this tile to `output` of the group from the front of `row`, a range
    /// of `connections`. Returns their range, and the flat index of the weight of the first column.
    #[inline(always)]
    fn take(
        &self,
        output: usize,
        row: &mut Range<usize>,
        connections: &[Connection<f64>],
    ) -> (Range<usize>, u32) {
        let first = output as u32 * self.all + self.first;
        let end = first + self.count;
        let rest = &connections[row.start..row.end.min(row.start + self.count as usize)];
        let count = match rest.last() {
            Some(last) if last.element >= end => rest.partition_point(|c| c.element < end),
            _ => rest.len(),
        };
        let part = row.start..row.start + count;
        row.start = part.end;
        (part, first)
    }
}

/// The forward products of one tile.
struct Forward<'a> {
    tile: Tile<'a>,
    connections: &'a [Connection<f64>],
    /// The connections to each output that are still to come.
    rows: &'a mut [Range<usize>],
    /// The sums at the outputs, which the products are added to.
    sums: &'a mut [f64],
}

impl pulp::NullaryFnOnce for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        match self.tile.width {
            1 => self.run::<1>(),
            4 => self.run::<4>(),
            width if width.is_multiple_of(32) => self.run::<32>(),
            width if width.is_multiple_of(16) => self.run::<16>(),
            _ => self.run::<8>(),
        }
    }
}

impl Forward<'_> {
    /// Adds the products for blocks of `N` places, whose sums stay in registers.
    #[inline(always)]
    fn run<const N: usize>(self) {
        let width = self.tile.width;
        let outputs = self.rows.iter_mut().zip(self.sums.chunks_exact_mut(width));
        for (output, (row, sums)) in outputs.enumerate() {
            let (part, first) = self.tile.take(output, row, self.connections);
            let part = &self.connections[part];
            for (block, sums) in sums.as_chunks_mut::<N>().0.iter_mut().enumerate() {
                let mut total = *sums;
                for &Connection { element, value } in part {
                    let at = (element - first) as usize * width + block * N;
                    let column = &self.tile.columns[at..at + N];
                    for lane in 0..N {
                        total[lane] += value * column[lane];
                    }
                }
                *sums = total;
            }
        }
    }
}

/// The backward products of one tile.
struct Backward<'a> {
    tile: Tile<'a>,
    connections: &'a mut [Connection<f64>],
    /// The connections to each output that are still to come.
    rows: &'a mut [Range<usize>],
    /// The sums at the outputs.
    sums: &'a [f64],
    /// The gradients of the columns, which the products are added to.
    gradients: &'a mut [f64],
}

impl pulp::NullaryFnOnce for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        match self.tile.width {
            1 => self.run::<1>(),
            4 => self.run::<4>(),
            _ => self.run::<8>(),
        }
    }
}

impl Backward<'_> {
    /// Adds the products, for blocks of `N` places, and replaces the values of the connections.
    #[inline(always)]
    fn run<const N: usize>(self) {
        let width = self.tile.width;
        let outputs = self.rows.iter_mut().zip(self.sums.chunks_exact(width));
        for (output, (row, sums)) in outputs.enumerate() {
            let (part, first) = self.tile.take(output, row, self.connections);
            let sums = sums.as_chunks::<N>().0;
            for Connection { element, value } in &mut self.connections[part] {
                let at = (*element - first) as usize * width;
                let columns = self.tile.columns[at..at + width].as_chunks::<N>().0;
                let gradients = self.gradients[at..at + width].as_chunks_mut::<N>().0;
                let mut through = [0.0; N];
                for ((column, gradient), sums) in columns.iter().zip(gradients).zip(sums) {
                    let mut next = *gradient;
                    for lane in 0..N {
                        let onward = *value * sums[lane];
                        next[lane] += onward;
                        through[lane] += column[lane] * onward;
                    }
                    *gradient = next;
                }
                *value = through.iter().sum();
            }
        }
    }
}
