//! Compares quotas with exact roots and with the paper's code: the compressions at which they are
//! valid, and their sparsities.

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
    /// None if the quota does not apply to the network.
    sparsities: Option<Vec<f64>>,
    valid: bool,
}

#[derive(Deserialize)]
struct Root {
    sparsities: Vec<f64>,
    sparsities_exact: Vec<f64>,
    force_exact: f64,
}

/// Returns the number of weights of `tensors` kept at the given densities.
fn kept(tensors: &[Prunable], densities: impl Iterator<Item = f64>) -> f64 {
    let kept = tensors.iter().zip(densities);
    kept.map(|(tensor, density)| density * tensor.len() as f64)
        .sum()
}

/// Compares the force and the densities of the ideal gas quota.
fn check_igq(tensors: &[Prunable], compression: f64, root: &Root, label: &str) {
    let sizes: Vec<usize> = tensors.iter().map(Prunable::len).collect();
    let total: usize = sizes.iter().sum();
    let force = igq::force(&sizes, total as f64 / compression);
    let distance = (force / root.force_exact - 1.0).abs();
    assert!(distance < 1e-9, "{label}: {force}");
    let densities = Quota::Igq.densities(tensors, 1.0 / compression).unwrap();
    assert_eq!(densities.len(), root.sparsities_exact.len());
    for (density, exact) in densities.iter().zip(&root.sparsities_exact) {
        let distance = (density / (1.0 - exact) - 1.0).abs();
        assert!(
            distance < 1e-9,
            "{label}: {density} against {}",
            1.0 - exact
        );
    }
    // The paper's code stops its bisection within one weight of the target.
    let ours = kept(tensors, densities.iter().copied());
    let theirs = kept(
        tensors,
        root.sparsities.iter().map(|sparsity| 1.0 - sparsity),
    );
    let distance = (ours - theirs).abs();
    assert!(distance <= 1.0, "{label}: {ours} against {theirs}");
}

/// Compares all quotas of a file; returns the numbers of those compared and those rejected.
fn check(file: &Path) -> (usize, usize) {
    let (mut compared, mut rejected) = (0, 0);
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
                    assert!(ours.is_err(), "{label} is not rejected");
                    rejected += 1;
                    continue;
                }
                let ours = ours.unwrap_or_else(|error| panic!("{label}: {error}"));
                let theirs = theirs.sparsities.as_ref().unwrap();
                assert_eq!(ours.len(), theirs.len(), "{label}");
                for (density, sparsity) in ours.iter().zip(theirs) {
                    let distance = (1.0 - density - sparsity).abs();
                    assert!(distance < 1e-12, "{label}: {density} against {sparsity}");
                }
                compared += 1;
            }
        }
    }
    (compared, rejected)
}

#[test]
fn quotas_are_the_committed_ones() {
    assert_eq!(check(&committed().join("quotas.json")), (26, 6));
}

#[test]
fn quotas_are_the_papers_for_all_architectures() {
    if let Some(folder) = complete() {
        let (compared, rejected) = check(&folder.join("quotas.json"));
        assert!(compared > 250 && rejected > 50, "{compared}, {rejected}");
    }
}
