//! Exports a network in every way at once, and compares each container with a single export.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rarefy_trainer::data::{Dataset, digits};
use rarefy_trainer::deploy::costs::Core;
use rarefy_trainer::deploy::quantize::WeightType;
use rarefy_trainer::deploy::{Export, Options, Setting, StatedUnits, Trained, Variants};
use rarefy_trainer::graph::{Graph, Operation, Padding, Pooling, Window};
use rarefy_trainer::network::initial;
use rarefy_trainer::pruning::Masks;
use rarefy_trainer::random::Random;

use crate::trained::MNIST;

/// Returns a few of the digits.
fn data() -> Dataset {
    let mut data = digits::load();
    data.train = data.train.limit(120);
    data.test = data.test.limit(60);
    data
}

/// Returns a network with initial weights, three in a hundred of which are kept. With `pool`, its
/// input is pooled first, so that no container of floats can hold it.
fn network(pool: bool) -> Trained {
    let mut graph = Graph::new("small", [1, 28, 28]);
    if pool {
        let window = Window::new(2, 2, Padding::Valid, [28, 28]).unwrap();
        let kind = Pooling::Max;
        graph
            .push("pool1", Operation::Pool { kind, window })
            .unwrap();
    }
    let dense = |units| Operation::Dense { units, bias: true };
    for (name, operation) in [
        ("flat", Operation::Flatten),
        ("fc1", dense(24)),
        ("relu1", Operation::Relu),
        ("fc2", dense(10)),
    ] {
        graph.push(name, operation).unwrap();
    }
    let masks = Masks::from_fn(&graph.prunable(), |tensor, element| {
        Random::new((tensor << 32 | element) as u64).unit() < 0.03
    });
    let mut state = initial::state(&graph, 7);
    for mask in masks.iter() {
        let array = state.0.get_mut(&mask.name).unwrap();
        for (value, keep) in array.values.iter_mut().zip(&mask.keep) {
            if !keep {
                *value = 0.0;
            }
        }
    }
    Trained::new(graph, state, masks, MNIST).unwrap()
}

/// Returns the variants of `trained` with all settings.
fn all(trained: &Trained, data: &Dataset) -> Variants {
    let mut tried = Vec::new();
    let options = Options {
        core: Core::M0,
        units: StatedUnits::Always,
        ..Options::default()
    };
    let export = Export::new(trained, data, options);
    let never = AtomicBool::new(false);
    let found = export.variants(&Setting::all(), &never, &mut |setting| tried.push(setting));
    let found = found.unwrap().unwrap();
    assert!(tried.len() >= Setting::all().len() - 3, "{tried:?}");
    found
}

/// Exports `trained` with `setting` to `path`. Returns the bytes of the container and of its
/// companion.
fn single(trained: &Trained, data: &Dataset, setting: Setting, path: &Path) -> [Vec<u8>; 2] {
    let options = Options {
        goal: setting.goal,
        weights: setting.weights,
        core: Core::M0,
        allow_loss: true,
        units: StatedUnits::Always,
        ..Options::default()
    };
    Export::new(trained, data, options).container(path).unwrap();
    read(path)
}

/// Reads a container and its companion.
fn read(path: &Path) -> [Vec<u8>; 2] {
    let companion = path.with_extension("rfy.json");
    [path, &companion].map(|path| fs::read(path).unwrap())
}

#[test]
fn every_setting_gives_the_container_of_a_single_export() {
    let (trained, data) = (network(false), data());
    let found = all(&trained, &data);
    assert!(found.failures.is_empty(), "{:?}", found.failures);
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for variant in &found.variants {
        for &setting in &variant.settings {
            let path = folder.path().join("m.rfy");
            let [container, companion] = single(&trained, &data, setting, &path);
            assert!(container == *variant.bytes, "{setting:?}");
            seen.push(setting);
            if setting == variant.setting() {
                // What is written is what the export writes, beside the same name.
                variant.write(&path).unwrap();
                assert!(read(&path) == [container, companion], "{setting:?}");
            }
        }
    }
    // Every setting is in one variant, and no two variants are equal.
    assert_eq!(seen.len(), Setting::all().len());
    assert!(Setting::all().iter().all(|setting| seen.contains(setting)));
    let distinct: BTreeSet<Vec<u8>> = found.variants.iter().map(|it| it.bytes.to_vec()).collect();
    assert_eq!(distinct.len(), found.variants.len());
    // Packed words have room for more than six bits, so fewer bits save nothing there.
    assert!(found.variants.len() < seen.len(), "{seen:?}");
}

#[test]
fn what_cannot_be_exported_is_left_out_with_its_reason() {
    let found = all(&network(true), &data());
    let [failure] = &found.failures[..] else {
        panic!("{:?}", found.failures);
    };
    assert!(
        (failure.settings.iter()).all(|setting| setting.weights == WeightType::F32),
        "{failure:?}"
    );
    assert_eq!(failure.settings.len(), 3);
    let reason = failure.error.to_string();
    assert!(reason.contains("floats"), "{reason}");
    assert!(found.variants.len() > 3);
    // If nothing is left, the reason is the error.
    let (trained, data) = (network(true), data());
    let never = AtomicBool::new(false);
    let export = Export::new(&trained, &data, Options::default());
    let floats = &failure.settings;
    let error = export.variants(floats, &never, &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), reason);
}

#[test]
fn a_raised_flag_ends_the_exports() {
    let (trained, data) = (network(false), data());
    let stop = AtomicBool::new(false);
    let export = Export::new(&trained, &data, Options::default());
    let mut tried = 0;
    let mut progress = |_| {
        tried += 1;
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let found = export.variants(&Setting::all(), &stop, &mut progress);
    assert!(found.unwrap().is_none());
    assert_eq!(tried, 1);
}
