//! Effective masks, bit for bit, of masks drawn anew from their seeds.

use super::*;

#[derive(Deserialize)]
struct Case {
    quota: String,
    seed: u64,
    shapes: Vec<Vec<usize>>,
    thresholds: Vec<u64>,
    nnz_direct: Vec<usize>,
    nnz_eff_synflow_f32: Vec<usize>,
    nnz_eff_custom: Vec<usize>,
    nnz_eff_exact: Vec<usize>,
    mask_sha256: Option<Vec<String>>,
    eff_sha256: Option<Vec<String>>,
    mask_bits: Option<Vec<String>>,
    eff_bits_custom: Option<Vec<String>>,
    eff_bits_synflow: Option<Vec<String>>,
}

/// Eight elements a byte, the lowest bit first.
fn packed(bits: &[bool]) -> Vec<u8> {
    bits.chunks(8)
        .map(|byte| {
            byte.iter()
                .rev()
                .fold(0, |byte, &bit| byte << 1 | u8::from(bit))
        })
        .collect()
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} is no base64"),
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(digit).collect();
    let bytes_of = |four: &[u8]| {
        let whole = four
            .iter()
            .fold(0_u32, |all, &digit| all << 6 | u32::from(digit));
        let whole = whole << (6 * (4 - four.len()));
        whole.to_be_bytes()[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(bytes_of).collect()
}

fn check(case: &Case) {
    let (graph, shapes) = lenet();
    assert_eq!(case.shapes, shapes);
    let label = format!("{} of seed {}", case.quota, case.seed);
    let mut random = Random::new(case.seed);
    let direct: PerLayer<bool> = shapes
        .iter()
        .zip(&case.thresholds)
        .map(|(shape, &threshold)| {
            let kept: Vec<bool> = (0..shape[0] * shape[1])
                .map(|_| random.next_u64() >> 40 < threshold)
                .collect();
            transposed(&kept, shape)
        })
        .collect();
    let direct = Masks::from_fn(&graph.prunable(), |tensor, at| direct[tensor][at]);
    let found = effective::masks(&graph, &direct);
    assert_eq!(counts(&direct), case.nnz_direct, "{label}");
    assert_eq!(counts(&found), case.nnz_eff_exact, "{label}");
    assert_eq!(counts(&found), case.nnz_eff_custom, "{label}");
    assert_eq!(counts(&found), case.nnz_eff_synflow_f32, "{label}");

    let pack = |masks: &Masks| -> Vec<Vec<u8>> {
        in_out(masks).iter().map(|layer| packed(layer)).collect()
    };
    let (direct, found) = (pack(&direct), pack(&found));
    let hashes = |layers: &[Vec<u8>]| -> Vec<String> {
        let hex = |layer: &Vec<u8>| {
            Sha256::digest(layer)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        };
        layers.iter().map(hex).collect()
    };
    let decoded = |bits: &Vec<String>| -> Vec<Vec<u8>> { bits.iter().map(|b| base64(b)).collect() };
    let mut compared = 0;
    for (bits, ours) in [
        (&case.mask_bits, &direct),
        (&case.eff_bits_custom, &found),
        (&case.eff_bits_synflow, &found),
    ] {
        if let Some(bits) = bits {
            assert!(decoded(bits) == *ours, "{label}: bits differ");
            compared += 1;
        }
    }
    for (stated, ours) in [(&case.mask_sha256, &direct), (&case.eff_sha256, &found)] {
        if let Some(stated) = stated {
            assert_eq!(stated, &hashes(ours), "{label}: bits differ");
            compared += 1;
        }
    }
    assert!(compared >= 2, "{label}: no bits to compare with");
}

#[test]
fn effective_masks_are_the_committed_ones() {
    let file: Cases<Case> = read(&committed().join("effmask_lenet300100.json"));
    assert_eq!(file.cases.len(), 4);
    file.cases.iter().for_each(check);
}

#[test]
fn effective_masks_are_the_papers_bit_for_bit() {
    let Some(folder) = whole() else { return };
    let mut checked = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let wanted = name.starts_with("effmask_lenet300100_") && name.ends_with(".json");
        if wanted && !name.contains("summary") {
            check(&read(&file));
            checked += 1;
        }
    }
    assert!(checked >= 4, "{checked}");
}

/// A hand-made network; only those of dense layers can be read yet.
#[derive(Deserialize)]
struct Tiny {
    name: String,
    input: [usize; 3],
    ops: Vec<Vec<serde_json::Value>>,
    shapes: Vec<Vec<usize>>,
    masks: PerLayer<u8>,
    eff_exact: PerLayer<u8>,
}

fn check_tiny(file: &Path) -> usize {
    let mut checked = 0;
    for tiny in read::<Cases<Tiny>>(file).cases {
        if tiny
            .ops
            .iter()
            .any(|op| op[0] != "flatten" && op[0] != "dense")
        {
            continue;
        }
        let [height, width, channels] = tiny.input;
        let units: Vec<usize> = tiny.shapes.iter().map(|shape| shape[1]).collect();
        let graph = architecture::multilayer(&tiny.name, [channels, height, width], &units);
        let graph = graph.unwrap();
        let read = |layers: &PerLayer<u8>| -> PerLayer<bool> {
            let ours = |(layer, shape): (&Vec<u8>, &Vec<usize>)| {
                transposed(layer, shape)
                    .iter()
                    .map(|&bit| bit == 1)
                    .collect()
            };
            layers.iter().zip(&tiny.shapes).map(ours).collect()
        };
        let direct = read(&tiny.masks);
        let direct = Masks::from_fn(&graph.prunable(), |tensor, at| direct[tensor][at]);
        let found = bits(&effective::masks(&graph, &direct));
        assert!(found == read(&tiny.eff_exact), "{}", tiny.name);
        checked += 1;
    }
    checked
}

#[test]
fn tiny_networks_are_as_computed_by_hand() {
    assert_eq!(check_tiny(&committed().join("effmask_tiny.json")), 1);
    if let Some(folder) = whole() {
        assert!(check_tiny(&folder.join("effmask_tiny.json")) >= 1);
    }
}
