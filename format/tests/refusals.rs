//! Provokes each error of the parser. Except for wrong lengths and wrong checksums, the forged
//! containers have correct checksums.

use std::collections::BTreeSet;

use rarefy_format::{
    CHECKSUM_OFFSET, Encoding, HEADER_BYTES, LayerSpec, MAX_LAYERS, MAX_SOURCE_BYTES, Margin,
    Model, NetworkSpec, Operation, ParseError as E, Pooling, RECORD_BYTES, Shape, SkipSpec,
    SpecError, Unfit, WeightsSpec, Window, WriteError, container_checksum, rice::RiceError, write,
};

/// Returns the network of the test vector: csr of 6 inputs and 3 outputs, dense of 2 outputs.
fn plain() -> NetworkSpec {
    let rows = vec![
        vec![(1, 7), (4, -7)],
        vec![],
        vec![(0, 1), (2, -128), (5, 127)],
    ];
    let hidden = LayerSpec::dense(Encoding::Csr, 5, vec![116, 656, -284], rows);
    let rows = vec![vec![(0, 1), (1, -2), (2, 3)], vec![(0, 4), (2, -6)]];
    let last = LayerSpec::dense(Encoding::Dense, 0, vec![-5, 1000], rows);
    NetworkSpec {
        input: Shape::flat(6),
        layers: vec![hidden, last],
    }
}

/// The offsets of the sections of [`plain`].
mod at {
    pub(crate) const RECORD_0: usize = 16;
    pub(crate) const RECORD_1: usize = 24;
    pub(crate) const LENGTHS: usize = 44;
    pub(crate) const COLUMNS: usize = 50;
    pub(crate) const ZEROS: usize = 65;
    pub(crate) const BYTES: usize = 82;
}

fn window(size: u8, padding: u8) -> Window {
    let padding = Margin {
        top: padding,
        left: padding,
        bottom: padding,
        right: padding,
    };
    Window::square(size, 1, padding)
}

fn layer(operation: Operation, encoding: Encoding, rows: Vec<Vec<(u16, i16)>>) -> LayerSpec {
    LayerSpec {
        operation,
        ..LayerSpec::dense(encoding, 0, vec![9; rows.len()], rows)
    }
}

/// Returns a network over a map of 4 x 4: a padded convolution in words with two channels and max
/// pooling of 2 x 2, max pooling of 2 x 2 again, and two outputs in columns.
fn maps() -> NetworkSpec {
    let convolution = Operation::Conv {
        window: window(3, 1),
        pooling: Some((Pooling::Max, 2)),
    };
    let rows = vec![vec![(0, 16), (4, 36)], vec![(1, -31), (8, 24)]];
    let pool = LayerSpec {
        operation: Operation::Pool {
            pooling: Pooling::Max,
            window: window(2, 0),
        },
        encoding: Encoding::None,
        outputs: 2,
        original_outputs: 2,
        weights: WeightsSpec::None,
        ..layer(Operation::Dense, Encoding::None, vec![])
    };
    let last = vec![vec![(0, 2)], vec![(0, 3), (1, 5)]];
    NetworkSpec {
        input: Shape {
            channels: 1,
            height: 4,
            width: 4,
        },
        layers: vec![
            layer(convolution, Encoding::Words, rows),
            pool,
            layer(Operation::Dense, Encoding::Columns, last),
        ],
    }
}

/// The offsets of the blocks of [`maps`].
mod map {
    pub(crate) const CONV: usize = 40;
    pub(crate) const WORDS: usize = 48;
    pub(crate) const ROW_0: usize = 56;
    pub(crate) const ROW_1: usize = 64;
    pub(crate) const POOL: usize = 76;
    pub(crate) const COLUMNS: usize = 84;
    pub(crate) const STARTS: usize = 96;
    pub(crate) const EMPTY: usize = 100;
    pub(crate) const COUNTS: usize = 104;
    pub(crate) const BOTH: usize = 108;
    pub(crate) const FIRST: usize = 112;
    pub(crate) const BYTES: usize = 116;
}

/// Returns a network of two extended geometries, of which the first is followed by links: a
/// convolution of 3 x 2 that adds its source, and pooling of 2 x 3 with strides of 2 x 1.
fn extended() -> NetworkSpec {
    let window = |size, stride| Window {
        size,
        stride,
        padding: Margin::NONE,
    };
    let conv = |size| Operation::Conv {
        window: window(size, [1, 1]),
        pooling: None,
    };
    let mut added = layer(conv([3, 2]), Encoding::Csr, vec![vec![(5, 7)]]);
    added.source = 2;
    added.skip = Some(SkipSpec { back: 1, shift: 2 });
    let pool = LayerSpec {
        operation: Operation::Pool {
            pooling: Pooling::Max,
            window: window([2, 3], [2, 1]),
        },
        encoding: Encoding::None,
        weights: WeightsSpec::None,
        ..layer(Operation::Dense, Encoding::None, vec![vec![]])
    };
    NetworkSpec {
        input: Shape {
            channels: 1,
            height: 6,
            width: 5,
        },
        layers: vec![
            layer(conv([3, 2]), Encoding::Csr, vec![vec![(0, 3)]]),
            added,
            pool,
            layer(Operation::Dense, Encoding::Dense, vec![vec![(3, 1)]]),
        ],
    }
}

/// The offsets of the geometries of [`extended`], and of the record of its pooling layer.
mod ext {
    pub(crate) const RECORD_2: usize = 32;
    pub(crate) const CONV: usize = 48;
    pub(crate) const LINKS: usize = 60;
    pub(crate) const POOL: usize = 101;
    pub(crate) const BYTES: usize = 132;
}

/// Returns two convolutions of one channel, of which the second adds the first, and a dense layer.
fn linked() -> NetworkSpec {
    let convolution = || {
        let operation = Operation::Conv {
            window: window(1, 0),
            pooling: None,
        };
        layer(operation, Encoding::Csr, vec![vec![(0, 3)]])
    };
    let mut second = convolution();
    second.skip = Some(SkipSpec { back: 1, shift: 2 });
    NetworkSpec {
        input: Shape {
            channels: 1,
            height: 3,
            width: 3,
        },
        layers: vec![
            convolution(),
            second,
            layer(Operation::Dense, Encoding::Dense, vec![vec![(4, 1)]]),
        ],
    }
}

/// The offsets of the links of [`linked`].
mod link {
    pub(crate) const LAYER_0: usize = 48;
    pub(crate) const LAYER_1: usize = 72;
    pub(crate) const LAYER_2: usize = 88;
}

/// Returns the rows `5 - x[1]` and `-2 + 3 x[0] + x[2]` in rice.
fn coded() -> NetworkSpec {
    let rows = vec![vec![(1, -1)], vec![(0, 3), (2, 1)]];
    let layer = LayerSpec::dense(Encoding::Rice, 0, vec![5, -2], rows);
    NetworkSpec {
        input: Shape::flat(3),
        layers: vec![layer],
    }
}

/// Returns a layer in columns with three inputs and three outputs: one row reads both inputs of
/// the pair, two rows read one of them each, and one of these also reads the last input.
fn odd() -> NetworkSpec {
    let rows = vec![vec![(0, 4), (1, 8)], vec![(1, 5), (2, 9)], vec![(0, 6)]];
    NetworkSpec {
        input: Shape::flat(3),
        layers: vec![layer(Operation::Dense, Encoding::Columns, rows)],
    }
}

/// Returns a layer in columns with twelve inputs, whose only row reads the fifth and the last.
fn margin() -> NetworkSpec {
    let rows = vec![vec![(4, 2), (11, 2)]];
    NetworkSpec {
        input: Shape::flat(12),
        layers: vec![layer(Operation::Dense, Encoding::Columns, rows)],
    }
}

/// Returns a layer with one row of two floats.
fn floats() -> NetworkSpec {
    let mut layer = layer(Operation::Dense, Encoding::CsrF32, vec![vec![]]);
    layer.weights = WeightsSpec::Floats {
        bias: vec![0.5],
        rows: vec![vec![(0, 1.5), (1, -2.5)]],
    };
    NetworkSpec {
        input: Shape::flat(2),
        layers: vec![layer],
    }
}

/// Parses `bytes` after correcting their checksum.
fn repaired(mut bytes: Vec<u8>) -> Result<(), E> {
    let checksum = container_checksum(&bytes);
    bytes[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4].copy_from_slice(&checksum.to_le_bytes());
    Model::parse(&bytes).map(|_| ())
}

/// Writes `network`, applies the patches, and parses the result.
fn forged(network: &NetworkSpec, patches: &[(usize, &[u8])]) -> Result<(), E> {
    let mut bytes = write(network).unwrap();
    for (offset, patch) in patches {
        let place = &mut bytes[*offset..*offset + patch.len()];
        assert_ne!(place, *patch, "the forgery at {offset} changes nothing");
        place.copy_from_slice(patch);
    }
    repaired(bytes)
}

#[test]
fn the_networks_are_accepted_without_a_forgery() {
    for (network, bytes) in [
        (plain(), at::BYTES),
        (maps(), map::BYTES),
        (extended(), ext::BYTES),
    ] {
        assert_eq!(write(&network).unwrap().len(), bytes);
    }
    for network in [
        plain(),
        maps(),
        extended(),
        linked(),
        coded(),
        odd(),
        margin(),
        floats(),
    ] {
        assert_eq!(repaired(write(&network).unwrap()), Ok(()));
    }
}

/// A forgery: the network, the patches (offset and bytes), and the error.
type Forgery = (fn() -> NetworkSpec, &'static [(usize, &'static [u8])], E);

#[rustfmt::skip]
const FORGERIES: &[Forgery] = &[
    // The header.
    (plain, &[(1, b"A")], E::WrongMagic { found: *b"RAY" }),
    (plain, &[(3, &[2])], E::UnsupportedVersion { found: 2, supported: 1 }),
    (plain, &[(3, &[0])], E::UnsupportedVersion { found: 0, supported: 1 }),
    (plain, &[(8, &[0])], E::LayerCount { found: 0, max: MAX_LAYERS }),
    (plain, &[(8, &[65])], E::LayerCount { found: 65, max: MAX_LAYERS }),
    (plain, &[(8, &[64])], E::TooShort { needed: HEADER_BYTES + 64 * RECORD_BYTES, found: at::BYTES }),
    (plain, &[(9, &[2])], E::Place { layer: 1, place: 0, words: 2 }),
    (plain, &[(9, &[4])], E::ArenaWords { stated: 4, computed: 3 }),
    (plain, &[(11, &[1])], E::ArenaWords { stated: 0x1_0003, computed: 3 }),
    (plain, &[(15, &[0])], E::EmptyLayer { layer: 0, inputs: 0, outputs: 3 }),
    // The records.
    (plain, &[(at::RECORD_0, &[9])], E::UnknownEncoding { layer: 0, found: 9 }),
    (plain, &[(at::RECORD_0, &[0x31])], E::UnknownOperation { layer: 0, found: 0x31 }),
    (plain, &[(at::RECORD_0, &[0x81])], E::UnknownOperation { layer: 0, found: 0x81 }),
    (plain, &[(at::RECORD_0 + 4, &[2])], E::OriginalSmaller { layer: 0, original: 2, stripped: 3 }),
    (plain, &[(at::RECORD_0 + 6, &[34])], E::BlockLength { layer: 0, needed: 18, found: 34 }),
    (plain, &[(at::RECORD_0 + 6, &[37])], E::BlockLength { layer: 0, needed: 18, found: 37 }),
    (plain, &[(at::RECORD_1 + 1, &[1])], E::LastLayer { layer: 1, shift: 1 }),
    (plain, &[(at::RECORD_1, &[5])], E::Mixed { layer: 1 }),
    (plain, &[(at::RECORD_1 + 2, &[0])], E::EmptyLayer { layer: 1, inputs: 3, outputs: 0 }),
    (plain, &[(at::ZEROS, &[1])], E::NotZero { layer: 1, found: 1 }),
    (maps, &[(32, &[0x03 | 0x20])], E::Field { layer: 2, found: 1 }),
    // Geometries.
    (maps, &[(map::CONV, &[0x10])], E::Field { layer: 0, found: 0x10 }),
    (maps, &[(map::CONV, &[0x03])], E::Field { layer: 0, found: 0x03 }),
    (maps, &[(map::CONV + 3, &[3 | 2 << 2])], E::Field { layer: 0, found: 3 | 2 << 2 }),
    (maps, &[(map::CONV + 3, &[1])], E::Field { layer: 0, found: 1 }),
    (maps, &[(map::POOL + 3, &[0])], E::Field { layer: 1, found: 0 }),
    (maps, &[(map::POOL + 3, &[1 | 2 << 2])], E::Field { layer: 1, found: 1 | 2 << 2 }),
    (maps, &[(map::CONV, &[0x1F])], E::EmptyLayer { layer: 0, inputs: 16, outputs: 0 }),
    (maps, &[(map::POOL + 1, &[0x01])], E::Margin { layer: 1 }),
    (maps, &[(map::POOL + 4, &[0x01])], E::Margin { layer: 2 }),
    (maps, &[(12, &[0xF0, 0xFF])], E::SourceTooLarge { layer: 0, max: MAX_SOURCE_BYTES, found: 6 * 65_522 }),
    (maps, &[(map::CONV + 6, &[1])], E::Taps { layer: 0, stated: 1, found: 2 }),
    (maps, &[(map::POOL + 6, &[1])], E::Taps { layer: 1, stated: 1, found: 0 }),
    // Extended geometries: no height, width or stride, a last byte that is not 0, a window for
    // which eight bytes are enough (3 x 3; 15 x 15; 1 x 1), and a block without room for them.
    (extended, &[(ext::CONV, &[0x30])], E::Field { layer: 0, found: 0x30 }),
    (extended, &[(ext::CONV + 8, &[0])], E::Field { layer: 0, found: 0 }),
    (extended, &[(ext::CONV + 9, &[0])], E::Field { layer: 0, found: 0 }),
    (extended, &[(ext::CONV + 10, &[0x10])], E::Field { layer: 0, found: 0x10 }),
    (extended, &[(ext::CONV + 10, &[0x01])], E::Field { layer: 0, found: 0x01 }),
    (extended, &[(ext::CONV + 10, &[0x00])], E::Field { layer: 0, found: 0x00 }),
    (extended, &[(ext::CONV + 11, &[9])], E::Field { layer: 0, found: 9 }),
    (extended, &[(ext::CONV + 9, &[3])], E::Field { layer: 0, found: 0 }),
    (extended, &[(ext::CONV + 8, &[15, 15])], E::Field { layer: 0, found: 0 }),
    (extended, &[(ext::CONV + 8, &[16, 16])], E::EmptyLayer { layer: 0, inputs: 30, outputs: 0 }),
    (extended, &[(ext::CONV + 8, &[1, 1])], E::Field { layer: 0, found: 0 }),
    (extended, &[(ext::CONV + 10, &[0x21])], E::Link { layer: 1, back: 1 }),
    (extended, &[(ext::POOL + 8, &[3, 3, 0x11])], E::Field { layer: 2, found: 0 }),
    (extended, &[(ext::POOL + 8, &[255, 1])], E::EmptyLayer { layer: 2, inputs: 16, outputs: 0 }),
    (extended, &[(ext::RECORD_2 + 6, &[7])], E::BlockLength { layer: 2, needed: 8, found: 7 }),
    (extended, &[(ext::RECORD_2 + 6, &[11])], E::BlockLength { layer: 2, needed: 12, found: 11 }),
    (extended, &[(ext::RECORD_2 + 6, &[15])], E::BlockLength { layer: 2, needed: 16, found: 15 }),
    (extended, &[(ext::LINKS, &[0x02])], E::Link { layer: 0, back: 2 }),
    // Links.
    (linked, &[(link::LAYER_0, &[0x02])], E::Link { layer: 0, back: 2 }),
    (linked, &[(link::LAYER_1, &[0x10])], E::Link { layer: 1, back: 0 }),
    (linked, &[(link::LAYER_1, &[0x31])], E::Link { layer: 1, back: 3 }),
    (linked, &[(link::LAYER_1, &[0x21])], E::Link { layer: 1, back: 2 }),
    (linked, &[(link::LAYER_1 + 1, &[32])], E::Link { layer: 1, back: 1 }),
    (linked, &[(link::LAYER_2, &[0x11])], E::Link { layer: 2, back: 1 }),
    (linked, &[(link::LAYER_1 + 2, &[0])], E::Place { layer: 1, place: 0, words: 10 }),
    (linked, &[(link::LAYER_1 + 2, &[2])], E::Place { layer: 1, place: 2, words: 10 }),
    (linked, &[(link::LAYER_1 + 2, &[0, 1])], E::Place { layer: 1, place: 256, words: 10 }),
    // Layer 2 reads layer 0, which layer 1 has overwritten.
    (linked, &[(link::LAYER_1, &[0x02]), (link::LAYER_1 + 2, &[0]), (link::LAYER_2, &[0x02])], E::Place { layer: 2, place: 0, words: 1 }),
    // Weights.
    (plain, &[(at::LENGTHS + 4, &[4])], E::RowLengths { layer: 0, stated: 6, found: 5 }),
    (plain, &[(at::LENGTHS + 4, &[2])], E::RowLengths { layer: 0, stated: 4, found: 5 }),
    (plain, &[(at::LENGTHS + 1, &[0xFF])], E::RowLengths { layer: 0, stated: 0xFF02, found: 5 }),
    (plain, &[(at::COLUMNS + 8, &[6])], E::Column { layer: 0, position: 4, column: 6, floor: 3, inputs: 6 }),
    (plain, &[(at::COLUMNS + 2, &[1])], E::Column { layer: 0, position: 1, column: 1, floor: 2, inputs: 6 }),
    (plain, &[(at::RECORD_1 + 2, &[3])], E::OriginalSmaller { layer: 1, original: 2, stripped: 3 }),
    (plain, &[(at::RECORD_1 + 2, &[1])], E::BlockLength { layer: 1, needed: 7, found: 14 }),
    (maps, &[(map::WORDS, &[0])], E::IndexBits { layer: 0, found: 0, count: 9 }),
    (maps, &[(map::WORDS, &[7])], E::IndexBits { layer: 0, found: 3, count: 9 }),
    (maps, &[(map::WORDS, &[0x2F])], E::IndexBits { layer: 0, found: 4, count: 9 }),
    (maps, &[(map::WORDS, &[0xFF, 0xFF])], E::IndexBits { layer: 0, found: 16, count: 9 }),
    (maps, &[(map::WORDS + 4, &[4])], E::Run { layer: 0, found: 0x1_0004 }),
    (maps, &[(map::WORDS + 4, &[29])], E::BlockLength { layer: 0, needed: 32, found: 28 }),
    (maps, &[(map::WORDS + 4, &[31]), (map::ROW_0, &[14, 0, 0, 0])], E::Run { layer: 0, found: 0x1_001F }),
    (maps, &[(map::WORDS + 4, &[31]), (map::ROW_0, &[15, 0, 1, 0])], E::Run { layer: 0, found: 0x1_001F }),
    (maps, &[(map::WORDS + 4, &[33])], E::Run { layer: 0, found: 0x1_0021 }),
    (maps, &[(map::WORDS + 4, &[34])], E::Run { layer: 0, found: 0x1_0022 }),
    (maps, &[(map::WORDS + 6, &[0])], E::Run { layer: 0, found: 5 }),
    (maps, &[(map::WORDS + 7, &[0x80])], E::Run { layer: 0, found: 0x8001_0005 }),
    (maps, &[(map::WORDS + 6, &[3])], E::BlockLength { layer: 0, needed: 32, found: 28 }),
    (maps, &[(map::WORDS + 4, &[34, 0, 0, 0])], E::RowLengths { layer: 0, stated: 0, found: 2 }),
    (maps, &[(map::WORDS + 4, &[4, 0, 0]), (map::ROW_1, &[34, 0, 0, 0])], E::RowLengths { layer: 0, stated: 1, found: 2 }),
    (maps, &[(map::ROW_0 + 4, &[25])], E::Column { layer: 0, position: 0, column: 9, floor: 0, inputs: 9 }),
    (maps, &[(map::ROW_0 + 6, &[32])], E::Column { layer: 0, position: 1, column: 0, floor: 1, inputs: 9 }),
    (maps, &[(map::ROW_1 + 4, &[0, 0])], E::Column { layer: 0, position: 3, column: 8, floor: 9, inputs: 9 }),
    (maps, &[(map::WORDS + 4, &[3])], E::Column { layer: 0, position: 1, column: 4, floor: 1, inputs: 9 }),
    (maps, &[(map::COLUMNS, &[0])], E::IndexBits { layer: 2, found: 0, count: 2 }),
    (maps, &[(map::COLUMNS + 3, &[5])], E::BlockLength { layer: 2, needed: 16, found: 32 }),
    (maps, &[(map::STARTS, &[2])], E::RowLengths { layer: 2, stated: 2, found: 1 }),
    (maps, &[(map::STARTS, &[0])], E::RowLengths { layer: 2, stated: 0, found: 1 }),
    (maps, &[(map::STARTS + 2, &[7])], E::NotZero { layer: 2, found: 7 }),
    (maps, &[(map::EMPTY, &[1])], E::NotZero { layer: 2, found: 1 }),
    // No words; one section too many; one section too long; one section missing.
    (maps, &[(map::COUNTS + 1, &[0, 0])], E::RowLengths { layer: 2, stated: 2, found: 4 }),
    (maps, &[(map::COUNTS, &[1])], E::RowLengths { layer: 2, stated: 5, found: 4 }),
    (maps, &[(map::COUNTS + 1, &[0x18])], E::RowLengths { layer: 2, stated: 5, found: 4 }),
    (maps, &[(map::COUNTS + 3, &[0xFF])], E::RowLengths { layer: 2, stated: 1024, found: 4 }),
    (maps, &[(map::COUNTS + 1, &[0])], E::RowLengths { layer: 2, stated: 3, found: 4 }),
    (maps, &[(map::FIRST, &[9])], E::NotZero { layer: 2, found: 9 }),
    (maps, &[(map::FIRST + 1, &[9])], E::NotZero { layer: 2, found: 9 }),
    (maps, &[(map::FIRST + 2, &[0])], E::Column { layer: 2, position: 7, column: 0, floor: 2, inputs: 2 }),
    // The two words of a row name different rows; a second word of 0.
    (maps, &[(map::BOTH, &[2])], E::Column { layer: 2, position: 5, column: 1, floor: 0, inputs: 2 }),
    (maps, &[(map::BOTH + 2, &[0])], E::Column { layer: 2, position: 5, column: 0, floor: 2, inputs: 2 }),
    (odd, &[(40 + 2, &[4])], E::RowLengths { layer: 0, stated: 4, found: 5 }),
    (odd, &[(40 + 2, &[0])], E::RowLengths { layer: 0, stated: 0, found: 2 }),
    (margin, &[(25, &[2])], E::BlockLength { layer: 0, needed: 12, found: 36 }),
    (margin, &[(32, &[0])], E::RowLengths { layer: 0, stated: 4, found: 4 }),
    (margin, &[(32 + 6, &[0])], E::RowLengths { layer: 0, stated: 4, found: 4 }),
    (margin, &[(32 + 2, &[3])], E::RowLengths { layer: 0, stated: 3, found: 5 }),
    (odd, &[(40, &[5, 0, 1])], E::RowLengths { layer: 0, stated: 5, found: 1 }),
    (odd, &[(60, &[1])], E::NotZero { layer: 0, found: 1 }),
    (odd, &[(62, &[0])], E::Column { layer: 0, position: 9, column: 0, floor: 3, inputs: 3 }),
    (odd, &[(62, &[7])], E::Column { layer: 0, position: 9, column: 3, floor: 0, inputs: 3 }),
    (odd, &[(52, &[0])], E::Column { layer: 0, position: 4, column: 0, floor: 3, inputs: 3 }),
    // Words of the absent partner of the last input.
    (odd, &[(64, &[1, 0])], E::RowLengths { layer: 0, stated: 1, found: 0 }),
    (odd, &[(64, &[0, 0, 0x40])], E::RowLengths { layer: 0, stated: 1, found: 0 }),
    (coded, &[(24, &[0x90])], E::Rice { layer: 0, error: RiceError::Ended { row: 0 } }),
    (coded, &[(24 + 4, &[0, 0])], E::Rice { layer: 0, error: RiceError::Ended { row: 1 } }),
    (coded, &[(24, &[0xC0]), (24 + 4, &[0, 0])], E::Rice { layer: 0, error: RiceError::Selection { inputs: 3 } }),
    (coded, &[(24 + 4, &[0xFF, 0xFF, 0xFF, 0x0F])], E::Rice { layer: 0, error: RiceError::Length { row: 0, length: 4, columns: 3 } }),
    (coded, &[(24 + 4, &[0x60])], E::Rice { layer: 0, error: RiceError::Column { row: 1, column: 3, columns: 3 } }),
    (coded, &[(24, &[0x90]), (24 + 4, &[0, 0])], E::Rice { layer: 0, error: RiceError::Weight { row: 0 } }),
    (coded, &[(24 + 4, &[0x60, 0xE1, 0x5B, 0x66])], E::Rice { layer: 0, error: RiceError::Rows { outputs: 2 } }),
    (coded, &[(24 + 4, &[0xC1])], E::Rice { layer: 0, error: RiceError::Padding }),
    (coded, &[(24 + 4, &[0, 0, 0, 0xB2])], E::Rice { layer: 0, error: RiceError::Surplus { bytes: 2 } }),
    (floats, &[(24 + 4, &[3])], E::RowLengths { layer: 0, stated: 3, found: 2 }),
    (floats, &[(24 + 6, &[1])], E::BlockLength { layer: 0, needed: 6, found: 20 }),
    (floats, &[(24 + 16, &[2])], E::Column { layer: 0, position: 0, column: 2, floor: 0, inputs: 2 }),
];

#[test]
fn every_forgery_is_rejected_with_its_error() {
    let mut wrong = Vec::new();
    for (network, patches, expected) in FORGERIES {
        let found = forged(&network(), patches);
        if found != Err(*expected) {
            wrong.push(format!("{patches:?}: {found:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn truncated_and_damaged_containers_are_rejected() {
    let bytes = write(&plain()).unwrap();
    for found in 0..bytes.len() {
        let expected = if found < HEADER_BYTES {
            E::TooShort {
                needed: HEADER_BYTES,
                found,
            }
        } else if found < HEADER_BYTES + 2 * RECORD_BYTES {
            E::TooShort {
                needed: HEADER_BYTES + 2 * RECORD_BYTES,
                found,
            }
        } else {
            let stated = bytes.len();
            E::WrongLength { stated, found }
        };
        assert_eq!(Model::parse(&bytes[..found]).unwrap_err(), expected);
    }
    let mut longer = bytes.clone();
    longer.push(0);
    let (stated, found) = (bytes.len(), longer.len());
    assert_eq!(repaired(longer), Err(E::WrongLength { stated, found }));

    let mut damaged = bytes.clone();
    damaged[at::COLUMNS] ^= 1;
    let stated = container_checksum(&bytes);
    let computed = container_checksum(&damaged);
    let refused = Model::parse(&damaged).unwrap_err();
    assert_eq!(refused, E::WrongChecksum { stated, computed });
}

#[test]
fn every_error_occurs_and_has_a_one_line_message() {
    let mut met: BTreeSet<String> = ["WrongLength", "WrongChecksum", "Units"]
        .map(String::from)
        .into();
    for (_, _, error) in FORGERIES {
        let (name, text) = (format!("{error:?}"), error.to_string());
        met.insert(name.split(' ').next().unwrap_or_default().into());
        assert!(
            !text.is_empty() && !text.contains('\n') && !text.ends_with('.'),
            "{text}"
        );
    }
    // Every variant has a line of its own in the `Display` implementation.
    let source = include_str!("../src/error.rs");
    let variants = source.split("            E::").skip(1);
    let variants = variants.map(|line| line.split(' ').next().unwrap_or_default());
    let variants: BTreeSet<String> = variants.map(String::from).collect();
    assert_eq!(met, variants);
}

#[test]
fn an_encoding_that_a_build_lacks_is_named_by_its_feature() {
    let text = |found| E::UnknownEncoding { layer: 2, found }.to_string();
    for encoding in Encoding::ALL {
        let feature = format!("enable the Cargo feature {}", encoding.name());
        assert!(text(encoding.code()).ends_with(&feature));
    }
    assert!(text(Encoding::None.code()).ends_with("enable the Cargo feature maps"));
    assert!(!text(9).contains("feature"));
}

#[test]
fn the_writer_rejects_networks_without_a_layout() {
    let spoilt = |spoil: fn(&mut NetworkSpec)| {
        let mut network = plain();
        spoil(&mut network);
        write(&network).unwrap_err()
    };
    let refused = |spoil: fn(&mut NetworkSpec)| match spoilt(spoil) {
        WriteError::Layer { error, .. } => error,
        other => panic!("{other}"),
    };
    assert_eq!(
        spoilt(|network| network.layers.clear()),
        WriteError::Refused(E::LayerCount {
            found: 0,
            max: MAX_LAYERS
        })
    );
    assert_eq!(
        spoilt(|network| network.input.height = 256),
        WriteError::Input {
            channels: 6,
            height: 256
        }
    );
    assert_eq!(
        refused(|network| network.layers[0].outputs = 4),
        SpecError::List {
            name: "biases",
            expected: 4,
            found: 3
        }
    );
    assert_eq!(
        refused(|network| network.layers[1].source = 16),
        SpecError::Link(16)
    );
    assert_eq!(
        refused(|network| network.layers[0].encoding = Encoding::None),
        SpecError::Unfit(Unfit::Operation)
    );
    for window in [
        Window::square(0, 1, Margin::NONE),
        Window::square(1, 16, Margin::NONE),
        window(1, 16),
    ] {
        let mut network = maps();
        network.layers[1].operation = Operation::Pool {
            pooling: Pooling::Max,
            window,
        };
        let error = SpecError::Window;
        assert_eq!(write(&network), Err(WriteError::Layer { layer: 1, error }));
    }
    let mut overlong = coded();
    overlong.layers[0].weights = WeightsSpec::Integers {
        bias: vec![1 << 24 | 1, 0],
        rows: vec![vec![(1, -1)], vec![]],
    };
    let error = SpecError::Unfit(Unfit::Rice(RiceError::Overlong));
    assert_eq!(write(&overlong), Err(WriteError::Layer { layer: 0, error }));
}

#[test]
fn the_writer_rejects_more_rows_of_a_pair_than_its_block_can_count() {
    for (rows, columns, most) in [
        (1024, vec![0, 1], 1023),
        (2048, vec![0], 2047),
        (2048, vec![1], 2047),
    ] {
        let wide = |rows: usize| {
            let row = |row| {
                columns
                    .iter()
                    .map(|&column| (column, row | 1 << 12))
                    .collect()
            };
            let rows = (0..rows as i16).map(row).collect();
            let layers = vec![layer(Operation::Dense, Encoding::Columns, rows)];
            let input = Shape::flat(2);
            write(&NetworkSpec { input, layers })
        };
        let error = SpecError::Unfit(Unfit::Row(rows));
        assert_eq!(wide(rows), Err(WriteError::Layer { layer: 0, error }));
        assert_eq!(repaired(wide(most).unwrap()), Ok(()));
    }
}
