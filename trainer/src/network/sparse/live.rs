//! Finds the live units: those that a kept weight writes or reads.
//!
//! Units connected by an operation without a kernel (batch norm, ReLU, pooling, addition,
//! flattening) live or die together, so that a value and its source have the same live units. All
//! class scores are live. No kept weight reads a dead unit, so its parameters have gradient 0.

use crate::graph::{Graph, Operation};
use crate::masks::Masks;

/// The place that marks a dead unit.
const DEAD: u32 = u32::MAX;

/// The live units of a node's value, which is stored as (live units · positions, batch).
#[derive(Debug, Clone)]
pub(super) struct LiveUnits {
    /// The live units, in ascending order: channels of a feature map, otherwise elements.
    pub(super) units: Vec<u32>,
    /// The place of each unit in `units`, or [`DEAD`].
    places: Vec<u32>,
    /// Height and width of a unit.
    pub(super) size: [usize; 2],
}

impl LiveUnits {
    /// Returns the place of `unit` among the live units, if it is live.
    pub(super) fn place(&self, unit: usize) -> Option<usize> {
        let place = self.places[unit];
        (place != DEAD).then_some(place as usize)
    }

    /// Returns the number of values per live unit and sample.
    pub(super) fn area(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Returns the number of values per sample.
    pub(super) fn rows(&self) -> usize {
        self.units.len() * self.area()
    }

    /// Returns the number of units, dead ones included.
    pub(super) fn all(&self) -> usize {
        self.places.len()
    }
}

/// Returns the live units of every node of `graph` under `masks`.
pub(super) fn units(graph: &Graph, masks: &Masks) -> Vec<LiveUnits> {
    let shapes = unit_shapes(graph);
    let mut ties = Ties::new(&shapes);
    for (index, node) in graph.nodes().iter().enumerate() {
        for &source in &node.sources {
            if graph.kernel_shape(index).is_some() {
                continue;
            }
            // A unit of the source becomes `area` units if it is flattened, otherwise one.
            let area = shapes[index].0 / shapes[source].0;
            for unit in 0..shapes[index].0 {
                ties.join((index, unit), (source, unit / area));
            }
        }
    }
    let mut live = vec![false; ties.parents.len()];
    for (tensor, mask) in graph.prunable().iter().zip(masks.iter()) {
        let source = graph.nodes()[tensor.node].source();
        let layout = graph.kernel_layout(tensor.node).expect("it has a kernel");
        for (element, _) in mask.keep.iter().enumerate().filter(|&(_, &keep)| keep) {
            let (output, input, _) = layout.locate(element);
            live[ties.root((tensor.node, output))] = true;
            live[ties.root((source, input))] = true;
        }
    }
    let last = graph.nodes().len() - 1;
    for unit in 0..shapes[last].0 {
        live[ties.root((last, unit))] = true;
    }
    let mut of_node = |(node, (all, size)): (usize, ([usize; 1], [usize; 2]))| {
        let is_live = |&unit: &usize| live[ties.root((node, unit))];
        let units: Vec<u32> = (0..all[0])
            .filter(is_live)
            .map(|unit| unit as u32)
            .collect();
        let mut places = vec![DEAD; all[0]];
        for (place, &unit) in units.iter().enumerate() {
            places[unit as usize] = place as u32;
        }
        LiveUnits {
            units,
            places,
            size,
        }
    };
    let shapes = shapes.iter().map(|&(units, size)| ([units], size));
    shapes.enumerate().map(&mut of_node).collect()
}

/// Returns the number of units of every node, and their height and width. An input that is read
/// only by flattening has one unit per element.
fn unit_shapes(graph: &Graph) -> Vec<(usize, [usize; 2])> {
    let nodes = graph.nodes();
    let mut readers = nodes.iter().filter(|node| node.sources.contains(&0));
    let only_flattened = readers.all(|reader| reader.operation == Operation::Flatten);
    let shape = |(index, shape): (usize, &[usize])| match *shape {
        [channels, height, width] if index > 0 || !only_flattened => (channels, [height, width]),
        _ => (shape.iter().product(), [1, 1]),
    };
    let shapes = nodes.iter().map(|node| node.shape.as_slice());
    shapes.enumerate().map(shape).collect()
}

/// Classes of units that live or die together, as a forest (union-find).
struct Ties {
    parents: Vec<u32>,
    /// The first unit of each node.
    starts: Vec<usize>,
}

impl Ties {
    /// Creates one class per unit.
    fn new(shapes: &[(usize, [usize; 2])]) -> Self {
        let mut starts = vec![0];
        for (units, _) in shapes {
            starts.push(starts[starts.len() - 1] + units);
        }
        let all = starts[shapes.len()] as u32;
        Self {
            parents: (0..all).collect(),
            starts,
        }
    }

    /// Returns the representative of the class of `unit` of `node`.
    fn root(&mut self, (node, unit): (usize, usize)) -> usize {
        let mut at = self.starts[node] + unit;
        while self.parents[at] as usize != at {
            self.parents[at] = self.parents[self.parents[at] as usize];
            at = self.parents[at] as usize;
        }
        at
    }

    /// Joins the classes of two units.
    fn join(&mut self, a: (usize, usize), b: (usize, usize)) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b) as u32;
    }
}
