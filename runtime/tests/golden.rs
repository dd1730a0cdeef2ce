//! Compares the engine's logits with those of the golden containers and of the specification.

use std::fs;
use std::path::Path;

use rarefy_format::{AlignedBytes, Model};
use rarefy_runtime::{Engine, argmax};

fn infer(container: &[u8], input: &[u8]) -> Vec<i32> {
    let container = AlignedBytes::copy_from(container);
    let engine = Engine::new(Model::parse(&container).unwrap()).unwrap();
    let mut arena = vec![0; engine.model().arena_words()];
    engine.infer(input, &mut arena).unwrap().to_vec()
}

#[test]
fn golden_containers_have_the_committed_logits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../format/tests/golden");
    let mut lines = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rfy") {
            continue;
        }
        let container = fs::read(&path).unwrap();
        let answers = fs::read_to_string(path.with_extension("txt")).unwrap();
        for line in answers.lines().filter(|line| !line.starts_with('#')) {
            let (input, logits) = line.split_once(' ').unwrap();
            let byte = |at: usize| u8::from_str_radix(&input[2 * at..2 * at + 2], 16).unwrap();
            let input: Vec<u8> = (0..input.len() / 2).map(byte).collect();
            let logits: Vec<i32> = logits.split(' ').map(|one| one.parse().unwrap()).collect();
            assert_eq!(infer(&container, &input), logits, "{}", path.display());
            lines += 1;
        }
    }
    assert!(lines >= 4 * 8, "{lines} lines");
}

#[test]
fn the_specified_container_has_the_specified_logits() {
    let text = include_str!("../../format/SPEC.md");
    let block = text.split("```hex\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let container: Vec<u8> = block
        .lines()
        .flat_map(|line| line.split('|').next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let numbers = |before: &str| -> Vec<i32> {
        let rest = text.split(before).nth(1).unwrap();
        let quoted = rest.split('`').next().unwrap().split(' ');
        quoted.map(|number| number.parse().unwrap()).collect()
    };
    let input: Vec<u8> = numbers("The input `").iter().map(|&x| x as u8).collect();
    let logits = infer(&container, &input);
    assert_eq!(logits, numbers("the logits `"));
    assert_eq!(argmax(&logits), 0);
}
