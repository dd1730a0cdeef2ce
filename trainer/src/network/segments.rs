//! Divides a graph into segments, between which a backward pass keeps values.
//!
//! A segment is a range of nodes that ends after a ReLU, because its result is what both the next
//! convolution and a residual addition read. Backpropagation through a segment stores the values
//! kept before it, the values of its own nodes, and some gradients. If all segments are as short
//! as possible, the most demanding of them determines the peak of memory; each segment is then
//! made as long as this peak allows. Thus fewer values are kept, and the last segment, which is
//! computed only once, is the longest.

use std::ops::Range;

use super::forward::all_readers;
use crate::graph::{Graph, Operation};

/// The size of values, in bytes, up to which a graph is one segment, so that nothing is computed
/// twice.
const UNDIVIDED: usize = 1 << 28;

/// The number of gradients of the largest value that backpropagation stores at once: that of a
/// result, two of a sum, and one that is being added.
const GRADIENTS: usize = 4;

/// The memory that a value takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// Bytes of a kept value per batch.
    pub(super) kept: usize,
    /// Bytes that backpropagation stores for a value per batch, including those of its operator.
    pub(super) tracked: usize,
}

/// The places where a graph can be cut.
struct Cuts {
    /// The first node of each smallest segment, ascending from 0.
    starts: Vec<usize>,
    /// For each start, the number of values kept while its segment is computed, if the graph is cut
    /// at every earlier start.
    kept: Vec<usize>,
    /// The number of values of each node; 0 for views of others.
    sizes: Vec<usize>,
    cost: Cost,
}

/// Returns the segments of `graph`, in order; they cover its nodes.
pub(super) fn of(graph: &Graph, cost: Cost) -> Vec<Range<usize>> {
    within(graph, cost, UNDIVIDED)
}

/// Returns the segments of `graph`: a single one if that takes at most `undivided` bytes.
pub(super) fn within(graph: &Graph, cost: Cost, undivided: usize) -> Vec<Range<usize>> {
    let cuts = Cuts::of(graph, cost);
    let mut end = graph.nodes().len();
    let ends = cuts.starts[1..].iter().copied().chain([end]);
    let smallest = (0..).zip(ends).map(|(at, end)| cuts.peak(at, end));
    let limit = smallest.max().unwrap_or(0).max(undivided);
    let mut segments = Vec::new();
    while end > 0 {
        let first = (0..cuts.starts.len()).find(|&at| cuts.peak(at, end) <= limit);
        let start = cuts.starts[first.expect("the smallest segments are within the limit")];
        segments.push(start..end);
        end = start;
    }
    segments.reverse();
    segments
}

impl Cuts {
    /// Returns the cuts of `graph`.
    fn of(graph: &Graph, cost: Cost) -> Self {
        let nodes = graph.nodes();
        let size = |node: &crate::graph::Node| match node.operation {
            Operation::Input | Operation::Flatten => 0,
            _ => node.shape.iter().product(),
        };
        let sizes: Vec<usize> = nodes.iter().map(size).collect();
        let is_relu = |node: &crate::graph::Node| {
            matches!(node.operation, Operation::Relu | Operation::Relu6)
        };
        let after_relus = (1..nodes.len()).filter(|&at| is_relu(&nodes[at - 1]));
        let starts: Vec<usize> = std::iter::once(0).chain(after_relus).collect();
        let readers = all_readers(graph);
        let mut is_kept = vec![false; nodes.len()];
        let mut total = 0;
        let kept = starts.iter().map(|&start| {
            for node in 0..start {
                if !is_kept[node] && readers[node].is_some_and(|reader| reader >= start) {
                    is_kept[node] = true;
                    total += sizes[node];
                }
            }
            total
        });
        Self {
            kept: kept.collect(),
            starts,
            sizes,
            cost,
        }
    }

    /// Returns the bytes that backpropagation through the nodes from the cut `at` to `end` takes.
    fn peak(&self, at: usize, end: usize) -> usize {
        let sizes = match self.starts[at] < end {
            true => &self.sizes[self.starts[at]..end],
            // A segment is not empty.
            false => return usize::MAX,
        };
        let largest = sizes.iter().max().copied().unwrap_or(0);
        (self.kept[at] + GRADIENTS * largest) * self.cost.kept
            + sizes.iter().sum::<usize>() * self.cost.tracked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::architecture;

    const COST: Cost = Cost {
        kept: 4,
        tracked: 4,
    };

    #[test]
    fn a_small_graph_is_one_segment() {
        let graph = architecture::by_name("lenet-5").unwrap();
        assert_eq!(
            of(&graph, COST),
            std::iter::once(0..graph.nodes().len()).collect::<Vec<_>>()
        );
    }

    /// Checks the peak of ResNet-18 by hand: the second half of its second block, in units of the
    /// 64 maps of 64 x 64. Four ReLUs are kept; the segment has a convolution, two norms, a sum
    /// and a ReLU; and there are four gradients.
    #[test]
    fn segments_take_what_the_most_demanding_of_them_takes() {
        let graph = architecture::by_name("resnet-18").unwrap();
        let segments = within(&graph, COST, 0);
        let cuts = Cuts::of(&graph, COST);
        let unit = 64 * 64 * 64 * 4;
        let mut end = 0;
        for segment in &segments {
            assert_eq!(segment.start, end);
            end = segment.end;
            let at = cuts.starts.binary_search(&segment.start).unwrap();
            assert!(cuts.peak(at, end) <= (4 + 5 + 4) * unit);
        }
        assert_eq!(end, graph.nodes().len());
        assert!(segments.len() > 4, "{segments:?}");
        // The last segment is computed once: it is not the shortest possible.
        let last = segments.last().unwrap();
        assert!(last.len() > 9, "{segments:?}");
    }
}
