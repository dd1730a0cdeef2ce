//! The units of a network, and how the units of two adjacent nodes are connected.
//!
//! Paths run from unit to unit. In [`Mode::Exact`] a unit is one position of one channel of a
//! feature map, so a kernel weight connects a pair of units for every output position at which its
//! tap reads the map rather than zero padding (paper, section 3). In [`Mode::Graph`] a unit is a
//! whole channel; a kernel weight connects two channels whatever its tap reads.

use std::ops::Range;

use crate::graph::{Node, Operation, Window};

/// What counts as a unit when paths are traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Positions: a kernel weight counts only at positions where it reads the feature map, not
    /// padding
    #[default]
    Exact,
    /// Channels: a kernel connects two channels if any of its taps is unpruned
    Graph,
}

impl Mode {
    /// Returns "exact" or "graph".
    pub fn name(self) -> &'static str {
        match self {
            Mode::Exact => "exact",
            Mode::Graph => "graph",
        }
    }
}

/// The units of a node, as channels x height x width.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    channels: usize,
    height: usize,
    width: usize,
}

impl Extent {
    /// Returns the units of `node`. For a vector, and in [`Mode::Graph`], every unit is a channel.
    pub(super) fn of(node: &Node, mode: Mode) -> Self {
        let (height, width) = match (node.shape.as_slice(), mode) {
            (&[_, height, width], Mode::Exact) => (height, width),
            _ => (1, 1),
        };
        Self {
            channels: node.shape[0],
            height,
            width,
        }
    }

    /// Returns the number of units of one channel.
    pub(super) fn plane(self) -> usize {
        self.height * self.width
    }

    /// Returns the number of units.
    pub(super) fn units(self) -> usize {
        self.channels * self.plane()
    }
}

/// The connections between the units of a node and those of one of its sources.
pub(super) struct Edge {
    /// The units of the source.
    pub(super) source: Extent,
    /// The units of the node.
    pub(super) target: Extent,
    /// The number of taps of the window along height and width; 1 without a window.
    size: [usize; 2],
    /// The number of elements of a pooling window, by which average pooling divides; 1 without
    /// pooling.
    pub(super) area: usize,
    /// The distance along height and width, in source positions, between the windows of adjacent
    /// positions of the node.
    stride: [usize; 2],
    /// What each tap reads along the height.
    rows: Vec<TapRange>,
    /// What each tap reads along the width.
    columns: Vec<TapRange>,
    /// The number of input and output channels per group of a convolution; all if it has no
    /// groups.
    group: [usize; 2],
    /// The number of units of the node per unit of the source: more than 1 where a channel is
    /// flattened in [`Mode::Graph`].
    spread: usize,
}

/// The positions at which a tap reads the feature map rather than padding, along one axis.
struct TapRange {
    /// The output positions.
    outputs: Range<usize>,
    /// The input position that the first of them reads.
    input: usize,
}

impl TapRange {
    /// Returns the range of `tap` of `window` along `axis` (0 height, 1 width), which has `inputs`
    /// input positions and `outputs` output positions.
    fn new(window: &Window, axis: usize, tap: usize, inputs: usize, outputs: usize) -> Self {
        let outputs = window.reading(axis, tap, inputs, outputs);
        let input = if outputs.is_empty() {
            0
        } else {
            window.position(axis, tap, outputs.start)
        };
        Self { outputs, input }
    }
}

impl Edge {
    /// Returns the connections between the units `source` of a source of `node` and the units
    /// `target` of `node`.
    pub(super) fn new(node: &Node, source: Extent, target: Extent, mode: Mode) -> Self {
        let window = match node.operation {
            Operation::Conv { window, .. } | Operation::Pool { window, .. } => Some(window),
            _ => None,
        };
        let groups = match node.operation {
            Operation::Conv { groups, .. } => groups,
            _ => 1,
        };
        let pools = matches!(node.operation, Operation::Pool { .. });
        let size = window.map_or([1; 2], |window| window.size);
        let spread = match node.operation {
            Operation::Flatten => target.units() / source.units(),
            _ => 1,
        };
        // Where channels are units, every tap connects the same two channels, and a pooling window
        // has one element.
        let (taps, area) = match (mode, pools) {
            (Mode::Graph, true) => ([1; 2], 1),
            (Mode::Exact, true) => (size, size[0] * size[1]),
            (_, false) => (size, 1),
        };
        let along = |axis: usize, inputs: usize, outputs: usize| -> Vec<TapRange> {
            let of_tap = |tap: usize| match (window, mode) {
                (Some(window), Mode::Exact) => TapRange::new(&window, axis, tap, inputs, outputs),
                _ => TapRange {
                    outputs: 0..outputs,
                    input: 0,
                },
            };
            (0..taps[axis]).map(of_tap).collect()
        };
        Self {
            source,
            target,
            size,
            area,
            stride: match (window, mode) {
                (Some(window), Mode::Exact) => window.stride,
                _ => [1; 2],
            },
            rows: along(0, source.height, target.height),
            columns: along(1, source.width, target.width),
            group: [source.channels, target.channels].map(|channels| channels / groups),
            spread,
        }
    }

    /// Checks whether every weight connects exactly one pair of units: both sides have one unit
    /// per channel, and the only tap reads that unit rather than padding.
    pub(super) fn is_dense(&self) -> bool {
        let reads = |taps: &[TapRange]| taps.len() == 1 && !taps[0].outputs.is_empty();
        let single = self.source.plane() == 1 && self.target.plane() == 1;
        single && reads(&self.rows) && reads(&self.columns)
    }

    /// Returns the distance between the inputs of a [run](Self::runs).
    #[inline]
    pub(super) fn step(&self) -> usize {
        self.stride[1]
    }

    /// Returns the output channel, the input channel and the tap of the weight at the flat index
    /// `element` of a kernel (out, in / groups, height, width).
    #[inline]
    pub(super) fn locate(&self, element: u32) -> (usize, usize, usize) {
        let taps = (self.size[0] * self.size[1]) as u32;
        let (pair, tap) = (element / taps, element % taps);
        let [inputs, outputs] = self.group.map(|channels| channels as u32);
        let output = pair / inputs;
        let first = output / outputs * inputs;
        (
            output as usize,
            (first + pair % inputs) as usize,
            tap as usize,
        )
    }

    /// Calls `visit(input, output, count)` for each run of positions, within a channel, that `tap`
    /// (row-major in its window) connects: `count` consecutive outputs from `output` on, and
    /// inputs a [`step`](Self::step) apart from `input` on.
    #[inline]
    pub(super) fn runs(&self, tap: usize, visit: impl FnMut(usize, usize, usize)) {
        self.runs_at(tap / self.size[1], tap % self.size[1], visit);
    }

    /// Does what [`Self::runs`] does, for the tap in row `y` and column `x` of the window.
    #[inline]
    fn runs_at(&self, y: usize, x: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let (rows, mut row) = (self.rows[y].outputs.clone(), self.rows[y].input);
        let (columns, column) = (&self.columns[x].outputs, self.columns[x].input);
        for output in rows {
            let from = row * self.source.width + column;
            let to = output * self.target.width + columns.start;
            visit(from, to, columns.len());
            row += self.stride[0];
        }
    }

    /// Calls `visit(source unit, target unit)` for each pair of units that an operation without
    /// weights connects: pooling, an addition or flattening, which all act on channels separately.
    pub(super) fn pairs(&self, mut visit: impl FnMut(usize, usize)) {
        let (before, after) = (self.source.plane(), self.target.plane());
        if self.spread > 1 {
            (0..self.target.units()).for_each(|to| visit(to / self.spread, to));
            return;
        }
        for channel in 0..self.target.channels {
            for y in 0..self.rows.len() {
                for x in 0..self.columns.len() {
                    self.runs_at(y, x, |from, to, count| {
                        let (from, to) = (channel * before + from, channel * after + to);
                        (0..count).for_each(|at| visit(from + at * self.step(), to + at));
                    });
                }
            }
        }
    }
}
