//! Sweeps: what all paths of a network say about each connection, in one walk forward and one back.
//!
//! A semiring says how a path adds up and how paths compete. With (min, max) over times the sweep
//! finds when each connection becomes effective; with (+, x) over magnitudes it finds the synaptic
//! flow through it. Batch norms, ReLUs and biases do not enter; pooling joins what its window
//! holds (both kinds alike), an addition joins its branches. A convolution's weight is shared by
//! positions, so its value joins all outputs where the tap reads real input, never padding.
//!
//! Connections are lists, not whole tensors: a sweep costs what is let in, not what there is.

use std::ops::Range;

use crate::graph::{Graph, Node, Operation, Window};

/// How a network's connections are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By positions: a tap counts where it reads real input
    #[default]
    Exact,
    /// By channels: a kernel slice joins two channels when any tap of it is left
    Graph,
}

impl Mode {
    /// "exact" or "graph".
    pub fn name(self) -> &'static str {
        match self {
            Mode::Exact => "exact",
            Mode::Graph => "graph",
        }
    }
}

/// What a sweep computes with.
pub trait Semiring {
    /// What a connection, a unit or a path has.
    type Value: Copy;
    /// Where no path is.
    const NONE: Self::Value;
    /// The path of no connection.
    const EMPTY: Self::Value;
    /// Of two paths side by side.
    fn either(a: Self::Value, b: Self::Value) -> Self::Value;
    /// Of one path after another.
    fn both(a: Self::Value, b: Self::Value) -> Self::Value;
    /// What one of `area` elements of a pooling window hands on.
    fn pooled(value: Self::Value, area: usize) -> Self::Value;
}

/// One connection: its place in its tensor (row-major) and what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection<T> {
    /// The flat index in the tensor.
    pub element: u32,
    /// What it has.
    pub value: T,
}

/// What a sweep leaves at the units of each node: of the paths from the input, and to the output.
#[derive(Debug)]
pub struct Flow<T> {
    /// From the input, by slot.
    reached: Vec<Vec<T>>,
    /// To the output, by slot.
    reaching: Vec<Vec<T>>,
    /// The slot of each node; nodes that hand on what they read share one.
    slots: Vec<usize>,
}

impl<T> Flow<T> {
    /// What reaches each unit of `node` from the input.
    pub fn reached(&self, node: usize) -> &[T] {
        &self.reached[self.slots[node]]
    }

    /// What reaches the output from each unit of `node`.
    pub fn reaching(&self, node: usize) -> &[T] {
        &self.reaching[self.slots[node]]
    }
}

/// Replaces the value of each of the `connections` of `graph` (one list per prunable tensor) by
/// that of all paths through it.
pub fn sweep<S: Semiring>(
    graph: &Graph,
    connections: &mut [Vec<Connection<S::Value>>],
    mode: Mode,
) -> Flow<S::Value> {
    let nodes = graph.nodes();
    let extents: Vec<Extent> = nodes.iter().map(|node| Extent::of(node, mode)).collect();
    let mut tensor_of = vec![usize::MAX; nodes.len()];
    for (index, tensor) in graph.prunable().iter().enumerate() {
        tensor_of[tensor.node] = index;
    }

    let mut slots = Vec::with_capacity(nodes.len());
    let mut reached: Vec<Vec<S::Value>> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let hands_on = match node.operation {
            Operation::BatchNorm | Operation::Relu => true,
            Operation::Flatten => extents[index].units() == extents[node.source()].units(),
            _ => false,
        };
        if hands_on {
            slots.push(slots[node.source()]);
            continue;
        }
        slots.push(reached.len());
        let mut after = vec![S::NONE; extents[index].units()];
        for &source in &node.sources {
            let before = &reached[slots[source]];
            let step = Step::new(node, extents[source], extents[index], mode);
            match tensor_of[index] {
                usize::MAX => step.join(before, &mut after, |into, value| {
                    *into = S::either(*into, S::pooled(value, step.area));
                }),
                tensor => forward::<S>(&step, &connections[tensor], before, &mut after),
            }
        }
        if node.operation == Operation::Input {
            after.fill(S::EMPTY);
        }
        reached.push(after);
    }

    let mut reaching: Vec<Vec<S::Value>> = reached
        .iter()
        .map(|units| vec![S::NONE; units.len()])
        .collect();
    if let Some(&last) = slots.last() {
        reaching[last].fill(S::EMPTY);
    }
    for (index, node) in nodes.iter().enumerate().rev() {
        for &source in &node.sources {
            let (from, to) = (slots[source], slots[index]);
            if from == to {
                continue;
            }
            // A node is read only by later ones, so that its slot comes before theirs.
            let (earlier, later) = reaching.split_at_mut(to);
            let (before, after) = (&mut earlier[from], &later[0]);
            let step = Step::new(node, extents[source], extents[index], mode);
            match tensor_of[index] {
                usize::MAX => step.join_back(before, after, |into, value| {
                    *into = S::either(*into, S::pooled(value, step.area));
                }),
                tensor => {
                    backward::<S>(
                        &step,
                        &mut connections[tensor],
                        &reached[from],
                        before,
                        after,
                    );
                }
            }
        }
    }
    Flow {
        reached,
        reaching,
        slots,
    }
}

/// A node's units as channels x height x width.
#[derive(Debug, Clone, Copy)]
struct Extent {
    channels: usize,
    height: usize,
    width: usize,
}

impl Extent {
    fn of(node: &Node, mode: Mode) -> Self {
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

    fn plane(self) -> usize {
        self.height * self.width
    }

    fn units(self) -> usize {
        self.channels * self.plane()
    }
}

/// From one node to one that reads it: where the taps of the window between them read.
struct Step {
    before: Extent,
    after: Extent,
    /// Taps along an axis.
    size: usize,
    /// Elements of the window that pooling divides by; 1 where nothing is pooled.
    area: usize,
    stride: usize,
    /// For each tap along height and width: the outputs, and the input position of the first.
    rows: Vec<(Range<usize>, usize)>,
    columns: Vec<(Range<usize>, usize)>,
    /// Units that one unit before is spread over (flattening channels, graph mode).
    spread: usize,
}

impl Step {
    fn new(node: &Node, before: Extent, after: Extent, mode: Mode) -> Self {
        let window = match node.operation {
            Operation::Conv { window, .. } | Operation::Pool { window, .. } => Some(window),
            _ => None,
        };
        let pools = matches!(node.operation, Operation::Pool { .. });
        let size = window.map_or(1, |window| window.size);
        let spread = match node.operation {
            Operation::Flatten => after.units() / before.units(),
            _ => 1,
        };
        // By channels every tap joins the two channels, and a window is one place.
        let (taps, area) = match (mode, pools) {
            (Mode::Graph, true) => (1, 1),
            (Mode::Exact, true) => (size, size * size),
            (_, false) => (size, 1),
        };
        let along = |axis: usize, inputs: usize, outputs: usize| -> Vec<(Range<usize>, usize)> {
            let of_tap = |tap: usize| match (window, mode) {
                (Some(window), Mode::Exact) => reading(&window, axis, tap, inputs, outputs),
                _ => (0..outputs, 0),
            };
            (0..taps).map(of_tap).collect()
        };
        Self {
            before,
            after,
            size,
            area,
            stride: match (window, mode) {
                (Some(window), Mode::Exact) => window.stride,
                _ => 1,
            },
            rows: along(0, before.height, after.height),
            columns: along(1, before.width, after.width),
            spread,
        }
    }

    /// Whether channels are single units that the one tap joins (it may read padding instead).
    fn is_dense(&self) -> bool {
        let reads = |taps: &[(Range<usize>, usize)]| taps.len() == 1 && !taps[0].0.is_empty();
        let single = self.before.plane() == 1 && self.after.plane() == 1;
        single && reads(&self.rows) && reads(&self.columns)
    }

    /// The channels and the tap of `element` of a kernel: (out, in, tap).
    #[inline]
    fn place(&self, element: u32) -> (usize, usize, usize) {
        let taps = (self.size * self.size) as u32;
        let (pair, tap) = (element / taps, element % taps);
        let inputs = self.before.channels as u32;
        (
            (pair / inputs) as usize,
            (pair % inputs) as usize,
            tap as usize,
        )
    }

    /// Calls `visit(input position, output position, count)` for each line of positions, within
    /// a channel, that the tap (row `y`, column `x`) of the window joins: the outputs one after
    /// another, the inputs `stride` apart.
    #[inline]
    fn lines(&self, y: usize, x: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let (rows, mut row) = (self.rows[y].0.clone(), self.rows[y].1);
        let (columns, column) = (&self.columns[x].0, self.columns[x].1);
        for output in rows {
            let from = row * self.before.width + column;
            let to = output * self.after.width + columns.start;
            visit(from, to, columns.len());
            row += self.stride;
        }
    }

    /// Joins channels to themselves: pooling, additions, flattening.
    fn join<T: Copy>(&self, before: &[T], after: &mut [T], mut join: impl FnMut(&mut T, T)) {
        self.channelwise(|from, to| join(&mut after[to], before[from]));
    }

    /// The same, backwards.
    fn join_back<T: Copy>(&self, before: &mut [T], after: &[T], mut join: impl FnMut(&mut T, T)) {
        self.channelwise(|from, to| join(&mut before[from], after[to]));
    }

    fn channelwise(&self, mut visit: impl FnMut(usize, usize)) {
        let (before, after) = (self.before.plane(), self.after.plane());
        if self.spread > 1 {
            (0..self.after.units()).for_each(|to| visit(to / self.spread, to));
            return;
        }
        for channel in 0..self.after.channels {
            for y in 0..self.rows.len() {
                for x in 0..self.columns.len() {
                    self.lines(y, x, |from, to, count| {
                        let (from, to) = (channel * before + from, channel * after + to);
                        (0..count).for_each(|at| visit(from + at * self.stride, to + at));
                    });
                }
            }
        }
    }
}

/// What `tap` along `axis` reads: the outputs, and the input position of the first of them.
fn reading(
    window: &Window,
    axis: usize,
    tap: usize,
    inputs: usize,
    outputs: usize,
) -> (Range<usize>, usize) {
    let outputs = window.reading(axis, tap, inputs, outputs);
    let first = if outputs.is_empty() {
        0
    } else {
        window.position(axis, tap, outputs.start)
    };
    (outputs, first)
}

/// Paths from the input through a layer's connections.
fn forward<S: Semiring>(
    step: &Step,
    connections: &[Connection<S::Value>],
    before: &[S::Value],
    after: &mut [S::Value],
) {
    if step.is_dense() {
        for &Connection { element, value } in connections {
            let (output, input, _) = step.place(element);
            after[output] = S::either(after[output], S::both(before[input], value));
        }
        return;
    }
    let (from, to) = (step.before.plane(), step.after.plane());
    for &Connection { element, value } in connections {
        let (output, input, tap) = step.place(element);
        let before = &before[input * from..][..from];
        let after = &mut after[output * to..][..to];
        step.lines(tap / step.size, tap % step.size, |from, to, count| {
            let (before, after) = (&before[from..], &mut after[to..to + count]);
            let join = |(after, &before): (&mut S::Value, &S::Value)| {
                *after = S::either(*after, S::both(before, value));
            };
            // Lines without gaps are what the compiler vectorises.
            match step.stride {
                1 => after.iter_mut().zip(&before[..count]).for_each(join),
                stride => after
                    .iter_mut()
                    .zip(before.iter().step_by(stride))
                    .for_each(join),
            }
        });
    }
}

/// Paths to the output through a layer's connections; leaves in each connection what all paths
/// through it have.
fn backward<S: Semiring>(
    step: &Step,
    connections: &mut [Connection<S::Value>],
    reached: &[S::Value],
    before: &mut [S::Value],
    after: &[S::Value],
) {
    if step.is_dense() {
        for Connection { element, value } in connections {
            let (output, input, _) = step.place(*element);
            let onward = S::both(*value, after[output]);
            before[input] = S::either(before[input], onward);
            *value = S::both(reached[input], onward);
        }
        return;
    }
    let (from, to) = (step.before.plane(), step.after.plane());
    for Connection { element, value } in connections {
        let (output, input, tap) = step.place(*element);
        let reached = &reached[input * from..][..from];
        let before = &mut before[input * from..][..from];
        let after = &after[output * to..][..to];
        let (own, mut through) = (*value, S::NONE);
        step.lines(tap / step.size, tap % step.size, |from, to, count| {
            let after = &after[to..to + count];
            let (reached, before) = (&reached[from..], &mut before[from..]);
            let join = |((before, &reached), &after): ((&mut S::Value, &S::Value), &S::Value)| {
                *before = S::either(*before, S::both(own, after));
                through = S::either(through, S::both(reached, after));
            };
            match step.stride {
                1 => before[..count]
                    .iter_mut()
                    .zip(&reached[..count])
                    .zip(after)
                    .for_each(join),
                stride => before
                    .iter_mut()
                    .step_by(stride)
                    .zip(reached.iter().step_by(stride))
                    .zip(after)
                    .for_each(join),
            }
        });
        *value = S::both(own, through);
    }
}
