//! Pooling of one channel, whose values are stored as (positions, batch).

use pulp::Simd;

use super::simd::{Runs, combine};
use crate::graph::{Pooling, Window};

/// A sparse linear map between positions, stored by the positions that it writes.
#[derive(Debug, Clone, Default)]
struct Positions {
    starts: Vec<usize>,
    sources: Vec<u32>,
    shares: Vec<f32>,
}

impl Positions {
    /// Returns, for each position written, the positions that it reads and their weights (shares).
    fn each(&self) -> impl Iterator<Item = (&[u32], &[f32])> {
        self.starts.windows(2).map(|ends| {
            let range = ends[0]..ends[1];
            (&self.sources[range.clone()], &self.shares[range])
        })
    }
}

/// The pooling of a channel.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    kind: Pooling,
    /// Per output, the positions of its window that are not padding.
    forward: Positions,
    /// Per input position, the outputs that read it.
    backward: Positions,
    inputs: usize,
    outputs: usize,
}

impl Pool {
    /// Creates the pooling of channels of size `input` (height, width).
    pub(super) fn new(kind: Pooling, window: Window, input: [usize; 2]) -> Self {
        let [height, width] = window.outputs(input);
        let taps = |axis: usize, output: usize| {
            let outputs = [height, width][axis];
            let reads = move |&tap: &usize| {
                window
                    .reading(axis, tap, input[axis], outputs)
                    .contains(&output)
            };
            let position = move |tap| window.position(axis, tap, output);
            (0..window.size[axis]).filter(reads).map(position)
        };
        let mut forward = Positions {
            starts: vec![0],
            ..Positions::default()
        };
        let mut readers = vec![Vec::new(); input[0] * input[1]];
        for output in 0..height * width {
            let first = forward.sources.len();
            for y in taps(0, output / width) {
                let row = taps(1, output % width).map(|x| (y * input[1] + x) as u32);
                forward.sources.extend(row);
            }
            let read = &forward.sources[first..];
            let share = 1.0 / read.len() as f32;
            for &at in read {
                readers[at as usize].push((output as u32, share));
            }
            forward.shares.resize(forward.sources.len(), share);
            forward.starts.push(forward.sources.len());
        }
        let mut backward = Positions {
            starts: vec![0],
            ..Positions::default()
        };
        for readers in readers {
            backward
                .sources
                .extend(readers.iter().map(|reader| reader.0));
            backward
                .shares
                .extend(readers.iter().map(|reader| reader.1));
            backward.starts.push(backward.sources.len());
        }
        Self {
            kind,
            forward,
            backward,
            inputs: input[0] * input[1],
            outputs: height * width,
        }
    }

    /// Returns the number of output positions.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns whether the backward pass needs the origins of the outputs.
    pub(super) fn has_origins(&self) -> bool {
        self.kind == Pooling::Max
    }

    /// Pools `x` (inputs, batch) to `y` (outputs, batch), and writes the position that each
    /// maximum came from to `origins`, unless that is empty. The first position wins ties, and
    /// NaN is larger than every number.
    #[inline(always)]
    pub(super) fn forward<S: Simd>(&self, simd: S, y: &mut [f32], x: &[f32], origins: &mut [u32]) {
        let batch = x.len() / self.inputs;
        match self.kind {
            Pooling::Average => {
                y.fill(0.0);
                let outputs = y.chunks_exact_mut(batch).zip(self.forward.each());
                for (y, (starts, shares)) in outputs {
                    combine(simd, y, Runs::batches(x, starts, batch), shares);
                }
            }
            Pooling::Max => {
                let mut unread = vec![0; batch];
                let outputs = y.chunks_exact_mut(batch).zip(self.forward.each());
                for (output, (y, (positions, _))) in outputs.enumerate() {
                    let origins = match origins.is_empty() {
                        true => unread.as_mut_slice(),
                        false => &mut origins[output * batch..][..batch],
                    };
                    y.fill(f32::NEG_INFINITY);
                    origins.fill(positions[0]);
                    for &position in positions {
                        let x = &x[position as usize * batch..][..batch];
                        for ((y, origin), &x) in y.iter_mut().zip(&mut *origins).zip(x) {
                            // The first NaN is passed on, so that training can detect divergence.
                            let larger = x > *y || (x.is_nan() && !y.is_nan());
                            *y = if larger { x } else { *y };
                            *origin = if larger { position } else { *origin };
                        }
                    }
                }
            }
        }
    }

    /// Writes the gradient of the input to `dx`, from the gradient `dy` of the output.
    #[inline(always)]
    pub(super) fn backward<S: Simd>(&self, simd: S, dx: &mut [f32], dy: &[f32], origins: &[u32]) {
        let batch = dx.len() / self.inputs;
        dx.fill(0.0);
        match self.kind {
            Pooling::Average => {
                let inputs = dx.chunks_exact_mut(batch).zip(self.backward.each());
                for (dx, (starts, shares)) in inputs {
                    combine(simd, dx, Runs::batches(dy, starts, batch), shares);
                }
            }
            Pooling::Max => {
                let outputs = dy.chunks_exact(batch).zip(origins.chunks_exact(batch));
                for ((dy, origins), (positions, _)) in outputs.zip(self.forward.each()) {
                    for &position in positions {
                        let dx = &mut dx[position as usize * batch..][..batch];
                        for ((dx, dy), &origin) in dx.iter_mut().zip(dy).zip(origins) {
                            *dx += if origin == position { *dy } else { 0.0 };
                        }
                    }
                }
            }
        }
    }
}
