//! The deployed network is the trained one: export loses no branch, weight or normalisation, and
//! rejects a container that loses much accuracy.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;

use crate::program::{json, misuse, refusal, refused, run, says, texts};
use crate::runs;
use crate::tensors::{self, Tensors, single};

/// A 1 x 1 convolution `a`, another `b` that is always off, their sum, and logits.
const BRANCHES: &str = "name = \"branches\"\ninput = [1, 28, 28]\n\
    [[layer]]\ntype = \"conv\"\nname = \"a\"\nchannels = 1\nkernel = 1\nnorm = false\n\
    [[layer]]\ntype = \"conv\"\nname = \"b\"\nfrom = \"input\"\nchannels = 1\nkernel = 1\nnorm = false\n\
    [[layer]]\ntype = \"add\"\nfrom = [\"b\", \"a\"]\n\
    [[layer]]\ntype = \"dense\"\nunits = 10\nnorm = false\n";

/// A convolution most of whose positions see only padding.
const PADDED: &str = "name = \"padded\"\ninput = [1, 28, 28]\n\
    [[layer]]\ntype = \"conv\"\nchannels = 2\nkernel = 5\nstride = 4\npadding = 15\n\
    [[layer]]\ntype = \"dense\"\nunits = 10\n";

/// A linear classifier, and one with a hidden layer.
const LINEAR: &str = "name = \"linear\"\ninput = [1, 28, 28]\n\
    [[layer]]\ntype = \"dense\"\nunits = 10\nnorm = false\n";
const TWO_LAYERS: &str = "name = \"two\"\ninput = [1, 28, 28]\n\
    [[layer]]\ntype = \"dense\"\nunits = 20\nnorm = false\n\
    [[layer]]\ntype = \"dense\"\nunits = 10\nnorm = false\n";

fn accuracies(report: &Value) -> (f64, f64) {
    let share = |key: &str| report["accuracy"][key].as_f64().unwrap();
    (share("pruned"), share("deployed"))
}

/// Returns pseudorandom numbers between -1 and 1.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 16) as u16) / 32_768.0 - 1.0
    };
    (0..count).map(next).collect()
}

#[test]
fn a_branch_that_is_always_off_takes_nothing_from_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("branches.toml"), BRANCHES).unwrap();
    for (weight, name) in [(0.001, "small"), (0.1, "large")] {
        let scores: Vec<f32> = noise(7840).into_iter().map(|w| 0.05 * w).collect();
        let weights: Tensors = [
            ("a.weight", single(&[1, 1, 1, 1], &[1.0])),
            ("a.bias", single(&[1], &[0.0])),
            ("b.weight", single(&[1, 1, 1, 1], &[weight])),
            ("b.bias", single(&[1], &[-5.0])),
            ("fc1.weight", single(&[10, 784], &scores)),
            ("fc1.bias", single(&[10], &[0.0; 10])),
        ]
        .into();
        tensors::write(&folder.join("w"), &weights);
        let train = "train --arch branches.toml --weights w --after finetune --pruner magnitude/global --compression 3 --epochs 1 --learning-rate 0.01";
        json(folder, &format!("{train} -o {name}"));
        for options in ["", "--weights int8"] {
            let report = json(folder, &format!("export {name} {options} -o m.rfy"));
            let (pruned, deployed) = accuracies(&report);
            assert!(pruned > 0.6, "{pruned}");
            assert!(
                pruned - deployed < 0.01,
                "{name} {options}: {pruned} {deployed}"
            );
            assert_eq!(json(folder, "eval m.rfy")["accuracy"], deployed);
        }
    }
}

#[test]
fn a_dense_network_is_deployed_with_every_weight_it_trained() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("padded.toml"), PADDED).unwrap();
    json(
        folder,
        "train --arch padded.toml --pruner dense --epochs 2 -o run",
    );
    let masks = tensors::masks(&folder.join("run/masks.safetensors"));
    assert!(masks.values().flatten().all(|&keep| keep == 1));
    for options in ["--weights int8 --encoding dense", "", "--optimize size"] {
        let report = json(folder, &format!("export run {options} -o m.rfy"));
        let (pruned, deployed) = accuracies(&report);
        assert!((pruned - deployed).abs() < 0.01, "{options}: {report}");
        assert!(report["stripping_error"].as_f64().unwrap() < 1e-4);
    }
    // Nonzero weights outside the mask are an error.
    json(
        folder,
        "effective --arch padded.toml --masks run/masks.safetensors --out effective.safetensors",
    );
    fs::copy(
        folder.join("effective.safetensors"),
        folder.join("run/masks.safetensors"),
    )
    .unwrap();
    refused(folder, "export run -o m2.rfy", &["masks.safetensors"]);
}

/// Writes weights to `file` that have the same scores as those in `linear`, but as differences of
/// sums a thousand times larger, which eight bits cannot resolve.
fn hide(linear: &Path, file: &Path) {
    let bytes = fs::read(linear).unwrap();
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |name: &str| -> Vec<f32> {
        let data = stored.tensor(name).unwrap().data().to_vec();
        let floats = data.chunks_exact(4);
        floats
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    let mut rows: Vec<f32> = floats("fc1.weight").into_iter().map(|w| w + 10.0).collect();
    rows.extend([10.0; 7840]);
    let mut last = [0.0; 200];
    for class in 0..10 {
        (last[20 * class + class], last[20 * class + 10 + class]) = (1.0, -1.0);
    }
    let weights: Tensors = [
        ("fc1.weight", single(&[20, 784], &rows)),
        ("fc1.bias", single(&[20], &[4000.0; 20])),
        ("fc2.weight", single(&[10, 20], &last)),
        ("fc2.bias", single(&[10], &floats("fc1.bias"))),
    ]
    .into();
    tensors::write(file, &weights);
}

#[test]
fn a_container_that_loses_much_is_written_only_if_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("linear.toml"), LINEAR).unwrap();
    fs::write(folder.join("two.toml"), TWO_LAYERS).unwrap();
    json(
        folder,
        "train --arch linear.toml --pruner dense --epochs 1 --learning-rate 0.01 -o linear",
    );
    hide(
        &folder.join("linear/weights.safetensors"),
        &folder.join("w"),
    );
    let trained = json(
        folder,
        "train --arch two.toml --weights w --after finetune --pruner magnitude/uniform --compression 1 --epochs 1 --learning-rate 1e-12 --l2 0 -o run",
    );
    let pruned = trained["accuracy"]["pruned"].as_f64().unwrap();
    assert!(pruned > 0.75, "{pruned}");
    for emit in ["container", "rust"] {
        let words = &["layer fc", "dB", "--weights int8", "--allow-loss"];
        refused(folder, &format!("export run --emit {emit} -o m"), words);
    }
    let report = json(folder, "export run --allow-loss -o m");
    let (before, deployed) = accuracies(&report);
    assert!(before == pruned && pruned - deployed > 0.05, "{deployed}");
    assert!(folder.join("m").exists());
}

#[test]
fn a_report_tells_how_near_the_integers_of_each_layer_are() {
    let folder = runs::folder();
    let folder = folder.path();
    let ratios = |options: &str| -> Vec<f64> {
        let report = json(folder, &format!("export run {options} -o m.rfy"));
        let layers = report["fidelity"].as_array().unwrap().clone();
        let names: Vec<&str> = layers
            .iter()
            .map(|l| l["layer"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["fc1", "fc2", "fc3"]);
        layers
            .iter()
            .map(|l| l["snr_db"].as_f64().unwrap())
            .collect()
    };
    // A bit is worth about 6 dB.
    let (fine, coarse) = (
        ratios("--weights int8 --encoding csr"),
        ratios("--weights int4 --encoding csr"),
    );
    for (fine, coarse) in fine.iter().zip(&coarse) {
        assert!(*fine > 35.0 && *coarse > 10.0, "{fine} {coarse}");
        assert!(fine - coarse > 8.0, "{fine} {coarse}");
    }
    let (plain, _) = texts(&run(folder, "export run -o m.rfy"));
    let (shown, _) = texts(&run(folder, "export run --report -o m.rfy"));
    says(&shown, &["signal to noise", "fc2", " dB"]);
    assert!(!plain.contains("signal to noise"));
}

#[test]
fn fewer_bits_than_a_layer_stores_are_told() {
    let folder = runs::folder();
    let folder = folder.path();
    let report = json(folder, "export run --weights int4 -o m.rfy");
    let wider = report["wider"].as_array().unwrap();
    assert!(!wider.is_empty());
    let (_, notes) = texts(&run(folder, "export run --weights int4 -o m.rfy"));
    for layer in wider {
        let stored = layer["stored_bits"].as_u64().unwrap();
        assert!(stored > 4, "{layer}");
        let name = layer["layer"].as_str().unwrap();
        let encoding = layer["encoding"].as_str().unwrap();
        says(
            &notes,
            &[
                &format!("{name} ({encoding}, {stored} bits)"),
                "some layers store more bits than --weights int4",
                "--encoding rice",
            ],
        );
        let layers = report["layers"].as_array().unwrap();
        assert!(layers.iter().any(|layer| layer["encoding"] == encoding));
    }
    // The advice of the note works.
    let small = json(folder, "export run --weights int4 --encoding rice -o s.rfy");
    assert_eq!(small["wider"], Value::Array(Vec::new()));
    let (_, notes) = texts(&run(
        folder,
        "export run --weights int4 --encoding rice -o s.rfy",
    ));
    assert!(!notes.contains("more bits than"), "{notes}");
    // The default is not a request for a number of bits.
    let (_, notes) = texts(&run(folder, "export run -o m.rfy"));
    assert!(!notes.contains("more bits than"), "{notes}");
}

#[test]
fn a_network_may_expect_other_inputs_than_the_dataset_is_normalised_to() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("padded.toml"), PADDED).unwrap();
    let train = "train --arch padded.toml --pruner dense --epochs 1 --learning-rate 0.02";
    let layers = |options: &str, name: &str| {
        json(folder, &format!("{train} {options} -o {name}"));
        let report = json(folder, &format!("export {name} -o m.rfy"));
        let (pruned, deployed) = accuracies(&report);
        assert!((pruned - deployed).abs() < 0.01, "{options}: {report}");
        report["layers"].as_array().unwrap().len()
    };
    // The network's padding is 0: a grey pixel if the mean is that of the digits, a black one if
    // it is 0.
    assert_eq!(layers("", "digits"), 3);
    assert_eq!(layers("--mean 0 --std 1/255", "raw"), 2);
    let recipe = fs::read_to_string(folder.join("raw/run.toml")).unwrap();
    says(&recipe, &["pixel_mean = 0.0", "pixel_std = 0.0039215"]);
    // The normalisation is part of the recipe: another value is another run.
    says(
        &refusal(folder, &format!("{train} -o raw")),
        &["pixel-mean"],
    );
    says(
        &misuse(folder, &format!("{train} --std 0 -o none")),
        &["--std is 0, but must be a positive number"],
    );
    assert!(!folder.join("none").exists());
    let wrong = run(folder, &format!("{train} --std wide -o none"));
    assert_eq!(wrong.status.code(), Some(2));
}
