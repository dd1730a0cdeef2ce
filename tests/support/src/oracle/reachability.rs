//! Effective masks by boolean reachability, unit by unit (paper, section 3).
//!
//! A network is a set of links between units, one link per use of a weight. In exact mode, a unit
//! is one position of one channel, so a kernel weight has a link for each output position at which
//! it does not read padding. In graph mode, a unit is a channel, and a kernel weight links two
//! channels regardless of its tap; flattening turns every pixel of a channel into a unit. A weight
//! is active if it is kept and one of its links leads from a unit reachable from the input to a
//! unit that reaches the output.

use rarefy_trainer::graph::window::Window;
use rarefy_trainer::graph::{Graph, Node, Operation};
use rarefy_trainer::pruning::effective::Mode;

use super::PerLayer;

/// One use of a weight. In an operation without weights `weight` is 0.
pub struct Link {
    /// The weight, by its flat index in the tensor.
    pub weight: usize,
    /// The node that is read.
    pub source: usize,
    /// The unit of that node.
    pub from: usize,
    /// The unit that reads.
    pub to: usize,
}

/// Returns which of the weights that `masks` keep are active.
pub fn effective(graph: &Graph, masks: &[Vec<bool>], mode: Mode) -> PerLayer<bool> {
    let nodes = graph.nodes();
    let tensors = graph.prunable();
    let mask_of = |index: usize| -> Option<&[bool]> {
        let place = tensors.iter().position(|tensor| tensor.node == index)?;
        Some(&masks[place])
    };
    let dead = |node: &Node| vec![false; units(node, mode)];

    let mut reached: PerLayer<bool> = nodes.iter().map(dead).collect();
    reached[0].fill(true);
    for index in 0..nodes.len() {
        let mut live = dead(&nodes[index]);
        links(graph, index, mask_of(index), mode, &mut |link| {
            live[link.to] |= reached[link.source][link.from];
        });
        if index > 0 {
            reached[index] = live;
        }
    }

    let mut reaching: PerLayer<bool> = nodes.iter().map(dead).collect();
    reaching[nodes.len() - 1].fill(true);
    for index in (0..nodes.len()).rev() {
        let live = reaching[index].clone();
        links(graph, index, mask_of(index), mode, &mut |link| {
            reaching[link.source][link.from] |= live[link.to];
        });
    }

    tensors
        .iter()
        .zip(masks)
        .map(|(tensor, mask)| {
            let mut active = vec![false; mask.len()];
            links(graph, tensor.node, Some(mask), mode, &mut |link| {
                active[link.weight] |=
                    reached[link.source][link.from] && reaching[tensor.node][link.to];
            });
            active
        })
        .collect()
}

/// Counts the units of the output of `node`.
fn units(node: &Node, mode: Mode) -> usize {
    match mode {
        Mode::Exact => node.shape.iter().product(),
        Mode::Graph => node.shape[0],
    }
}

/// Calls `visit` with every link of node `index` whose weight `mask` keeps.
pub fn links(
    graph: &Graph,
    index: usize,
    mask: Option<&[bool]>,
    mode: Mode,
    visit: &mut dyn FnMut(Link),
) {
    let node = &graph.nodes()[index];
    let kept = |weight: usize| mask.is_none_or(|mask| mask[weight]);
    for &source in &node.sources {
        let before = &graph.nodes()[source];
        let mut link = |weight, from, to| {
            visit(Link {
                weight,
                source,
                from,
                to,
            });
        };
        match (node.operation, mode) {
            (Operation::Dense { units, .. }, _) => {
                let inputs = before.shape[0];
                for weight in (0..units * inputs).filter(|&weight| kept(weight)) {
                    link(weight, weight % inputs, weight / inputs);
                }
            }
            (Operation::Conv { window, groups, .. }, _) => {
                // Each group has a kernel of its own, one after another.
                let [inputs, outputs] = [before, node].map(|node| node.shape[0] / groups);
                let area = window.size[0] * window.size[1];
                let all = groups * outputs * inputs * area;
                for weight in (0..all).filter(|&weight| kept(weight)) {
                    let group = weight / (outputs * inputs * area);
                    let (channels, tap) = (weight / area % (outputs * inputs), weight % area);
                    let input = group * inputs + channels % inputs;
                    let output = group * outputs + channels / inputs;
                    if mode == Mode::Graph {
                        link(weight, input, output);
                        continue;
                    }
                    reads(window, tap, &before.shape, &node.shape, &mut |from, to| {
                        let (from_plane, to_plane) = (plane(before), plane(node));
                        link(weight, input * from_plane + from, output * to_plane + to);
                    });
                }
            }
            (Operation::Pool { window, .. }, Mode::Exact) => {
                for channel in 0..node.shape[0] {
                    for tap in 0..window.size[0] * window.size[1] {
                        reads(window, tap, &before.shape, &node.shape, &mut |from, to| {
                            let (from_plane, to_plane) = (plane(before), plane(node));
                            link(0, channel * from_plane + from, channel * to_plane + to);
                        });
                    }
                }
            }
            (Operation::Flatten, Mode::Graph) => {
                for unit in 0..node.shape[0] {
                    link(0, unit / plane(before), unit);
                }
            }
            _ => (0..units(node, mode)).for_each(|unit| link(0, unit, unit)),
        }
    }
}

/// Counts the positions of a channel of the output of `node`.
fn plane(node: &Node) -> usize {
    node.shape[1..].iter().product()
}

/// Calls `visit` with each pair of an input position that `tap` reads and the output position that
/// it then contributes to, both within a channel.
fn reads(
    window: Window,
    tap: usize,
    input: &[usize],
    output: &[usize],
    visit: &mut dyn FnMut(usize, usize),
) {
    let at = |axis: usize, out: usize, tap: usize| -> Option<usize> {
        let position = (out * window.stride[axis] + tap) as isize - window.before[axis] as isize;
        (0..input[axis + 1] as isize)
            .contains(&position)
            .then_some(position as usize)
    };
    for y in 0..output[1] {
        for x in 0..output[2] {
            let row = at(0, y, tap / window.size[1]);
            let column = at(1, x, tap % window.size[1]);
            if let (Some(row), Some(column)) = (row, column) {
                visit(row * input[2] + column, y * output[2] + x);
            }
        }
    }
}

/// Returns the smallest number of weights on a path from input to output.
pub fn shortest_path(graph: &Graph) -> usize {
    let mut fewest: Vec<usize> = Vec::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        let before = node.sources.iter().map(|&source| fewest[source]).min();
        fewest.push(before.unwrap_or(0) + usize::from(graph.kernel_shape(index).is_some()));
    }
    fewest[fewest.len() - 1]
}

/// Returns which weights are on some path of kept weights, by walking every path, which is only
/// feasible for tiny networks.
pub fn on_some_path(graph: &Graph, masks: &[Vec<bool>], mode: Mode) -> PerLayer<bool> {
    let tensors = graph.prunable();
    // A link out of a unit: (tensor and weight, if any; node; unit).
    type Step = (Option<(usize, usize)>, usize, usize);
    let leave = |node: &Node| vec![Vec::<Step>::new(); units(node, mode)];
    let mut leaving: Vec<Vec<Vec<Step>>> = graph.nodes().iter().map(leave).collect();
    for index in 0..graph.nodes().len() {
        let tensor = tensors.iter().position(|tensor| tensor.node == index);
        let mask = tensor.map(|tensor| masks[tensor].as_slice());
        links(graph, index, mask, mode, &mut |link| {
            let weight = tensor.map(|tensor| (tensor, link.weight));
            leaving[link.source][link.from].push((weight, index, link.to));
        });
    }

    /// Walks all paths from the unit `at` (node, unit) to the output, and marks their weights in
    /// `found`. `path` lists the weights walked so far.
    fn walk(
        leaving: &[Vec<Vec<Step>>],
        at: (usize, usize),
        path: &mut Vec<(usize, usize)>,
        found: &mut PerLayer<bool>,
    ) {
        if at.0 + 1 == leaving.len() {
            for &(tensor, weight) in path.iter() {
                found[tensor][weight] = true;
            }
        }
        for &(weight, node, unit) in &leaving[at.0][at.1] {
            path.extend(weight);
            walk(leaving, (node, unit), path, found);
            if weight.is_some() {
                path.pop();
            }
        }
    }
    let mut found: PerLayer<bool> = masks.iter().map(|mask| vec![false; mask.len()]).collect();
    for unit in 0..leaving[0].len() {
        walk(&leaving, (0, unit), &mut Vec::new(), &mut found);
    }
    found
}

#[test]
fn reachability_matches_hand_computed_cases() {
    use rarefy_trainer::graph::{Padding, Pooling, architecture};

    // Two inputs, two hidden units, one output: hidden unit 1 has no input, and hidden unit 0
    // reaches the output.
    let graph = architecture::multilayer("toy", [1, 1, 2], &[2, 1]).unwrap();
    let masks = [vec![true, false, false, false], vec![true, true]];
    for mode in [Mode::Exact, Mode::Graph] {
        let active = effective(&graph, &masks, mode);
        assert_eq!(active, [vec![true, false, false, false], vec![true, false]]);
    }
    assert_eq!(shortest_path(&graph), 2);

    // A 1 x 3 map and a 3 x 3 kernel with padding 1: only the kernel's middle row reads the map.
    // Pooling with size 1 and stride 2 keeps columns 0 and 2, which together use all three taps of
    // that row.
    let mut graph = Graph::new("toy", [1, 1, 3]);
    let window = Window::new(3, 1, Padding::Each(1), [1, 3]).unwrap();
    let conv = Operation::Conv {
        channels: 1,
        window,
        groups: 1,
        bias: true,
    };
    graph.push("conv1", conv).unwrap();
    let window = Window {
        size: [1; 2],
        stride: [2; 2],
        before: [0; 2],
        after: [0; 2],
    };
    let kind = Pooling::Max;
    let pool = Operation::Pool { kind, window };
    graph.push("pool1", pool).unwrap();
    graph.push("flatten", Operation::Flatten).unwrap();
    let dense = Operation::Dense {
        units: 1,
        bias: true,
    };
    graph.push("fc1", dense).unwrap();
    let all = [vec![true; 9], vec![true; 2]];
    let row: Vec<bool> = (0..9).map(|tap| tap / 3 == 1).collect();
    assert_eq!(effective(&graph, &all, Mode::Exact), [row, vec![true; 2]]);
    assert_eq!(effective(&graph, &all, Mode::Graph), all);
    // The left tap alone reads padding for output column 0, and input column 1 for output column 2.
    let left = [(0..9).map(|tap| tap == 3).collect(), vec![true; 2]];
    let active = effective(&graph, &left, Mode::Exact);
    assert_eq!(active[1], [false, true]);
}
