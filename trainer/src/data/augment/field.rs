//! The random displacements of an elastic distortion.

use crate::random::Random;

/// A Gaussian smoothing filter.
#[derive(Debug, Clone)]
pub(super) struct Smoother {
    /// The factors at offsets 0, 1, 2, …; over all offsets, including negative ones, they sum to
    /// 1.
    factors: Vec<f32>,
}

/// Displacements of the pixels of an image, down and to the right.
#[derive(Debug, Clone)]
pub(super) struct Field {
    axes: [Vec<f32>; 2],
}

impl Smoother {
    /// Creates a Gaussian filter with standard deviation `sigma`, in pixels, truncated at four
    /// standard deviations as in SciPy.
    pub(super) fn new(sigma: f64) -> Self {
        let radius = (4.0 * sigma + 0.5) as usize;
        let density = |offset: usize| (-0.5 * (offset as f64 / sigma).powi(2)).exp();
        let total: f64 = 1.0 + 2.0 * (1..=radius).map(density).sum::<f64>();
        let factors = (0..=radius).map(|offset| (density(offset) / total) as f32);
        Self {
            factors: factors.collect(),
        }
    }

    /// Draws a field for an image of `size` (height, width): uniform noise in [-1, 1], smoothed
    /// and multiplied by `alpha`.
    pub(super) fn field(&self, size: [usize; 2], alpha: f64, random: &mut Random) -> Field {
        let axes = [(); 2].map(|()| {
            let count = size[0] * size[1];
            let noise: Vec<f32> = (0..count)
                .map(|_| (2.0 * random.unit() - 1.0) as f32)
                .collect();
            let mut smooth = self.smooth(&noise, size);
            for value in &mut smooth {
                *value *= alpha as f32;
            }
            smooth
        });
        Field { axes }
    }

    /// Returns `values`, an image of `size` (height, width), smoothed along both axes. Pixels
    /// outside it count as zero.
    pub(super) fn smooth(&self, values: &[f32], [height, width]: [usize; 2]) -> Vec<f32> {
        let mut rows = vec![0.0; values.len()];
        let pairs = rows.chunks_exact_mut(width).zip(values.chunks_exact(width));
        for (to, from) in pairs {
            for (offset, &factor) in self.factors.iter().enumerate().take(width) {
                add(&mut to[offset..], &from[..width - offset], factor);
                if offset > 0 {
                    add(&mut to[..width - offset], &from[offset..], factor);
                }
            }
        }
        let mut smooth = vec![0.0; values.len()];
        for (offset, &factor) in self.factors.iter().enumerate().take(height) {
            let (shift, rest) = (offset * width, values.len() - offset * width);
            add(&mut smooth[shift..], &rows[..rest], factor);
            if offset > 0 {
                add(&mut smooth[..rest], &rows[shift..], factor);
            }
        }
        smooth
    }
}

/// Adds `factor` times `from` to `to`.
fn add(to: &mut [f32], from: &[f32], factor: f32) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

impl Field {
    /// Returns the displacement of the pixel with index `at`.
    pub(super) fn at(&self, at: usize) -> [f32; 2] {
        [self.axes[0][at], self.axes[1][at]]
    }
}
