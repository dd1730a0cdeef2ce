//! Faulty files for `--weights`: tensors that are missing, too large, constant, or duplicated.

use std::fs;
use std::path::Path;

use rarefy_trainer::data::digits;

use crate::program::{json, refused, run, says, texts};
use crate::tensors::{Tensors, double, single, write};

/// A network for the digits, with 7,940 weights and two batch norms.
const SMALL: &str = "name = \"small\"\ninput = [1, 28, 28]\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 10\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 10\n";

const FINETUNE: &str = "train --arch small.toml --weights w --after finetune --pruner lamp \
                        --compression 5 --epochs 1 -o run";

/// Returns weights that are all different.
fn spread(count: usize) -> Vec<f32> {
    let value = |i: usize| ((i * 7919 % count) as f32 / count as f32 - 0.5) * 0.2;
    (0..count).map(value).collect()
}

/// Writes small.toml into `folder` and returns weights of that network.
fn whole(folder: &Path) -> Tensors {
    fs::write(folder.join("small.toml"), SMALL).unwrap();
    let mut weights = Tensors::new();
    weights.insert("fc1.weight", single(&[10, 784], &spread(7840)));
    weights.insert("fc2.weight", single(&[10, 10], &spread(100)));
    for name in ["fc1.bias", "fc2.bias", "bn1.bias", "bn2.bias"] {
        weights.insert(name, single(&[10], &[0.0; 10]));
    }
    for name in ["bn1.weight", "bn2.weight"] {
        weights.insert(name, single(&[10], &[1.0; 10]));
    }
    weights
}

#[test]
fn fine_tuning_names_what_is_missing_and_ranking_does_without() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut weights = whole(folder);
    weights.remove("fc1.bias");
    weights.remove("bn2.weight");
    write(&folder.join("w"), &weights);
    refused(
        folder,
        FINETUNE,
        &["w lacks bn2.weight, fc1.bias", "fine-tuning"],
    );
    let rank = FINETUNE.replace("--after finetune ", "");
    let output = run(folder, &format!("{rank} --json"));
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    says(&stderr, &["w lacks bn2.weight, fc1.bias", "unknown"]);
    let report = crate::program::object(&stdout);
    assert!(report["accuracy"]["dense"].is_null());
    json(
        folder,
        "prune --arch small.toml --weights w --pruner lamp --out m",
    );

    weights = whole(folder);
    weights.insert("fc1.scale", single(&[1], &[1.0]));
    write(&folder.join("w"), &weights);
    refused(folder, FINETUNE, &["w:", "no tensor called fc1.scale"]);
}

/// Checks that the accuracy of given weights, with their own running statistics if they have some,
/// is reported and stored.
#[test]
fn the_given_networks_own_accuracy_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut weights = whole(folder);
    let accuracy = |weights: &Tensors, run_folder: &str| {
        write(&folder.join("w"), weights);
        let train = FINETUNE.replace("-o run", &format!("-o {run_folder}"));
        let output = run(folder, &format!("{train} --json"));
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let dense = crate::program::object(&stdout)["accuracy"]["dense"].as_f64();
        let dense = dense.unwrap();
        says(
            &stderr,
            &[&format!("w: {:.2} % of test images right", 100.0 * dense)],
        );
        dense
    };
    accuracy(&weights, "computed");
    // With these statistics, the shift of the last batch norm dominates and predicts class 3 for
    // every image.
    let mut shift = [0.0; 10];
    shift[3] = 1e6;
    weights.insert("bn2.bias", single(&[10], &shift));
    weights.insert("bn1.running_mean", single(&[10], &[0.0; 10]));
    weights.insert("bn1.running_var", single(&[10], &[1.0; 10]));
    weights.insert("bn2.running_mean", single(&[10], &[0.0; 10]));
    weights.insert("bn2.running_var", single(&[10], &[1.0; 10]));
    let labels = digits::load().test.labels().to_vec();
    let threes = labels.iter().filter(|&&label| label == 3).count();
    assert_eq!(
        accuracy(&weights, "given"),
        threes as f64 / labels.len() as f64
    );

    // If any statistic is missing, all are computed from the training images, with a note.
    weights.remove("bn1.running_var");
    write(&folder.join("w"), &weights);
    let output = run(folder, &FINETUNE.replace("-o run", "-o some"));
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    says(
        &stderr,
        &["with statistics of the training images: it lacks bn1.running_var\n"],
    );

    weights.insert("bn1.running_var", single(&[10], &[1.0; 10]));
    weights.insert("bn2.running_var", single(&[10], &[-1.0; 10]));
    write(&folder.join("w"), &weights);
    refused(
        folder,
        FINETUNE,
        &["w:", "bn2.running_var", "-1", "element 0"],
    );
}

#[test]
fn weights_too_large_to_train_from_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let large = |value: f64| {
        let mut weights = whole(folder);
        let mut kernel: Vec<f64> = spread(7840).into_iter().map(f64::from).collect();
        kernel[1234] = value;
        weights.insert("fc1.weight", double(&[10, 784], &kernel));
        write(&folder.join("w"), &weights);
    };
    // The last value is infinite in f32.
    for (value, shown) in [(1e38, "1e38"), (-3e20, "-3e20"), (1e39, "inf")] {
        large(value);
        refused(
            folder,
            FINETUNE,
            &[
                "w: tensor fc1.weight has the value",
                shown,
                "element 1234",
                "f32",
            ],
        );
    }
    // No single weight overflows, but the activations after three layers without batch norm do.
    let layer = "\n[[layer]]\ntype = \"dense\"\nunits = 10\n";
    let plain = format!("{SMALL}{layer}").replace("units = 10\n", "units = 10\nnorm = false\n");
    let mut weights = whole(folder);
    weights.retain(|name, _| !name.starts_with("bn"));
    let huge: Vec<f32> = spread(100).into_iter().map(|w| w * 1e18).collect();
    weights.insert("fc2.weight", single(&[10, 10], &huge));
    weights.insert("fc3.weight", single(&[10, 10], &huge));
    weights.insert("fc3.bias", single(&[10], &[0.0; 10]));
    let mut kernel = spread(7840);
    kernel.iter_mut().for_each(|w| *w *= 1e18);
    kernel[17] = 9e17;
    weights.insert("fc1.weight", single(&[10, 784], &kernel));
    fs::write(folder.join("small.toml"), plain).unwrap();
    write(&folder.join("w"), &weights);
    let words = ["w:", "is not finite", "9e17", "fc1.weight at element 17"];
    refused(folder, FINETUNE, &words);
}

/// Writes weights of small.toml with these kernels of the dense layers.
fn put(folder: &Path, first: &[f64], second: &[f64]) {
    let mut weights = whole(folder);
    weights.insert("fc1.weight", double(&[10, 784], first));
    weights.insert("fc2.weight", double(&[10, 10], second));
    write(&folder.join("w"), &weights);
}

/// Returns the arguments that prune these weights to direct compression 10.
fn prune(pruner: &str) -> String {
    format!(
        "prune --arch small.toml --weights w --pruner {pruner} --data digits --samples 100 \
         --compression 10 --type direct --out m"
    )
}

#[test]
fn scores_that_are_all_the_same_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    put(folder, &[0.0; 7840], &[0.0; 100]);
    for pruner in [
        "magnitude/global",
        "magnitude/igq",
        "lamp",
        "snip",
        "grasp",
        "random/snip",
    ] {
        refused(
            folder,
            &prune(pruner),
            &[pruner, "nothing to rank by", "score, 0;"],
        );
    }
    refused(
        folder,
        &prune("snip/iterative"),
        &["snip/iterative", "nothing to rank by"],
    );
    refused(folder, &prune("synflow"), &["synflow", "no flow"]);
    // All different, but so small that squares and products with gradients underflow to zero.
    let tiny: Vec<f64> = (1..=7840).map(|i| f64::from(i) * 1e-323).collect();
    put(folder, &tiny, &tiny[..100]);
    for pruner in ["lamp", "snip", "grasp"] {
        refused(folder, &prune(pruner), &[pruner, "nothing to rank by"]);
    }
    assert_eq!(
        json(folder, &prune("magnitude/uniform"))["kept_by_index"],
        0
    );
}

#[test]
fn many_ties_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // 392 nonzero weights, and 794 to keep.
    let mut few = vec![0.0; 7840];
    few.iter_mut()
        .step_by(20)
        .enumerate()
        .for_each(|(i, w)| *w = 1.0 + i as f64);
    put(folder, &few, &[0.0; 100]);
    let output = run(folder, &format!("{} --json", prune("magnitude/global")));
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    says(
        &stderr,
        &["warning:", "402 of the 794", "only by their index"],
    );
    assert_eq!(crate::program::object(&stdout)["kept_by_index"], 402);
}

/// Writes `weights` to `path` with a second tensor called `name`, of 40 bytes, in the header.
fn twice(weights: &Tensors, name: &str, path: &Path) {
    write(path, weights);
    let file = fs::read(path).unwrap();
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&file[8..8 + length])
        .unwrap()
        .trim_end();
    let data = &file[8 + length..];
    let (start, end) = (data.len(), data.len() + 40);
    let entry =
        format!(r#"{{"{name}":{{"dtype":"F32","shape":[10],"data_offsets":[{start},{end}]}},"#);
    let header = format!("{entry}{}", &header[1..]);
    let mut written = (header.len() as u64).to_le_bytes().to_vec();
    written.extend(header.bytes());
    written.extend(data);
    written.extend([0; 40]);
    fs::write(path, written).unwrap();
}

#[test]
fn a_tensor_that_is_there_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let weights = whole(folder);
    twice(&weights, "bn1.bias", &folder.join("w"));
    let words = ["w:", "tensor bn1.bias is in the file twice"];
    refused(folder, FINETUNE, &words);
    refused(
        folder,
        "prune --arch small.toml --weights w --pruner lamp --out m",
        &words,
    );
    twice(&weights, "fc2.weight", &folder.join("w"));
    let words = ["w:", "tensor fc2.weight is in the file twice"];
    refused(folder, "effective --arch small.toml --masks w", &words);
    // The same in a run folder.
    json(
        folder,
        "train --arch small.toml --pruner dense --epochs 1 -o run",
    );
    twice(
        &weights,
        "fc2.weight",
        &folder.join("run/weights.safetensors"),
    );
    refused(folder, "export run -o m.rfy", &["weights.safetensors"]);
}

#[test]
fn a_network_without_batch_norms_trains_one_image_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plain = "name = \"plain\"\ninput = [1, 28, 28]\n\
                 [[layer]]\ntype = \"dense\"\nunits = 10\nnorm = false\n";
    fs::write(folder.join("plain.toml"), plain).unwrap();
    let train = "train --arch plain.toml --epochs 1 --batch 1 --learning-rate 0.001 --pruner dense";
    let report = json(folder, &format!("{train} -o run"));
    let accuracy = report["accuracy"]["pruned"].as_f64().unwrap();
    assert!(accuracy > 0.5, "{accuracy}");
}
