//! Pareto optimality: which of several networks no other one surpasses.

/// What a network is worth and what it costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// Accuracy, 0 to 1.
    pub(super) accuracy: f64,
    /// Bytes of the container.
    pub(super) bytes: usize,
    /// Median cost of an inference; the same number for all points if nothing was run.
    pub(super) cost: u64,
}

/// Returns for each of `points` whether it is optimal: no other point is at least as good in all
/// three respects and better in one. Equal points are both optimal, or neither is.
pub(super) fn optimal(points: &[Point]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&points[a], &points[b]);
        let costs = |point: &Point| (point.bytes, point.cost);
        (b.accuracy.total_cmp(&a.accuracy)).then(costs(a).cmp(&costs(b)))
    });
    // In this order no point is surpassed by a later one. Surpassing is transitive, so it is
    // enough to compare each point with the optimal ones before it.
    let mut found: Vec<Point> = Vec::new();
    let mut optimal = vec![false; points.len()];
    for index in order {
        let point = points[index];
        let surpasses = |other: &Point| {
            *other != point && other.bytes <= point.bytes && other.cost <= point.cost
        };
        if !found.iter().any(surpasses) {
            found.push(point);
            optimal[index] = true;
        }
    }
    optimal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Returns whether `points[index]` is optimal, directly by the definition.
    fn by_definition(points: &[Point], index: usize) -> bool {
        let it = points[index];
        !points.iter().any(|other| {
            let as_good =
                other.accuracy >= it.accuracy && other.bytes <= it.bytes && other.cost <= it.cost;
            let better =
                other.accuracy > it.accuracy || other.bytes < it.bytes || other.cost < it.cost;
            as_good && better
        })
    }

    #[test]
    fn random_tables_have_the_marks_of_the_definition() {
        let mut random = Random::new(13);
        let (mut marked, mut all) = (0, 0);
        for round in 0..2_000 {
            // Few values make many ties; a table of one value has equal points only.
            let values = 1 + round % 7;
            let mut below = || random.below(values) as usize;
            let points: Vec<Point> = (0..1 + round % 23)
                .map(|_| Point {
                    accuracy: below() as f64 / 8.0,
                    bytes: below(),
                    cost: below() as u64,
                })
                .collect();
            let expected: Vec<bool> = (0..points.len())
                .map(|index| by_definition(&points, index))
                .collect();
            assert_eq!(optimal(&points), expected, "{points:?}");
            marked += expected.iter().filter(|&&optimal| optimal).count();
            all += points.len();
        }
        assert!(marked > all / 10 && marked < all, "{marked} of {all}");
        assert!(optimal(&[]).is_empty());
    }
}
