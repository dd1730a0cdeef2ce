//! Augmentation: random changes to training images that preserve their classes.
//!
//! [`Augmentation`] is the option of a recipe, and [`Augmenter`] applies it. An image is rotated,
//! scaled, shifted and distorted in one resampling (`warp`), then cropped and mirrored, which
//! moves whole pixels. Images stay bytes: a resampled pixel is rounded, as in torchvision.

use serde::{Deserialize, Serialize};

use crate::random::Random;

mod field;
mod fill;
#[cfg(test)]
mod tests;
mod warp;

pub use fill::Fill;

use field::Smoother;
use warp::Map;

/// How training images are changed at random. The default changes nothing.
///
/// The changes to an image are drawn again in every epoch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table with the keys rotation, shift, scale, flip, crop, elastic and fill"
)]
pub struct Augmentation {
    /// The largest rotation about the centre, in degrees: uniform in ±`rotation`.
    pub rotation: f64,
    /// The largest shift along each axis, in pixels: uniform in ±`shift`, not rounded.
    pub shift: f64,
    /// The largest change of size, as a fraction: the factor is uniform in 1 ± `scale`.
    pub scale: f64,
    /// Whether each image is mirrored left to right with probability 1/2.
    pub flip: bool,
    /// The padding on each side, in pixels, from which a window of the original size is cropped at
    /// a random position.
    pub crop: usize,
    /// The elastic distortion, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elastic: Option<Elastic>,
    /// What a changed image shows where it reaches beyond the original.
    pub fill: Fill,
}

/// An elastic distortion (Simard, Steinkraus & Platt 2003): each pixel is read at a random
/// displacement, uniform in [-1, 1] along each axis, smoothed with a Gaussian of standard
/// deviation `sigma` and multiplied by `alpha`. The defaults are those of that paper for MNIST.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table with the keys alpha and sigma"
)]
pub struct Elastic {
    /// The factor of the smoothed displacements, in pixels.
    pub alpha: f64,
    /// The standard deviation of the Gaussian, in pixels.
    pub sigma: f64,
}

impl Default for Elastic {
    fn default() -> Self {
        Self {
            alpha: 34.0,
            sigma: 4.0,
        }
    }
}

impl Augmentation {
    /// Checks whether this augmentation leaves every image unchanged.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        let elastic = self.elastic.is_some_and(|elastic| elastic.alpha != 0.0);
        let moves = [self.rotation, self.shift, self.scale] != [0.0; 3];
        !(moves || self.flip || self.crop > 0 || elastic)
    }
}

/// Changes images of one shape at random.
#[derive(Debug, Clone)]
pub struct Augmenter {
    options: Augmentation,
    shape: [usize; 3],
    smoother: Option<Smoother>,
}

/// The random changes to one image, except its elastic distortion.
#[derive(Debug, Clone, Copy)]
struct Draws {
    /// The rotation, counterclockwise, in radians.
    angle: f64,
    /// The scale factor.
    scale: f64,
    /// The shift in pixels, down and to the right.
    shift: [f64; 2],
    /// The position of the cropped window relative to the image, in pixels, down and to the right.
    window: [isize; 2],
    /// Whether the image is mirrored left to right.
    flip: bool,
}

impl Augmenter {
    /// Creates an augmenter of images of `shape` (channels, height, width).
    #[must_use]
    pub fn new(options: Augmentation, shape: [usize; 3]) -> Self {
        let elastic = options.elastic.filter(|elastic| elastic.alpha != 0.0);
        Self {
            options,
            shape,
            smoother: elastic.map(|elastic| Smoother::new(elastic.sigma)),
        }
    }

    /// Returns a randomly changed copy of `image`; `random` supplies the draws.
    ///
    /// # Panics
    /// Panics unless `image` has one byte per pixel of the shape.
    #[must_use]
    pub fn apply(&self, image: &[u8], random: &mut Random) -> Vec<u8> {
        let features: usize = self.shape.iter().product();
        assert_eq!(image.len(), features, "one byte per pixel");
        let draws = self.draw(random);
        let Augmentation {
            rotation,
            shift,
            scale,
            ..
        } = self.options;
        let [_, height, width] = self.shape;
        let warped = if [rotation, shift, scale] != [0.0; 3] || self.smoother.is_some() {
            let map = Map::new(draws.angle, draws.scale, draws.shift, [height, width]);
            let field = self.smoother.as_ref().map(|smoother| {
                let alpha = self.options.elastic.unwrap_or_default().alpha;
                smoother.field([height, width], alpha, random)
            });
            warp::warp(image, self.shape, &map, field.as_ref(), self.options.fill)
        } else {
            image.to_vec()
        };
        self.crop(&warped, draws)
    }

    /// Draws the changes to one image. Every draw is made whether it is used or not, so that no
    /// change depends on the options for the others.
    fn draw(&self, random: &mut Random) -> Draws {
        let Augmentation {
            rotation,
            shift,
            scale,
            flip,
            crop,
            ..
        } = self.options;
        let mut within = |limit: f64| limit * (2.0 * random.unit() - 1.0);
        let (angle, factor) = (within(rotation).to_radians(), 1.0 + within(scale));
        let shift = [within(shift), within(shift)];
        let positions = 2 * crop as u64 + 1;
        let window = [(); 2].map(|()| random.below(positions) as isize - crop as isize);
        Draws {
            angle,
            scale: factor,
            shift,
            window,
            flip: random.unit() < 0.5 && flip,
        }
    }

    /// Crops `image` to the window of `draws` and mirrors the result if `draws.flip` is set.
    fn crop(&self, image: &[u8], draws: Draws) -> Vec<u8> {
        let [_, height, width] = self.shape;
        let ([down, right], fill) = (draws.window, self.options.fill);
        let mut cropped = vec![0; image.len()];
        for (index, to) in cropped.chunks_exact_mut(width).enumerate() {
            let channel = index / height;
            let Some(row) = fill.place((index % height) as isize + down, height) else {
                continue;
            };
            let from = &image[(channel * height + row) * width..][..width];
            for (column, pixel) in to.iter_mut().enumerate() {
                if let Some(column) = fill.place(column as isize + right, width) {
                    *pixel = from[column];
                }
            }
            if draws.flip {
                to.reverse();
            }
        }
        cropped
    }
}
