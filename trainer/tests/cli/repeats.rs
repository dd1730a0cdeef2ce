//! The same seed gives the same bits, another seed different ones.

use std::fs;

use crate::program::json;
use crate::runs;

const FILES: [&str; 4] = [
    "dense.safetensors",
    "masks-direct.safetensors",
    "masks.safetensors",
    "weights.safetensors",
];

#[test]
fn the_same_seed_repeats_every_bit() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    // The shared run again, on one thread.
    json(folder, "train --epochs 2 -o run --threads 1");
    for name in FILES {
        assert!(
            fs::read(folder.join("run").join(name)).unwrap() == run.file(name),
            "{name} differs"
        );
    }
    json(folder, "export run -o model.rfy");
    assert_eq!(fs::read(folder.join("model.rfy")).unwrap(), run.container);
    json(folder, "export run -o model.rfy");
    assert_eq!(
        fs::read(folder.join("model.rfy")).unwrap(),
        run.container,
        "exported again"
    );
}

#[test]
fn another_seed_gives_other_bits() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    json(folder, "train --epochs 2 --seed 1 -o run");
    for name in FILES {
        assert!(
            fs::read(folder.join("run").join(name)).unwrap() != runs::pruned().file(name),
            "{name}"
        );
    }
    json(folder, "export run -o model.rfy");
    assert_ne!(
        fs::read(folder.join("model.rfy")).unwrap(),
        runs::pruned().container
    );

    let direct = "train --epochs 1 --pruner random/uniform --type direct --compression 20";
    json(folder, &format!("{direct} --seed 2 -o random"));
    let masks = fs::read(folder.join("random/masks.safetensors")).unwrap();
    assert!(masks != runs::direct().file("masks.safetensors"));
}
