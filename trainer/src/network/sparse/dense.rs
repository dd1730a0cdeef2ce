//! The kept weights of a dense layer, indexed by output (CSR) and by input (CSC).

use pulp::Simd;

use super::conv::Scratch;
use super::simd::{Runs, combine, dots};

/// The kept weights of a dense layer, between the rows of its input and its live outputs.
#[derive(Debug, Clone)]
pub(super) struct Dense {
    /// 0, then the end of each output's weights.
    starts: Vec<usize>,
    /// The row of the input that each weight reads.
    rows: Vec<u32>,
    /// 0, then the end of the weights of each row of the input in `outputs`.
    row_starts: Vec<usize>,
    /// The outputs that the weights write, in the order of the rows that they read.
    outputs: Vec<u32>,
    /// The indices of the weights, in the order of the rows that they read.
    order: Vec<u32>,
}

impl Dense {
    /// Creates the structure of the weights between `outputs` outputs and `inputs` rows, given as
    /// (output, row), sorted by output.
    pub(super) fn new(outputs: usize, inputs: usize, weights: &[(usize, usize)]) -> Self {
        let starts = |count: usize, of: &dyn Fn(&(usize, usize)) -> usize| {
            let mut starts = vec![0; count + 1];
            weights
                .iter()
                .for_each(|weight| starts[of(weight) + 1] += 1);
            (0..count).for_each(|at| starts[at + 1] += starts[at]);
            starts
        };
        let mut order: Vec<u32> = (0..weights.len() as u32).collect();
        order.sort_by_key(|&weight| weights[weight as usize].1);
        Self {
            starts: starts(outputs, &|weight| weight.0),
            rows: weights.iter().map(|weight| weight.1 as u32).collect(),
            row_starts: starts(inputs, &|weight| weight.1),
            outputs: order
                .iter()
                .map(|&weight| weights[weight as usize].0 as u32)
                .collect(),
            order,
        }
    }

    /// Adds the weighted sum of the inputs `x` (rows, batch) of output `unit` to `z` (batch).
    #[inline(always)]
    pub(super) fn forward<S: Simd>(
        &self,
        simd: S,
        unit: usize,
        z: &mut [f32],
        x: &[f32],
        weights: &[f32],
    ) {
        let range = self.starts[unit]..self.starts[unit + 1];
        let runs = Runs::batches(x, &self.rows[range.clone()], z.len());
        combine(simd, z, runs, &weights[range]);
    }

    /// Adds the gradients of the weights of output `unit`, whose gradient is `dz` (batch).
    #[inline(always)]
    pub(super) fn weight_gradient<S: Simd>(
        &self,
        simd: S,
        unit: usize,
        dz: &[f32],
        x: &[f32],
        d_weights: &mut [f32],
    ) {
        let range = self.starts[unit]..self.starts[unit + 1];
        let runs = Runs::batches(x, &self.rows[range.clone()], dz.len());
        dots(simd, dz, runs, &mut d_weights[range]);
    }

    /// Adds the gradient of the input to `dx` (rows, batch), from that of the outputs, `dz`
    /// (outputs, batch).
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
        let ordered = &mut scratch.weights;
        ordered.clear();
        ordered.extend(self.order.iter().map(|&at| weights[at as usize]));
        let rows = dx.chunks_exact_mut(batch).zip(self.row_starts.windows(2));
        for (dx, ends) in rows {
            let range = ends[0]..ends[1];
            let runs = Runs::batches(dz, &self.outputs[range.clone()], batch);
            combine(simd, dx, runs, &ordered[range]);
        }
    }
}
