//! The one-pass search finds what bisection finds: the same direct and the same effective mask.
//!
//! The oracle counts exactly, so there is no tolerance anywhere.

use rarefy_trainer::pruning::PruneError;
use rarefy_trainer::pruning::search::{Target, prune};
use rarefy_trainer::random::Random;

use crate::oracle::{self, reachability};
use crate::samples::{Sample, bits};

/// Compressions worth asking of a network of `total` weights: nothing pruned, whole targets,
/// targets that N divides exactly, anything between, and too much.
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
fn every_prefix_is_the_mask_of_its_budget() {
    for sample in Sample::all(60, 12) {
        let total = sample.family.total();
        let valid = sample.family.valid().unwrap();
        let budgets = sample.ordering.budgets();
        let label = sample.label();
        assert_eq!(*budgets.end() as usize, total - valid.start(), "{label}");
        // A budget of no weight at all is none.
        let lowest = (total - valid.end()).max(1);
        assert_eq!(*budgets.start() as usize, lowest, "{label}");
        for budget in budgets {
            let k = total - budget as usize;
            let found = bits(&sample.ordering.prefix(budget));
            assert!(
                found == sample.family.mask(k),
                "{label} without {k} of {total}: layers keep {:?}, expected to lose {:?}",
                found
                    .iter()
                    .map(|layer| layer.iter().filter(|&&b| b).count())
                    .collect::<Vec<_>>(),
                sample.family.removed(k)
            );
        }
    }
}

/// What the definitions say of effective pruning to one compression.
enum Expected {
    /// The mask without so many weights, and whether its compression is below the wanted one and the
    /// next mask has no path any more.
    Without { k: usize, collapsed: bool },
    /// Fewer weights than any path has; the fewest that this pruner leaves connected, if any.
    TooFew { fewest: usize },
    /// More weights than the quota leaves effective where it begins to be valid: so many.
    TooDense { most: usize },
    /// Fewer weights than the quota leaves effective where it ends to be valid: so many.
    TooSparse { fewest: usize },
}

fn expected(sample: &Sample, compression: f64) -> Expected {
    let family = &sample.family;
    let valid = family.valid().unwrap();
    let active = |k: usize| oracle::count(&family.effective(k));
    let total = family.total();
    let wanted = oracle::wanted(total, compression);
    let k = family.search(compression);
    // What leaves so many weights, rounded up to two decimals.
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
fn one_pass_finds_what_bisection_finds() {
    let (mut found, mut fallen, mut few, mut dense, mut sparse) = (0, 0, 0, 0, 0);
    for (index, sample) in Sample::all(300, 30).enumerate() {
        let mut random = Random::stream(index as u64, "compressions");
        let total = sample.family.total();
        for compression in compressions(&mut random, total) {
            let label = format!("{} to {compression}", sample.label());
            let (graph, ordering) = (&sample.graph, &sample.ordering);
            let searched = prune(graph, ordering, Target::Effective, compression, "a/pruner");
            let of_total = |kept: usize| total as f64 / kept as f64;
            match (expected(&sample, compression), searched) {
                (Expected::Without { k, collapsed }, Ok(outcome)) => {
                    let direct = bits(&outcome.direct) == sample.family.mask(k);
                    assert!(direct, "{label}: direct masks differ");
                    let effective = bits(&outcome.effective) == sample.family.effective(k);
                    assert!(effective, "{label}: effective masks differ");
                    assert_eq!(outcome.collapsed, collapsed, "{label}");
                    found += 1;
                    fallen += usize::from(collapsed);
                }
                (
                    Expected::TooFew { fewest },
                    Err(PruneError::Disconnected {
                        pruner,
                        kind,
                        compression: asked,
                        reachable,
                    }),
                ) => {
                    assert_eq!((pruner.as_str(), kind), ("a/pruner", "effective"));
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
                (_, Ok(_)) => panic!("{label}: not refused"),
                (_, Err(error)) => panic!("{label}: {error}"),
            }
        }
    }
    assert!(
        found > 4000 && fallen > 200 && few > 500 && dense > 50 && sparse > 3,
        "{found} found, of which {fallen} fell apart, {few}, {dense} and {sparse} refused"
    );
}
