//! Sums of weighted rows and dot products with rows: what a kept weight costs.
//!
//! Values are stored batch-innermost, so a weight multiplies a contiguous run: the batch for a
//! dense layer, an output row times the batch for a convolution. Sums stay in registers while
//! the weights are walked. The order of every sum is fixed by the machine's vector length.

use pulp::Simd;

/// Runs of a matrix that are combined: run `k` starts at `base + starts[k] * stride`.
#[derive(Clone, Copy)]
pub(super) struct Runs<'a> {
    pub(super) values: &'a [f32],
    pub(super) starts: &'a [u32],
    pub(super) stride: usize,
    pub(super) base: usize,
}

impl<'a> Runs<'a> {
    /// Returns `length` elements of run `start`, from element `at` on.
    #[inline(always)]
    fn run(&self, start: u32, at: usize, length: usize) -> &'a [f32] {
        let start = self.base + start as usize * self.stride + at;
        &self.values[start..start + length]
    }
}

/// Calls `$function::<S, N, PARTIAL>` with the `N` full vectors that `$vectors` says.
macro_rules! by_width {
    ($vectors:expr, $function:ident, $partial:literal, $arguments:tt) => {
        match $vectors {
            0 => by_width!(@ $function, 0, $partial, $arguments),
            1 => by_width!(@ $function, 1, $partial, $arguments),
            2 => by_width!(@ $function, 2, $partial, $arguments),
            3 => by_width!(@ $function, 3, $partial, $arguments),
            4 => by_width!(@ $function, 4, $partial, $arguments),
            5 => by_width!(@ $function, 5, $partial, $arguments),
            6 => by_width!(@ $function, 6, $partial, $arguments),
            _ => by_width!(@ $function, 7, $partial, $arguments),
        }
    };
    (@ $function:ident, $width:literal, $partial:literal, ($($argument:expr),*)) => {
        $function::<S, $width, $partial>($($argument),*)
    };
}

/// Vectors of a block.
const BLOCK: usize = 8;

/// Adds to `out` the sum of the `runs`, each times its weight.
#[inline(always)]
pub(super) fn combine<S: Simd>(simd: S, out: &mut [f32], runs: Runs<'_>, weights: &[f32]) {
    let lanes = S::F32_LANES;
    let mut at = 0;
    while out.len() - at >= BLOCK * lanes {
        combine_block::<S, BLOCK, false>(simd, out, at, runs, weights);
        at += BLOCK * lanes;
    }
    let rest = out.len() - at;
    if rest.is_multiple_of(lanes) {
        if rest > 0 {
            by_width!(
                rest / lanes,
                combine_block,
                false,
                (simd, out, at, runs, weights)
            );
        }
    } else {
        by_width!(
            rest / lanes,
            combine_block,
            true,
            (simd, out, at, runs, weights)
        );
    }
}

/// Combines `N` vectors of `out` from element `at` on, and the rest of `out` if `PARTIAL`.
#[inline(always)]
fn combine_block<S: Simd, const N: usize, const PARTIAL: bool>(
    simd: S,
    out: &mut [f32],
    at: usize,
    runs: Runs<'_>,
    weights: &[f32],
) {
    let length = if PARTIAL {
        out.len() - at
    } else {
        N * S::F32_LANES
    };
    let out = &mut out[at..at + length];
    let mut sums = [simd.splat_f32s(0.0); N];
    let mut last = simd.splat_f32s(0.0);
    {
        let (vectors, rest) = S::as_simd_f32s(out);
        let vectors = &vectors[..N];
        for j in 0..N {
            sums[j] = vectors[j];
        }
        if PARTIAL {
            last = simd.partial_load_f32s(rest);
        }
    }
    for (&start, &weight) in runs.starts.iter().zip(weights) {
        let weight = simd.splat_f32s(weight);
        let (vectors, rest) = S::as_simd_f32s(runs.run(start, at, length));
        let vectors = &vectors[..N];
        for j in 0..N {
            sums[j] = simd.mul_add_e_f32s(weight, vectors[j], sums[j]);
        }
        if PARTIAL {
            last = simd.mul_add_e_f32s(weight, simd.partial_load_f32s(rest), last);
        }
    }
    let (vectors, rest) = S::as_mut_simd_f32s(out);
    vectors[..N].copy_from_slice(&sums);
    if PARTIAL {
        simd.partial_store_f32s(rest, last);
    }
}

/// Adds the dot product of `a` with each of the `runs` to `sums`.
#[inline(always)]
pub(super) fn dots<S: Simd>(simd: S, a: &[f32], runs: Runs<'_>, sums: &mut [f32]) {
    let mut fours = runs.starts.chunks_exact(4);
    let mut four_sums = sums.chunks_exact_mut(4);
    for (starts, sums) in fours.by_ref().zip(four_sums.by_ref()) {
        let rows = [0, 1, 2, 3].map(|k| runs.run(starts[k], 0, a.len()));
        dot_block(simd, a, rows, sums);
    }
    let rest = fours.remainder().iter().zip(four_sums.into_remainder());
    for (&start, sum) in rest {
        let rows = [runs.run(start, 0, a.len())];
        dot_block(simd, a, rows, std::slice::from_mut(sum));
    }
}

/// Adds the dot products of `a` with `rows` to `sums`.
#[inline(always)]
fn dot_block<S: Simd, const N: usize>(simd: S, a: &[f32], rows: [&[f32]; N], sums: &mut [f32]) {
    let (vectors, rest) = S::as_simd_f32s(a);
    let rows = rows.map(|row| S::as_simd_f32s(row));
    let mut totals = [simd.splat_f32s(0.0); N];
    let heads = rows.map(|(head, _)| &head[..vectors.len()]);
    for (i, &a) in vectors.iter().enumerate() {
        for k in 0..N {
            totals[k] = simd.mul_add_e_f32s(a, heads[k][i], totals[k]);
        }
    }
    if !rest.is_empty() {
        let a = simd.partial_load_f32s(rest);
        for k in 0..N {
            let row = simd.partial_load_f32s(rows[k].1);
            totals[k] = simd.mul_add_e_f32s(a, row, totals[k]);
        }
    }
    for k in 0..N {
        sums[k] += simd.reduce_sum_f32s(totals[k]);
    }
}

/// Returns the sum of `term` over pairs of elements. `vectors` adds the terms of vectors to a sum.
#[inline(always)]
pub(super) fn sum<S: Simd>(
    simd: S,
    x: &[f32],
    y: &[f32],
    vectors: impl Fn(S::f32s, S::f32s, S::f32s) -> S::f32s,
    term: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut totals = [simd.splat_f32s(0.0); 4];
    let ((xs, x_rest), (ys, y_rest)) = (S::as_simd_f32s(x), S::as_simd_f32s(y));
    let (x_fours, y_fours) = (xs.chunks_exact(4), ys.chunks_exact(4));
    let rest = x_fours.remainder().iter().zip(y_fours.remainder());
    for ((&x, &y), total) in rest.zip(&mut totals) {
        *total = vectors(x, y, *total);
    }
    for (x, y) in x_fours.zip(y_fours) {
        for k in 0..4 {
            totals[k] = vectors(x[k], y[k], totals[k]);
        }
    }
    let [a, b, c, d] = totals;
    let total = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
    let rest = x_rest.iter().zip(y_rest);
    simd.reduce_sum_f32s(total) + rest.map(|(&x, &y)| term(x, y)).sum::<f32>()
}
