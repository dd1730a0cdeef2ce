//! The logits that the specification and the golden container state.

use rarefy_format::{AlignedBytes, Model};
use rarefy_runtime::{Engine, argmax};

fn infer(container: &[u8], input: &[u8]) -> Vec<i32> {
    let container = AlignedBytes::copy_from(container);
    let engine = Engine::new(Model::parse(&container).unwrap()).unwrap();
    let mut arena = vec![0; engine.model().arena_words()];
    engine.infer(input, &mut arena).unwrap().to_vec()
}

#[test]
fn the_golden_container_gives_the_committed_logits() {
    let container = include_bytes!("../../format/tests/golden/mixed-v0.rfy");
    let expected = include_str!("../../format/tests/golden/mixed-v0.txt");
    let mut lines = 0;
    for line in expected.lines().filter(|line| !line.starts_with('#')) {
        let (input, logits) = line.split_once(' ').unwrap();
        let input: Vec<u8> = (0..input.len() / 2)
            .map(|byte| u8::from_str_radix(&input[2 * byte..2 * byte + 2], 16).unwrap())
            .collect();
        let logits: Vec<i32> = logits
            .split(' ')
            .map(|logit| logit.parse().unwrap())
            .collect();
        assert_eq!(infer(container, &input), logits);
        lines += 1;
    }
    assert_eq!(lines, 4);
}

#[test]
fn the_specified_test_vector_gives_the_specified_logits() {
    let text = include_str!("../../format/SPEC.md");
    let block = text
        .split("```hex\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let container: Vec<u8> = block
        .lines()
        .flat_map(|line| line.split('|').next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let numbers = |before: &str| -> Vec<i32> {
        let quoted = text
            .split(before)
            .nth(1)
            .unwrap()
            .split('`')
            .next()
            .unwrap();
        quoted
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect()
    };
    let input: Vec<u8> = numbers("The input `").iter().map(|&x| x as u8).collect();
    let logits = infer(&container, &input);
    assert_eq!(logits, numbers("the logits `"));
    assert_eq!(argmax(&logits), 0);
}
