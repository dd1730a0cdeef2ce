//! What is refused: damaged containers, and containers forged with a checksum that is right.

use rarefy_format::{
    Activation, AlignedBytes, CHECKSUM_OFFSET, HEADER_BYTES, LayerSpec, MAX_LAYERS, Model,
    ParseError as E, RECORD_BYTES, WeightsSpec, WriteError, container_checksum, write,
};

fn layer(inputs: usize, outputs: usize, last: bool, weights: WeightsSpec) -> LayerSpec {
    LayerSpec {
        inputs,
        outputs,
        original_inputs: inputs + 3,
        original_outputs: outputs + 3,
        activation: if last {
            Activation::Linear
        } else {
            Activation::Relu
        },
        shift: if last { 0 } else { 5 },
        bias: vec![9; outputs],
        weights,
    }
}

/// Six inputs, three hidden units (CSR, five weights), two outputs (dense).
fn layers() -> Vec<LayerSpec> {
    let sparse = WeightsSpec::Csr {
        row_lengths: vec![2, 0, 3],
        columns: vec![1, 4, 0, 2, 5],
        values: vec![7, -7, 1, -128, 127],
    };
    let dense = WeightsSpec::Dense {
        values: vec![1, -2, 3, 4, 0, -6],
    };
    vec![layer(6, 3, false, sparse), layer(3, 2, true, dense)]
}

const RECORD_0: usize = HEADER_BYTES;
const RECORD_1: usize = HEADER_BYTES + RECORD_BYTES;
const BIAS_0: usize = HEADER_BYTES + 2 * RECORD_BYTES;
const LENGTHS_0: usize = BIAS_0 + 12;
const COLUMNS_0: usize = LENGTHS_0 + 8;
const VALUES_0: usize = COLUMNS_0 + 12;
const BIAS_1: usize = VALUES_0 + 8;
const VALUES_1: usize = BIAS_1 + 8;

fn parse(bytes: &[u8]) -> Result<(), E> {
    Model::parse(&AlignedBytes::copy_from(bytes)).map(|_| ())
}

/// The container with these bytes put in at `offset`, length and checksum made right again.
fn forged(offset: usize, patch: &[u8]) -> Result<(), E> {
    let mut bytes = write(&layers()).unwrap();
    assert_ne!(
        bytes[offset..offset + patch.len()],
        *patch,
        "the forgery changes nothing"
    );
    bytes[offset..offset + patch.len()].copy_from_slice(patch);
    repaired(bytes)
}

fn repaired(mut bytes: Vec<u8>) -> Result<(), E> {
    let checksum = container_checksum(&bytes);
    bytes[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4].copy_from_slice(&checksum.to_le_bytes());
    parse(&bytes)
}

#[test]
fn the_container_itself_is_accepted() {
    let bytes = write(&layers()).unwrap();
    assert_eq!(bytes.len(), VALUES_1 + 8);
    assert_eq!(parse(&bytes), Ok(()));
}

#[test]
fn every_changed_byte_is_refused() {
    let mut bytes = write(&layers()).unwrap();
    for offset in 0..bytes.len() {
        for change in 1..=255 {
            bytes[offset] ^= change;
            assert!(
                parse(&bytes).is_err(),
                "byte {offset} changed by {change:#x} is accepted"
            );
            bytes[offset] ^= change;
        }
    }
}

#[test]
fn every_truncation_and_every_surplus_is_refused() {
    let bytes = write(&layers()).unwrap();
    for length in 0..bytes.len() {
        let error = parse(&bytes[..length]).unwrap_err();
        let expected = if length < HEADER_BYTES {
            E::TooShort {
                needed: HEADER_BYTES,
                found: length,
            }
        } else {
            E::WrongLength {
                stated: bytes.len(),
                found: length,
            }
        };
        assert_eq!(error, expected);
    }
    let mut longer = bytes.clone();
    longer.push(0);
    let (stated, found) = (bytes.len(), bytes.len() + 1);
    assert_eq!(parse(&longer), Err(E::WrongLength { stated, found }));
}

#[test]
fn bytes_off_a_word_are_refused() {
    let mut shifted = vec![0];
    shifted.extend(write(&layers()).unwrap());
    let aligned = AlignedBytes::copy_from(&shifted);
    assert_eq!(
        Model::parse(&aligned[1..]).unwrap_err(),
        E::Misaligned { offset: 1 }
    );
}

#[test]
fn a_forged_header_is_refused() {
    assert_eq!(forged(1, b"A"), Err(E::WrongMagic { found: *b"RAY" }));
    assert_eq!(
        forged(3, &[1]),
        Err(E::UnsupportedVersion {
            found: 1,
            supported: 0
        })
    );
    assert_eq!(
        forged(15, &[0]),
        Err(E::LayerCount {
            found: 0,
            max: MAX_LAYERS
        })
    );
    assert_eq!(
        forged(15, &[65]),
        Err(E::LayerCount {
            found: 65,
            max: MAX_LAYERS
        })
    );
    let found = VALUES_1 + 8;
    assert_eq!(
        forged(15, &[64]),
        Err(E::TooShort {
            needed: HEADER_BYTES + 64 * RECORD_BYTES,
            found
        })
    );
    assert_eq!(
        forged(12, &[4]),
        Err(E::ArenaWords {
            stated: 4,
            computed: 3
        })
    );
    assert_eq!(
        forged(14, &[1]),
        Err(E::ArenaWords {
            stated: 65_539,
            computed: 3
        })
    );
    let bytes = write(&layers()).unwrap();
    let mut damaged = bytes.clone();
    damaged[BIAS_0] ^= 1;
    let stated = container_checksum(&bytes);
    let computed = container_checksum(&damaged);
    assert_eq!(parse(&damaged), Err(E::WrongChecksum { stated, computed }));
}

#[test]
fn a_forged_record_is_refused() {
    let layer = 0;
    assert_eq!(
        forged(RECORD_0, &[9]),
        Err(E::UnknownEncoding { layer, found: 9 })
    );
    assert_eq!(
        forged(RECORD_0 + 1, &[2]),
        Err(E::UnknownActivation { layer, found: 2 })
    );
    assert_eq!(
        forged(RECORD_0 + 2, &[32]),
        Err(E::ShiftTooLarge {
            layer,
            found: 32,
            max: 31
        })
    );
    assert_eq!(
        forged(RECORD_0 + 3, &[1]),
        Err(E::ReservedNotZero { layer, found: 1 })
    );
    assert_eq!(
        forged(RECORD_0 + 4, &[0]),
        Err(E::EmptyLayer {
            layer,
            inputs: 0,
            outputs: 3
        })
    );
    assert_eq!(
        forged(RECORD_0 + 8, &[5]),
        Err(E::OriginalSmaller {
            layer,
            original: 5,
            stripped: 6
        })
    );
    assert_eq!(
        forged(RECORD_0 + 10, &[2]),
        Err(E::OriginalSmaller {
            layer,
            original: 2,
            stripped: 3
        })
    );
    let found = Activation::Linear;
    assert_eq!(
        forged(RECORD_0 + 1, &[0]),
        Err(E::MisplacedActivation { layer, found })
    );
    assert_eq!(
        forged(RECORD_0 + 12, &[6]),
        Err(E::RowLengths {
            layer,
            stated: 6,
            found: 5
        })
    );

    let layer = 1;
    let found = Activation::Relu;
    assert_eq!(
        forged(RECORD_1 + 1, &[1]),
        Err(E::MisplacedActivation { layer, found })
    );
    assert_eq!(
        forged(RECORD_1 + 2, &[1]),
        Err(E::ShiftTooLarge {
            layer,
            found: 1,
            max: 0
        })
    );
    assert_eq!(
        forged(RECORD_1 + 12, &[7]),
        Err(E::WeightCount {
            layer,
            stated: 7,
            expected: 6
        })
    );
    // Four inputs and eight weights end in the same word as three inputs and six weights.
    let mut bytes = write(&layers()).unwrap();
    bytes[RECORD_1 + 4] = 4;
    bytes[RECORD_1 + 12] = 8;
    assert_eq!(
        repaired(bytes),
        Err(E::BrokenChain {
            layer,
            expected: 3,
            found: 4
        })
    );
}

#[test]
fn forged_sections_are_refused() {
    let layer = 0;
    assert_eq!(
        forged(LENGTHS_0, &[3]),
        Err(E::RowLengths {
            layer,
            stated: 5,
            found: 6
        })
    );
    assert_eq!(
        forged(LENGTHS_0, &[0xFF, 0xFF]),
        Err(E::RowLengths {
            layer,
            stated: 5,
            found: 65_538
        })
    );
    assert_eq!(
        forged(COLUMNS_0 + 8, &[6]),
        Err(E::ColumnOutOfRange {
            layer,
            position: 4,
            column: 6,
            inputs: 6
        })
    );
    assert_eq!(
        forged(COLUMNS_0 + 2, &[1]),
        Err(E::ColumnOrder {
            layer,
            position: 1,
            column: 1,
            previous: 1
        })
    );
    assert_eq!(
        forged(COLUMNS_0 + 6, &[0]),
        Err(E::ColumnOrder {
            layer,
            position: 3,
            column: 0,
            previous: 0
        })
    );
    assert_eq!(
        forged(COLUMNS_0 + 11, &[2]),
        Err(E::PaddingNotZero {
            layer,
            found: 0x200
        })
    );
    assert_eq!(
        forged(VALUES_0 + 5, &[1]),
        Err(E::PaddingNotZero { layer, found: 1 })
    );
    assert_eq!(
        forged(VALUES_1 + 6, &[1]),
        Err(E::PaddingNotZero { layer: 1, found: 1 })
    );
    assert_eq!(
        forged(RECORD_0 + 12, &[0xFF, 0xFF, 0xFF, 0xFF]),
        Err(E::SectionPastEnd {
            layer,
            needed: 0xFFFF_FFFFusize.saturating_mul(2),
            available: VALUES_1 + 8 - COLUMNS_0
        })
    );
    // Bytes that belong to nothing.
    let mut bytes = write(&layers()).unwrap();
    bytes.extend([0; 4]);
    let length = (bytes.len() as u32).to_le_bytes();
    bytes[4..8].copy_from_slice(&length);
    assert_eq!(repaired(bytes), Err(E::SurplusBytes { surplus: 4 }));
}

#[test]
fn a_sum_that_could_overflow_is_refused() {
    // Row 0 of layer 0 has weights 7 and -7, so 255 * 14, and rounding 16.
    let room = i32::MAX - 255 * 14 - 16;
    assert_eq!(forged(BIAS_0, &room.to_le_bytes()), Ok(()));
    assert_eq!(forged(BIAS_0, &(-room).to_le_bytes()), Ok(()));
    let (layer, row, max) = (0, 0, i32::MAX as u32);
    let refusal = Err(E::AccumulatorOverflow {
        layer,
        row,
        bound: max + 1,
        max,
    });
    assert_eq!(forged(BIAS_0, &(room + 1).to_le_bytes()), refusal);
    assert_eq!(forged(BIAS_0, &(-room - 1).to_le_bytes()), refusal);
    let bound = (1 << 31) + 255 * 6;
    assert_eq!(
        forged(BIAS_1, &i32::MIN.to_le_bytes()),
        Err(E::AccumulatorOverflow {
            layer: 1,
            row: 0,
            bound,
            max
        })
    );
}

#[test]
fn the_writer_refuses_what_it_cannot_lay_out() {
    let spoilt = |spoil: fn(&mut Vec<LayerSpec>)| {
        let mut layers = layers();
        spoil(&mut layers);
        write(&layers).unwrap_err()
    };
    let (layer, max) = (0, 65_535);
    assert_eq!(
        spoilt(|layers| layers[0].inputs = 65_536),
        WriteError::TooLarge {
            layer,
            name: "inputs",
            found: 65_536,
            max
        }
    );
    assert_eq!(
        spoilt(|layers| layers[0].bias.truncate(2)),
        WriteError::ListLength {
            layer,
            name: "bias",
            expected: 3,
            found: 2
        }
    );
    assert_eq!(
        spoilt(|layers| layers[1].weights = WeightsSpec::Dense { values: vec![0; 5] }),
        WriteError::ListLength {
            layer: 1,
            name: "values",
            expected: 6,
            found: 5
        }
    );
    assert_eq!(
        spoilt(|layers| layers[0].shift = 32),
        WriteError::Refused(E::ShiftTooLarge {
            layer,
            found: 32,
            max: 31
        })
    );
    assert_eq!(
        spoilt(Vec::clear),
        WriteError::Refused(E::LayerCount {
            found: 0,
            max: MAX_LAYERS
        })
    );
    assert_eq!(
        spoilt(|layers| *layers = vec![layers[0].clone(); 65]),
        WriteError::Refused(E::LayerCount {
            found: 65,
            max: MAX_LAYERS
        })
    );
    let mut sparse = layers()[0].clone();
    sparse.inputs = 5;
    assert_eq!(
        sparse.to_dense(0),
        Err(WriteError::Column {
            layer,
            column: 5,
            inputs: 5
        })
    );
}

#[test]
fn every_error_is_one_sentence_without_an_end() {
    let errors = [
        forged(0, b"X").unwrap_err(),
        forged(3, &[7]).unwrap_err(),
        forged(RECORD_0 + 1, &[0]).unwrap_err(),
        forged(COLUMNS_0 + 8, &[6]).unwrap_err(),
        forged(12, &[4]).unwrap_err(),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(
            !text.is_empty() && !text.contains('\n') && !text.ends_with('.'),
            "{text}"
        );
    }
}
