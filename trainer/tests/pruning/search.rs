//! The one-pass search finds what bisection finds: the same direct and the same effective mask.
//!
//! The oracle counts exactly, so there is no tolerance anywhere. What a naive version in floating
//! point could not tell is which side of a half `s_l n_l` lies on at an exact tie (equal layers
//! under ideal gas, `n_l k / N` under uniform); it may then be one budget late or early.

use rarefy_trainer::pruning::search::{Target, prune};
use rarefy_trainer::pruning::{PruneError, effective};
use rarefy_trainer::random::Random;

use crate::oracle;
use crate::samples::{self, Sample, bits};

/// Compressions worth asking of a network of `total` weights: whole targets, targets that N
/// divides exactly, anything between, and too much.
fn compressions(random: &mut Random, total: usize) -> Vec<f64> {
    let kept = 1 + random.below(total as u64);
    let anything = (total as f64).powf(random.unit());
    vec![
        2.0,
        10.0,
        total as f64 / kept as f64,
        anything,
        2.0 * total as f64,
    ]
}

#[test]
fn every_prefix_is_the_mask_of_its_budget() {
    for sample in Sample::all(150, 12) {
        let total = sample.family.total();
        for k in 0..total {
            let found = bits(&sample.ordering.prefix((total - k) as u32));
            assert!(
                found == sample.family.mask(k),
                "{} without {k} of {total}: layers keep {:?}, expected to lose {:?}",
                sample.label(),
                found
                    .iter()
                    .map(|layer| layer.iter().filter(|&&b| b).count())
                    .collect::<Vec<_>>(),
                sample.family.removed(k)
            );
        }
    }
}

#[test]
fn effective_masks_are_what_boolean_reachability_says() {
    let mut connected = 0;
    for seed in 0..2000 {
        let mut random = Random::stream(seed, "reachability");
        let widths = samples::widths(&mut random, 40);
        let graph = samples::graph(&widths);
        let density = random.unit().powi(2);
        let direct: Vec<Vec<bool>> = oracle::sizes(&widths)
            .iter()
            .map(|&size| (0..size).map(|_| random.unit() < density).collect())
            .collect();
        let expected = oracle::effective(&widths, &direct);
        let found = bits(&effective::masks(&graph, &samples::masks(&graph, &direct)));
        assert!(found == expected, "{widths:?} at density {density}");
        let (direct, effective) = (oracle::count(&direct), oracle::count(&expected));
        connected += usize::from(effective > 0 && effective < direct);
    }
    assert!(connected > 400, "only {connected} masks were worth a test");
}

#[test]
fn one_pass_finds_what_bisection_finds() {
    let (mut found, mut refused) = (0, 0);
    for (index, sample) in Sample::all(400, 40).enumerate() {
        let mut random = Random::stream(index as u64, "compressions");
        let total = sample.family.total();
        for compression in compressions(&mut random, total) {
            let label = format!("{} to {compression}", sample.label());
            let k = sample.family.search(compression);
            let direct = sample.family.mask(k);
            let effective = oracle::effective(&sample.widths, &direct);
            let kept = oracle::count(&effective);
            let wanted = (total as f64 / compression - 1e-9 * total as f64).ceil() as usize;
            let next = oracle::effective(&sample.widths, &sample.family.mask(k + 1));
            let searched = prune(
                &sample.graph,
                &sample.ordering,
                Target::Effective,
                compression,
                sample.name,
            );
            match searched {
                Ok(outcome) => {
                    assert!(
                        bits(&outcome.direct) == direct,
                        "{label}: direct masks differ"
                    );
                    assert!(
                        bits(&outcome.effective) == effective,
                        "{label}: effective differ"
                    );
                    assert!(kept >= wanted, "{label}");
                    found += 1;
                }
                // Where bisection stops short because the next mask has no path at all, there is
                // nothing of the wanted compression to return.
                Err(PruneError::Disconnected { reachable, .. }) => {
                    assert!(kept > wanted, "{label}: {kept} weights could be kept");
                    assert_eq!(oracle::count(&next), 0, "{label}");
                    assert_eq!(reachable, total as f64 / kept as f64, "{label}");
                    refused += 1;
                }
                Err(other) => panic!("{label}: {other}"),
            }
        }
    }
    assert!(
        found > 4000 && refused > 1000,
        "{found} found, {refused} refused"
    );
}
