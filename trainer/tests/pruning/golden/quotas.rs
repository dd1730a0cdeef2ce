//! Quotas: where they are valid, and what they give there, against the exact roots and what the
//! paper's code computes.

use std::collections::BTreeMap;

use rarefy_trainer::graph::Prunable;
use rarefy_trainer::pruning::quota::{Quota, igq};

use super::layout::{Layout, network};
use super::*;

#[derive(Deserialize)]
struct File {
    archs: BTreeMap<String, Architecture>,
}

#[derive(Deserialize)]
struct Architecture {
    shapes: Vec<Vec<usize>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    compression: f64,
    uniform: Sparsities,
    uniform_plus: Sparsities,
    erk: Sparsities,
    igq: Root,
}

#[derive(Deserialize)]
struct Sparsities {
    /// None where the quota is not for such a network.
    sparsities: Option<Vec<f64>>,
    valid: bool,
}

#[derive(Deserialize)]
struct Root {
    sparsities: Vec<f64>,
    sparsities_exact: Vec<f64>,
    force_exact: f64,
}

/// How many weights `densities` keep of `tensors`.
fn kept(tensors: &[Prunable], densities: impl Iterator<Item = f64>) -> f64 {
    let kept = tensors.iter().zip(densities);
    kept.map(|(tensor, density)| density * tensor.len() as f64)
        .sum()
}

fn check_igq(tensors: &[Prunable], compression: f64, root: &Root, label: &str) {
    let sizes: Vec<usize> = tensors.iter().map(Prunable::len).collect();
    let total: usize = sizes.iter().sum();
    let force = igq::force(&sizes, total as f64 / compression);
    let apart = (force / root.force_exact - 1.0).abs();
    assert!(apart < 1e-9, "{label}: {force}");
    let densities = Quota::Igq.densities(tensors, 1.0 / compression).unwrap();
    assert_eq!(densities.len(), root.sparsities_exact.len());
    for (density, exact) in densities.iter().zip(&root.sparsities_exact) {
        let apart = (density / (1.0 - exact) - 1.0).abs();
        assert!(apart < 1e-9, "{label}: {density} against {}", 1.0 - exact);
    }
    // The paper's code stops its bisection within one weight of the target.
    let ours = kept(tensors, densities.iter().copied());
    let theirs = kept(
        tensors,
        root.sparsities.iter().map(|sparsity| 1.0 - sparsity),
    );
    let apart = (ours - theirs).abs();
    assert!(apart <= 1.0, "{label}: {ours} against {theirs}");
}

/// The number of quotas compared and of those refused.
fn check(file: &Path) -> (usize, usize) {
    let (mut compared, mut refused) = (0, 0);
    for (name, Architecture { shapes, cases }) in read::<File>(file).archs {
        let graph = network(&name);
        assert_eq!(shapes, Layout::of(&graph).shapes());
        let tensors = graph.prunable();
        for case in cases {
            let label = format!("{name} at {}", case.compression);
            check_igq(&tensors, case.compression, &case.igq, &label);
            compared += 1;
            for (quota, theirs) in [
                (Quota::Uniform, &case.uniform),
                (Quota::UniformPlus, &case.uniform_plus),
                (Quota::Erk, &case.erk),
            ] {
                let label = format!("{} of {label}", quota.name());
                let ours = quota.densities(&tensors, 1.0 / case.compression);
                if !theirs.valid {
                    assert!(ours.is_err(), "{label} is not refused");
                    refused += 1;
                    continue;
                }
                let ours = ours.unwrap_or_else(|error| panic!("{label}: {error}"));
                let theirs = theirs.sparsities.as_ref().unwrap();
                assert_eq!(ours.len(), theirs.len(), "{label}");
                for (density, sparsity) in ours.iter().zip(theirs) {
                    let apart = (1.0 - density - sparsity).abs();
                    assert!(apart < 1e-12, "{label}: {density} against {sparsity}");
                }
                compared += 1;
            }
        }
    }
    (compared, refused)
}

#[test]
fn quotas_are_the_committed_ones() {
    assert_eq!(check(&committed().join("quotas.json")), (26, 6));
}

#[test]
fn quotas_are_the_papers_for_all_architectures() {
    if let Some(folder) = whole() {
        let (compared, refused) = check(&folder.join("quotas.json"));
        assert!(compared > 250 && refused > 50, "{compared}, {refused}");
    }
}
