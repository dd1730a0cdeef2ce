//! Positions of feature maps with equal path sums from the input, computed once.
//!
//! The input of SynFlow is constant, so a sum at a position depends only on which taps read
//! padding on the way to it: away from the borders, all positions are equal. Along each axis,
//! positions whose taps read the same classes of the source's positions form a class. A *place* is
//! a class of rows and one of columns.

use std::collections::HashMap;

use crate::graph::{Node, Operation, Window};

/// The classes of the positions along one axis.
#[derive(Debug, Clone)]
struct Axis {
    /// The class of each position.
    classes: Vec<usize>,
    /// A position of each class.
    samples: Vec<usize>,
}

impl Axis {
    /// Groups positions by their `keys`. Classes are numbered in the order of their first
    /// positions.
    fn group<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> Self {
        let (mut numbers, mut classes, mut samples) = (HashMap::new(), Vec::new(), Vec::new());
        for (position, key) in keys.enumerate() {
            let next = numbers.len();
            let class = *numbers.entry(key).or_insert(next);
            if class == next {
                samples.push(position);
            }
            classes.push(class);
        }
        Self { classes, samples }
    }

    /// Returns the number of classes.
    fn len(&self) -> usize {
        self.samples.len()
    }
}

/// The places of a node's feature map; a vector has one.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// Channels of a feature map or units of a vector.
    pub(super) channels: usize,
    axes: [Axis; 2],
}

/// Where no source is read: the tap reads padding.
pub(super) const PADDING: u32 = u32::MAX;

/// Per tap of a window, row-major, the place of the source that each place of the target reads, or
/// [`PADDING`].
pub(super) type Reads = Vec<Vec<u32>>;

impl Places {
    /// Returns the places of `node`, given those of its `sources`.
    pub(super) fn of(node: &Node, sources: &[&Places]) -> Self {
        let sizes = match *node.shape.as_slice() {
            [_, height, width] => [height, width],
            _ => [1, 1],
        };
        let axis = |axis: usize| {
            let positions = 0..sizes[axis];
            match (node.operation, sources) {
                (Operation::Input, _) | (_, []) => Axis::group(positions.map(|_| ())),
                (Operation::Conv { window, .. } | Operation::Pool { window, .. }, [source, ..]) => {
                    let classes = &source.axes[axis].classes;
                    Axis::group(positions.map(|output| read_along(&window, axis, output, classes)))
                }
                (Operation::Flatten | Operation::Dense { .. }, _) => {
                    Axis::group(positions.map(|_| ()))
                }
                (_, sources) => Axis::group(positions.map(|position| {
                    let class = |source: &&Places| source.axes[axis].classes[position];
                    sources.iter().map(class).collect::<Vec<usize>>()
                })),
            }
        };
        Self {
            channels: node.shape[0],
            axes: [axis(0), axis(1)],
        }
    }

    /// Returns the number of places of a channel.
    pub(super) fn count(&self) -> usize {
        self.axes[0].len() * self.axes[1].len()
    }

    /// Returns the number of values of the node: one per channel and place.
    pub(super) fn values(&self) -> usize {
        self.channels * self.count()
    }

    /// Returns what `node` reads from one of its sources: `self` are the places of the source, and
    /// `target` those of `node`.
    pub(super) fn read_by(&self, node: &Node, target: &Places) -> Reads {
        match node.operation {
            Operation::Conv { window, .. } | Operation::Pool { window, .. } => {
                let along = |axis: usize| -> Vec<Vec<Option<usize>>> {
                    let (from, to) = (&self.axes[axis], &target.axes[axis]);
                    let read = |&output: &usize| read_along(&window, axis, output, &from.classes);
                    to.samples.iter().map(read).collect()
                };
                let (rows, columns) = (along(0), along(1));
                let taps = (0..window.taps()).map(|tap| {
                    let [y, x] = window.place(tap);
                    self.table(rows.iter().map(|row| row[y]), |_| {
                        columns.iter().map(|column| column[x])
                    })
                });
                taps.collect()
            }
            // Every position of the source is a unit of its own.
            Operation::Flatten => {
                let [rows, columns] = &self.axes;
                let rows = rows.classes.iter().copied().map(Some);
                vec![self.table(rows, |_| columns.classes.iter().copied().map(Some))]
            }
            Operation::Dense { .. } => vec![vec![0]],
            _ => {
                let class = |axis: usize| {
                    let classes = &self.axes[axis].classes;
                    let samples = target.axes[axis].samples.iter();
                    samples.map(|&position| Some(classes[position]))
                };
                vec![self.table(class(0), |_| class(1))]
            }
        }
    }

    /// Returns the place of every row and column, given their classes.
    fn table<C: Iterator<Item = Option<usize>>>(
        &self,
        rows: impl Iterator<Item = Option<usize>>,
        columns: impl Fn(()) -> C,
    ) -> Vec<u32> {
        let width = self.axes[1].len();
        let place = |row: Option<usize>, column: Option<usize>| match (row, column) {
            (Some(row), Some(column)) => (row * width + column) as u32,
            _ => PADDING,
        };
        rows.flat_map(|row| columns(()).map(move |column| place(row, column)))
            .collect()
    }
}

/// Returns the class that each tap of `window` reads for `output` along `axis`, or none for
/// padding. `classes` are those of the source's positions.
fn read_along(
    window: &Window,
    axis: usize,
    output: usize,
    classes: &[usize],
) -> Vec<Option<usize>> {
    let outputs = output + 1;
    let read = |tap: usize| {
        let reading = window.reading(axis, tap, classes.len(), outputs);
        let position = || window.position(axis, tap, output);
        reading.contains(&output).then(|| classes[position()])
    };
    (0..window.size[axis]).map(read).collect()
}
