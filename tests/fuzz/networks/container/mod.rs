//! A reader of `.rfy` containers written from `format/SPEC.md` alone.
//!
//! It shares no code with `rarefy-format`, so that the two can disagree. It is neither fast nor
//! economical, and checks only what it needs in order not to misread: that numbers are well-formed,
//! columns ascend, and blocks are read to their end.

mod cursor;
mod encodings;
mod rice;
mod run;

use cursor::{Cursor, need};
pub(crate) use run::{Values, run};

/// Why a container could not be read.
pub(crate) type Unreadable = String;

/// The kind of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A dense layer.
    Dense,
    /// A convolution.
    Conv,
    /// A pooling layer.
    Pool,
}

/// The reduction over a pooling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// The maximum.
    Max,
    /// The mean.
    Average,
}

/// A window: size and stride, each as \[height, width\], and zero padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// The number of rows and columns covered.
    pub(crate) size: [usize; 2],
    /// The distances between adjacent output positions.
    pub(crate) stride: [usize; 2],
    /// The padding: top, left, bottom, right.
    pub(crate) padding: [usize; 4],
}

impl Window {
    /// The single position of a dense layer.
    const ONE: Self = Self {
        size: [1; 2],
        stride: [1; 2],
        padding: [0; 4],
    };

    /// Returns the height and width of the output over a map of `height` x `width`.
    fn outputs(&self, height: usize, width: usize) -> Result<[usize; 2], Unreadable> {
        let [top, left, bottom, right] = self.padding;
        let padded = [top + height + bottom, left + width + right];
        need(
            padded[0] >= self.size[0] && padded[1] >= self.size[1],
            "a window that fits",
        )?;
        let steps = |axis: usize| (padded[axis] - self.size[axis]) / self.stride[axis] + 1;
        Ok([steps(0), steps(1)])
    }
}

/// Biases and weights; a row is a list of (column, weight).
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Weights {
    /// Those of pooling: none.
    None,
    /// Those of all encodings except csr-f32.
    Integers(Vec<i32>, Vec<Vec<(usize, i32)>>),
    /// Those of the encoding csr-f32.
    Floats(Vec<f32>, Vec<Vec<(usize, f32)>>),
}

/// A decoded layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layer {
    /// The kind of the layer.
    pub(crate) kind: Kind,
    /// The code of its encoding.
    pub(crate) encoding: u8,
    /// The number of bits that requantization shifts out.
    pub(crate) shift: u32,
    /// The window; 1 x 1 for a dense layer.
    pub(crate) window: Window,
    /// The pooling of a pooling layer or fused into a convolution, with the size of its window.
    pub(crate) pooling: Option<(Pooling, usize)>,
    /// The distance to the source in layers.
    pub(crate) source: usize,
    /// The distance to the skip in layers, and its left shift.
    pub(crate) skip: Option<(usize, u32)>,
    /// The height and width of the sums, before pooling.
    pub(crate) sums: [usize; 2],
    /// The output shape, (channels, height, width).
    pub(crate) shape: [usize; 3],
    /// Biases and weights.
    pub(crate) weights: Weights,
}

/// A decoded container.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Container {
    /// The input shape, (channels, height, width).
    pub(crate) input: [usize; 3],
    /// The layers from the input to the logits.
    pub(crate) layers: Vec<Layer>,
}

impl Container {
    /// Returns the shape of the output `back` layers before layer `index`.
    fn shape(&self, index: usize, back: usize) -> Result<[usize; 3], Unreadable> {
        need(
            (1..=index + 1).contains(&back),
            "a link inside the container",
        )?;
        Ok(match (index + 1 - back).checked_sub(1) {
            None => self.input,
            Some(layer) => self.layers[layer].shape,
        })
    }
}

/// Reads a whole container.
///
/// # Errors
/// Returns an error if the container violates the specification.
pub(crate) fn read(bytes: &[u8]) -> Result<Container, Unreadable> {
    let mut header = Cursor::new(bytes);
    need(header.take(4)? == b"RFY\x01", "the magic and version 1")?;
    let checksum = header.u32()?;
    need(
        checksum == shift_register(&bytes[8..]),
        "the checksum of the bytes",
    )?;
    let count = header.u8()?;
    let (layers, has_units) = (usize::from(count & 127), count & 128 != 0);
    header.take(3)?;
    let width = usize::from(header.u16()?);
    let (height, channels) = (usize::from(header.u8()?), usize::from(header.u8()?));
    need((1..=64).contains(&layers), "1 to 64 layers")?;
    let mut container = Container {
        input: [channels, height, width],
        layers: Vec::new(),
    };
    let base = 16 + 8 * layers;
    let mut at = base;
    for index in 0..layers {
        let mut record = Cursor::new(bytes);
        record.take(16 + 8 * index)?;
        let (layer, end) = layer(&container, index, record.take(8)?, (bytes, base, at))
            .map_err(|e| format!("layer {index}: {e}"))?;
        container.layers.push(layer);
        at = end;
    }
    if has_units {
        at = units(&container, bytes, at)?;
    }
    need(at == bytes.len(), "nothing after the last section")?;
    let last = &container.layers[layers - 1];
    need(
        last.kind == Kind::Dense && last.shift == 0,
        "a dense last layer without a shift",
    )?;
    Ok(container)
}

/// Reads what the numbers of `container` stand for from the section after offset `at` of `bytes`,
/// which no inference needs, and returns its end.
fn units(container: &Container, bytes: &[u8], at: usize) -> Result<usize, Unreadable> {
    let mut section = Cursor::new(bytes);
    section.take(at)?;
    let padding = section.take(at.next_multiple_of(4) - at)?;
    need(
        padding.iter().all(|&byte| byte == 0),
        "zeros before the units",
    )?;
    let step = f32::from_bits(section.u32()?);
    need(step > 0.0 && step.is_finite(), "a positive output step")?;
    let maps = section.u32()? as usize;
    let inputs = container.input.iter().product::<usize>();
    need(maps > 0 && inputs % maps == 0, "maps that share the inputs")?;
    for _ in 0..maps {
        let (minimum, factor) = (
            f32::from_bits(section.u32()?),
            f32::from_bits(section.u32()?),
        );
        need(minimum.is_finite(), "a finite minimum")?;
        need(
            factor >= 0.0 && factor.is_finite(),
            "a finite factor of at least 0",
        )?;
    }
    Ok(at.next_multiple_of(4) + 8 + 8 * maps)
}

/// Reads layer `index` from its `record` and its block. The block begins at offset `at` of
/// `bytes`, after zeros if it must be aligned; alignment is relative to offset `base`. Returns the
/// layer and the end of its block.
fn layer(
    before: &Container,
    index: usize,
    record: &[u8],
    (bytes, base, at): (&[u8], usize, usize),
) -> Result<(Layer, usize), Unreadable> {
    let (kind, encoding) = (record[0] >> 4 & 3, record[0] & 15);
    let outputs = usize::from(u16::from_le_bytes([record[2], record[3]]));
    let low = usize::from(u16::from_le_bytes([record[6], record[7]]));
    let length = low | usize::from(record[1] >> 5) << 16;
    let kind = match kind {
        0 => Kind::Dense,
        1 => Kind::Conv,
        2 => Kind::Pool,
        _ => return Err("no such operation".into()),
    };
    let start = match encoding {
        4 | 15 => at,
        _ => base + (at - base).next_multiple_of(4),
    };
    need(start + length <= bytes.len(), "a block inside the file")?;
    need(
        bytes[at..start].iter().all(|&byte| byte == 0),
        "zeros between blocks",
    )?;
    let mut block = Cursor::new(&bytes[start..start + length]);
    let mut layer = Layer {
        kind,
        encoding,
        shift: u32::from(record[1] & 31),
        window: Window::ONE,
        pooling: None,
        source: 1,
        skip: None,
        sums: [1, 1],
        shape: [outputs, 1, 1],
        weights: Weights::None,
    };
    if kind != Kind::Dense {
        geometry(&mut layer, &mut block)?;
    }
    if record[0] & 64 != 0 {
        let links = block.take(4)?;
        layer.source = usize::from(links[0] & 15);
        let skip = (usize::from(links[0] >> 4), u32::from(links[1]));
        layer.skip = (skip.0 > 0).then_some(skip);
    }
    let columns = shapes(&mut layer, before, index)?;
    layer.weights = encodings::read(encoding, &mut block, columns, outputs)?;
    need(block.left() == 0, "a block without unused bytes")?;
    Ok((layer, start + length))
}

/// Sets the shapes of layer `index` from those of its source, checks the shape of its skip, and
/// returns the number of weight columns.
fn shapes(layer: &mut Layer, before: &Container, index: usize) -> Result<usize, Unreadable> {
    let source = before.shape(index, layer.source)?;
    let mut columns = source.iter().product();
    if layer.kind != Kind::Dense {
        let pool = layer.pooling.map_or(
            1,
            |(_, size)| if layer.kind == Kind::Conv { size } else { 1 },
        );
        layer.sums = layer.window.outputs(source[1], source[2])?;
        layer.shape = [layer.shape[0], layer.sums[0] / pool, layer.sums[1] / pool];
        columns = source[0] * layer.window.size[0] * layer.window.size[1];
    }
    if let Some((back, _)) = layer.skip {
        let sums = [layer.shape[0], layer.sums[0], layer.sums[1]];
        need(
            before.shape(index, back)? == sums,
            "a skip with the shape of the sums",
        )?;
    }
    Ok(columns)
}

/// Reads the geometry of a convolution or a pooling layer.
fn geometry(layer: &mut Layer, block: &mut Cursor<'_>) -> Result<(), Unreadable> {
    let bytes = block.take(8)?;
    let nibbles = |byte: u8| [usize::from(byte & 15), usize::from(byte >> 4)];
    let (mut size, mut stride) = ([nibbles(bytes[0])[0]; 2], [nibbles(bytes[0])[1]; 2]);
    if bytes[0] == 0 {
        let more = block.take(4)?;
        size = [more[0], more[1]].map(usize::from);
        stride = nibbles(more[2]);
        let short = size[0] == size[1] && size[0] < 16 && stride[0] == stride[1];
        need(more[3] == 0 && !short, "an extension that is needed")?;
    }
    let ([top, left], [bottom, right]) = (nibbles(bytes[1]), nibbles(bytes[2]));
    need(
        !size.contains(&0) && !stride.contains(&0),
        "sizes and strides of at least 1",
    )?;
    layer.window = Window {
        size,
        stride,
        padding: [top, left, bottom, right],
    };
    layer.pooling = match bytes[3] & 3 {
        0 => None,
        1 => Some((Pooling::Max, usize::from(bytes[3] >> 2))),
        2 => Some((Pooling::Average, usize::from(bytes[3] >> 2))),
        _ => return Err("no such pooling".into()),
    };
    Ok(())
}

/// Computes the checksum of `bytes` bit by bit. Bit `i` of a word shifted left by `by` bits is bit
/// `i - by` of the word; a negative `by` shifts right.
fn shift_register(bytes: &[u8]) -> u32 {
    type Bits = [bool; 32];
    let bits = |word: u32| -> Bits { std::array::from_fn(|i| word >> i & 1 == 1) };
    let added = |state: Bits, by: i32| -> Bits {
        std::array::from_fn(|i| {
            let from = usize::try_from(i as i32 - by).ok();
            state[i]
                ^ from
                    .and_then(|from| state.get(from))
                    .is_some_and(|&bit| bit)
        })
    };
    let mut state = [true; 32];
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let word = bits(u32::from_le_bytes(*word));
        let mixed = std::array::from_fn(|i| state[i] ^ word[i]);
        state = added(added(added(mixed, 5), -21), 12);
    }
    for &byte in rest {
        let byte = bits(u32::from(byte));
        let mixed: Bits = std::array::from_fn(|i| state[i] ^ byte[i]);
        state = std::array::from_fn(|i| mixed[(i + 8) % 32]);
    }
    (0..32).map(|i| u32::from(state[i]) << i).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests that this reader and interpreter compute the committed logits of every golden
    /// container.
    #[test]
    fn golden_containers_give_the_committed_logits() {
        assert_eq!(shift_register(b"123456789"), 0x20C5_1AE1);
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../format/tests/golden");
        let mut lines = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rfy") {
                continue;
            }
            let container = read(&std::fs::read(&path).unwrap()).unwrap();
            let answers = std::fs::read_to_string(path.with_extension("txt")).unwrap();
            for line in answers.lines().filter(|line| !line.starts_with('#')) {
                let (input, logits) = line.split_once(' ').unwrap();
                let byte = |at: usize| u8::from_str_radix(&input[2 * at..2 * at + 2], 16).unwrap();
                let input: Vec<u8> = (0..input.len() / 2).map(byte).collect();
                let logits: Vec<i32> = logits.split(' ').map(|one| one.parse().unwrap()).collect();
                let found = run(&container, &input);
                assert_eq!(
                    found.unwrap().last(),
                    Some(&Values::Sums(logits)),
                    "{}",
                    path.display()
                );
                lines += 1;
            }
        }
        assert!(lines >= 4 * 8, "{lines} lines");
    }
}
