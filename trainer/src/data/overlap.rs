//! Finds test images that are also training images.

use std::collections::HashSet;

use super::dataset::{Dataset, Split};

/// Returns the number of images of `test` that equal an image of `train` pixel by pixel. Returns 0
/// if the shapes differ.
#[must_use]
pub fn count(test: &Split, train: &Split) -> usize {
    if test.shape() != train.shape() {
        return 0;
    }
    let known: HashSet<&[u8]> = (0..train.len()).map(|index| train.image(index)).collect();
    (0..test.len())
        .filter(|&index| known.contains(test.image(index)))
        .count()
}

impl Dataset {
    /// Returns the number of test images that are also training images.
    #[must_use]
    pub fn repeated(&self) -> usize {
        count(&self.test, &self.train)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;

    #[test]
    fn images_are_compared_pixel_by_pixel() {
        let split =
            |images: &[[u8; 2]], shape| Split::new(images.concat(), vec![0; images.len()], shape);
        let shape = [1, 1, 2];
        let train = split(&[[1, 2], [3, 4], [3, 4]], shape);
        let test = split(&[[3, 4], [4, 3], [1, 2], [3, 4]], shape);
        assert_eq!(count(&test, &train), 3);
        assert_eq!(count(&test, &split(&[[9, 9]], shape)), 0);
        assert_eq!(count(&test, &split(&[[3, 4]], [1, 2, 1])), 0);
        assert_eq!(digits::load().repeated(), 0);
    }
}
