//! Tests the section of units: what is written is read again, and damaged sections are rejected.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rarefy_format::{
    ByteMap, CHECKSUM_OFFSET, Encoding, LayerSpec, Model, NetworkSpec, ParseError, Shape,
    UnitsError, UnitsSpec, container_checksum, with_units, write,
};
use rarefy_test_support::networks;

/// Returns a network of six inputs, whose container has no multiple of 4 bytes.
fn network() -> NetworkSpec {
    let layer = LayerSpec::dense(Encoding::Csr, 0, vec![7], vec![vec![(5, 3)]]);
    NetworkSpec {
        input: Shape {
            channels: 2,
            height: 1,
            width: 3,
        },
        layers: vec![layer],
    }
}

/// Returns units with a map per channel of [`network`].
fn units() -> UnitsSpec {
    UnitsSpec {
        output_step: 0.25,
        maps: vec![ByteMap::new(-1.0, 1.0), ByteMap::new(0.0, 4095.0)],
    }
}

/// The offsets in a container of [`network`] with [`units`].
mod at {
    pub(crate) const END: usize = 33;
    pub(crate) const STEP: usize = 36;
    pub(crate) const COUNT: usize = 40;
    pub(crate) const MAPS: usize = 44;
    pub(crate) const BYTES: usize = 60;
}

/// Parses `bytes` after correcting their checksum.
fn repaired(mut bytes: Vec<u8>) -> Result<(), ParseError> {
    let checksum = container_checksum(&bytes);
    bytes[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4].copy_from_slice(&checksum.to_le_bytes());
    Model::parse(&bytes).map(|_| ())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn units_are_read_as_written_and_change_nothing_else(
        seed in any::<u64>(),
        step in 1e-30_f32..1e30,
        minimum in -1e9_f64..1e9,
        extent in 0.0_f64..1e9,
    ) {
        let network = networks::any(seed);
        let Ok(bytes) = write(&network) else { return Ok(()) };
        let inputs = network.input.len();
        for count in [1, usize::from(network.input.channels), inputs] {
            let map = |index: usize| ByteMap::new(minimum, minimum + extent * index as f64);
            let maps = (0..count).map(map).collect();
            let units = UnitsSpec { output_step: step, maps };
            let stated = with_units(&bytes, &units).unwrap();
            let model = Model::parse(&stated).unwrap();
            let read = model.units().unwrap();
            prop_assert_eq!(read.share(), inputs / count);
            for index in 0..inputs {
                prop_assert_eq!(read.map(index), Some(units.maps[index / read.share()]));
            }
            prop_assert_eq!(read.map(inputs), None);
            prop_assert_eq!(&UnitsSpec::from_units(&read), &units);
            prop_assert_eq!(NetworkSpec::from_model(&model), network.clone());
            prop_assert_eq!(model.arena_words(), Model::parse(&bytes).unwrap().arena_words());
            // The blocks are at the same offsets, and units are replaced.
            prop_assert_eq!(&stated[9..bytes.len()], &bytes[9..]);
            prop_assert_eq!(with_units(&stated, &units).unwrap(), stated);
        }
    }

    #[test]
    fn a_byte_is_the_nearest_to_the_exact_value(
        minimum in -1e4_f64..1e4,
        extent in 1.0_f64..1e5,
        place in -0.2_f64..1.2,
    ) {
        let map = ByteMap::new(minimum, minimum + extent);
        let value = (minimum + place * extent) as f32;
        let exact = (f64::from(value) - minimum) * 255.0 / extent;
        let byte = f64::from(map.byte(value));
        // Numbers up to 1e5 have a resolution of 2^-7 in f32.
        let tolerance = 0.5 + 255.0 * (2_f64.powi(-7) / extent + 1e-6);
        prop_assert!((byte - exact.clamp(0.0, 255.0)).abs() <= tolerance, "{} {}", byte, exact);
    }
}

#[test]
fn maps_convert_their_range_and_limit_everything_else() {
    let map = ByteMap::new(-128.0, 127.0);
    assert_eq!((map.minimum, map.factor), (-128.0, 1.0));
    assert!((-128..=127).all(|value: i16| map.byte(value.into()) == (value + 128) as u8));
    assert!((0..=255).all(|value: u8| ByteMap::IDENTITY.byte(value.into()) == value));
    let map = ByteMap::new(0.0, 10.0);
    let values = [
        -1e30,
        -0.1,
        0.019,
        0.02,
        5.0,
        9.99,
        1e30,
        f32::INFINITY,
        f32::NAN,
    ];
    assert_eq!(
        values.map(|value| map.byte(value)),
        [0, 0, 0, 1, 128, 255, 255, 255, 0]
    );
    // Ranges without extent, or with one that has no factor in f32.
    for (minimum, maximum) in [(3.0, 3.0), (3.0, 2.0), (0.0, 1e-300), (f64::NAN, 1.0)] {
        let map = ByteMap::new(minimum, maximum);
        assert_eq!(map.factor, 0.0);
        assert_eq!([-1e9, 3.0, 4.0].map(|value| map.byte(value)), [0, 0, 0]);
    }
}

#[test]
fn damaged_units_are_rejected() {
    let bytes = with_units(&write(&network()).unwrap(), &units()).unwrap();
    assert_eq!(bytes.len(), at::BYTES);
    let infinity = f32::INFINITY.to_le_bytes();
    let negative = (-1.0_f32).to_le_bytes();
    let step = |step: f32| UnitsError::Step {
        bits: step.to_bits(),
    };
    let maps = |found| UnitsError::Maps { found, inputs: 6 };
    let length = |count: usize| ParseError::WrongLength {
        stated: at::MAPS + 8 * count,
        found: at::BYTES,
    };
    let mut messages = BTreeSet::new();
    for (offset, patch, error) in [
        (
            at::END,
            &[1][..],
            ParseError::Units {
                error: UnitsError::Padding { found: 1 },
            },
        ),
        (
            at::STEP - 1,
            &[9],
            ParseError::Units {
                error: UnitsError::Padding { found: 9 },
            },
        ),
        (at::STEP, &[0; 4], ParseError::Units { error: step(0.0) }),
        (
            at::STEP,
            &(-0.0_f32).to_le_bytes(),
            ParseError::Units { error: step(-0.0) },
        ),
        (at::STEP, &negative, ParseError::Units { error: step(-1.0) }),
        (
            at::STEP,
            &infinity,
            ParseError::Units {
                error: step(f32::INFINITY),
            },
        ),
        (
            at::STEP,
            &[0xFF; 4],
            ParseError::Units {
                error: UnitsError::Step { bits: u32::MAX },
            },
        ),
        (at::COUNT, &[0], ParseError::Units { error: maps(0) }),
        (at::COUNT, &[1], length(1)),
        (at::COUNT, &[3], length(3)),
        (at::COUNT, &[0xFF; 4], length(0xFFFF_FFFF)),
        (
            at::MAPS,
            &infinity,
            ParseError::Units {
                error: UnitsError::Map { map: 0 },
            },
        ),
        (
            at::MAPS + 4,
            &negative,
            ParseError::Units {
                error: UnitsError::Map { map: 0 },
            },
        ),
        (
            at::MAPS + 8,
            &[0xFF; 4],
            ParseError::Units {
                error: UnitsError::Map { map: 1 },
            },
        ),
        (
            at::MAPS + 12,
            &infinity,
            ParseError::Units {
                error: UnitsError::Map { map: 1 },
            },
        ),
        (
            8,
            &[1],
            ParseError::WrongLength {
                stated: at::END,
                found: at::BYTES,
            },
        ),
        (8, &[0x80], ParseError::LayerCount { found: 0, max: 64 }),
        (
            8,
            &[0x80 + 65],
            ParseError::LayerCount { found: 65, max: 64 },
        ),
    ] {
        let mut forged = bytes.clone();
        forged[offset..offset + patch.len()].copy_from_slice(patch);
        assert_eq!(repaired(forged), Err(error), "{offset} {patch:?}");
        let message = error.to_string();
        assert!(
            !message.contains('\n') && !message.ends_with('.'),
            "{message}"
        );
        messages.insert(message);
    }
    assert!(messages.contains(
        "the container states invalid units: 0 maps to bytes do not share 6 inputs evenly"
    ));
    // Four maps that are all there, for six inputs.
    let mut four = bytes.clone();
    four[at::COUNT] = 4;
    four.extend([0; 16]);
    assert_eq!(repaired(four), Err(ParseError::Units { error: maps(4) }));
}

#[test]
fn truncated_and_extended_units_are_rejected() {
    let bytes = with_units(&write(&network()).unwrap(), &units()).unwrap();
    for found in at::END..bytes.len() {
        // Whether the checksum is wrong or right, the length explains more.
        let stated = if found < at::MAPS {
            at::MAPS + 8
        } else {
            at::BYTES
        };
        let expected = Err(ParseError::WrongLength { stated, found });
        let cut = &bytes[..found];
        assert_eq!(repaired(cut.to_vec()), expected, "{found}");
        assert_eq!(Model::parse(cut).map(|_| ()), expected, "{found}");
    }
    let longer = [&bytes[..], &[0]].concat();
    let (stated, found) = (at::BYTES, at::BYTES + 1);
    assert_eq!(
        repaired(longer),
        Err(ParseError::WrongLength { stated, found })
    );
}

#[test]
fn units_that_no_reader_accepts_are_not_written() {
    let container = write(&network()).unwrap();
    for (units, words) in [
        (
            UnitsSpec {
                output_step: 0.0,
                ..units()
            },
            "the output step is 0",
        ),
        (
            UnitsSpec {
                output_step: f32::NAN,
                ..units()
            },
            "the output step is NaN",
        ),
        (
            UnitsSpec {
                maps: vec![],
                ..units()
            },
            "0 maps to bytes do not share",
        ),
        (
            UnitsSpec {
                maps: vec![ByteMap::IDENTITY; 5],
                ..units()
            },
            "5 maps to bytes do not share",
        ),
        (
            UnitsSpec {
                maps: vec![ByteMap {
                    minimum: 0.0,
                    factor: -1.0,
                }],
                ..units()
            },
            "map 0",
        ),
    ] {
        let error = with_units(&container, &units).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    assert!(with_units(b"RFY", &units()).is_err());
    assert!(Model::parse(&container).unwrap().units().is_none());
}

#[test]
fn the_parser_reads_units_in_a_constant() {
    const BYTES: &[u8] = include_bytes!("golden/units.rfy");
    const MODEL: Model<'_> = match Model::parse(BYTES) {
        Ok(model) => model,
        Err(_) => panic!("the golden container is invalid"),
    };
    const STEP: Option<f32> = match MODEL.units() {
        Some(units) => Some(units.output_step()),
        None => None,
    };
    assert_eq!(STEP, Some(0.0123));
}
