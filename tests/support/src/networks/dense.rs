//! Networks that have only dense layers.

use rarefy_format::{
    AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, Operation, Shape, WeightsSpec, write,
};

use super::{DENSE, Random, weight, weights, weights_of};

/// Draws a dense layer over `columns` inputs.
pub fn dense(random: &mut Random, encoding: Encoding, columns: usize, last: bool) -> LayerSpec {
    let most = if random.chance(10) { 70 } else { 12 };
    let rows = 1 + random.below(most);
    LayerSpec {
        operation: Operation::Dense,
        encoding,
        outputs: rows,
        original_outputs: rows + random.below(5),
        shift: if last { 0 } else { random.below(18) as u8 },
        source: 1,
        skip: None,
        weights: weights(random, encoding, columns, rows),
    }
}

/// Returns the shape of an input whose `inputs` values lie along its width, since a container's
/// input has at most 255 channels.
pub fn line(inputs: usize) -> Shape {
    Shape {
        channels: 1,
        height: 1,
        width: inputs as u16,
    }
}

/// Calls `check` for every seed below `seeds` with the seed, the model of a random [`multilayer`]
/// network in the encodings of [`DENSE`], and an input. Returns the number of models; networks that
/// the format cannot represent are left out.
///
/// # Panics
/// Panics if a written container is invalid.
pub fn each_multilayer(seeds: u64, mut check: impl FnMut(u64, Model<'_>, &[u8])) -> usize {
    let mut models = 0;
    for seed in 0..seeds {
        let mut random = Random::new(seed);
        let network = multilayer(&mut random, &DENSE);
        let Ok(bytes) = write(&network) else { continue };
        let bytes = AlignedBytes::copy_from(&bytes);
        let model = Model::parse(&bytes).expect("a written container is valid");
        let input = random.bytes(model.inputs());
        check(seed, model, &input);
        models += 1;
    }
    models
}

/// Draws a chain of dense layers, each in one of `encodings`.
pub fn multilayer(random: &mut Random, encodings: &[Encoding]) -> NetworkSpec {
    let most = if random.chance(20) { 1_000 } else { 60 };
    let inputs = 1 + random.below(most);
    let input = line(inputs);
    let count = 1 + random.below(4);
    let mut columns = inputs;
    let layers = (0..count).map(|layer| {
        let encoding = encodings[random.below(encodings.len())];
        let layer = dense(random, encoding, columns, layer + 1 == count);
        columns = layer.outputs;
        layer
    });
    let layers = layers.collect();
    NetworkSpec { input, layers }
}

/// Draws a network whose first layer is dense and reads few of its inputs. Another dense layer may
/// follow.
pub fn selective(random: &mut Random) -> NetworkSpec {
    let columns = 100 + random.below(400);
    let mut used: Vec<usize> = (0..1 + random.below(6))
        .flat_map(|_| {
            let first = random.below(columns);
            first..(first + 1 + random.below(20)).min(columns)
        })
        .collect();
    used.sort_unstable();
    used.dedup();
    let encoding = DENSE[random.below(DENSE.len())];
    let rows = 8 + random.below(80);
    let alone = random.chance(50);
    let layer = LayerSpec {
        operation: Operation::Dense,
        encoding,
        outputs: rows,
        original_outputs: rows,
        shift: if alone { 0 } else { random.below(10) as u8 },
        source: 1,
        skip: None,
        weights: weights_of(random, encoding, &used, columns, rows),
    };
    let mut layers = vec![layer];
    if !alone {
        let encoding = DENSE[random.below(DENSE.len())];
        layers.push(dense(random, encoding, rows, true));
    }
    NetworkSpec {
        input: line(columns),
        layers,
    }
}

/// Returns a network of one layer in [`Encoding::Columns`]. For each `count` from 0 to
/// `rows` it has three pairs of inputs: `count` rows read the first input of the first pair alone,
/// as many the second input of the second pair alone, and as many both inputs of the third pair. Up
/// to three other rows read the remaining inputs of the first two pairs.
pub fn sections(rows: usize) -> NetworkSpec {
    let encoding = Encoding::Columns;
    let columns = 2 * 3 * (rows + 1);
    let mut lists = vec![Vec::new(); rows];
    for pair in 0..columns / 2 {
        let (kind, count) = (pair % 3, pair / 3);
        for (row, list) in lists.iter_mut().enumerate() {
            let (first, second) = match kind {
                0 => (row < count, rows - row <= count.min(3) && row >= count),
                1 => (rows - row <= count.min(3) && row >= count, row < count),
                _ => (row < count, row < count),
            };
            for (column, read) in [(2 * pair, first), (2 * pair + 1, second)] {
                let magnitude = if (row + column) % 3 == 0 { -2 } else { 1 };
                let weight = weight(encoding, magnitude, column, row, columns, rows);
                if read && weight != 0 {
                    list.push((column as u16, weight));
                }
            }
        }
    }
    NetworkSpec {
        input: line(columns),
        layers: vec![LayerSpec::dense(encoding, 0, vec![-7; rows], lists)],
    }
}

/// Draws a chain of dense layers with f32 weights.
pub fn floats(random: &mut Random) -> NetworkSpec {
    let mut network = multilayer(random, &[Encoding::Csr]);
    for layer in &mut network.layers {
        let WeightsSpec::Integers { bias, rows } = &layer.weights else {
            unreachable!("dense layers have integers")
        };
        layer.encoding = Encoding::CsrF32;
        layer.shift = 0;
        let row = |row: &Vec<(u16, i16)>| {
            let weights = row.iter();
            weights
                .map(|&(column, weight)| (column, f32::from(weight) / 17.0))
                .collect()
        };
        layer.weights = WeightsSpec::Floats {
            bias: bias.iter().map(|&bias| bias as f32 / 300.0).collect(),
            rows: rows.iter().map(row).collect(),
        };
    }
    network
}
