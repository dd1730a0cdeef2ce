//! Tests the effective search: selection over births must find the direct and effective masks that
//! bisection finds.
//!
//! The oracle counts in integers, so comparisons need no tolerance.

use rarefy_trainer::pruning::search::prune;
use rarefy_trainer::pruning::{PruneError, Target};
use rarefy_trainer::random::Random;

use crate::oracle::{self, reachability};
use crate::samples::{Sample, bits, to};

/// Draws compressions for a network of `total` weights: 1, integers, one that keeps an integer
/// number of weights, an arbitrary one, and one that is too high.
fn compressions(random: &mut Random, total: usize) -> Vec<f64> {
    let kept = 1 + random.below(total as u64);
    let anything = (total as f64).powf(random.unit());
    vec![
        1.0,
        2.0,
        10.0,
        total as f64 / kept as f64,
        anything,
        2.0 * total as f64,
    ]
}

#[test]
fn every_prefix_is_the_mask_of_its_budget_by_definition() {
    for sample in Sample::all(60, 12) {
        let total = sample.family.total();
        let valid = sample.family.valid().unwrap();
        let budgets = sample.ordering.budgets();
        let label = sample.label();
        assert_eq!(*budgets.end() as usize, total - valid.start(), "{label}");
        // The budget 0, an empty mask, is not valid.
        let lowest = (total - valid.end()).max(1);
        assert_eq!(*budgets.start() as usize, lowest, "{label}");
        for budget in budgets {
            let k = total - budget as usize;
            let found = bits(&sample.ordering.prefix(budget));
            assert!(
                found == sample.family.mask(k),
                "{label} without {k} of {total}: layers keep {:?}, but should lose {:?}",
                found
                    .iter()
                    .map(|layer| layer.iter().filter(|&&b| b).count())
                    .collect::<Vec<_>>(),
                sample.family.removed(k)
            );
        }
    }
}

/// The outcome of effective pruning to a compression, by definition.
enum Expected {
    /// The family's mask that removes `k` weights. `collapsed` tells whether its compression is
    /// below the requested one and the next mask has no path.
    Without { k: usize, collapsed: bool },
    /// The target is below the length of any path; `fewest` is the number of weights in the
    /// smallest nonempty effective mask of the pruner, or 0.
    TooFew { fewest: usize },
    /// The target exceeds `most`, the number of effective weights at the largest valid budget.
    TooDense { most: usize },
    /// The target is below `fewest`, the number of effective weights at the smallest valid budget.
    TooSparse { fewest: usize },
}

/// Returns the outcome for `sample` by definition.
fn expected(sample: &Sample, compression: f64) -> Expected {
    let family = &sample.family;
    let valid = family.valid().unwrap();
    let active = |k: usize| oracle::count(&family.effective(k));
    let total = family.total();
    let wanted = oracle::wanted(total, compression);
    let k = family.search(compression);
    // The compression that keeps `kept` weights is rounded up to two decimals.
    let beyond = |kept: usize| compression > (100 * total).div_ceil(kept.max(1)) as f64 / 100.0;
    if beyond(reachability::shortest_path(&sample.graph)) || active(*valid.start()) == 0 {
        let last = family.search(2.0 * total as f64);
        return Expected::TooFew {
            fewest: active(last),
        };
    }
    if active(k) < wanted && *valid.start() > 0 {
        return Expected::TooDense { most: active(k) };
    }
    let more = beyond(active(k));
    if more && k == *valid.end() && k + 1 < total {
        return Expected::TooSparse { fewest: active(k) };
    }
    let collapsed = more && (k + 1 == total || active(k + 1) == 0);
    Expected::Without { k, collapsed }
}

#[test]
fn selection_over_births_finds_what_bisection_finds() {
    let (mut found, mut collapses, mut few, mut dense, mut sparse) = (0, 0, 0, 0, 0);
    for (index, sample) in Sample::all(300, 30).enumerate() {
        let mut random = Random::stream(index as u64, "compressions");
        let total = sample.family.total();
        for compression in compressions(&mut random, total) {
            let label = format!("{} to {compression}", sample.label());
            let (graph, ordering) = (&sample.graph, &sample.ordering);
            let searched = prune(
                graph,
                ordering,
                Target::Effective,
                to(compression),
                "a/pruner",
            );
            let of_total = |kept: usize| total as f64 / kept as f64;
            match (expected(&sample, compression), searched) {
                (Expected::Without { k, collapsed }, Ok(outcome)) => {
                    let direct = bits(&outcome.direct) == sample.family.mask(k);
                    assert!(direct, "{label}: direct masks differ");
                    let effective = bits(&outcome.effective) == sample.family.effective(k);
                    assert!(effective, "{label}: effective masks differ");
                    assert_eq!(outcome.collapsed, collapsed, "{label}");
                    found += 1;
                    collapses += usize::from(collapsed);
                }
                (
                    Expected::TooFew { fewest },
                    Err(PruneError::Disconnected {
                        pruner,
                        target,
                        compression: asked,
                        reachable,
                    }),
                ) => {
                    assert_eq!((pruner.as_str(), target), ("a/pruner", Target::Effective));
                    assert_eq!(asked, compression, "{label}");
                    assert_eq!(reachable, of_total(fewest), "{label}");
                    few += 1;
                }
                (Expected::TooDense { most }, Err(PruneError::TooDense { least, .. })) => {
                    assert_eq!(least, of_total(most), "{label}");
                    dense += 1;
                }
                (Expected::TooSparse { fewest }, Err(PruneError::TooSparse { most, .. })) => {
                    assert_eq!(most, of_total(fewest), "{label}");
                    sparse += 1;
                }
                (Expected::TooFew { fewest: 0 }, Err(PruneError::NeverConnected { .. })) => {}
                (_, Ok(_)) => panic!("{label}: not an error"),
                (_, Err(error)) => panic!("{label}: {error}"),
            }
        }
    }
    assert!(
        found > 4000 && collapses > 200 && few > 500 && dense > 50 && sparse > 3,
        "{found} found, of which {collapses} collapsed; {few}, {dense} and {sparse} errors"
    );
}
