//! Curves of effective against direct compression (paper, figure 1).
//!
//! One sweep over the whole ordering computes the budget at which each connection becomes
//! effective. Counting births and these budgets yields the number of direct and of effective
//! weights at every budget.

use std::fmt::Write;

use super::compression::Compression;
use super::effective;
use super::ordering::Ordering;
use super::paths::Connection;
use super::units::Mode;
use crate::graph::Graph;

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Point {
    /// The number of weights in the mask.
    pub direct: usize,
    /// The number of effective weights among them.
    pub effective: usize,
}

/// The curve of a pruner.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The pruner's name.
    pub pruner: String,
    /// The number of all weights, N.
    pub total: usize,
    /// The points, by descending number of weights in the mask.
    pub points: Vec<Point>,
    /// Whether the network is disconnected beyond the last point. If not, the curve ends where the
    /// quota stops being valid, or at the requested end.
    pub falls_apart: bool,
}

/// The number of points per factor of ten in compression.
const POINTS_A_DECADE: usize = 50;

impl Curve {
    /// Computes the curve of `ordering`, with points evenly spaced in the logarithm of the
    /// compression.
    ///
    /// The curve ends at the direct compression `most`, at the last connected mask, or at the last
    /// mask for which the quota is valid, whichever comes first.
    pub fn new(
        graph: &Graph,
        ordering: &Ordering,
        pruner: &str,
        mode: Mode,
        most: Compression,
    ) -> Self {
        let most = most.get();
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
                // The last connected mask lies between two steps.
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

    /// Returns the direct and the effective compression of each point.
    pub fn compressions(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let total = self.total as f64;
        let compressions =
            move |point: &Point| (total / point.direct as f64, total / point.effective as f64);
        self.points.iter().map(compressions)
    }
}

/// Returns, for each number from 0 to `most`, how many `connections` have at most that value.
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

/// The header of the CSV file of curves.
pub const HEADER: &str = "pruner,direct,effective,direct_compression,effective_compression\n";

/// Formats `curves` as CSV, one line per point.
pub fn csv(curves: &[Curve]) -> String {
    let mut text = String::from(HEADER);
    for curve in curves {
        for (point, (direct, effective)) in curve.points.iter().zip(curve.compressions()) {
            let Curve { pruner, .. } = curve;
            // Writing to a string cannot fail.
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
    use crate::pruning::compression::Target;
    use crate::pruning::ordering::Rounding;
    use crate::pruning::quota::Quota;
    use crate::pruning::score::random;
    use crate::pruning::search;

    #[test]
    fn points_are_the_counts_of_their_masks() {
        let graph = architecture::multilayer("toy", [1, 4, 4], &[20, 12, 5]).unwrap();
        let tensors = graph.prunable();
        let scores = random::scores(&tensors, 3);
        for ordering in [
            Ordering::global(&tensors, scores.clone()).unwrap(),
            Ordering::by_quota(&tensors, scores, Quota::Igq, Rounding::HalfToEven).unwrap(),
        ] {
            let curve = Curve::new(
                &graph,
                &ordering,
                "random",
                Mode::Exact,
                Compression::new(1e5).unwrap(),
            );
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
            let short = Curve::new(
                &graph,
                &ordering,
                "random",
                Mode::Exact,
                Compression::new(4.0).unwrap(),
            );
            assert!(!short.falls_apart && curve.points.starts_with(&short.points));
            // The curve ends where the effective search does.
            let far = Compression::of(graph.total(), graph.shortest_path());
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
