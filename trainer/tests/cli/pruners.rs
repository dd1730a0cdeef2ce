//! `rarefy prune` with every pruner: the compression it reaches, reproducibility by seed, and that
//! the masks written are those counted.

use std::fs;

use crate::program::{json, refusal, run, texts};

/// Every pruner that works on networks without convolutions, except `dense`.
const PRUNERS: [&str; 14] = [
    "random/uniform",
    "random/erk",
    "random/igq",
    "random/snip",
    "random/synflow",
    "magnitude/global",
    "magnitude/uniform",
    "magnitude/erk",
    "magnitude/igq",
    "lamp",
    "snip",
    "snip/iterative",
    "synflow",
    "grasp",
];

#[test]
fn every_pruner_reaches_thirty_times_and_its_masks_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for pruner in PRUNERS {
        let pruned = json(
            folder,
            &format!(
                "prune --pruner {pruner} --compression 30 --data digits --samples 200 --out m"
            ),
        );
        assert_eq!(pruned["pruner"], pruner);
        if pruned["collapsed"] == false {
            let reached = pruned["effective"]["compression"].as_f64().unwrap();
            assert!((reached / 30.0 - 1.0).abs() < 0.005, "{pruner}: {reached}");
        }
        let told = json(folder, "effective --masks m --out e");
        for key in ["direct", "effective", "layers", "total"] {
            assert_eq!(told[key], pruned[key], "{pruner}");
        }
        // The connected part of a connected mask is the mask itself.
        let again = json(folder, "effective --masks e --out f");
        assert_eq!(again["direct"], told["effective"], "{pruner}");
        assert_eq!(again["effective"], told["effective"], "{pruner}");
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        assert!(read("e") == read("f"), "{pruner}");
    }
}

#[test]
fn the_dense_network_is_kept_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for kind in ["direct", "effective"] {
        let arguments = format!("prune --pruner dense --type {kind} --out m");
        let pruned = json(folder, &arguments);
        assert_eq!(pruned["direct"]["nonzeros"], 266_200);
        assert_eq!(pruned["effective"]["compression"], 1.0);
        let (_, stderr) = texts(&run(folder, &arguments));
        assert!(stderr.contains("dense prunes nothing"), "{stderr}");
    }
}

/// A network for the digits, with 7,940 weights.
const SMALL: &str = "name = \"small\"\ninput = [1, 28, 28]\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 10\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 10\n";

#[test]
fn the_same_seed_gives_the_same_masks_and_another_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("small.toml"), SMALL).unwrap();
    let prune = |pruner: &str, more: &str| {
        let options = "--compression 8 --data digits --samples 100 --out m";
        json(
            folder,
            &format!("prune --arch small.toml --pruner {pruner} {options} {more}"),
        );
        fs::read(folder.join("m")).unwrap()
    };
    for pruner in PRUNERS {
        let first = prune(pruner, "");
        assert!(first == prune(pruner, "--seed 0"), "{pruner}");
        assert!(first != prune(pruner, "--seed 1"), "{pruner}");
    }
    assert!(prune("snip", "") != prune("snip", "--loss reference"));
}

#[test]
fn what_no_connected_network_reaches_is_refused_with_how_far_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for pruner in PRUNERS {
        let prune =
            format!("prune --pruner {pruner} --arch lenet-5-28 --data digits --samples 100");
        let sentence = refusal(folder, &format!("{prune} --compression 1e9 --out m"));
        assert!(!folder.join("m").exists(), "{pruner}");
        let (problem, _) = sentence.split_once(": choose a lower compression").unwrap();
        let (said, reach) = problem.rsplit_once(' ').unwrap();
        assert!(
            said.contains(pruner) && said.contains("1000000000"),
            "{sentence}"
        );
        assert!(
            said.ends_with("the highest effective compression that it reaches is"),
            "{sentence}"
        );
        let reach: f64 = reach.parse().unwrap();
        assert!(reach > 20.0 && reach <= 8838.0, "{sentence}");
        // The limit named in the error can be reached, and the next higher number cannot. The
        // rounds of snip/iterative depend on the compression.
        if pruner != "snip/iterative" {
            let report = json(folder, &format!("{prune} --compression {reach}"));
            assert_eq!(report["collapsed"], false, "{sentence} {report}");
            let reached = report["effective"]["compression"].as_f64().unwrap();
            assert!(
                (0.0..0.0101).contains(&(reach - reached)),
                "{sentence} {report}"
            );
            let beyond = format!("{prune} --compression {:.2}", reach + 0.01);
            let output = run(folder, &format!("{beyond} --json --quiet"));
            let refused = output.status.code() == Some(1);
            let collapsed = || crate::program::object(&texts(&output).0)["collapsed"] == true;
            assert!(refused || collapsed(), "{beyond}");
        }
    }
}

#[test]
fn nothing_is_written_where_it_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("m")).unwrap();
    fs::write(folder.join("file"), "kept").unwrap();
    // An existing folder, a file as a folder, and a folder that does not exist.
    for (out, reason) in [
        ("m", "is a folder"),
        ("file/m", "there is no folder file"),
        ("new/folder/m", "there is no folder new/folder; create it"),
    ] {
        let prune = format!("prune --pruner random/igq --out {out}");
        crate::program::refused(folder, &prune, &[&format!("--out {out}"), reason]);
    }
}
