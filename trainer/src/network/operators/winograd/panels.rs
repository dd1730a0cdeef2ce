//! Panels of channels, whose values lie next to each other, as vectors of the processor at hand.

use pulp::{Arch, Simd, WithSimd};

/// Channels that are processed together.
pub(super) const PANEL: usize = 16;

/// Positions of a transformed tile.
pub(super) const POSITIONS: usize = 16;

/// Vectors that hold the channels of a panel.
pub(super) type Vector<S, const N: usize> = [<S as Simd>::f32s; N];

/// Returns `values`, a whole number of panels, as vectors.
#[inline(always)]
pub(super) fn vectors<S: Simd, const N: usize>(values: &[f32]) -> &[Vector<S, N>] {
    S::as_simd_f32s(values).0.as_chunks().0
}

/// Returns `values`, a whole number of panels, as vectors.
#[inline(always)]
pub(super) fn vectors_mut<S: Simd, const N: usize>(values: &mut [f32]) -> &mut [Vector<S, N>] {
    S::as_mut_simd_f32s(values).0.as_chunks_mut().0
}

/// Work on vectors, of which `N` hold a panel.
pub(super) trait OnVectors {
    /// Runs the work.
    fn run<S: Simd, const N: usize>(self, simd: S);
}

/// Runs `work` with the widest vectors of the processor.
pub(super) fn run(work: impl OnVectors) {
    struct Work<T>(T);
    impl<T: OnVectors> WithSimd for Work<T> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            match S::F32_LANES {
                16 => self.0.run::<S, 1>(simd),
                8 => self.0.run::<S, 2>(simd),
                4 => self.0.run::<S, 4>(simd),
                2 => self.0.run::<S, 8>(simd),
                1 => self.0.run::<S, 16>(simd),
                lanes => unreachable!("no processor has vectors of {lanes} values"),
            }
        }
    }
    Arch::new().dispatch(Work(work));
}
