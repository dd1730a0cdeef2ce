//! Counts the operations of the convolution kernels, per core.
//!
//! The counts follow the kernels' own decisions
//! (`runtime/src/kernels/cortex_m/*/convolution.rs`): which taps form quads and pairs, which
//! positions form blocks of eight and of four, and, on cores whose kernel tests for zeros, which
//! quads and pairs are skipped.

use rarefy_format::{Encoding, Layer, LayerSpec, Operation, Weights, WeightsSpec, Window};

use super::taps::{Placed, Source};
use super::{Core, Unit};
use crate::deploy::activity::Activity;

/// The number of zero tests to simulate per layer, over all images; at least four images are
/// simulated.
const LOOKS: usize = 4_000_000;

/// Bytes that a quad reads for eight positions, and that a tap of a pair reads for four.
const QUAD: u8 = 11;
const HALF: u8 = 4;

/// The positions of an output channel and how they are divided into blocks.
struct Work {
    /// The number of rows of positions before pooling.
    rows: usize,
    /// The positions in a row at which blocks of eight and of four begin; empty if positions are
    /// computed singly.
    eights: Vec<usize>,
    fours: Vec<usize>,
    window: Window,
    /// The size of the fused pooling; 1 for none.
    pool: usize,
    /// The height and width of the output.
    output: [usize; 2],
}

impl Work {
    /// Returns the work of `layer`; `None` unless it is a convolution.
    fn new(layer: &Layer<'_>) -> Option<Self> {
        let Operation::Conv { window, pooling } = layer.operation() else {
            return None;
        };
        let pool = pooling.map_or(1, |(_, size)| usize::from(size));
        let shape = layer.output().shape;
        let output = [shape.height, shape.width].map(usize::from);
        let width = output[1] * pool;
        let (mut eights, mut fours) = (Vec::new(), Vec::new());
        if window.stride[1] <= 2 && pool <= 2 && width >= 4 {
            eights.extend((0..width / 8).map(|block| 8 * block));
            let x = width / 8 * 8;
            match width - x {
                0 => {}
                // The last block overlaps its predecessor.
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

    /// Returns whether positions are computed in blocks.
    fn in_blocks(&self) -> bool {
        !self.fours.is_empty() || !self.eights.is_empty()
    }

    /// Returns whether the kernel of `core` forms quads; only the one for the DSP extension can.
    fn forms_quads(&self, core: Core) -> bool {
        let positions = self.rows * self.output[1] * self.pool;
        core == Core::M4 && self.in_blocks() && self.window.stride[1] == 1 && positions >= 32
    }

    /// Returns whether the kernel of `core` tests for zeros.
    fn tests_for_zeros(&self, core: Core) -> bool {
        core == Core::M4 && self.window.stride[1] == 1 && !self.eights.is_empty()
    }
}

/// Returns whether the instruction count of the convolution `layer` depends on which of its inputs
/// are 0.
pub(super) fn depends_on_input(layer: &Layer<'_>, core: Core) -> bool {
    Work::new(layer).is_some_and(|work| work.tests_for_zeros(core))
}

/// Returns the units that the convolution `layer` repeats on `core`, with their counts.
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
        size: work.window.size.map(usize::from),
        row: layer.source().row_stride(),
        plane: layer.source().channel_stride(),
    };
    let placed: Vec<Placed> = rows
        .iter()
        .map(|row| match work.forms_quads(core) {
            true => Placed::grouped(row, source),
            false => Placed::loose(row, source),
        })
        .collect();
    let mut units = reading(layer, &rows);
    units.extend(placing(&placed, &rows, core, &work));
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

/// Returns the columns of the nonzero taps of each output channel.
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

/// Returns the units of work for reading the weights.
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

/// Returns the units of work for computing the taps' offsets.
fn placing(placed: &[Placed], rows: &[Vec<u16>], core: Core, work: &Work) -> Vec<(Unit, f64)> {
    let taps = rows.iter().map(Vec::len).sum::<usize>() as f64;
    let sum = |of: &dyn Fn(&Placed) -> usize| placed.iter().map(of).sum::<usize>() as f64;
    let passed = sum(&|placed| placed.rows);
    let mut units = if work.forms_quads(core) {
        vec![
            (Unit::PlacedTap, taps),
            (Unit::PlacedRow, passed),
            (Unit::PlacedGroup, sum(&|placed| placed.groups)),
            (Unit::PlacedQuad, sum(&|placed| placed.quads.len())),
        ]
    } else {
        vec![(Unit::LooseTap, taps), (Unit::LooseRow, passed)]
    };
    if core == Core::M4 && work.in_blocks() {
        let pairs = sum(&|placed| placed.singles.len().div_ceil(2));
        units.push((Unit::ArrangedPair, pairs));
    }
    units
}

/// Returns the units of work of the blocks, excluding their taps.
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

/// Returns the units of work of the products in blocks.
fn products(
    layer: &Layer<'_>,
    work: &Work,
    core: Core,
    placed: &[Placed],
    activity: Option<&Activity>,
) -> Vec<(Unit, f64)> {
    let sum = |of: &dyn Fn(&Placed) -> usize| placed.iter().map(of).sum::<usize>();
    let [eights, fours] = [&work.eights, &work.fours].map(|columns| work.rows * columns.len());
    if core != Core::M4 || work.window.stride[1] > 1 {
        // The DSP extension multiplies two taps at a time.
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
        // The kernel tests for zeros and finds none.
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

/// The zeros that a kernel finds, on average over images.
#[derive(Debug, Default)]
struct Found {
    /// The fraction of images for which the kernel tests for zeros.
    looking: f64,
    /// The number of skipped quads.
    quads: f64,
    /// The number of skipped halves of pairs.
    halves: f64,
}

impl Found {
    /// Returns the average over as many recorded images of `activity` as [`LOOKS`] allows.
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

    /// Adds the quads and halves that the kernel skips in an output channel.
    fn add(&mut self, zeros: &Zeros, work: &Work, placed: &Placed) {
        for &x in &work.eights {
            for y in 0..work.rows {
                let base = zeros.corner + y * zeros.down + x;
                let quads = placed.quads.iter();
                let none = quads.filter(|&&offset| zeros.run(base + offset) >= QUAD);
                self.quads += none.count() as f64;
                for pair in placed.singles.chunks(2) {
                    // An odd tap is paired with weight 0 at offset 0.
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

/// The zeros of a source in its memory layout.
struct Zeros {
    /// Per byte, the length of the run of zero bytes that begins there, at most 255.
    runs: Vec<u8>,
    /// The offset of the first position's window.
    corner: usize,
    /// Bytes from the windows of a row of positions to those of the next row.
    down: usize,
}

impl Zeros {
    /// Returns the zeros of `sample`, which tells whether each value is nonzero; `None` if there
    /// are too few for the kernel to test for them.
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
            down: buffer.row_stride() * usize::from(window.stride[0]),
            runs,
        })
    }

    /// Returns the length of the run of zero bytes that begins at `place`.
    fn run(&self, place: usize) -> u8 {
        self.runs.get(place).copied().unwrap_or(0)
    }
}

/// Returns whether the kernel tests for zeros in a source that is 0 where `zeros` is 1, as
/// `runtime/src/maps.rs` decides.
fn has_zeros(zeros: &[u8]) -> bool {
    let apart = (zeros.len() / 32).max(4) | 1;
    let words = zeros.chunks_exact(apart).filter_map(<[u8]>::first_chunk);
    words.filter(|&&word| word == [1; 4]).count() >= 12
}
