//! The curve of a pruner: effective against direct compression, for every budget at once (paper,
//! figure 1).
//!
//! One sweep over the whole ordering gives the budget at which each connection becomes effective;
//! counting births and these budgets gives both numbers of weights wherever one looks.

use std::fmt::Write;

use super::units::Mode;
use super::{Connection, Ordering, effective};
use crate::graph::Graph;

/// One point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Point {
    /// Weights in the mask.
    pub direct: usize,
    /// Weights of it that are effective.
    pub effective: usize,
}

/// A pruner's curve, from all weights to few.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The pruner's name.
    pub pruner: String,
    /// Weights in all, N.
    pub total: usize,
    /// The points, by falling number of weights in the mask.
    pub points: Vec<Point>,
    /// Whether the network falls apart beyond the last point; else its quota ends there, or what
    /// was asked for does.
    pub falls_apart: bool,
}

/// Points to a factor of ten in compression.
const POINTS_A_DECADE: usize = 50;

impl Curve {
    /// The curve of `ordering`, evenly spaced in the logarithm of the compression, as far as a path
    /// from input to output is left and `most` (a direct compression) allows. The last point is the
    /// last connected mask, or the last that the quota is valid for, unless `most` ends it earlier.
    pub fn new(graph: &Graph, ordering: &Ordering, pruner: &str, mode: Mode, most: f64) -> Self {
        let total = ordering.total();
        let (least, all) = ordering.budgets().into_inner();
        let direct = ordering.first(all);
        let born = counts(&direct, all);
        let effective = counts(&effective::births(graph, direct, mode), all);
        let point = |budget: u32| Point {
            direct: born[budget as usize],
            effective: effective[budget as usize],
        };
        let mut points: Vec<Point> = Vec::new();
        let mut falls_apart = false;
        for step in 0.. {
            let compression = 10_f64.powf(step as f64 / POINTS_A_DECADE as f64);
            let budget = (total as f64 / compression).round() as u32;
            if compression > most {
                break;
            }
            if budget > all {
                continue;
            }
            if (budget < least && least > 1) || effective[budget as usize] == 0 {
                // The end lies between two steps.
                let connected = (least..=all).find(|&budget| effective[budget as usize] > 0);
                let end = connected.filter(|&end| total as f64 <= most * point(end).direct as f64);
                falls_apart = end.is_some_and(|end| end > least || least == 1);
                points.extend(end.map(point).filter(|end| points.last() != Some(end)));
                break;
            }
            if points.last() != Some(&point(budget)) {
                points.push(point(budget));
            }
        }
        Self {
            pruner: pruner.into(),
            total,
            points,
            falls_apart,
        }
    }

    /// Direct and effective compression of each point.
    pub fn compressions(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let total = self.total as f64;
        let compressions =
            move |point: &Point| (total / point.direct as f64, total / point.effective as f64);
        self.points.iter().map(compressions)
    }
}

/// How many of `connections` have each value or less, for 0 to `most`.
fn counts(connections: &[Vec<Connection<u32>>], most: u32) -> Vec<usize> {
    let mut counts = vec![0; most as usize + 1];
    for connection in connections.iter().flatten() {
        if let Some(count) = counts.get_mut(connection.value as usize) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for count in &mut counts {
        sum += *count;
        *count = sum;
    }
    counts
}

/// The first line of the numbers of curves.
pub const HEADER: &str = "pruner,direct,effective,direct_compression,effective_compression\n";

/// `curves` as CSV, one line a point.
pub fn csv(curves: &[Curve]) -> String {
    let mut text = String::from(HEADER);
    for curve in curves {
        for (point, (direct, effective)) in curve.points.iter().zip(curve.compressions()) {
            let Curve { pruner, .. } = curve;
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "{pruner},{},{},{direct:.4},{effective:.4}",
                point.direct, point.effective
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::architecture;
    use crate::pruning::ordering::Rounding;
    use crate::pruning::quota::Quota;
    use crate::pruning::score::random;
    use crate::pruning::search::{self, Target};

    #[test]
    fn points_are_the_counts_of_their_masks() {
        let graph = architecture::multilayer("toy", [1, 4, 4], &[20, 12, 5]).unwrap();
        let tensors = graph.prunable();
        let scores = random::scores(&tensors, 3);
        for ordering in [
            Ordering::global(&tensors, scores.clone()).unwrap(),
            Ordering::by_quota(&tensors, scores, Quota::Igq, Rounding::HalfToEven).unwrap(),
        ] {
            let curve = Curve::new(&graph, &ordering, "random", Mode::Exact, 1e5);
            assert_eq!(curve.points[0].direct, graph.total());
            assert_eq!(curve.points[0].effective, graph.total());
            assert!(curve.points.len() > 30, "{}", curve.points.len());
            for point in &curve.points {
                let mask = (1..=graph.total() as u32)
                    .map(|budget| ordering.prefix(budget))
                    .find(|mask| mask.nonzeros() == point.direct)
                    .unwrap();
                let effective = effective::masks(&graph, &mask, Mode::Exact);
                assert_eq!(effective.nonzeros(), point.effective);
            }
            assert!(curve.falls_apart);
            let short = Curve::new(&graph, &ordering, "random", Mode::Exact, 4.0);
            assert!(!short.falls_apart && curve.points.starts_with(&short.points));
            // It ends where the effective search does.
            let far = graph.total() as f64 / graph.shortest_path() as f64;
            let end = search::prune(&graph, &ordering, Target::Effective, far, "random").unwrap();
            let last = *curve.points.last().unwrap();
            let (direct, effective) = (end.direct.nonzeros(), end.effective.nonzeros());
            assert_eq!(last, Point { direct, effective });
            assert!(last.effective >= 3 && last.effective < 40, "{last:?}");
            assert_eq!(
                csv(std::slice::from_ref(&curve)).lines().count(),
                curve.points.len() + 1
            );
        }
    }
}
