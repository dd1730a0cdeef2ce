//! The products of one layer: of its connections with the path sums at its inputs, and back.
//!
//! `columns` holds, per input channel and tap, the sum that the tap reads at every place of the
//! output: a connection then adds a multiple of one column to the sums of its output channel. A
//! few input channels are processed at a time, so that their columns fit the cache.

use std::ops::Range;

use super::places::{PADDING, Places, Reads};
use crate::graph::Node;
use crate::pruning::paths::Connection;

/// Target size of the columns in values, 128 KiB.
const CACHED: usize = 1 << 14;

/// The shape of a layer.
#[derive(Debug)]
pub(super) struct Layer {
    reads: Reads,
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
        Self {
            reads: source.read_by(node, target),
            inputs: source.channels,
            outputs: target.channels,
            before: source.count(),
            after,
            width: match after {
                1 => 1,
                2..=4 => 4,
                _ => after.next_multiple_of(8),
            },
        }
    }

    /// Adds to `after`, the sums at the outputs, those of the paths through `connections`, from
    /// `before`, the sums at the inputs.
    pub(super) fn forward(
        &self,
        connections: &[Connection<f64>],
        before: &[f64],
        after: &mut [f64],
    ) {
        let mut sums = self.widen(after);
        let mut rows = self.rows(connections);
        let mut columns = Vec::new();
        for tile in self.tiles() {
            self.gather(&tile, before, &mut columns);
            let products = Products {
                width: self.width,
                columns: &columns,
            };
            for (output, row) in rows.iter_mut().enumerate() {
                let sums = &mut sums[output * self.width..][..self.width];
                let first = self.first(output, &tile);
                let part = take(row, connections, first + self.columns_of(&tile));
                products.forward(part, first, sums);
            }
        }
        self.narrow(&sums, after);
    }

    /// Adds to `before`, the sums at the inputs, those of the paths to the output through
    /// `connections`, from `after`, the sums at the outputs. Replaces the value of each connection
    /// by the sum over the paths through it; `reached` holds the sums over the paths from the
    /// input to the layer's inputs.
    pub(super) fn backward(
        &self,
        connections: &mut [Connection<f64>],
        reached: &[f64],
        before: &mut [f64],
        after: &[f64],
    ) {
        let sums = self.widen(after);
        let mut rows = self.rows(connections);
        let (mut columns, mut gradients) = (Vec::new(), Vec::new());
        for tile in self.tiles() {
            self.gather(&tile, reached, &mut columns);
            gradients.clear();
            gradients.resize(columns.len(), 0.0);
            let products = Products {
                width: self.width,
                columns: &columns,
            };
            for (output, row) in rows.iter_mut().enumerate() {
                let sums = &sums[output * self.width..][..self.width];
                let first = self.first(output, &tile);
                let start = row.start;
                let count = take(row, connections, first + self.columns_of(&tile)).len();
                let part = &mut connections[start..start + count];
                products.backward(part, first, sums, &mut gradients);
            }
            self.scatter(&tile, &gradients, before);
        }
    }

    /// Returns ranges of input channels whose columns fit the cache.
    fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let inputs = self.inputs;
        let size = (CACHED / (self.reads.len() * self.width)).max(1);
        let starts = (0..inputs).step_by(size);
        starts.map(move |start| start..(start + size).min(inputs))
    }

    /// Returns the element of the first connection from the channels `tile` to `output`.
    fn first(&self, output: usize, tile: &Range<usize>) -> u32 {
        ((output * self.inputs + tile.start) * self.reads.len()) as u32
    }

    /// Returns the number of columns of the channels `tile`.
    fn columns_of(&self, tile: &Range<usize>) -> u32 {
        (tile.len() * self.reads.len()) as u32
    }

    /// Returns the range of the connections to each output.
    fn rows(&self, connections: &[Connection<f64>]) -> Vec<Range<usize>> {
        let length = self.inputs * self.reads.len();
        let start = |output: usize| {
            connections.partition_point(|c| (c.element as usize) < output * length)
        };
        (0..self.outputs)
            .map(|output| start(output)..start(output + 1))
            .collect()
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

    /// Sets `columns` to what the taps read of the channels `tile` of `before`.
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

/// Takes the connections of elements below `end` from the front of `row`, a range of
/// `connections`.
fn take<'a>(
    row: &mut Range<usize>,
    connections: &'a [Connection<f64>],
    end: u32,
) -> &'a [Connection<f64>] {
    let rest = &connections[row.clone()];
    let count = if rest.last().is_none_or(|last| last.element < end) {
        rest.len()
    } else {
        let beyond = rest.iter().position(|c| c.element >= end);
        beyond.unwrap_or(rest.len())
    };
    row.start += count;
    &rest[..count]
}

/// The products of the connections to one output with some columns.
struct Products<'a> {
    width: usize,
    columns: &'a [f64],
}

impl Products<'_> {
    /// Adds the columns times the values of `row` to `sums`. The column of element `first` is the
    /// first.
    #[inline]
    fn forward(&self, row: &[Connection<f64>], first: u32, sums: &mut [f64]) {
        match self.width {
            1 => self.extend::<1>(row, first, sums),
            4 => self.extend::<4>(row, first, sums),
            width if width.is_multiple_of(32) => self.extend::<32>(row, first, sums),
            width if width.is_multiple_of(16) => self.extend::<16>(row, first, sums),
            _ => self.extend::<8>(row, first, sums),
        }
    }

    /// Does so for blocks of `N` places, whose sums stay in registers.
    #[inline(always)]
    fn extend<const N: usize>(&self, row: &[Connection<f64>], first: u32, sums: &mut [f64]) {
        for (block, sums) in sums.as_chunks_mut::<N>().0.iter_mut().enumerate() {
            let mut total = *sums;
            for &Connection { element, value } in row {
                let at = (element - first) as usize * self.width + block * N;
                let column: &[f64] = &self.columns[at..at + N];
                for lane in 0..N {
                    total[lane] += value * column[lane];
                }
            }
            *sums = total;
        }
    }

    /// Adds `sums` times the values of `row` to the `gradients` of the columns, and multiplies
    /// those values by the product of column and `sums`.
    #[inline]
    fn backward(
        &self,
        row: &mut [Connection<f64>],
        first: u32,
        sums: &[f64],
        gradients: &mut [f64],
    ) {
        match self.width {
            1 => self.reverse::<1>(row, first, sums, gradients),
            4 => self.reverse::<4>(row, first, sums, gradients),
            _ => self.reverse::<8>(row, first, sums, gradients),
        }
    }

    /// Does so for blocks of `N` places.
    #[inline(always)]
    fn reverse<const N: usize>(
        &self,
        row: &mut [Connection<f64>],
        first: u32,
        sums: &[f64],
        gradients: &mut [f64],
    ) {
        for Connection { element, value } in row {
            let at = (*element - first) as usize * self.width;
            let columns = self.columns[at..at + self.width].as_chunks::<N>().0;
            let gradients = gradients[at..at + self.width].as_chunks_mut::<N>().0;
            let mut through = [0.0; N];
            for ((column, gradient), sums) in columns.iter().zip(gradients).zip(sums.as_chunks::<N>().0) {
                for lane in 0..N {
                    let onward = *value * sums[lane];
                    gradient[lane] += onward;
                    through[lane] += column[lane] * onward;
                }
            }
            *value = through.iter().sum();
        }
    }
}
