//! Compares effective masks of random masks, which are drawn again from their seeds: bit for bit
//! where the collection has bits, and by the counts per layer otherwise.

use std::fs;

use rarefy_trainer::pruning::effective::{self, Mode};

use super::layout::{Layout, described, network};
use super::*;
use crate::oracle::{self, PerLayer};
use crate::samples;

#[derive(Deserialize)]
struct Case {
    arch: String,
    quota: String,
    seed: u64,
    shapes: Vec<Vec<usize>>,
    thresholds: Vec<u64>,
    nnz_direct: Vec<usize>,
    nnz_eff_exact: Vec<usize>,
    /// The counts in graph mode.
    nnz_eff_custom: Vec<usize>,
    mask_sha256: Option<Vec<String>>,
    eff_sha256: Option<Vec<String>>,
    mask_bits: Option<Vec<String>>,
    eff_bits_custom: Option<Vec<String>>,
    eff_bits_synflow: Option<Vec<String>>,
}

/// Compares the masks of one case.
fn check(case: &Case) {
    let graph = network(&case.arch);
    let layout = Layout::of(&graph);
    let label = format!("{}/{} of seed {}", case.arch, case.quota, case.seed);
    assert_eq!(case.shapes, layout.shapes(), "{label}");
    let drawn = layout.drawn_mask(case.seed, &case.thresholds);
    let direct = samples::masks(&graph, &drawn);
    assert_eq!(counts(&direct), case.nnz_direct, "{label}");
    let exact = effective::masks(&graph, &direct, Mode::Exact);
    assert_eq!(counts(&exact), case.nnz_eff_exact, "{label}");
    let channels = effective::masks(&graph, &direct, Mode::Graph);
    assert_eq!(counts(&channels), case.nnz_eff_custom, "{label}");
    // Equal counts may hide different bits, which the oracle has in full.
    if direct.nonzeros() < 300_000 {
        for (mode, found) in [(Mode::Exact, &exact), (Mode::Graph, &channels)] {
            let expected = oracle::effective(&graph, &drawn, mode);
            assert!(
                samples::bits(found) == expected,
                "{label}: {mode:?} bits differ"
            );
        }
    }

    let [direct, exact, channels] =
        [&direct, &exact, &channels].map(|masks| layout.theirs(&samples::bits(masks)));
    for (theirs, ours) in [
        (&case.mask_bits, &direct),
        (&case.eff_bits_custom, &channels),
        (&case.eff_bits_synflow, &exact),
    ] {
        if let Some(theirs) = theirs {
            let theirs: PerLayer<u8> = theirs.iter().map(|text| bits::base64(text)).collect();
            assert!(bits::packed(ours) == theirs, "{label}: bits differ");
        }
    }
    for (theirs, ours) in [
        (&case.mask_sha256, &direct),
        (&case.eff_sha256, &exact),
        (&case.eff_sha256, &channels),
    ] {
        if let Some(theirs) = theirs {
            assert_eq!(theirs, &bits::sha256(ours), "{label}: bits differ");
        }
    }
}

/// Checks the files of `folder` that hold one case of a LeNet with its bits; returns their number.
fn check_lenets(folder: &Path) -> usize {
    let mut checked = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("effmask_lenet") && name.contains("_c") {
            let case: Case = read(&file);
            assert!(case.mask_bits.is_some() && case.eff_bits_custom.is_some());
            check(&case);
            checked += 1;
        }
    }
    checked
}

#[test]
fn effective_masks_of_lenets_are_the_committed_ones() {
    for name in ["effmask_lenet300100.json", "effmask_lenet5.json"] {
        let file: Cases<Case> = read(&committed().join(name));
        assert_eq!(file.cases.len(), 4);
        for case in file.cases {
            assert!(case.mask_sha256.is_some() && case.eff_sha256.is_some());
            check(&case);
        }
    }
}

#[test]
fn effective_masks_of_lenets_are_the_papers_bit_for_bit() {
    if let Some(folder) = complete() {
        assert_eq!(check_lenets(&folder), 8);
    }
}

/// Checks the cases of a file; returns their number.
fn check_deep(file: &Path) -> usize {
    let file: Cases<Case> = read(file);
    file.cases.iter().for_each(check);
    file.cases.len()
}

#[test]
fn effective_masks_of_deep_networks_have_the_committed_counts() {
    let file = committed().join("effmask_deep_summary.json");
    assert_eq!(check_deep(&file), 3);
}

#[test]
fn effective_masks_of_deep_networks_have_the_papers_counts() {
    if let Some(folder) = complete() {
        assert_eq!(check_deep(&folder.join("effmask_deep_summary.json")), 17);
    }
}

/// A small network, hand-made or random, with its masks.
#[derive(Deserialize)]
struct Tiny {
    name: String,
    input: [usize; 3],
    ops: Vec<Vec<serde_json::Value>>,
    shapes: Vec<Vec<usize>>,
    masks: PerLayer<u8>,
    eff_exact: PerLayer<u8>,
    eff_graph: PerLayer<u8>,
}

/// Checks the small networks of a file; returns their number.
fn check_tiny(file: &Path) -> usize {
    let tiny = read::<Cases<Tiny>>(file).cases;
    for case in &tiny {
        let graph = described(&case.name, case.input, &case.ops);
        let layout = Layout::of(&graph);
        assert_eq!(case.shapes, layout.shapes(), "{}", case.name);
        let direct = layout.ours(&bits::of_digits(&case.masks));
        let masks = samples::masks(&graph, &direct);
        for (mode, expected) in [
            (Mode::Exact, &case.eff_exact),
            (Mode::Graph, &case.eff_graph),
        ] {
            let expected = layout.ours(&bits::of_digits(expected));
            let found = samples::bits(&effective::masks(&graph, &masks, mode));
            assert!(found == expected, "{mode:?} of {}", case.name);
            let defined = oracle::effective(&graph, &direct, mode);
            assert!(
                defined == expected,
                "{mode:?} of {} by the oracle",
                case.name
            );
        }
    }
    tiny.len()
}

#[test]
fn effective_masks_of_tiny_networks_are_the_precomputed_ones() {
    assert_eq!(check_tiny(&committed().join("effmask_tiny.json")), 8);
    if let Some(folder) = complete() {
        assert!(check_tiny(&folder.join("effmask_tiny.json")) >= 8);
    }
}
