//! What the convolution kernels repeat, core by core.
//!
//! Which taps become quads and pairs, which positions lie in blocks of eight and of four, and, on cores
//! whose kernel looks for zeros, which quads and pairs find nothing else, is counted as the kernels
//! (`runtime/src/kernels/cortex_m/*/convolution.rs`) decide it.

use rarefy_format::{Encoding, Layer, LayerSpec, Operation, Weights, WeightsSpec, Window};

use super::taps::{Placed, Source};
use super::{Core, Unit};
use crate::deploy::activity::Activity;

/// Places at which zeros are looked for at most, over all images.
const LOOKS: usize = 4_000_000;

/// Bytes that a quad reads for eight positions, and half a pair of one tap.
const QUAD: u8 = 11;
const HALF: u8 = 4;

/// Positions of a channel, as they are taken.
struct Work {
    /// Rows of positions before pooling.
    rows: usize,
    /// Where in a row blocks of eight and of four positions begin; none where positions are taken one
    /// at a time.
    eights: Vec<usize>,
    fours: Vec<usize>,
    window: Window,
    pool: usize,
    /// Height and width of the output.
    output: [usize; 2],
}

impl Work {
    /// The work of `layer`, a convolution.
    fn new(layer: &Layer<'_>) -> Option<Self> {
        let Operation::Conv { window, pooling } = layer.operation() else {
            return None;
        };
        let pool = pooling.map_or(1, |(_, size)| usize::from(size));
        let shape = layer.output().shape;
        let output = [shape.height, shape.width].map(usize::from);
        let width = output[1] * pool;
        let (mut eights, mut fours) = (Vec::new(), Vec::new());
        if window.stride <= 2 && pool <= 2 && width >= 4 {
            eights.extend((0..width / 8).map(|block| 8 * block));
            let x = width / 8 * 8;
            match width - x {
                0 => {}
                // The last block overlaps the one before.
                5.. if x > 0 => eights.push(width - 8),
                rest => {
                    fours.extend((rest > 4).then_some(x));
                    fours.push(width - 4);
                }
            }
        }
        Some(Self {
            rows: output[0] * pool,
            eights,
            fours,
            window,
            pool,
            output,
        })
    }

    fn in_blocks(&self) -> bool {
        !self.fours.is_empty() || !self.eights.is_empty()
    }

    /// Whether the kernel with the DSP extension makes quads.
    fn groups(&self) -> bool {
        let positions = self.rows * self.output[1] * self.pool;
        self.in_blocks() && self.window.stride == 1 && positions >= 32
    }

    /// Whether the kernel of `core` may leave out what only reads zeros.
    fn looks(&self, core: Core) -> bool {
        core == Core::M4 && self.window.stride == 1 && !self.eights.is_empty()
    }
}

/// Whether the instructions of the convolution `layer` depend on how many of its inputs are 0.
pub(super) fn depends_on_input(layer: &Layer<'_>, core: Core) -> bool {
    Work::new(layer).is_some_and(|work| work.looks(core))
}

/// What the convolution `layer` repeats on `core`.
pub(super) fn units(
    layer: &Layer<'_>,
    core: Core,
    activity: Option<&Activity>,
) -> Vec<(Unit, f64)> {
    let Some(work) = Work::new(layer) else {
        return Vec::new();
    };
    let rows = taps(layer);
    let source = Source {
        size: work.window.size.into(),
        row: layer.source().row_stride(),
        plane: layer.source().channel_stride(),
    };
    let grouped = core == Core::M4 && work.groups();
    let placed: Vec<Placed> = rows
        .iter()
        .map(|row| match grouped {
            true => Placed::grouped(row, source),
            false => Placed::loose(row, source),
        })
        .collect();
    let mut units = reading(layer, &rows);
    units.extend(placing(&placed, &rows, core, (grouped, work.in_blocks())));
    if work.in_blocks() {
        units.extend(blocks(layer, &work));
        units.extend(products(layer, &work, core, &placed, activity));
    } else {
        let taps: usize = rows.iter().map(Vec::len).sum();
        let positions = work.rows * work.output[1] * work.pool;
        let (channels, stored) = (rows.len(), work.output[0] * work.output[1]);
        units.extend([
            (Unit::ConvSingle, (taps * positions) as f64),
            (Unit::ConvPosition, (channels * positions) as f64),
            (Unit::ConvStored, (channels * stored) as f64),
        ]);
    }
    units
}

/// For each channel the columns of its taps.
fn taps(layer: &Layer<'_>) -> Vec<Vec<u16>> {
    match LayerSpec::from_layer(layer).weights {
        WeightsSpec::Integers { rows, .. } => {
            let kept = |row: Vec<(u16, i16)>| {
                let kept = row.into_iter().filter(|(_, weight)| *weight != 0);
                kept.map(|(column, _)| column).collect()
            };
            rows.into_iter().map(kept).collect()
        }
        WeightsSpec::None | WeightsSpec::Floats { .. } => Vec::new(),
    }
}

/// Reading the weights.
fn reading(layer: &Layer<'_>, rows: &[Vec<u16>]) -> Vec<(Unit, f64)> {
    let taps = rows.iter().map(Vec::len).sum::<usize>() as f64;
    let channels = rows.len() as f64;
    let mut units = vec![(Unit::ConvChannel, channels)];
    match layer.weights() {
        Weights::Words(words) => {
            let stored = words
                .runs()
                .map(|run| run.length.next_multiple_of(2) * run.rows);
            units.push((Unit::TapWords, stored.sum::<usize>() as f64));
        }
        Weights::Dense(_) => {
            let all = (layer.columns() * layer.outputs()) as f64;
            units.extend([(Unit::TapDense, all), (Unit::TapKept, taps)]);
        }
        Weights::Rice(_) => units.extend([(Unit::TapRice, taps), (Unit::TapRiceRow, channels)]),
        _ => units.push((Unit::TapCsr, taps)),
    }
    debug_assert!(layer.encoding() != Encoding::None);
    units
}

/// Giving the taps their offsets.
fn placing(
    placed: &[Placed],
    rows: &[Vec<u16>],
    core: Core,
    (grouped, in_blocks): (bool, bool),
) -> Vec<(Unit, f64)> {
    let taps = rows.iter().map(Vec::len).sum::<usize>() as f64;
    let sum = |of: &dyn Fn(&Placed) -> usize| placed.iter().map(of).sum::<usize>() as f64;
    let passed = sum(&|placed| placed.rows);
    let mut units = if grouped {
        vec![
            (Unit::PlacedTap, taps),
            (Unit::PlacedRow, passed),
            (Unit::PlacedGroup, sum(&|placed| placed.groups)),
            (Unit::PlacedQuad, sum(&|placed| placed.quads.len())),
        ]
    } else {
        vec![(Unit::LooseTap, taps), (Unit::LooseRow, passed)]
    };
    if core == Core::M4 && in_blocks {
        let pairs = sum(&|placed| placed.singles.len().div_ceil(2));
        units.push((Unit::ArrangedPair, pairs));
    }
    units
}

/// The blocks, whatever their taps.
fn blocks(layer: &Layer<'_>, work: &Work) -> Vec<(Unit, f64)> {
    let channels = layer.outputs();
    let count = |columns: &[usize]| (channels * work.rows * columns.len()) as f64;
    let (eights, fours) = (count(&work.eights), count(&work.fours));
    let columns = channels * (work.eights.len() + work.fours.len());
    let mut units = vec![
        (Unit::ConvColumn, columns as f64),
        (Unit::ConvBlock8, eights),
        (Unit::ConvBlock4, fours),
    ];
    if work.pool > 1 {
        units.extend([(Unit::ConvPooled8, eights), (Unit::ConvPooled4, fours)]);
    }
    if layer.skip().is_some() {
        units.push((Unit::ConvAdded, 2.0 * eights + fours));
    }
    units
}

/// The products of blocks.
fn products(
    layer: &Layer<'_>,
    work: &Work,
    core: Core,
    placed: &[Placed],
    activity: Option<&Activity>,
) -> Vec<(Unit, f64)> {
    let sum = |of: &dyn Fn(&Placed) -> usize| placed.iter().map(of).sum::<usize>();
    let [eights, fours] = [&work.eights, &work.fours].map(|columns| work.rows * columns.len());
    if core != Core::M4 || work.window.stride > 1 {
        // With the DSP extension two taps at a time.
        let at_a_time = if core == Core::M4 { 2 } else { 1 };
        let taps = sum(&|placed| placed.singles.len().div_ceil(at_a_time));
        return vec![
            (Unit::ConvTap8, (taps * eights) as f64),
            (Unit::ConvTap4, (taps * fours) as f64),
        ];
    }
    let quads = sum(&|placed| placed.quads.len());
    let pairs = sum(&|placed| placed.singles.len().div_ceil(2));
    let [quads8, pairs8] = [quads, pairs].map(|groups| (groups * eights) as f64);
    let found = match activity {
        // Zeros are looked for, and there are none.
        None => Found {
            looking: 1.0,
            ..Found::default()
        },
        Some(activity) => Found::over(layer, work, placed, activity),
    };
    vec![
        (Unit::ConvQuad4, (quads * fours) as f64),
        (Unit::ConvPair4, (pairs * fours) as f64),
        (Unit::ConvQuad, quads8 - found.quads),
        (Unit::ConvLook, quads8 * found.looking - found.quads),
        (Unit::ConvSkipped, found.quads),
        (Unit::ConvPair, pairs8),
        (Unit::ConvPairLook, pairs8 * found.looking),
        (Unit::ConvHalf, 2.0 * pairs8 - found.halves),
    ]
}

/// What a kernel that looks for zeros finds, of an image on average.
#[derive(Debug, Default)]
struct Found {
    /// The share of images in which it looks.
    looking: f64,
    /// Quads left out.
    quads: f64,
    /// Halves of pairs left out.
    halves: f64,
}

impl Found {
    /// Over the images of `activity`, or as many of them as are not too much work.
    fn over(layer: &Layer<'_>, work: &Work, placed: &[Placed], activity: &Activity) -> Self {
        let blocks = work.rows * work.eights.len();
        let groups = |placed: &Placed| placed.quads.len() + placed.singles.len();
        let looks = blocks * placed.iter().map(groups).sum::<usize>();
        let enough = (LOOKS / looks.max(1)).max(4);
        let samples = activity.samples(enough);
        let mut found = Self::default();
        for sample in &samples {
            let Some(zeros) = Zeros::new(layer, sample) else {
                continue;
            };
            found.looking += 1.0;
            for placed in placed {
                found.add(&zeros, work, placed);
            }
        }
        let images = samples.len().max(1) as f64;
        Self {
            looking: found.looking / images,
            quads: found.quads / images,
            halves: found.halves / images,
        }
    }

    /// Adds what a channel leaves out.
    fn add(&mut self, zeros: &Zeros, work: &Work, placed: &Placed) {
        for &x in &work.eights {
            for y in 0..work.rows {
                let base = zeros.corner + y * zeros.row + x;
                let quads = placed.quads.iter();
                let none = quads.filter(|&&offset| zeros.run(base + offset) >= QUAD);
                self.quads += none.count() as f64;
                for pair in placed.singles.chunks(2) {
                    // An odd tap has a partner of weight 0 at offset 0.
                    let [first, second] = [pair[0], pair.get(1).copied().unwrap_or(0)];
                    for half in [base, base + 4] {
                        let none =
                            zeros.run(half + first) >= HALF && zeros.run(half + second) >= HALF;
                        self.halves += f64::from(u8::from(none));
                    }
                }
            }
        }
    }
}

/// The zeros of a source as it lies in memory.
struct Zeros {
    /// From each byte on how many bytes are 0, 255 at most.
    runs: Vec<u8>,
    /// Where the first position begins to read.
    corner: usize,
    /// From one row to the next.
    row: usize,
}

impl Zeros {
    /// Those of `sample`, which says of each value whether it is 0; `None` where there are too few for the
    /// kernel to look for them.
    fn new(layer: &Layer<'_>, sample: &[bool]) -> Option<Self> {
        let Operation::Conv { window, .. } = layer.operation() else {
            return None;
        };
        let (buffer, padding) = (layer.source(), window.padding);
        let [height, width] = [buffer.shape.height, buffer.shape.width].map(usize::from);
        let [top, left] = [buffer.margin.top, buffer.margin.left].map(usize::from);
        let mut runs = vec![1_u8; buffer.len().next_multiple_of(4)];
        if buffer.words == 0 {
            runs.truncate(buffer.len());
        }
        for (place, row) in sample.chunks_exact(width).enumerate() {
            let (channel, y) = (place / height, place % height);
            let start = channel * buffer.channel_stride() + (top + y) * buffer.row_stride() + left;
            for (zero, &active) in runs[start..][..width].iter_mut().zip(row) {
                *zero = u8::from(!active);
            }
        }
        if !has_zeros(&runs) {
            return None;
        }
        let mut run = 0_u8;
        for zero in runs.iter_mut().rev() {
            run = if *zero == 1 { run.saturating_add(1) } else { 0 };
            *zero = run;
        }
        let [above, before] = [padding.top, padding.left].map(usize::from);
        Some(Self {
            corner: (top - above) * buffer.row_stride() + left - before,
            row: buffer.row_stride(),
            runs,
        })
    }

    fn run(&self, place: usize) -> u8 {
        self.runs.get(place).copied().unwrap_or(0)
    }
}

/// Whether the kernel looks for zeros in a source that is 0 where `zeros` is 1, as
/// `runtime/src/kernels/map.rs` decides.
fn has_zeros(zeros: &[u8]) -> bool {
    let apart = (zeros.len() / 32).max(4) | 1;
    let words = zeros.chunks_exact(apart).filter_map(<[u8]>::first_chunk);
    words.filter(|&&word| word == [1; 4]).count() >= 12
}
