//! Runs a container in 64-bit arithmetic. A sum that overflows 32 bits is a fault of the writer.

use super::{Container, Kind, Layer, Pooling, Weights};

/// The output of a layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    /// Activations, or the network's input.
    Bytes(Vec<u8>),
    /// Activations of a network with f32 weights.
    Floats(Vec<f32>),
    /// The logits.
    Sums(Vec<i32>),
}

impl Values {
    fn bytes(&self) -> Result<&[u8], String> {
        match self {
            Values::Bytes(bytes) => Ok(bytes),
            _ => Err("an integer layer reads values that are not bytes".into()),
        }
    }
}

/// Returns the output of every layer of `container` for `input`; the logits come last.
///
/// # Errors
/// Returns an error if a sum overflows 32 bits.
pub(crate) fn run(container: &Container, input: &[u8]) -> Result<Vec<Values>, String> {
    let mut values = vec![Values::Bytes(input.to_vec())];
    for (index, layer) in container.layers.iter().enumerate() {
        let last = index + 1 == container.layers.len();
        let source = &values[index + 1 - layer.source];
        let shape = container.shape(index, layer.source)?;
        let given = match (&layer.weights, layer.kind) {
            (Weights::Floats(bias, rows), _) => floats(bias, rows, source, last),
            (Weights::Integers(bias, rows), Kind::Dense) => dense(layer, bias, rows, source, last)?,
            (Weights::Integers(bias, rows), _) => {
                let skip = match layer.skip {
                    Some((back, shift)) => Some((values[index + 1 - back].bytes()?, shift)),
                    None => None,
                };
                convolution(layer, bias, rows, (source.bytes()?, shape), skip)?
            }
            (Weights::None, _) => pooling(layer, source.bytes()?, shape)?,
        };
        values.push(given);
    }
    values.remove(0);
    Ok(values)
}

/// Returns `sum` if it fits in 32 bits.
fn narrow(sum: i64) -> Result<i64, String> {
    i32::try_from(sum).map_or(Err(format!("a sum of {sum} overflows 32 bits")), |sum| {
        Ok(sum.into())
    })
}

fn requantize(sum: i64, shift: u32) -> u8 {
    (sum >> shift).clamp(0, 255) as u8
}

fn dense(
    layer: &Layer,
    bias: &[i32],
    rows: &[Vec<(usize, i32)>],
    source: &Values,
    last: bool,
) -> Result<Values, String> {
    let source = source.bytes()?;
    let mut sums = Vec::new();
    for (&bias, row) in bias.iter().zip(rows) {
        let products = row
            .iter()
            .map(|&(column, weight)| i64::from(weight) * i64::from(source[column]));
        sums.push(narrow(i64::from(bias) + products.sum::<i64>())?);
    }
    Ok(match last {
        true => Values::Sums(sums.into_iter().map(|sum| sum as i32).collect()),
        false => Values::Bytes(
            sums.into_iter()
                .map(|sum| requantize(sum, layer.shift))
                .collect(),
        ),
    })
}

fn floats(bias: &[f32], rows: &[Vec<(usize, f32)>], source: &Values, last: bool) -> Values {
    let read = |column: usize| match source {
        Values::Bytes(bytes) => f32::from(bytes[column]),
        Values::Floats(floats) => floats[column],
        Values::Sums(sums) => sums[column] as f32,
    };
    let rows = bias.iter().zip(rows).map(|(&bias, row)| {
        let mut sum = bias;
        for &(column, weight) in row {
            sum += weight * read(column);
        }
        sum
    });
    match last {
        // The cast saturates and rounds towards zero, as specified.
        true => Values::Sums(rows.map(|sum| (sum * 65536.0) as i32).collect()),
        false => Values::Floats(rows.map(|sum| sum.max(0.0)).collect()),
    }
}

/// Returns the position in a map of `height` x `width` that the element (`i`, `j`) of the window
/// of `layer` covers for the output at (`y`, `x`); `None` in the padding.
fn seen(
    layer: &Layer,
    [_, height, width]: [usize; 3],
    (y, x): (usize, usize),
    (i, j): (usize, usize),
) -> Option<usize> {
    let [top, left, ..] = layer.window.padding;
    let [down, across] = layer.window.stride;
    let row = (y * down + i).checked_sub(top)?;
    let column = (x * across + j).checked_sub(left)?;
    (row < height && column < width).then_some(row * width + column)
}

fn convolution(
    layer: &Layer,
    bias: &[i32],
    rows: &[Vec<(usize, i32)>],
    (source, shape): (&[u8], [usize; 3]),
    skip: Option<(&[u8], u32)>,
) -> Result<Values, String> {
    let ([height, width], [high, wide]) = (layer.sums, layer.window.size);
    let plane = shape[1] * shape[2];
    let mut outputs = Vec::new();
    for (channel, (&bias, row)) in bias.iter().zip(rows).enumerate() {
        let mut sums = Vec::new();
        for at in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let mut sum = i64::from(bias);
            for &(column, weight) in row {
                let (from, tap) = (column / (high * wide), column % (high * wide));
                if let Some(place) = seen(layer, shape, at, (tap / wide, tap % wide)) {
                    sum += i64::from(weight) * i64::from(source[from * plane + place]);
                }
            }
            if let Some((skip, shift)) = skip {
                let added = skip[(channel * height + at.0) * width + at.1];
                sum += i64::from(added) << shift;
            }
            sums.push(narrow(sum)?);
        }
        let (pooling, size) = layer.pooling.unwrap_or((Pooling::Max, 1));
        for (y, x) in
            (0..height / size).flat_map(|y| (0..width / size).map(move |x| (y * size, x * size)))
        {
            let window = (y..y + size).flat_map(|y| (x..x + size).map(move |x| (y, x)));
            let window = window.map(|(y, x)| sums[y * width + x]);
            let pooled = match pooling {
                Pooling::Max => window.fold(i64::MIN, i64::max),
                Pooling::Average => narrow(window.map(|sum| sum.max(0)).sum())?,
            };
            outputs.push(requantize(pooled, layer.shift));
        }
    }
    Ok(Values::Bytes(outputs))
}

fn pooling(layer: &Layer, source: &[u8], shape: [usize; 3]) -> Result<Values, String> {
    let ([height, width], [high, wide]) = (layer.sums, layer.window.size);
    let (kind, _) = layer
        .pooling
        .ok_or("a pooling layer without a kind of pooling")?;
    let mut outputs = Vec::new();
    for map in source.chunks_exact(shape[1] * shape[2]) {
        for at in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let taps = (0..high).flat_map(|i| (0..wide).map(move |j| (i, j)));
            // Padding counts as 0, the smallest activation.
            let window = taps.map(|tap| seen(layer, shape, at, tap).map_or(0, |place| map[place]));
            outputs.push(match kind {
                Pooling::Max => window.max().unwrap_or(0),
                Pooling::Average => {
                    let sum: i64 = window.map(i64::from).sum();
                    requantize(sum + (1 << layer.shift >> 1), layer.shift)
                }
            });
        }
    }
    Ok(Values::Bytes(outputs))
}
