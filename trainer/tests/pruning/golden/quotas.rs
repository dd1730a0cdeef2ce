//! Quotas: uniform and ideal gas, against the roots and what the paper's code stops at.

use std::collections::BTreeMap;

use super::*;

#[derive(Deserialize)]
struct File {
    archs: BTreeMap<String, Architecture>,
}

#[derive(Deserialize)]
struct Architecture {
    counts: Vec<usize>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    compression: f64,
    uniform: Sparsities,
    igq: Exact,
}

#[derive(Deserialize)]
struct Sparsities {
    sparsities: Vec<f64>,
}

#[derive(Deserialize)]
struct Exact {
    sparsities: Vec<f64>,
    sparsities_exact: Vec<f64>,
    force_exact: f64,
}

fn check(file: &Path) -> usize {
    let mut checked = 0;
    for (name, Architecture { counts, cases }) in read::<File>(file).archs {
        let total: usize = counts.iter().sum();
        for Case {
            compression,
            uniform,
            igq,
        } in cases
        {
            let label = format!("{name} at {compression}");
            let densities = Quota::Uniform.densities(&counts, 1.0 / compression);
            for (density, sparsity) in densities.iter().zip(&uniform.sparsities) {
                assert!((1.0 - density - sparsity).abs() < 1e-15, "{label}: uniform");
            }

            let force = igq::force(&counts, total as f64 / compression);
            assert!(
                (force / igq.force_exact - 1.0).abs() < 1e-9,
                "{label}: {force}"
            );
            let densities = Quota::Igq.densities(&counts, 1.0 / compression);
            assert_eq!(densities.len(), igq.sparsities_exact.len());
            for (density, exact) in densities.iter().zip(&igq.sparsities_exact) {
                let apart = (density / (1.0 - exact) - 1.0).abs();
                assert!(apart < 1e-9, "{label}: {density} against {}", 1.0 - exact);
            }
            // The paper's code stops its bisection within one weight of the target.
            let kept = |densities: &mut dyn Iterator<Item = f64>| -> f64 {
                densities.zip(&counts).map(|(d, &n)| d * n as f64).sum()
            };
            let ours = kept(&mut densities.iter().copied());
            let theirs = kept(&mut igq.sparsities.iter().map(|s| 1.0 - s));
            assert!(
                (ours - theirs).abs() <= 1.0,
                "{label}: {ours} against {theirs}"
            );
            checked += 1;
        }
    }
    checked
}

#[test]
fn quotas_are_the_committed_ones() {
    assert_eq!(check(&committed().join("quotas.json")), 5);
}

#[test]
fn quotas_are_the_papers_for_all_architectures() {
    if let Some(folder) = whole() {
        assert!(check(&folder.join("quotas.json")) >= 80);
    }
}
