//! Direct masks by magnitude of a small network, bit for bit.

use super::*;

#[derive(Deserialize)]
struct File {
    shapes: Vec<Vec<usize>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    sparsity: f64,
    magnitude_global: PerLayer<u8>,
    magnitude_uniform: PerLayer<u8>,
    quota_igq: Vec<f64>,
    magnitude_igq: PerLayer<u8>,
}

/// The number of layers whose masks are the same bit for bit. Direct pruning needs no paths, so
/// the shapes may be those of any network.
fn check(file: &Path) -> usize {
    let File { shapes, cases } = read(file);
    let tensors: Vec<Prunable> = shapes
        .iter()
        .enumerate()
        .map(|(node, shape)| Prunable {
            name: format!("layer{node}"),
            shape: shape.clone(),
            node,
        })
        .collect();
    let factors = [1.0, 0.5, 1.0, 3.0];
    let scores: PerLayer<f64> = weights(&shapes, 21)
        .iter()
        .zip(factors)
        .map(|(layer, factor)| layer.iter().map(|w| (w * factor).abs()).collect())
        .collect();
    let by_quota =
        |quota| Ordering::by_quota(&tensors, &scores, quota, Rounding::HalfToEven).unwrap();
    let (global, uniform, igq) = (
        Ordering::global(&tensors, &scores).unwrap(),
        by_quota(Quota::Uniform),
        by_quota(Quota::Igq),
    );
    let read = |layers: &PerLayer<u8>| -> PerLayer<bool> {
        let ours = |layer: &Vec<u8>| layer.iter().map(|&bit| bit == 1).collect();
        layers.iter().map(ours).collect()
    };
    let sizes: Vec<usize> = tensors.iter().map(Prunable::len).collect();
    let mut same = 0;
    for case in cases {
        let at = case.sparsity;
        let compression = 1.0 / (1.0 - at);
        let global = bits(&global.direct(compression));
        assert!(global == read(&case.magnitude_global), "global at {at}");
        for (ordering, quota, theirs, stated) in [
            (
                &uniform,
                Quota::Uniform,
                &case.magnitude_uniform,
                vec![at; 4],
            ),
            (&igq, Quota::Igq, &case.magnitude_igq, case.quota_igq),
        ] {
            let (ours, theirs) = (bits(&ordering.direct(compression)), read(theirs));
            let densities = quota.densities(&sizes, 1.0 / compression);
            for (layer, &size) in sizes.iter().enumerate() {
                let label = format!("{} at {at}, layer {layer}", quota.name());
                let removed = |sparsity: f64| (sparsity * size as f64).round_ties_even();
                let (here, there) = (removed(1.0 - densities[layer]), removed(stated[layer]));
                let kept = |mask: &[bool]| mask.iter().filter(|&&keep| keep).count() as f64;
                assert_eq!(kept(&ours[layer]), size as f64 - here, "{label}");
                assert_eq!(kept(&theirs[layer]), size as f64 - there, "{label}");
                if here == there {
                    assert!(ours[layer] == theirs[layer], "{label}: bits differ");
                    same += 1;
                } else {
                    // One weight, where their force stopped short of the root on the other
                    // side of a half, or a sparsity of 0.3 that no compression has exactly.
                    let apart = ours[layer]
                        .iter()
                        .zip(&theirs[layer])
                        .filter(|(a, b)| a != b);
                    assert_eq!(apart.count(), 1, "{label}");
                }
            }
        }
    }
    same
}

#[test]
fn direct_masks_are_the_committed_ones() {
    assert_eq!(check(&committed().join("magnitude_small.json")), 4 * 8);
}

#[test]
fn direct_masks_are_the_papers_bit_for_bit() {
    if let Some(folder) = whole() {
        assert!(check(&folder.join("magnitude_lamp_small.json")) >= 9 * 8 - 2);
    }
}
