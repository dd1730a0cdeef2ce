//! The kept weights of a convolution, indexed by output channel and by input channel.
//!
//! A weight adds runs of its input channel to runs of its output channel. A run contains the
//! batches of an output row if the stride along the width is 1, otherwise that of a single
//! position. Taps in one column of the window contribute to the same outputs of a row, so their
//! runs are summed in registers.

use std::ops::Range;

use pulp::Simd;

use super::simd::{Runs, combine, dots};
use crate::graph::Window;

/// A kept weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    /// The place of the output channel among the live ones.
    pub(super) output: u32,
    /// The place of the input channel among the live ones.
    pub(super) input: u32,
    /// Its row and column in the window.
    pub(super) at: [u32; 2],
    /// Its index among the kept weights.
    pub(super) weight: u32,
}

/// The taps of a channel that contribute to the same outputs of a row, sorted by their row in the
/// window.
#[derive(Debug, Clone)]
struct Group {
    /// These outputs of a row.
    columns: Range<usize>,
    /// The range of these taps in `Side::taps`.
    taps: Range<usize>,
}

/// The taps, grouped by their channels on one side: outputs or inputs.
#[derive(Debug, Clone)]
struct Side {
    taps: Vec<Tap>,
    /// The groups of each channel.
    groups: Vec<Vec<Group>>,
}

/// The kept weights of a convolution between live channels.
#[derive(Debug, Clone)]
pub(super) struct Conv {
    window: Window,
    /// Height and width of the input.
    input: [usize; 2],
    /// Height and width of the output.
    output: [usize; 2],
    by_output: Side,
    by_input: Side,
    /// For each row of the window, the output rows for which it reads no padding.
    rows: Vec<Range<usize>>,
}

/// Buffers for the runs of one row, reused to avoid allocations.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    starts: Vec<u32>,
    pub(super) weights: Vec<f32>,
    sums: Vec<f32>,
}

impl Side {
    /// Groups `taps` by channel and, within a channel, by `key`, which starts with the outputs of a
    /// row that a tap contributes to.
    fn new(
        channels: usize,
        mut taps: Vec<Tap>,
        channel: impl Fn(&Tap) -> u32,
        key: impl Fn(&Tap) -> (Range<usize>, u32),
    ) -> Self {
        let group = |tap: &Tap| {
            let (columns, column) = key(tap);
            (channel(tap), columns.start, columns.end, column)
        };
        taps.sort_by_key(|tap| (group(tap), tap.at[0]));
        let mut groups = vec![Vec::new(); channels];
        let mut first = 0;
        while first < taps.len() {
            let same = |tap: &&Tap| group(tap) == group(&taps[first]);
            let count = taps[first..].iter().take_while(same).count();
            groups[channel(&taps[first]) as usize].push(Group {
                columns: key(&taps[first]).0,
                taps: first..first + count,
            });
            first += count;
        }
        Self { taps, groups }
    }
}

impl Conv {
    /// Creates the structure of `taps` between `inputs` channels of size `input` (height, width)
    /// and `outputs` channels.
    pub(super) fn new(
        window: Window,
        [inputs, outputs]: [usize; 2],
        input: [usize; 2],
        taps: &[Tap],
    ) -> Self {
        let output = window.outputs(input);
        let columns = |tap: &Tap| window.reading(1, tap.at[1] as usize, input[1], output[1]);
        let covering = taps.iter().filter(|tap| !columns(tap).is_empty()).copied();
        let covering: Vec<Tap> = covering.collect();
        Self {
            window,
            input,
            output,
            by_output: Side::new(
                outputs,
                covering.clone(),
                |tap| tap.output,
                |tap| (columns(tap), 0),
            ),
            // The inputs of a row that a tap reads depend on its column in the window.
            by_input: Side::new(
                inputs,
                covering,
                |tap| tap.input,
                |tap| (columns(tap), tap.at[1]),
            ),
            rows: (0..window.size[0])
                .map(|tap| window.reading(0, tap, input[0], output[0]))
                .collect(),
        }
    }

    /// Returns the number of positions of an input channel.
    fn input_area(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Returns the number of positions of an output channel.
    fn output_area(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Returns the taps of `group` whose row of the window reads no padding for output row `y`.
    fn reading(&self, group: &Group, y: usize) -> Range<usize> {
        let taps = &self.by_output.taps[group.taps.clone()];
        let reads = |tap: &Tap| self.rows[tap.at[0] as usize].contains(&y);
        let first = taps.iter().position(reads).unwrap_or(taps.len());
        let last = taps.iter().rposition(reads).map_or(first, |last| last + 1);
        group.taps.start + first..group.taps.start + last
    }

    /// Returns the position that `tap` reads for the first output of `columns` of row `y`.
    fn position(&self, tap: &Tap, y: usize, columns: &Range<usize>) -> u32 {
        let row = self.window.position(0, tap.at[0] as usize, y);
        let column = self.window.position(1, tap.at[1] as usize, columns.start);
        (tap.input as usize * self.input_area() + row * self.input[1] + column) as u32
    }

    /// Returns the number of runs that cover `columns` outputs of a row, and the number of
    /// positions of each: neighbouring outputs of a row read neighbouring inputs only if the
    /// stride along the width is 1.
    fn runs(&self, columns: usize) -> (usize, usize) {
        match self.window.stride[1] {
            1 => (1, columns),
            _ => (columns, 1),
        }
    }

    /// Adds output channel `channel` of the convolution of `x` (input channels · positions, batch)
    /// to `z` (positions, batch).
    #[inline(always)]
    pub(super) fn forward<S: Simd>(
        &self,
        simd: S,
        channel: usize,
        z: &mut [f32],
        x: &[f32],
        weights: &[f32],
        scratch: &mut Scratch,
    ) {
        let batch = z.len() / self.output_area();
        let Scratch {
            starts,
            weights: row_weights,
            ..
        } = scratch;
        for (y, z) in z.chunks_exact_mut(self.output[1] * batch).enumerate() {
            for group in &self.by_output.groups[channel] {
                let taps = &self.by_output.taps[self.reading(group, y)];
                starts.clear();
                starts.extend(taps.iter().map(|tap| self.position(tap, y, &group.columns)));
                row_weights.clear();
                row_weights.extend(taps.iter().map(|tap| weights[tap.weight as usize]));
                // This loop is repeated in three functions, because a closure would not inherit
                // the instruction set of `S`.
                let (count, length) = self.runs(group.columns.len());
                for at in 0..count {
                    let step = at * self.window.stride[1];
                    let first = (group.columns.start + at) * batch;
                    let z = &mut z[first..first + length * batch];
                    let runs = Runs {
                        values: x,
                        starts,
                        stride: batch,
                        base: step * batch,
                    };
                    combine(simd, z, runs, row_weights);
                }
            }
        }
    }

    /// Writes the gradients of the weights of output channel `channel`, whose gradient is `dz`
    /// (positions, batch).
    #[inline(always)]
    pub(super) fn weight_gradient<S: Simd>(
        &self,
        simd: S,
        channel: usize,
        dz: &[f32],
        x: &[f32],
        d_weights: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let batch = dz.len() / self.output_area();
        let groups = &self.by_output.groups[channel];
        let Scratch { starts, sums, .. } = scratch;
        let first = groups.first().map_or(0, |group| group.taps.start);
        sums.clear();
        sums.resize(groups.last().map_or(0, |group| group.taps.end) - first, 0.0);
        for (y, dz) in dz.chunks_exact(self.output[1] * batch).enumerate() {
            for group in groups {
                let range = self.reading(group, y);
                let taps = &self.by_output.taps[range.clone()];
                starts.clear();
                starts.extend(taps.iter().map(|tap| self.position(tap, y, &group.columns)));
                let sums = &mut sums[range.start - first..range.end - first];
                // This loop is repeated in three functions, because a closure would not inherit
                // the instruction set of `S`.
                let (count, length) = self.runs(group.columns.len());
                for at in 0..count {
                    let step = at * self.window.stride[1];
                    let from = (group.columns.start + at) * batch;
                    let dz = &dz[from..from + length * batch];
                    let runs = Runs {
                        values: x,
                        starts,
                        stride: batch,
                        base: step * batch,
                    };
                    dots(simd, dz, runs, sums);
                }
            }
        }
        for (tap, &sum) in self.by_output.taps[first..].iter().zip(sums.iter()) {
            d_weights[tap.weight as usize] = sum;
        }
    }

    /// Adds the gradient of the input to `dx` (input channels · positions, batch), from that of
    /// the outputs, `dz` (output channels · positions, batch).
    #[inline(always)]
    pub(super) fn input_gradient<S: Simd>(
        &self,
        simd: S,
        dx: &mut [f32],
        dz: &[f32],
        weights: &[f32],
        batch: usize,
        scratch: &mut Scratch,
    ) {
        let Scratch {
            starts,
            weights: row_weights,
            ..
        } = scratch;
        let (window, width) = (&self.window, self.input[1] * batch);
        let channels = dx.chunks_exact_mut(self.input_area() * batch);
        for (dx, groups) in channels.zip(&self.by_input.groups) {
            for (row, dx) in dx.chunks_exact_mut(width).enumerate() {
                for Group { columns, taps } in groups {
                    let taps = &self.by_input.taps[taps.clone()];
                    starts.clear();
                    row_weights.clear();
                    for tap in taps {
                        let Some(y) = self.output_row(row, tap) else {
                            continue;
                        };
                        let plane = tap.output as usize * self.output_area();
                        starts.push((plane + y * self.output[1] + columns.start) as u32);
                        row_weights.push(weights[tap.weight as usize]);
                    }
                    if starts.is_empty() {
                        continue;
                    }
                    let column = window.position(1, taps[0].at[1] as usize, columns.start);
                    // This loop is repeated in three functions, because a closure would not
                    // inherit the instruction set of `S`.
                    let (count, length) = self.runs(columns.len());
                    for at in 0..count {
                        let step = at * self.window.stride[1];
                        let first = (column + step) * batch;
                        let dx = &mut dx[first..first + length * batch];
                        let runs = Runs {
                            values: dz,
                            starts,
                            stride: batch,
                            base: at * batch,
                        };
                        combine(simd, dx, runs, row_weights);
                    }
                }
            }
        }
    }

    /// Returns the output row for which `tap` reads the input row `row`, if there is one.
    fn output_row(&self, row: usize, tap: &Tap) -> Option<usize> {
        let distance = (row + self.window.before[0]).checked_sub(tap.at[0] as usize)?;
        let (y, stride) = (distance / self.window.stride[0], self.window.stride[0]);
        (distance.is_multiple_of(stride) && y < self.output[0]).then_some(y)
    }
}
