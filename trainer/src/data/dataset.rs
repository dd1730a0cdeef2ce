//! A dataset in memory: two splits of labelled 8-bit images.
//!
//! All images have one shape, are stored channel-first, and belong to at most 256 classes.

use sha2::{Digest, Sha256};

use super::normalisation::Normalisation;
use super::reading::Reading;
use crate::digest::hexadecimal;

/// Labelled images, split into training and test sets.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Name in the catalogue, or path of the file or folder that the images were read from.
    pub name: String,
    /// Images for training.
    pub train: Split,
    /// Images for testing; never used for training or calibration.
    pub test: Split,
    /// Conversion of a pixel to a network input.
    pub normalisation: Normalisation,
    /// Number of classes; every label is below this number. Samples without labels
    /// ([`Reading::has_labels`]) are all of one class.
    pub classes: usize,
    /// The names of the classes, in the order of their labels; empty if they have none.
    pub class_names: Vec<String>,
    /// How the dataset was read where its files left a choice.
    pub reading: Reading,
    /// What in the files was left out, or may not be meant as it was read.
    pub notes: Vec<Note>,
}

/// A note on how files were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// A sentence.
    pub text: String,
    /// The column of a table to leave out, if that is what the sentence advises.
    pub column: Option<String>,
}

impl Dataset {
    /// Returns the word for its samples in messages: "images" if they are bytes with a height and
    /// a width, and "samples" otherwise.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        let [_, height, width] = self.train.shape();
        match self.reading.map.is_none() && height > 1 && width > 1 {
            true => "images",
            false => "samples",
        }
    }

    /// Returns the SHA-256, in hexadecimal, of the shapes, images and labels of both splits.
    ///
    /// Datasets with equal fingerprints hold the same samples in the same order, regardless of
    /// where they were read from and how they were compressed.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for split in [&self.train, &self.test] {
            for number in [split.len(), split.shape[0], split.shape[1], split.shape[2]] {
                hasher.update((number as u64).to_le_bytes());
            }
            hasher.update(&split.images);
            hasher.update(&split.labels);
        }
        hexadecimal(&hasher.finalize())
    }
}

/// Images of one shape with their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    images: Vec<u8>,
    labels: Vec<u8>,
    shape: [usize; 3],
}

impl Split {
    /// Creates a split of `labels.len()` images, stored consecutively in `images`, each of `shape`
    /// (channels, height, width) in row-major order.
    ///
    /// # Panics
    /// Panics unless `images` holds exactly one image per label.
    #[must_use]
    pub fn new(images: Vec<u8>, labels: Vec<u8>, shape: [usize; 3]) -> Self {
        let features: usize = shape.iter().product();
        assert_eq!(
            images.len(),
            labels.len() * features,
            "one image of {shape:?} per label"
        );
        Self {
            images,
            labels,
            shape,
        }
    }

    /// Returns the number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Returns whether there are no images.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the shape of every image: (channels, height, width).
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Returns the number of pixels per image: channels x height x width.
    #[must_use]
    pub fn features(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns image `i`, row-major and channel-first: [`features`](Self::features) pixels in
    /// 0..=255.
    ///
    /// # Panics
    /// Panics unless `i` is below [`len`](Self::len).
    #[must_use]
    pub fn image(&self, i: usize) -> &[u8] {
        let features = self.features();
        &self.images[i * features..(i + 1) * features]
    }

    /// Returns the class of image `i`.
    ///
    /// # Panics
    /// Panics unless `i` is below [`len`](Self::len).
    #[must_use]
    pub fn label(&self, i: usize) -> u8 {
        self.labels[i]
    }

    /// Returns all images, stored consecutively: `len x features` pixels.
    #[must_use]
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// Returns the classes of all images, in the order of the images.
    #[must_use]
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Returns the images at `indices`, in that order.
    ///
    /// # Panics
    /// Panics unless every index is below [`len`](Self::len).
    #[must_use]
    pub fn select(&self, indices: impl IntoIterator<Item = usize>) -> Self {
        let mut chosen = Self {
            images: Vec::new(),
            labels: Vec::new(),
            shape: self.shape,
        };
        for i in indices {
            chosen.images.extend_from_slice(self.image(i));
            chosen.labels.push(self.labels[i]);
        }
        chosen
    }

    /// Returns at most `limit` images, evenly spaced over the split.
    ///
    /// Even spacing keeps the class proportions of a split that is sorted by class.
    #[must_use]
    pub fn limit(&self, limit: usize) -> Self {
        if limit >= self.len() {
            return self.clone();
        }
        self.select((0..limit).map(|i| i * self.len() / limit))
    }

    /// Returns the number of images in each of the first `classes` classes.
    #[must_use]
    pub fn class_counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &label in &self.labels {
            if let Some(count) = counts.get_mut(usize::from(label)) {
                *count += 1;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(n: u8) -> Split {
        let images = (0..n).flat_map(|i| [i, 255 - i]).collect();
        Split::new(images, (0..n).map(|i| i / 10).collect(), [1, 1, 2])
    }

    #[test]
    fn limiting_keeps_the_proportions_of_a_sorted_set() {
        let set = split(100);
        let few = set.limit(20);
        assert_eq!(few.len(), 20);
        assert_eq!(few.class_counts(10), [2; 10]);
        assert_eq!(few.image(1), set.image(5));
        assert_eq!(set.limit(100), set);
        assert_eq!(set.limit(1000), set);
        assert!(set.limit(0).is_empty());
    }

    #[test]
    fn the_fingerprint_tells_samples_shapes_and_splits_apart() {
        let set = |train: Split, test: Split| Dataset {
            name: "x".into(),
            train,
            test,
            normalisation: Normalisation::published(0.5, 0.5),
            classes: 10,
            class_names: Vec::new(),
            reading: Reading::default(),
            notes: Vec::new(),
        };
        let a = set(split(20), split(10)).fingerprint();
        assert_eq!(a.len(), 64);
        assert_eq!(a, set(split(20), split(10)).fingerprint());
        assert_ne!(a, set(split(10), split(20)).fingerprint());
        let tall = |n| {
            let s = split(n);
            Split::new(s.images, s.labels, [1, 2, 1])
        };
        assert_ne!(a, set(tall(20), tall(10)).fingerprint());
        let mut other = split(20);
        other.labels[3] = 9;
        assert_ne!(a, set(other, split(10)).fingerprint());
    }
}
