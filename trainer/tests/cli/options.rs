//! Invalid options and names: each is rejected before anything is written.

use std::fs;

use crate::program::{json, misused, refusal, refused, run, says, texts};

#[test]
fn unknown_names_are_wrong_usage_with_one_that_may_be_meant() {
    let folder = tempfile::tempdir().unwrap();
    let misused = |arguments: &str, words: &[&str]| misused(folder.path(), arguments, words);
    // A name similar to none, and a typo.
    let told = |command: &str, (other, slip, meant): (&str, &str, &str), listed: &str| {
        misused(&format!("{command} {other}"), &[other, listed]);
        let meant = format!("did you mean {meant}?");
        misused(&format!("{command} {slip}"), &[slip, &meant, listed]);
    };
    for command in [
        "train -o run --pruner",
        "prune --out m.safetensors --pruner",
        "effective --curve c.svg --pruner",
        "quickstart --pruner",
    ] {
        let names = ("nonsense", "magnitude/glbal", "magnitude/global");
        told(command, names, "choose one of dense, ");
    }
    for command in [
        "arch",
        "quotas --arch",
        "train -o run --arch",
        "prune --out m.safetensors --arch",
        "effective --masks x --arch",
        "effective --curve c.svg --pruner lamp --arch",
    ] {
        told(
            command,
            ("mobile", "lenet-300-10", "lenet-300-100"),
            "rarefy arch",
        );
        misused(&format!("{command} lenet-6"), &["lenet-6", ".toml"]);
    }
    told(
        "quotas --quota",
        ("fair", "unifrom", "uniform"),
        "choose one of uniform, ",
    );
    for command in ["train -o run --data", "quickstart --data"] {
        told(command, ("imagenet", "mnst", "mnist"), "rarefy data list");
    }
    told(
        "data fetch",
        ("imagenet", "mnst", "mnist"),
        "rarefy data list",
    );
    misused("data fetch digits", &["digits", "nothing to fetch"]);
    for command in ["measure x.rfy --board", "quickstart --board"] {
        told(
            command,
            ("arduino", "mps2-an368", "mps2-an386"),
            "rarefy boards",
        );
    }
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
fn compressions_that_are_no_numbers_of_at_least_1_are_wrong_usage() {
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
            "prune --out m.safetensors",
            "prune --out m.safetensors --type direct",
            "prune --out m.safetensors --pruner dense",
        ] {
            let arguments = format!("{command} --compression {value}");
            misused(
                folder.path(),
                &arguments,
                &[&format!("compression of {shown} "), "at least 1"],
            );
        }
        misused(
            folder.path(),
            &format!("effective --curve c.svg --pruner lamp --most {value}"),
            &[shown, "at least 1"],
        );
    }
}

/// Checks that negative numbers are values, not options, and that errors state the range.
#[test]
fn numbers_out_of_range_are_wrong_usage_with_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let whole = "a whole number of at least";
    for (arguments, range) in [
        ("quotas --compression -1", "finite number of at least 1"),
        ("prune --compression -1e3", "finite number of at least 1"),
        (
            "effective --curve c.svg --pruner lamp --most -1",
            "at least 1",
        ),
        ("train --epochs -1", &format!("{whole} 1")),
        ("train --batch -1", &format!("{whole} 1")),
        ("train --seed -1", &format!("{whole} 0")),
        (
            "prune --seed 18446744073709551616",
            "at most 18446744073709551615",
        ),
        ("train --learning-rate -0.5", "positive"),
        ("train --momentum -0.5", "at least 0"),
        ("train --l2 -1", "at least 0"),
        ("train --l2 much", "give a number"),
        ("train --std -1", "positive"),
        ("train --std -1/255", "positive"),
        ("train --threads 0", &format!("{whole} 1")),
        ("prune --threads -2", &format!("{whole} 1")),
        ("prune --samples 0", &format!("{whole} 1")),
        (
            "measure m.rfy --board microbit --samples -1",
            &format!("{whole} 1"),
        ),
        (
            "measure m.rfy --board microbit --timeout 0",
            &format!("{whole} 1"),
        ),
    ] {
        let output = run(folder.path(), arguments);
        let (stdout, stderr) = texts(&output);
        let ended = (output.status.code(), stdout.as_str());
        assert_eq!(ended, (Some(2), ""), "{arguments}: {stderr}");
        says(&stderr, &[range]);
        assert!(!stderr.contains("unexpected"), "{arguments}: {stderr}");
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

/// Checks that a warning does not contradict the table, which counts direct pruning.
#[test]
fn a_quota_beyond_the_shortest_path_is_noted_without_other_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (stdout, stderr) = texts(&run(folder.path(), "quotas --compression 100000"));
    let kept = stdout.lines().filter(|line| line.contains(".weight"));
    let kept: Vec<_> = kept.map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(kept, [Some("1"); 3]);
    // 266,200 / 3 = 88,733.33.
    let words = ["needs 3 of 266200 weights", "compression than 88733.34"];
    says(&stderr, &words);
    assert!(!stderr.contains("keep"), "{stderr}");
}

#[test]
fn a_missing_file_comes_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        "eval gone.rfy",
        "inspect gone.rfy",
        "measure gone.rfy --board microbit",
        "arch gone.toml",
        "prune --pruner lamp --weights gone.rfy",
        "effective --masks gone.rfy",
        "train --weights gone.rfy",
    ] {
        refused(
            folder.path(),
            arguments,
            &["gone.", "No such file", "check its path"],
        );
    }
    let (_, stderr) = texts(&run(folder.path(), "effective --pruner lamp"));
    says(&stderr, &["--curve"]);
    assert!(
        !stderr.contains("--masks"),
        "the two exclude each other: {stderr}"
    );
}

#[test]
fn what_a_pruner_reads_must_be_given() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["prune --out m.safetensors", "effective --curve c.svg"] {
        for pruner in ["snip", "snip/iterative", "random/snip", "grasp"] {
            let arguments = format!("{command} --pruner {pruner}");
            let reader = pruner.trim_start_matches("random/");
            let reader = reader.trim_end_matches("/iterative");
            misused(folder.path(), &arguments, &[reader, "images", "--data"]);
            misused(
                folder.path(),
                &format!("{arguments} --data digits --arch lenet-5"),
                &["digits", "[1, 28, 28]", "lenet-5", "[3, 32, 32]"],
            );
            misused(
                folder.path(),
                &format!("{arguments} --data imagenet"),
                &["imagenet"],
            );
        }
        refused(
            folder.path(),
            &format!("{command} --pruner lamp --weights w.safetensors"),
            &["w.safetensors", "No such file"],
        );
    }
    refused(
        folder.path(),
        "train -o run --weights w.safetensors",
        &["w.safetensors", "No such file"],
    );
}

#[test]
fn quotas_that_no_such_network_can_have_are_refused_with_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let misused = |arguments: &str, words: &[&str]| misused(folder.path(), arguments, words);
    for command in [
        "quotas --quota uniform+",
        "prune --out m.safetensors --pruner random/uniform+",
        "prune --out m.safetensors --pruner magnitude/uniform+ --type direct",
        "effective --curve c.svg --pruner random/uniform+",
    ] {
        misused(command, &["uniform+", "convolution"]);
    }
    let range = ["conv1.weight", "from 6.93 to 44190"];
    misused(
        "quotas --arch lenet-5-28 --quota erk --compression 1.1",
        &range,
    );
    let prune = "prune --arch lenet-5-28 --pruner magnitude/erk --out m.safetensors";
    misused(&format!("{prune} --type direct --compression 1.1"), &range);
    refused(
        folder.path(),
        &format!("{prune} --compression 1.1"),
        &["magnitude/erk", "conv1.weight", "from 6.93, not 1.1"],
    );
    json(folder.path(), &format!("{prune} --compression 6.93"));
    // The limits named in the error are valid; the numbers beyond them are not.
    let quota = "quotas --arch lenet-5-28 --quota";
    let uniform = &format!("{quota} uniform+ --compression");
    let words = ["uniform+", "conv2.weight", "from 1 to 138.96"];
    misused(&format!("{uniform} 10000"), &words);
    json(folder.path(), &format!("{uniform} 138.96"));
    misused(&format!("{uniform} 138.97"), &words);
    json(folder.path(), &format!("{quota} erk --compression 6.93"));
    misused(&format!("{quota} erk --compression 6.92"), &range);
}

/// Checks that `quotas` shows exactly what direct pruning keeps.
#[test]
fn a_quota_shows_what_direct_pruning_keeps() {
    let folder = tempfile::tempdir().unwrap();
    for quota in ["uniform", "uniform+", "erk", "igq"] {
        for compression in ["7", "33.3", "100"] {
            let options = format!("--arch lenet-5-28 --compression {compression}");
            let shown = json(folder.path(), &format!("quotas {options} --quota {quota}"));
            assert_eq!(shown["kept_by"], format!("magnitude/{quota}"));
            for (pruner, most) in [("magnitude", 0), ("random", 1)] {
                let prune = format!("prune {options} --type direct --pruner {pruner}/{quota}");
                let pruned = json(folder.path(), &prune);
                let layers = shown["layers"].as_array().unwrap().iter();
                for (layer, kept) in layers.zip(pruned["layers"].as_array().unwrap()) {
                    let (layer, kept) = (layer["kept"].as_u64(), kept["direct"].as_u64());
                    let more = kept.unwrap() - layer.unwrap();
                    assert!(more <= most, "{pruner}/{quota} at {compression}: {more}");
                }
            }
        }
    }
}

/// Checks that a compression near the limit, which only dense training determines, is noted at the
/// start.
#[test]
fn a_compression_that_may_be_out_of_reach_is_said_before_dense_training() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let layers = "[[layer]]\ntype = \"dense\"\nunits = 10\n".repeat(2);
    let network = format!("name = \"small\"\ninput = [1, 28, 28]\n{layers}");
    fs::write(folder.join("small.toml"), network).unwrap();
    let doubt = |compression: &str| {
        let train = "train --arch small.toml --pruner lamp --epochs 1 --force -o run";
        let output = run(folder, &format!("{train} --compression {compression}"));
        texts(&output).1
    };
    let far = doubt("3000");
    let first = far.lines().next().unwrap();
    says(
        first,
        &[
            "the highest effective compression that lamp can reach",
            "after dense training",
            "if it is below 3000",
        ],
    );
    assert!(!doubt("10").contains("the highest effective compression"));
    // An unreachable compression is rejected at once, with readable figures.
    for compression in ["1e308", "3970.01"] {
        let most = [
            "no pruner reaches a higher effective compression than 3970: choose a lower compression",
            compression,
        ];
        says(&doubt(compression), &most);
    }
    let reach = doubt("3970");
    assert!(!reach.contains("no pruner reaches a higher"), "{reach}");
}

#[test]
fn training_options_that_make_no_sense_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (option, words) in [
        ("--epochs 0", &["--epochs is 0", "at least 1"][..]),
        (
            "--epochs 18446744073709551615",
            &["--epochs is 18446744073709551615", "at most 1000000"],
        ),
        ("--batch 0", &["--batch is 0", "at least 1"]),
        (
            "--batch 1",
            &["--batch is 1", "batch norm bn1", "at least 2"],
        ),
        ("--batch 8001", &["--batch is 8001", "8000"]),
        ("--learning-rate 0", &["--learning-rate is 0", "positive"]),
        (
            "--learning-rate NaN",
            &["--learning-rate is NaN", "positive"],
        ),
        (
            "--learning-rate inf",
            &["--learning-rate is inf", "positive"],
        ),
        ("--momentum 1", &["--momentum is 1", "below 1"]),
        ("--momentum NaN", &["--momentum is NaN", "below 1"]),
        ("--l2 NaN", &["--l2 is NaN", "at least 0"]),
    ] {
        misused(folder.path(), &format!("train -o run {option}"), words);
    }
}

/// Checks that a device that this build or machine cannot use is refused in one sentence, without
/// the backtrace that candle adds to its errors, and before a folder is created.
#[test]
fn a_device_that_cannot_be_used_is_refused_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let mut devices = vec![("cuda:99", "cuda")];
    if cfg!(not(feature = "cuda")) {
        devices.push(("cuda", "cuda"));
    }
    if cfg!(not(feature = "metal")) {
        devices.push(("metal", "metal"));
    }
    for (device, feature) in devices {
        let named = format!("--device {device}:");
        let built = match feature {
            "cuda" if cfg!(feature = "cuda") => "cannot be used".into(),
            _ => format!("--features {feature}"),
        };
        let words = [named.as_str(), built.as_str(), "--device cpu"];
        for command in [
            "train -o run",
            "quickstart",
            "prune --pruner random/igq --compression 10",
            "effective --curve curve.svg --pruner random/igq",
        ] {
            refused(
                folder.path(),
                &format!("{command} --device {device}"),
                &words,
            );
        }
    }
    for unknown in ["gpu", "CUDA", "cuda:x", "cuda:"] {
        let output = run(folder.path(), &format!("train -o run --device {unknown}"));
        let (stdout, stderr) = texts(&output);
        assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""));
        says(&stderr, &["--device", "cuda:N"]);
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[cfg(not(any(feature = "cuda", feature = "metal")))]
#[test]
fn an_automatic_device_without_gpu_support_is_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = "train -o run --arch lenet-300-100 --pruner random/igq --compression 10";
    let output = run(
        folder.path(),
        &format!("{arguments} --epochs 1 --device auto"),
    );
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let lines = stderr.lines().filter(|line| line.contains("computing on"));
    assert_eq!(lines.count(), 1, "{stderr}");
    says(&stderr, &["computing on the CPU", "without GPU support"]);
    let run = fs::read_to_string(folder.path().join("run/run.toml")).unwrap();
    assert!(run.contains("device = \"cpu\""), "{run}");
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
    // The last pruner is known to fail only after dense training. Its compression must leave some
    // mask a path: a higher one is rejected before training, without naming a reachable one.
    for (index, (pruner, far)) in [
        ("random/uniform --type direct", 200_000),
        ("random/igq --type direct", 200_000),
        ("random/uniform --type effective", 200_000),
        ("magnitude/global --type effective", 50_000),
    ]
    .iter()
    .enumerate()
    {
        let train = format!("train --pruner {pruner} --epochs 1");
        let sentence = refusal(
            folder,
            &format!("{train} --compression {far} -o far-{index}"),
        );
        let name = pruner.split(' ').next().unwrap();
        says(&sentence, &[name, &far.to_string(), "disconnects"]);
        // If a dense network was trained before the error, it is kept; the end of the message says
        // so.
        let reason = sentence.split("; the dense network").next().unwrap();
        let (reason, advice) = reason.split_once(": choose a lower compression").unwrap();
        says(advice, &["--compression"]);
        let reachable: f64 = reason.rsplit(' ').next().unwrap().parse().unwrap();
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
        // Each of the three layers keeps a whole number of connections, less than one away from
        // its share, so their sum is less than three away from the requested one.
        let kept = report["weights"][kind].as_f64().unwrap();
        let asked = 266_200.0 / reachable;
        assert!((kept - asked).abs() < 3.0, "{reachable} {report}");
    }
}

#[test]
fn what_no_pruner_reads_is_said_to_be_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let noted = |arguments: &str| texts(&run(folder.path(), arguments)).1;
    let prune = "prune --data digits --samples 100 --pruner random/igq --weights";
    let all = noted(&format!("{prune} gone"));
    for (option, what) in [
        ("--weights", "weights"),
        ("--data", "images"),
        ("--samples", "sample count"),
    ] {
        says(
            &all,
            &[&format!("{option} is ignored: random/igq reads no {what}")],
        );
    }
    let lamp = noted("prune --pruner lamp --samples 100");
    says(&lamp, &["--samples is ignored: lamp reads"]);
    let snip = noted("prune --pruner random/snip --samples 100 --data digits");
    assert!(!snip.contains("ignored"), "{snip}");
    let curve = "effective --most 10 --curve c.svg --samples 9 --pruner";
    let both = noted(&format!(
        "{curve} random/igq --pruner random/erk --pruner random/igq"
    ));
    says(&both, &["random/igq, random/erk read no sample count"]);
    // A value that is repeated counts once.
    let curves = json(
        folder.path(),
        &format!("{curve} random/igq --pruner random/igq"),
    );
    assert_eq!(curves["curves"].as_array().unwrap().len(), 1);
}
