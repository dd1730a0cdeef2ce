//! Options and names that make no sense: each refused before anything is written.

use std::path::Path;

use crate::program::{json, refusal, says};

/// Checks that `arguments` are refused with `words` and leave `folder` empty.
fn refused(folder: &Path, arguments: &str, words: &[&str]) {
    says(&refusal(folder, arguments), words);
    let left: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{arguments} left {left:?}");
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |arguments, words: &[&str]| refused(folder.path(), arguments, words);
    let pruners = [
        "random/uniform",
        "random/igq",
        "magnitude/global",
        "magnitude/igq",
    ];
    refused("train --pruner magnitude/luck", &["magnitude/luck"]);
    refused("train --pruner magnitude/luck", &pruners);
    refused("train --arch lenet-6", &["lenet-6", "lenet-300-100"]);
    refused("arch resnet-1000", &["resnet-1000", "lenet-300-100"]);
    refused(
        "quotas --arch resnet-1000",
        &["resnet-1000", "lenet-300-100"],
    );
    refused(
        "effective --arch nothing --masks x",
        &["nothing", "lenet-300-100"],
    );
    refused("quotas --quota fair", &["fair", "uniform", "igq"]);
    refused(
        "train --data imagenet",
        &["imagenet", "digits", "mnist", "fashion-mnist"],
    );
    refused(
        "data fetch imagenet",
        &["imagenet", "mnist", "fashion-mnist"],
    );
    refused(
        "measure x.rfy --board arduino",
        &["arduino", "microbit", "mps2-an386"],
    );
    refused(
        "quickstart --board arduino",
        &["arduino", "microbit", "mps2-an386"],
    );
    refused(
        "quickstart --pruner magnitude/luck",
        &["magnitude/luck", "magnitude/igq"],
    );
}

#[test]
fn a_dataset_that_is_not_here_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    refused(
        folder.path(),
        "train --data mnist",
        &[
            "mnist is not on this machine",
            "rarefy data fetch mnist",
            "RAREFY_DATA",
            "no-data",
        ],
    );
}

#[test]
fn compressions_that_are_no_numbers_of_at_least_1_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (value, shown) in [
        ("0.5", "0.5"),
        ("0", "0"),
        ("NaN", "NaN"),
        ("inf", "inf"),
        ("1e999", "inf"),
    ] {
        for command in [
            "train",
            "quotas",
            "train --type direct --pruner random/uniform",
        ] {
            let arguments = format!("{command} --compression {value}");
            refused(
                folder.path(),
                &arguments,
                &[&format!("compression of {shown} "), "at least 1"],
            );
        }
    }
}

#[test]
fn training_options_that_make_no_sense_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (option, words) in [
        ("--epochs 0", &["--epochs 0", "at least 1"][..]),
        (
            "--epochs 18446744073709551615",
            &["--epochs 18446744073709551615", "at most 1000000"],
        ),
        ("--batch 0", &["--batch 0", "at least 2"]),
        ("--batch 1", &["--batch 1", "at least 2"]),
        ("--batch 8001", &["--batch 8001", "8000"]),
        ("--learning-rate 0", &["--learning-rate 0", "positive"]),
        ("--learning-rate NaN", &["--learning-rate NaN", "positive"]),
        ("--learning-rate inf", &["--learning-rate inf", "positive"]),
        ("--momentum 1", &["--momentum 1", "below 1"]),
        ("--momentum NaN", &["--momentum NaN", "below 1"]),
        ("--l2 NaN", &["--l2 NaN", "at least 0"]),
    ] {
        refused(folder.path(), &format!("train -o run {option}"), words);
    }
    #[cfg(not(feature = "cuda"))]
    refused(
        folder.path(),
        "train -o run --device cuda",
        &["--device cuda", "--features cuda", "--device cpu"],
    );
}

#[test]
fn training_that_diverges_stops_with_the_learning_rate_to_lower() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let arguments =
        "train -o run --pruner random/igq --compression 10 --epochs 1 --learning-rate 1e30";
    let sentence = refusal(folder, arguments);
    says(
        &sentence,
        &["diverged", "--learning-rate", "epoch 1", "pruned phase"],
    );
    assert!(
        sentence.contains("NaN") || sentence.contains("inf"),
        "{sentence}"
    );
    for result in ["result.json", "weights.safetensors"] {
        assert!(!folder.join("run").join(result).exists(), "{result}");
    }
}

#[test]
fn a_compression_that_disconnects_says_how_far_it_can_go_and_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (index, pruner) in [
        "random/uniform --type direct",
        "random/igq --type direct",
        "random/uniform --type effective",
        "magnitude/global --type effective",
    ]
    .iter()
    .enumerate()
    {
        let train = format!("train --pruner {pruner} --epochs 1");
        let sentence = refusal(
            folder,
            &format!("{train} --compression 200000 -o far-{index}"),
        );
        let name = pruner.split(' ').next().unwrap();
        says(&sentence, &[name, "200000", "disconnects"]);
        let reachable: f64 = sentence.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(reachable > 50.0 && reachable < 200_000.0, "{sentence}");

        let report = json(
            folder,
            &format!("{train} --compression {reachable} -o near-{index}"),
        );
        assert!(
            report["weights"]["effective"].as_u64().unwrap() > 0,
            "{report}"
        );
        let kind = pruner.rsplit(' ').next().unwrap();
        // Each of the three layers keeps a whole number of connections, less than one from its
        // share: to three of them, it is the compression asked for.
        let kept = report["weights"][kind].as_f64().unwrap();
        let asked = 266_200.0 / reachable;
        assert!((kept - asked).abs() < 3.0, "{reachable} {report}");
    }
}
