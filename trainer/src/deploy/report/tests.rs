//! Tests the reports of synthetic networks.

use rarefy_format::{
    ByteMap, Encoding, LINKS_BYTES, LayerSpec, Margin, NetworkSpec, Pooling, Shape, SkipSpec,
    UnitsSpec, WeightsSpec, Window, pack_word, with_units, write,
};

use super::*;

fn report_of(network: &NetworkSpec) -> ModelReport {
    let bytes = write(network).unwrap();
    let model = Model::parse(&bytes).unwrap();
    report(&model, Path::new("model.rfy"), Core::M4, None)
}

/// Returns a network of one layer in `encoding`, with three weights in two rows and five columns.
fn dense(encoding: Encoding) -> NetworkSpec {
    let word = |index: u16, weight: i16, bits: u8| pack_word(weight, index, bits);
    let rows = match encoding {
        // An index of five columns has three bits, an index of two rows one bit.
        Encoding::Words => vec![
            vec![(0, word(0, 3, 3)), (4, word(4, -2, 3))],
            vec![(1, word(1, 9, 3))],
        ],
        Encoding::Columns => vec![
            vec![(0, word(0, 3, 1)), (4, word(0, -2, 1))],
            vec![(1, word(1, 9, 1))],
        ],
        _ => vec![vec![(0, 3), (4, -2)], vec![(1, 9)]],
    };
    let mut layer = LayerSpec::dense(encoding, 0, vec![7, -7], rows);
    layer.original_outputs = 4;
    NetworkSpec {
        input: Shape::flat(5),
        layers: vec![layer],
    }
}

#[test]
fn every_byte_of_every_encoding_is_counted_once() {
    for (encoding, positions, values, parameters, bits) in [
        (Encoding::Dense, 0, 10, 0, 8),
        (Encoding::Csr, 4 + 6, 3, 0, 8),
        // One run for both rows, and the end of the runs; four words, whose indices of 3 bits round
        // to 2 bytes.
        (Encoding::Words, 4 + 4 + 2, 6, 4, 13),
        // Three starts and their padding, the empty block, two counts, three words of 0 that pad
        // sections; three words, whose indices of 1 bit round to 0 bytes.
        (Encoding::Columns, 8 + 4 + 8 + 6, 6, 4, 15),
    ] {
        let report = report_of(&dense(encoding));
        let layer = &report.layers[0];
        let expected = LayerBytes {
            positions,
            values,
            biases: 8,
            parameters,
            total: positions + values + 8 + parameters,
        };
        assert_eq!(layer.bytes, expected, "{encoding:?}");
        assert_eq!(layer.nonzeros, 3, "{encoding:?}");
        assert_eq!(
            report.bytes,
            16 + 8 + layer.bytes.total + report.padding_bytes
        );
        // 120 ways to choose three of ten.
        assert!((layer.limit.positions - 120_f64.log2() / 8.0).abs() < 1e-12);
        assert_eq!(layer.limit.values, f64::from(3 * bits) / 8.0);
        assert_eq!((layer.original_outputs, layer.original_inputs), (4, 5));
        assert_eq!(layer.density, 3.0 / 20.0);
        // Of these encodings, only `columns` skips zeros.
        let skips = encoding == Encoding::Columns;
        assert_eq!((layer.at_most, report.at_most), (skips, skips));
        assert!(report.instructions > layer.instructions, "{encoding:?}");
    }
}

#[test]
fn an_entropy_coded_block_is_cut_by_bits() {
    // One four-bit weight in every four columns.
    let weight = |row: u16, place: u16| {
        let magnitude = (row * 5 + place * 3) % 8 + 1;
        let sign = if (row + place).is_multiple_of(3) {
            -1
        } else {
            1
        };
        (4 * place + (row * place) % 4, sign * magnitude as i16)
    };
    let row = |row: u16| (0..16).map(|place| weight(row, place)).collect();
    let rows = (0..32).map(row).collect();
    let bias = (0..32).map(|row| row * 64 - 1000).collect();
    let network = NetworkSpec {
        input: Shape::flat(64),
        layers: vec![LayerSpec::dense(Encoding::Rice, 0, bias, rows)],
    };
    let report = report_of(&network);
    let LayerReport { bytes, limit, .. } = &report.layers[0];
    assert_eq!(report.bytes, 16 + 8 + bytes.total);
    let LayerBytes {
        positions,
        values,
        biases,
        ..
    } = *bytes;
    assert_eq!(bytes.total, positions + values + biases + bytes.parameters);
    // The head, a codebook of sixteen weights, the length of the list.
    assert_eq!(bytes.parameters, 4 + 17 + 2);
    // Magnitudes are uniform and positive weights more frequent, so a weight takes hardly more than
    // four bits.
    assert_eq!((limit.values, values), (256.0, 266));
    // Biases are -125 to 123 times 8: each takes eight bits, and half a bit for the code.
    assert_eq!(biases, 34);
    // Rows are alike and weights evenly spread: their positions take fewer bits than if every
    // choice were equally likely.
    let positions = positions as f64 / limit.positions;
    assert!((0.7..1.0).contains(&positions), "{positions}");
}

#[test]
fn floats_are_counted_with_their_width() {
    let mut network = dense(Encoding::CsrF32);
    network.layers[0].weights = WeightsSpec::Floats {
        bias: vec![0.5, -0.5],
        rows: vec![vec![(0, 1.5), (4, 0.0)], vec![(1, 9.0)]],
    };
    let layer = &report_of(&network).layers[0];
    let expected = LayerBytes {
        positions: 4 + 6,
        values: 12,
        biases: 8,
        parameters: 0,
        total: 30,
    };
    assert_eq!((layer.bytes, layer.nonzeros), (expected, 2));
    assert_eq!(layer.limit.values, 8.0);
}

/// Returns a margin of the same width on all sides.
fn around(width: u8) -> Margin {
    Margin {
        top: width,
        left: width,
        bottom: width,
        right: width,
    }
}

#[test]
fn rectangular_windows_are_told_with_both_sides() {
    let window = |size, stride, padding| Window {
        size,
        stride,
        padding,
    };
    let conv = LayerSpec {
        operation: Operation::Conv {
            window: window([10, 4], [2, 1], around(1)),
            pooling: None,
        },
        original_outputs: 3,
        ..LayerSpec::dense(Encoding::Csr, 4, vec![1; 2], vec![vec![(79, 5)]; 2])
    };
    let pool = LayerSpec {
        operation: Operation::Pool {
            pooling: Pooling::Average,
            window: window([5, 7], [1, 1], Margin::NONE),
        },
        encoding: Encoding::None,
        weights: WeightsSpec::None,
        ..LayerSpec::dense(Encoding::Csr, 5, vec![0; 2], Vec::new())
    };
    let last = LayerSpec::dense(Encoding::Dense, 0, vec![0; 3], vec![vec![(1, 1)]; 3]);
    let network = NetworkSpec {
        input: Shape {
            channels: 2,
            height: 16,
            width: 8,
        },
        layers: vec![conv, pool, last],
    };
    let layers = report_of(&network).layers;
    assert_eq!(layers[0].operation, "conv 10x4, stride 2x1, padding 1");
    assert_eq!(layers[1].operation, "average 5x7");
    assert_eq!(layers[0].shape(), "2 x 2 x 10 x 4");
    assert_eq!(layers[0].original_shape(), "3 x 2 x 10 x 4");
    assert_eq!(layers[1].shape(), "2");
    // The geometry and its extension.
    let parameters = [0, 1].map(|layer: usize| layers[layer].bytes.parameters);
    assert_eq!(parameters, [8 + 4, 8 + 4]);
}

#[test]
fn maps_and_links_are_told_with_the_dimensions_before_stripping() {
    let window = |size, stride, padding| Window::square(size, stride, around(padding));
    let conv = |window, pooling, outputs: usize, rows: &[(u16, i16)]| LayerSpec {
        operation: Operation::Conv { window, pooling },
        original_outputs: outputs + 3,
        ..LayerSpec::dense(
            Encoding::Csr,
            4,
            vec![1; outputs],
            vec![rows.to_vec(); outputs],
        )
    };
    let mut added = conv(window(3, 1, 1), Some((Pooling::Max, 2)), 2, &[(17, 5)]);
    added.skip = Some(SkipSpec { back: 2, shift: 3 });
    let pool = LayerSpec {
        operation: Operation::Pool {
            pooling: Pooling::Average,
            window: window(2, 2, 0),
        },
        encoding: Encoding::None,
        weights: WeightsSpec::None,
        original_outputs: 5,
        ..LayerSpec::dense(Encoding::Csr, 2, vec![0; 2], Vec::new())
    };
    let network = NetworkSpec {
        input: Shape {
            channels: 1,
            height: 8,
            width: 8,
        },
        layers: vec![
            conv(window(3, 1, 1), None, 2, &[(0, 1), (8, -1)]),
            conv(window(3, 1, 1), None, 2, &[(3, 2)]),
            added,
            pool,
            LayerSpec::dense(Encoding::Dense, 0, vec![0; 3], vec![vec![(7, 1)]; 3]),
        ],
    };
    let report = report_of(&network);
    let operations: Vec<&str> = report.layers.iter().map(|l| &*l.operation).collect();
    assert_eq!(
        operations,
        [
            "conv 3x3, padding 1",
            "conv 3x3, padding 1",
            "conv 3x3, padding 1, max 2, plus layer 1",
            "average 2x2, stride 2",
            "dense",
        ]
    );
    let dimensions = |l: &LayerReport| {
        (
            (l.original_outputs, l.original_inputs),
            (l.outputs, l.inputs),
        )
    };
    let dimensions: Vec<_> = report.layers.iter().map(dimensions).collect();
    assert_eq!(
        dimensions,
        [
            ((5, 9), (2, 9)),
            ((5, 45), (2, 18)),
            ((5, 45), (2, 18)),
            ((5, 0), (2, 0)),
            // Four positions of each channel are left.
            ((3, 20), (3, 8)),
        ]
    );
    let parameters: Vec<usize> = report.layers.iter().map(|l| l.bytes.parameters).collect();
    let links = LINKS_BYTES;
    assert_eq!(
        parameters,
        [8 + links, 8 + links, 8 + links, 8 + links, links]
    );
    let blocks: usize = report.layers.iter().map(|l| l.bytes.total).sum();
    assert_eq!(report.bytes, blocks + report.overhead_bytes);
    assert_eq!(report.overhead_bytes, 16 + 5 * 8 + report.padding_bytes);
    assert_eq!(report.layers[3].limit, Limit::default());
}

#[test]
fn units_are_described_and_counted() {
    let stating = |maps: Vec<ByteMap>| {
        let units = UnitsSpec {
            output_step: 0.25,
            maps,
        };
        let bytes = with_units(&write(&dense(Encoding::Dense)).unwrap(), &units).unwrap();
        let model = Model::parse(&bytes).unwrap();
        report(&model, Path::new("model.rfy"), Core::M4, None)
    };
    let all = stating(vec![ByteMap::new(-1.0, 1.0)]);
    let text = |report: &ModelReport| report.units.as_ref().unwrap().to_string();
    let [head, map] = [
        "an output is its logit * 0.25; an input byte is ",
        "(x + 1) * 127.5",
    ];
    assert_eq!(text(&all), format!("{head}{map}"));
    // The block has 18 bytes.
    assert_eq!((all.units_bytes(), all.padding_bytes), (16, 2));
    assert_eq!(all.bytes, 16 + 8 + 18 + 2 + 16);
    let other = text(&stating(vec![ByteMap::IDENTITY]));
    assert_eq!(other, format!("{head}x itself"));
    let signed = text(&stating(vec![ByteMap::new(-128.0, 127.0)]));
    assert_eq!(signed, format!("{head}x + 128"));

    let maps = (0..5).map(|index| ByteMap::new(5.0, 5.0 + 51.0 * f64::from(index)));
    let each = stating(maps.collect());
    assert_eq!((each.units_bytes(), each.padding_bytes), (48, 2));
    let text = text(&each);
    assert_eq!(text.lines().count(), 6);
    for line in [
        "an input byte is that of x by a map per input:",
        "  input 0: 0",
        "  input 1: (x - 5) * 5",
        "  input 4: (x - 5) * 1.25",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let json = serde_json::to_value(&each).unwrap();
    assert_eq!(json["units"]["maps"][2]["factor"], 2.5);
    assert_eq!(json["units"]["output_step"], 0.25);
    let plain = serde_json::to_value(report_of(&dense(Encoding::Dense))).unwrap();
    assert!(plain.get("units").is_none());
}

#[test]
fn of_many_maps_the_first_are_described() {
    let units = UnitsReport {
        bytes: 8 + 8 * 40,
        output_step: 1.0,
        inputs_per_map: 3,
        maps: vec![
            MapReport {
                minimum: 2.5,
                factor: 0.5
            };
            40
        ],
    };
    let text = units.to_string();
    assert_eq!(text.lines().count(), 1 + 7 + 1);
    assert!(
        text.contains("\n  inputs 18 to 20: (x - 2.5) * 0.5\n"),
        "{text}"
    );
    assert!(text.ends_with("and 33 more (--json lists all)"), "{text}");
}
