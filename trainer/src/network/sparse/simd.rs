//! Weighted sums of rows, and dot products with rows: the two operations on kept weights.
//!
//! Values are stored batch-innermost, so a weight multiplies a contiguous run: the batch of one
//! unit in a dense layer, the batches of one output row in a convolution. Sums stay in registers
//! during the loop over the weights. The order of every sum depends only on the machine's vector
//! length.

use pulp::Simd;

/// Runs of a matrix to combine: run `k` starts at `base + starts[k] * stride`.
#[derive(Clone, Copy)]
pub(super) struct Runs<'a> {
    pub(super) values: &'a [f32],
    pub(super) starts: &'a [u32],
    pub(super) stride: usize,
    pub(super) base: usize,
}

impl<'a> Runs<'a> {
    /// Creates the runs that are the rows `starts` of `values` (rows, batch).
    #[inline(always)]
    pub(super) fn batches(values: &'a [f32], starts: &'a [u32], batch: usize) -> Self {
        Self {
            values,
            starts,
            stride: batch,
            base: 0,
        }
    }

    /// Returns `length` elements, from element `at` on, of the run at `start`, one of `starts`.
    #[inline(always)]
    fn run(&self, start: u32, at: usize, length: usize) -> &'a [f32] {
        let start = self.base + start as usize * self.stride + at;
        &self.values[start..start + length]
    }
}

/// Calls `$function::<S, N, TAIL>`, where `N` is `$vectors`, the number of full vectors, at most 7.
macro_rules! by_width {
    ($vectors:expr, $function:ident, $tail:ident, $arguments:tt) => {
        match $vectors {
            0 => by_width!(@ $function, 0, $tail, $arguments),
            1 => by_width!(@ $function, 1, $tail, $arguments),
            2 => by_width!(@ $function, 2, $tail, $arguments),
            3 => by_width!(@ $function, 3, $tail, $arguments),
            4 => by_width!(@ $function, 4, $tail, $arguments),
            5 => by_width!(@ $function, 5, $tail, $arguments),
            6 => by_width!(@ $function, 6, $tail, $arguments),
            _ => by_width!(@ $function, 7, $tail, $arguments),
        }
    };
    (@ $function:ident, $width:literal, $tail:ident, ($($argument:expr),*)) => {
        $function::<S, $width, $tail>($($argument),*)
    };
}

/// Number of vectors in a block.
const BLOCK: usize = 8;

/// `TAIL` of a block without elements after its full vectors.
const NONE: u8 = 0;

/// `TAIL` of a block whose elements after the full vectors are loaded as a partial vector.
const PART: u8 = 1;

/// `TAIL` of a block whose elements after the full vectors are computed in a vector that overlaps
/// the last full one: lanes that are computed twice get the same sums, and no lane needs a mask.
const OVERLAP: u8 = 2;

/// Adds to `out` the sum of the `runs`, each multiplied by its weight.
#[inline(always)]
pub(super) fn combine<S: Simd>(simd: S, out: &mut [f32], runs: Runs<'_>, weights: &[f32]) {
    let lanes = S::F32_LANES;
    let mut at = 0;
    while out.len() - at >= BLOCK * lanes {
        combine_block::<S, BLOCK, NONE>(simd, out, at, runs, weights);
        at += BLOCK * lanes;
    }
    let rest = out.len() - at;
    let vectors = rest / lanes;
    if rest == 0 {
    } else if rest.is_multiple_of(lanes) {
        by_width!(vectors, combine_block, NONE, (simd, out, at, runs, weights));
    } else if vectors == 0 {
        combine_block::<S, 0, PART>(simd, out, at, runs, weights);
    } else {
        by_width!(
            vectors,
            combine_block,
            OVERLAP,
            (simd, out, at, runs, weights)
        );
    }
}

/// Adds the weighted sum of `runs` to `N` vectors of `out` from element `at` on and, unless `TAIL`
/// is [`NONE`], to the rest of `out`.
#[inline(always)]
fn combine_block<S: Simd, const N: usize, const TAIL: u8>(
    simd: S,
    out: &mut [f32],
    at: usize,
    runs: Runs<'_>,
    weights: &[f32],
) {
    let length = match TAIL {
        NONE => N * S::F32_LANES,
        _ => out.len() - at,
    };
    let out = &mut out[at..at + length];
    let mut sums = [simd.splat_f32s(0.0); N];
    sums.copy_from_slice(&S::as_simd_f32s(out).0[..N]);
    let mut last = tail::<S, TAIL>(simd, out);
    for (&start, &weight) in runs.starts.iter().zip(weights) {
        let weight = simd.splat_f32s(weight);
        let run = runs.run(start, at, length);
        let vectors = &S::as_simd_f32s(run).0[..N];
        for j in 0..N {
            sums[j] = simd.mul_add_e_f32s(weight, vectors[j], sums[j]);
        }
        if TAIL != NONE {
            last = simd.mul_add_e_f32s(weight, tail::<S, TAIL>(simd, run), last);
        }
    }
    let (vectors, rest) = S::as_mut_simd_f32s(out);
    vectors[..N].copy_from_slice(&sums);
    match TAIL {
        NONE => {}
        PART => simd.partial_store_f32s(rest, last),
        _ => S::as_mut_simd_f32s(&mut out[length - S::F32_LANES..]).0[0] = last,
    }
}

/// Returns the last elements of `run`, loaded as `TAIL` describes.
#[inline(always)]
fn tail<S: Simd, const TAIL: u8>(simd: S, run: &[f32]) -> S::f32s {
    match TAIL {
        NONE => simd.splat_f32s(0.0),
        PART => simd.partial_load_f32s(S::as_simd_f32s(run).1),
        _ => S::as_simd_f32s(&run[run.len() - S::F32_LANES..]).0[0],
    }
}

/// The maximum number of lanes for which [`dots`] uses an overlapping vector.
const MOST_LANES: usize = 16;

/// Adds the dot product of `a` with each of the `runs` to `sums`.
#[inline(always)]
pub(super) fn dots<S: Simd>(simd: S, a: &[f32], runs: Runs<'_>, sums: &mut [f32]) {
    let lanes = S::F32_LANES;
    let rest = a.len() % lanes;
    if rest == 0 {
        dots_with::<S, NONE>(simd, a, simd.splat_f32s(0.0), runs, sums);
    } else if a.len() < lanes || lanes > MOST_LANES {
        let last = simd.partial_load_f32s(S::as_simd_f32s(a).1);
        dots_with::<S, PART>(simd, a, last, runs, sums);
    } else {
        // Lanes of the overlapping vector that the last full vector already covers are 0.
        let mut last = [0.0; MOST_LANES];
        last[lanes - rest..lanes].copy_from_slice(&a[a.len() - rest..]);
        let last = S::as_simd_f32s(&last[..lanes]).0[0];
        dots_with::<S, OVERLAP>(simd, a, last, runs, sums);
    }
}

/// Adds the dot product of `a` with each of the `runs` to `sums`; `last` contains the elements of
/// `a` after its full vectors.
#[inline(always)]
fn dots_with<S: Simd, const TAIL: u8>(
    simd: S,
    a: &[f32],
    last: S::f32s,
    runs: Runs<'_>,
    sums: &mut [f32],
) {
    let length = a.len();
    let mut at = 0;
    while at + 4 <= runs.starts.len() {
        let starts = &runs.starts[at..at + 4];
        let rows = [
            runs.run(starts[0], 0, length),
            runs.run(starts[1], 0, length),
            runs.run(starts[2], 0, length),
            runs.run(starts[3], 0, length),
        ];
        dot_block::<S, 4, TAIL>(simd, (a, last), rows, &mut sums[at..at + 4]);
        at += 4;
    }
    while at < runs.starts.len() {
        let rows = [runs.run(runs.starts[at], 0, length)];
        dot_block::<S, 1, TAIL>(simd, (a, last), rows, &mut sums[at..=at]);
        at += 1;
    }
}

/// Adds the dot product of `a` with each of the `rows` to `sums`.
#[inline(always)]
fn dot_block<S: Simd, const N: usize, const TAIL: u8>(
    simd: S,
    (a, last): (&[f32], S::f32s),
    rows: [&[f32]; N],
    sums: &mut [f32],
) {
    let vectors = S::as_simd_f32s(a).0;
    let mut totals = [simd.splat_f32s(0.0); N];
    let mut heads: [&[S::f32s]; N] = [&[]; N];
    for k in 0..N {
        heads[k] = &S::as_simd_f32s(rows[k]).0[..vectors.len()];
    }
    for (i, &a) in vectors.iter().enumerate() {
        for k in 0..N {
            totals[k] = simd.mul_add_e_f32s(a, heads[k][i], totals[k]);
        }
    }
    if !a.len().is_multiple_of(S::F32_LANES) {
        for k in 0..N {
            totals[k] = simd.mul_add_e_f32s(last, tail::<S, TAIL>(simd, rows[k]), totals[k]);
        }
    }
    for k in 0..N {
        sums[k] += simd.reduce_sum_f32s(totals[k]);
    }
}

/// As many ones as the widest vector has lanes.
const ONES: [f32; 64] = [1.0; 64];

/// Returns `M` sums over pairs of elements of `x` and `y`, which have the same length. `add` adds
/// the terms of two vectors, its first arguments, to its last one. Its third argument is 1 in the
/// lanes that contain elements and 0 in the others, where the first two are 0, too; there, the
/// terms must be 0.
#[inline(always)]
pub(super) fn sums<S: Simd, const M: usize>(
    simd: S,
    x: &[f32],
    y: &[f32],
    add: impl Fn(S::f32s, S::f32s, S::f32s, [S::f32s; M]) -> [S::f32s; M],
) -> [f32; M] {
    let mut totals = [[simd.splat_f32s(0.0); M]; 4];
    let ((xs, x_rest), (ys, y_rest)) = (S::as_simd_f32s(x), S::as_simd_f32s(y));
    let live = simd.splat_f32s(1.0);
    let (x_fours, y_fours) = (xs.chunks_exact(4), ys.chunks_exact(4));
    let (x_last, y_last) = (x_fours.remainder(), y_fours.remainder());
    for (x, y) in x_fours.zip(y_fours) {
        for k in 0..4 {
            totals[k] = add(x[k], y[k], live, totals[k]);
        }
    }
    for ((&x, &y), total) in x_last.iter().zip(y_last).zip(&mut totals) {
        *total = add(x, y, live, *total);
    }
    if !x_rest.is_empty() {
        let load = |part| simd.partial_load_f32s(part);
        let live = load(&ONES[..x_rest.len()]);
        totals[3] = add(load(x_rest), load(y_rest), live, totals[3]);
    }
    let [a, b, c, d] = totals;
    std::array::from_fn(|m| {
        let total = simd.add_f32s(simd.add_f32s(a[m], b[m]), simd.add_f32s(c[m], d[m]));
        simd.reduce_sum_f32s(total)
    })
}
