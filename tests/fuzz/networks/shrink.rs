//! Makes a failing network smaller.

use rarefy_trainer::graph::Graph;

use super::build;
use super::check::{Counts, Fault, checked};
use super::plan::{MaskKind, Plan, StepKind, Tail, Zeros};

/// The maximum number of networks tried.
const TRIES: usize = 300;

/// Returns the smallest plan found that fails at the step of `fault`, and its fault.
#[must_use]
pub(crate) fn shrink(plan: &Plan, fault: &Fault) -> (Plan, Fault) {
    let (mut smallest, mut found) = (plan.clone(), fault.clone());
    let mut tries = 0;
    'smaller: loop {
        for candidate in candidates(&smallest) {
            if size(&candidate) >= size(&smallest) {
                continue;
            }
            tries += 1;
            if tries > TRIES {
                return (smallest, found);
            }
            match checked(&candidate, &mut Counts::default()) {
                Err(other) if other.step == fault.step => {
                    (smallest, found) = (candidate, other);
                    continue 'smaller;
                }
                _ => {}
            }
        }
        return (smallest, found);
    }
}

/// Returns the sizes to reduce, most important first: exports, nodes, weights and elements, special
/// properties.
fn size(plan: &Plan) -> [usize; 4] {
    let graph: Graph = build::graph(plan);
    let elements: usize = graph
        .nodes()
        .iter()
        .map(|node| node.shape.iter().product::<usize>())
        .sum();
    let special = usize::from(plan.odd_units)
        + usize::from(plan.mask != MaskKind::Dense)
        + usize::from(plan.pixels.0 != 0.0)
        + plan.steps.iter().filter(|step| step.back > 0).count();
    [
        plan.exports.len(),
        graph.nodes().len(),
        graph.total() + elements,
        special,
    ]
}

/// Returns plans that may be smaller.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut candidates = Vec::new();
    let mut with = |change: &dyn Fn(&mut Plan)| {
        let mut changed = plan.clone();
        change(&mut changed);
        candidates.push(changed);
    };
    for export in 0..plan.exports.len() {
        with(&|plan| plan.exports = vec![plan.exports[export]]);
    }
    with(&|plan| plan.exports.clear());
    for step in 0..plan.steps.len() {
        with(&|plan| {
            plan.steps.remove(step);
        });
    }
    for step in 0..plan.steps.len() {
        for kind in simpler(plan.steps[step].kind) {
            with(&|plan| plan.steps[step].kind = kind);
        }
        with(&|plan| plan.steps[step].back = 0);
    }
    with(&|plan| plan.norm = false);
    with(&|plan| plan.classes = 1);
    with(&|plan| plan.classes = 2);
    with(&|plan| plan.odd_units = false);
    with(&|plan| plan.mask = MaskKind::Dense);
    with(&|plan| plan.pixels = (0.0, 0.5));
    for axis in 0..3 {
        with(&|plan| plan.input[axis] = 1);
        with(&|plan| plan.input[axis] = plan.input[axis].div_ceil(2));
        with(&|plan| plan.input[axis] = (plan.input[axis] - 1).max(1));
    }
    candidates
}

/// Returns two simpler tails: `tail` without its batch norm, and `tail` without its bias.
fn simpler_tails(tail: Tail) -> [Tail; 2] {
    let norm = Tail {
        norm: false,
        ..tail
    };
    let bias = Tail {
        bias: false,
        ..tail
    };
    [norm, bias]
}

/// Returns simpler kinds of step that may replace `kind`.
fn simpler(kind: StepKind) -> Vec<StepKind> {
    match kind {
        StepKind::Conv {
            channels,
            size,
            stride,
            zeros,
            tail,
        } => {
            let conv = |channels, size, zeros, tail| StepKind::Conv {
                channels,
                size,
                stride,
                zeros,
                tail,
            };
            let mut simpler = vec![
                conv(1, size, zeros, tail),
                conv(channels.div_ceil(2), size, zeros, tail),
                conv(channels, 1, zeros, tail),
                conv(channels, size, Zeros::Valid, tail),
            ];
            simpler.extend(simpler_tails(tail).map(|tail| conv(channels, size, zeros, tail)));
            simpler
        }
        StepKind::Dense { units, tail } => {
            let dense = |units, tail| StepKind::Dense { units, tail };
            let mut simpler = vec![dense(1, tail), dense(units.div_ceil(2), tail)];
            simpler.extend(simpler_tails(tail).map(|tail| dense(units, tail)));
            simpler
        }
        StepKind::Block {
            channels,
            stride,
            depth,
            shortcut,
            tail,
        } => {
            let block = |channels, depth, tail| StepKind::Block {
                channels,
                stride,
                depth,
                shortcut,
                tail,
            };
            let mut simpler = vec![block(1, depth, tail), block(channels, 1, tail)];
            simpler.extend(simpler_tails(tail).map(|tail| block(channels, depth, tail)));
            simpler
        }
        StepKind::Add { other, .. } => vec![StepKind::Add { other, relu: false }],
        StepKind::Pool { .. } | StepKind::Norm | StepKind::Relu => Vec::new(),
    }
}
