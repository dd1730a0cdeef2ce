//! Tests the writer and the reader with golden containers and the test vector of `SPEC.md`.
//!
//! The tests fail if the format, its meaning or its arithmetic changes, which must not happen
//! within version 1. To add a golden container, extend `golden_networks` and run the tests with
//! `RAREFY_BLESS=1`:
//!
//! ```sh
//! RAREFY_BLESS=1 cargo test -p rarefy-format --features alloc --test golden
//! ```

mod golden_networks;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rarefy_format::{
    CHECKSUM_OFFSET, Encoding, LayerSpec, Model, NetworkSpec, Shape, UnitsSpec, Values,
    container_checksum, with_units, write,
};
use rarefy_test_support::networks::Random;

/// Returns the folder of the golden containers.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Returns the inputs of the golden files: a ramp, all 255, noise, zeros.
fn inputs(network: &NetworkSpec) -> [Vec<u8>; 4] {
    let count = network.input.len();
    let mut random = Random::new(7);
    let ramp = (0..count).map(|at| (at * 255 / count) as u8).collect();
    let noise = (0..count).map(|_| random.next() as u8).collect();
    [ramp, vec![255; count], noise, vec![0; count]]
}

/// Returns the text of `NAME.txt`: inputs and the logits of the reference implementation.
fn answers(name: &str, network: &NetworkSpec) -> String {
    let mut text = format!(
        "# Each line: the input bytes in hexadecimal, then the logits that {name}.rfy gives for them.\n"
    );
    for input in inputs(network) {
        text += &rarefy_test_support::hexadecimal(&input);
        for logit in network.infer(&input) {
            write!(text, " {logit}").unwrap();
        }
        text.push('\n');
    }
    text
}

/// Returns numbers to convert by `units`: within, at the ends of, and outside the range of each
/// map, halfway between two bytes, and those that are not finite.
fn values(units: &UnitsSpec, inputs: usize) -> Vec<Vec<f32>> {
    let mut random = Random::new(11);
    let share = inputs / units.maps.len();
    let place = |row: usize, random: &mut Random| match row {
        0 => 0.0,
        1 => 255.0,
        2 => random.below(255) as f32 + 0.5,
        _ => random.below(270_000) as f32 / 1000.0 - 7.5,
    };
    let mut rows: Vec<Vec<f32>> = (0..12)
        .map(|row| {
            let value = |index: usize| {
                let map = units.maps[index / share];
                map.minimum + place(row, &mut random) / map.factor
            };
            (0..inputs).map(value).collect()
        })
        .collect();
    rows[11][..4].copy_from_slice(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0]);
    rows
}

/// Returns the text of `NAME.values`: numbers, the input bytes that they become, and the outputs in
/// their own units.
fn conversions(name: &str, network: &NetworkSpec, units: &UnitsSpec) -> String {
    let mut text = format!(
        "# Each line: numbers | the input bytes that {name}.rfy makes of them | its outputs in their own units.\n"
    );
    let inputs = network.input.len();
    let share = inputs / units.maps.len();
    for row in values(units, inputs) {
        let numbers = row.iter().enumerate();
        let bytes = numbers.map(|(at, &value)| units.maps[at / share].byte(value));
        let bytes: Vec<u8> = bytes.collect();
        let numbers: Vec<String> = row.iter().map(f32::to_string).collect();
        let logits = network.infer(&bytes).into_iter();
        let outputs: Vec<String> = logits
            .map(|logit| (logit as f32 * units.output_step).to_string())
            .collect();
        let bytes = rarefy_test_support::hexadecimal(&bytes);
        writeln!(
            text,
            "{} | {bytes} | {}",
            numbers.join(" "),
            outputs.join(" ")
        )
        .unwrap();
    }
    text
}

#[test]
fn golden_containers_are_written_and_read_unchanged() {
    for (name, network) in golden_networks::all() {
        let path = folder().join(name).with_extension("rfy");
        let written = write(&network).unwrap_or_else(|error| panic!("{name}: {error}"));
        let units = golden_networks::units(name);
        let written = match &units {
            Some(units) => with_units(&written, units).unwrap(),
            None => written,
        };
        let values = units
            .as_ref()
            .map(|units| conversions(name, &network, units));
        let stated = answers(name, &network);
        if std::env::var_os("RAREFY_BLESS").is_some() {
            fs::write(&path, &written).unwrap();
            fs::write(path.with_extension("txt"), &stated).unwrap();
            if let Some(values) = &values {
                fs::write(path.with_extension("values"), values).unwrap();
            }
        }
        let committed = fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            committed.len() <= 1024,
            "{name} has {} bytes",
            committed.len()
        );
        assert!(
            committed == written,
            "the writer no longer writes the bytes of {name}"
        );
        let model = Model::parse(&committed).unwrap();
        assert_eq!(NetworkSpec::from_model(&model), network, "{name}");
        let answers = fs::read_to_string(path.with_extension("txt")).unwrap();
        assert_eq!(
            answers, stated,
            "the reference no longer computes the logits of {name}"
        );
        assert_eq!(
            model.units().map(|read| UnitsSpec::from_units(&read)),
            units
        );
        if let Some(values) = values {
            let committed = fs::read_to_string(path.with_extension("values")).unwrap();
            assert_eq!(committed, values, "the units of {name} have changed");
        }
    }
}

/// Checks that the golden logits would expose an engine that ignores its input.
#[test]
fn golden_logits_depend_on_the_input() {
    for (name, network) in golden_networks::all() {
        let outputs = inputs(&network).map(|input| network.outputs(&input));
        for (layer, first) in outputs[0].iter().enumerate() {
            let differs = |other: &Vec<Values>| other[layer] != *first;
            assert!(outputs.iter().any(differs), "layer {layer} of {name}");
            if let Values::Bytes(bytes) = first {
                let between = bytes.iter().filter(|byte| !matches!(byte, 0 | 255));
                let between = between.count();
                assert!(between >= 2, "layer {layer} of {name} outputs {bytes:?}");
            }
        }
    }
}

/// Checks the committed checksums; with `RAREFY_BLESS=1` it corrects them and changes nothing
/// else.
#[test]
fn the_other_committed_containers_have_the_checksum_of_their_bytes() {
    let mut seen = 0;
    for name in ["../tests/networks", "../tests/fuzz/seeds"] {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
        // A published copy of this crate has no such folder.
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rfy") {
                continue;
            }
            let mut container = fs::read(&path).unwrap();
            let computed = container_checksum(&container).to_le_bytes();
            let stated = &mut container[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4];
            if std::env::var_os("RAREFY_BLESS").is_some() && *stated != computed {
                stated.copy_from_slice(&computed);
                fs::write(&path, &container).unwrap();
            }
            let stated = &container[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4];
            assert_eq!(stated, computed, "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen == 0 || seen > 20, "{seen} containers");
}

#[test]
fn every_golden_container_has_its_network() {
    let names: Vec<&str> = golden_networks::all()
        .iter()
        .map(|(name, _)| *name)
        .collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(names.contains(&stem), "{} has no network", path.display());
    }
    let encodings = Encoding::ALL.map(Encoding::name);
    assert!(encodings.iter().all(|encoding| names.contains(encoding)));
}

/// Returns the network of the test vector in `SPEC.md`.
fn example() -> NetworkSpec {
    let rows = vec![
        vec![(1, 7), (4, -7)],
        vec![],
        vec![(0, 1), (2, -128), (5, 127)],
    ];
    let mut hidden = LayerSpec::dense(Encoding::Csr, 5, vec![116, 656, -284], rows);
    hidden.original_outputs = 4;
    let rows = vec![vec![(0, 1), (1, -2), (2, 3)], vec![(0, 4), (2, -6)]];
    let last = LayerSpec::dense(Encoding::Dense, 0, vec![-5, 1000], rows);
    NetworkSpec {
        input: Shape {
            channels: 1,
            height: 1,
            width: 6,
        },
        layers: vec![hidden, last],
    }
}

/// Returns the numbers in backticks that follow `before` in `SPEC.md`.
fn numbers(before: &str) -> Vec<i32> {
    let text = include_str!("../SPEC.md");
    let quoted = text
        .split(before)
        .nth(1)
        .and_then(|rest| rest.split('`').next());
    let quoted = quoted.unwrap_or_else(|| panic!("SPEC.md does not say {before:?}"));
    quoted
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect()
}

#[test]
fn the_specified_test_vector_is_written() {
    let text = include_str!("../SPEC.md");
    let block = text
        .split("```hex\n")
        .nth(1)
        .expect("SPEC.md shows a test vector");
    let block = block.split("```").next().unwrap();
    let specified: Vec<u8> = block
        .lines()
        .flat_map(|line| line.split('|').next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let written = write(&example()).unwrap();
    assert_eq!(
        specified, written,
        "the bytes of SPEC.md are not those written: {written:02x?}"
    );
    let model = Model::parse(&specified).unwrap();
    assert_eq!(NetworkSpec::from_model(&model), example());

    let input: Vec<u8> = numbers("The input `")
        .iter()
        .map(|&byte| byte as u8)
        .collect();
    let outputs = example().outputs(&input);
    let hidden = numbers("the hidden activations `");
    let hidden = hidden.iter().map(|&byte| byte as u8).collect();
    assert_eq!(outputs[0], Values::Bytes(hidden));
    assert_eq!(outputs[1], Values::Sums(numbers("the logits `")));
}

/// Checks that a reader written from `SPEC.md` alone decodes every golden container and agrees on
/// every logit.
#[test]
fn a_reader_from_the_specification_alone_agrees() {
    let reader = folder().with_file_name("reader.py");
    let ran = match Command::new("python3").arg(&reader).arg(folder()).output() {
        Ok(ran) => ran,
        Err(error) => {
            println!("skipped: python3 does not run here ({error})");
            return;
        }
    };
    let (said, complained) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{said}{complained}");
    for (name, _) in golden_networks::all() {
        assert!(
            said.contains(&format!("{name}.rfy: 4 inputs agree")),
            "{said}"
        );
    }
}
