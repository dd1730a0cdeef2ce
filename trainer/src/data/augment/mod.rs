//! Augmentation: random changes of a training image that keep its class.

use serde::{Deserialize, Serialize};

/// How training images are changed at random. The default changes nothing.
///
/// Every epoch draws anew for every image. Where a changed image reads outside its original, it is
/// black (pixel 0, before normalisation), as in torchvision.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// The largest rotation about the centre, in degrees: uniform in ±`rotation`.
    pub rotation: f64,
    /// The largest shift along each axis, in pixels: uniform in ±`shift`, not rounded.
    pub shift: f64,
    /// The largest change of size, as a share: the factor is uniform in 1 ± `scale`.
    pub scale: f64,
    /// Whether half of the images are mirrored left to right.
    pub flip: bool,
    /// The padding on each side, in pixels, from which a window of the original size is cropped at
    /// a random position.
    pub crop: usize,
    /// The elastic distortion, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elastic: Option<Elastic>,
}

/// An elastic distortion (Simard, Steinkraus & Platt 2003): each pixel is read at a random
/// displacement, uniform in [-1, 1] along each axis, smoothed with a Gaussian of standard
/// deviation `sigma` and multiplied by `alpha`. The defaults are the paper's for MNIST.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
    /// Checks whether images are left as they are.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        let elastic = self.elastic.is_some_and(|elastic| elastic.alpha != 0.0);
        let moves = [self.rotation, self.shift, self.scale] != [0.0; 3];
        !(moves || self.flip || self.crop > 0 || elastic)
    }
}
