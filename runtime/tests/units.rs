//! Compares the conversion of numbers with the golden values, and tests what it rejects.

use std::fs;
use std::path::Path;

use rarefy_format::{AlignedBytes, ByteMap, Model, UnitsSpec, with_units};
use rarefy_runtime::{Engine, QuantizeError};

/// Returns the golden file `units` with this extension.
fn golden(extension: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../format/tests/golden");
    fs::read(folder.join("units").with_extension(extension)).unwrap()
}

/// Returns the numbers of a list.
fn floats(text: &str) -> Vec<f32> {
    text.split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect()
}

#[test]
fn golden_numbers_become_the_golden_bytes_and_outputs() {
    let container = AlignedBytes::copy_from(&golden("rfy"));
    let engine = Engine::new(Model::parse(&container).unwrap()).unwrap();
    let mut arena = vec![0; engine.model().arena_words()];
    let text = String::from_utf8(golden("values")).unwrap();
    let mut lines = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.split('|').collect();
        let mut input = [7; 12];
        engine.quantize(&floats(parts[0]), &mut input).unwrap();
        let hexadecimal: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hexadecimal, parts[1].trim());
        let logits = engine.infer(&input, &mut arena).unwrap();
        let outputs = engine.dequantize(logits).unwrap();
        assert_eq!(outputs.len(), 3);
        assert_eq!(outputs.collect::<Vec<f32>>(), floats(parts[2]));
        lines += 1;
    }
    assert_eq!(lines, 12);
    assert_eq!(engine.output_step(), Some(0.0123));
}

#[test]
fn integers_are_converted_like_the_floats_that_they_are() {
    let plain = golden("rfy");
    let signed = UnitsSpec {
        output_step: 1.0,
        maps: vec![ByteMap::new(-128.0, 127.0)],
    };
    let container = AlignedBytes::copy_from(&with_units(&plain, &signed).unwrap());
    let engine = Engine::new(Model::parse(&container).unwrap()).unwrap();
    let mut input = [0; 12];
    let values: [i8; 12] = [-128, -127, -1, 0, 1, 2, 3, 64, 100, 125, 126, 127];
    engine.quantize(&values, &mut input).unwrap();
    assert_eq!(input, values.map(|value| (i16::from(value) + 128) as u8));
    // A 12-bit analogue-to-digital converter.
    let unsigned = UnitsSpec {
        maps: vec![ByteMap::new(0.0, 4095.0)],
        ..signed
    };
    let container = AlignedBytes::copy_from(&with_units(&plain, &unsigned).unwrap());
    let engine = Engine::new(Model::parse(&container).unwrap()).unwrap();
    let values: [u16; 12] = [0, 1, 8, 9, 24, 25, 2047, 2048, 4086, 4087, 4094, 4095];
    engine.quantize(&values, &mut input).unwrap();
    // In integers: the nearest to 255 * value / 4095.
    let nearest = values.map(|value| ((510 * u32::from(value) + 4095) / 8190) as u8);
    assert_eq!(input, nearest);
}

#[test]
fn wrong_lengths_and_containers_without_units_are_errors() {
    let container = AlignedBytes::copy_from(&golden("rfy"));
    let engine = Engine::new(Model::parse(&container).unwrap()).unwrap();
    let mut input = [0; 13];
    for (values, room, found) in [(11, 12, 11), (13, 12, 13), (12, 13, 13), (12, 0, 0)] {
        let values = vec![0.0; values];
        let error = engine.quantize(&values, &mut input[..room]).unwrap_err();
        let expected = 12;
        assert_eq!(error, QuantizeError::Length { expected, found });
        assert!(error.to_string().contains("12 inputs"), "{error}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../format/tests/golden");
    let container = AlignedBytes::copy_from(&fs::read(folder.join("csr.rfy")).unwrap());
    let engine = Engine::new(Model::parse(&container).unwrap()).unwrap();
    let error = engine.quantize(&[0.0; 40], &mut [0; 40]).unwrap_err();
    assert_eq!(error, QuantizeError::NoUnits);
    assert!(error.to_string().contains("does not state which numbers"));
    assert!(engine.output_step().is_none() && engine.dequantize(&[1]).is_none());
}
