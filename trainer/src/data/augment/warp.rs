//! Resamples an image: by an affine map, an elastic distortion, or both at once.

use super::field::Field;
use super::fill::Fill;

/// An affine map from the pixels of a changed image to the points of the original that they show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map {
    /// The matrix that multiplies (row, column).
    linear: [[f32; 2]; 2],
    /// The point that pixel (0, 0) shows.
    origin: [f32; 2],
}

impl Map {
    /// Creates the map for an image of `size` (height, width) that is rotated counterclockwise by
    /// `angle`, in radians, and scaled by the factor `scale`, both about its centre, then shifted
    /// down and to the right by `shift`, in pixels.
    pub(super) fn new(angle: f64, scale: f64, shift: [f64; 2], size: [usize; 2]) -> Self {
        let (sine, cosine) = angle.sin_cos();
        // The inverse of the change: rows count downwards, so a counterclockwise rotation takes
        // (row, column) to (cosine row - sine column, sine row + cosine column).
        let linear = [[cosine, sine], [-sine, cosine]].map(|row| row.map(|value| value / scale));
        let centre = size.map(|size| (size as f64 - 1.0) / 2.0);
        let from = [centre[0] + shift[0], centre[1] + shift[1]];
        let origin = [0, 1].map(|axis| {
            let [row, column]: [f64; 2] = linear[axis];
            (centre[axis] - row * from[0] - column * from[1]) as f32
        });
        Self {
            linear: linear.map(|row| row.map(|value| value as f32)),
            origin,
        }
    }

    /// Returns the point that the pixel at `row` and `column` shows.
    fn point(&self, row: usize, column: usize) -> [f32; 2] {
        [0, 1].map(|axis| {
            let [down, right] = self.linear[axis];
            down * row as f32 + right * column as f32 + self.origin[axis]
        })
    }
}

/// Resamples `image`, of `shape` (channels, height, width), at the points of `map`, displaced by
/// `field`. Interpolation is bilinear; `fill` says what lies outside the image.
pub(super) fn warp(
    image: &[u8],
    shape: [usize; 3],
    map: &Map,
    field: Option<&Field>,
    fill: Fill,
) -> Vec<u8> {
    let [_, height, width] = shape;
    let area = height * width;
    let mut warped = vec![0; image.len()];
    for row in 0..height {
        for column in 0..width {
            let mut point = map.point(row, column);
            if let Some(field) = field {
                let displacement = field.at(row * width + column);
                point = [0, 1].map(|axis| point[axis] + displacement[axis]);
            }
            if fill == Fill::Edge {
                // Beyond the edge, the image continues unchanged.
                let last = [height, width].map(|size| size as f32 - 1.0);
                point = [0, 1].map(|axis| point[axis].clamp(0.0, last[axis]));
            }
            let Some(reading) = Reading::new(point, [height, width]) else {
                continue;
            };
            for (from, to) in image.chunks_exact(area).zip(warped.chunks_exact_mut(area)) {
                to[row * width + column] = reading.of(from, width);
            }
        }
    }
    warped
}

/// A point between four pixels.
struct Reading {
    /// The row and column of the upper left of the four.
    corner: [isize; 2],
    /// The interpolation weights of the lower and the right pixels.
    shares: [f32; 2],
    size: [usize; 2],
}

impl Reading {
    /// Locates `point` in an image of `size`. Returns `None` if all four pixels are outside.
    fn new(point: [f32; 2], size: [usize; 2]) -> Option<Self> {
        let inside = (0..2).all(|axis| (-1.0..size[axis] as f32).contains(&point[axis]));
        inside.then(|| {
            let corner = point.map(floor);
            let shares = [0, 1].map(|axis| point[axis] - corner[axis] as f32);
            Self {
                corner,
                shares,
                size,
            }
        })
    }

    /// Returns the interpolated value of `channel`, which has `width` pixels per row, rounded.
    fn of(&self, channel: &[u8], width: usize) -> u8 {
        let [row, column] = self.corner;
        let pixel = |row: isize, column: isize| {
            let within = |at: isize, size: usize| usize::try_from(at).ok().filter(|&at| at < size);
            match (within(row, self.size[0]), within(column, self.size[1])) {
                (Some(row), Some(column)) => channel[row * width + column],
                _ => 0,
            }
        };
        let inner = |at: isize, size: usize| at >= 0 && at + 1 < size as isize;
        let pixels = if inner(row, self.size[0]) && inner(column, self.size[1]) {
            let at = row as usize * width + column as usize;
            let (upper, lower) = (&channel[at..at + 2], &channel[at + width..at + width + 2]);
            [[upper[0], upper[1]], [lower[0], lower[1]]]
        } else {
            [row, row + 1].map(|row| [column, column + 1].map(|column| pixel(row, column)))
        };
        let [lower, right] = self.shares;
        let across = pixels.map(|[a, b]| f32::from(a) * (1.0 - right) + f32::from(b) * right);
        let value = across[0] * (1.0 - lower) + across[1] * lower;
        // The value is nonnegative, so this rounds to the nearest integer.
        (value + 0.5) as u8
    }
}

/// Returns the largest integer that is at most `value`, which must fit in an `i32`. (`f32::floor`
/// is a function call unless the target guarantees SSE 4.1.)
fn floor(value: f32) -> isize {
    let whole = value as i32;
    (whole - i32::from(whole as f32 > value)) as isize
}
