//! A dataset in memory: two splits of labelled 8-bit images.
//!
//! All images have one shape, are stored channel-first, and belong to at most 256 classes.

use sha2::{Digest, Sha256};

use super::normalisation::Normalisation;
use super::reading::Reading;
use super::targets::{Spread, Standard, Targets};
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
    /// ([`Reading::has_labels`]) are all of one class. If targets are numbers, how many a sample
    /// has.
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
            split.hash_targets(&mut hasher);
        }
        hexadecimal(&hasher.finalize())
    }

    /// Checks whether the targets are numbers, not classes.
    #[must_use]
    pub fn has_targets(&self) -> bool {
        self.train.targets.is_some()
    }

    /// Returns the dataset with the samples themselves as targets, in the units of the data.
    #[must_use]
    pub fn with_inputs_as_targets(mut self) -> Self {
        let features = self.train.features();
        let targets = Targets::inputs(self.reading.map.as_ref(), features);
        for split in [&mut self.train, &mut self.test] {
            split.labels.fill(0);
            split.targets = Some(targets.clone());
        }
        self.classes = features;
        self.class_names.clear();
        self.reading.targets = Some(super::TargetSource::Inputs);
        self
    }

    /// Returns the units in which networks are trained: those in which the targets for training
    /// have a mean of 0 and a variance of about 1. Returns `None` if the targets are classes, or if
    /// they do not differ.
    #[must_use]
    pub fn standard(&self) -> Option<Standard> {
        self.train.spread()?.standard()
    }

    /// Returns the dataset with targets in the units of `standard`.
    #[must_use]
    pub fn standardised(&self, standard: &Standard) -> Self {
        let split = |split: &Split| Split {
            targets: (split.targets.as_ref()).map(|targets| targets.standardised(standard)),
            ..split.clone()
        };
        Self {
            train: split(&self.train),
            test: split(&self.test),
            ..self.clone()
        }
    }
}

/// Images of one shape with their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    images: Vec<u8>,
    labels: Vec<u8>,
    shape: [usize; 3],
    /// The targets, if they are numbers; the labels are then 0.
    targets: Option<Targets>,
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
            targets: None,
        }
    }

    /// Creates a split of images, as [`new`](Self::new) does, whose targets are numbers: `width`
    /// per image, stored consecutively in `values`.
    ///
    /// # Panics
    /// Panics unless `images` holds exactly one image per row of `values`.
    #[must_use]
    pub fn of_targets(images: Vec<u8>, values: Vec<f32>, width: usize, shape: [usize; 3]) -> Self {
        assert_eq!(
            images.len() * width,
            values.len() * shape.iter().product::<usize>(),
            "one image of {shape:?} per row of targets"
        );
        Self {
            labels: vec![0; values.len() / width],
            targets: Some(Targets::Numbers { values, width }),
            images,
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

    /// Returns the targets, if they are numbers.
    #[must_use]
    pub fn targets(&self) -> Option<&Targets> {
        self.targets.as_ref()
    }

    /// Returns the targets of the images at `indices`, row by row; nothing if they are classes.
    ///
    /// # Panics
    /// Panics unless every index is below [`len`](Self::len).
    #[must_use]
    pub fn targets_of(&self, indices: impl IntoIterator<Item = usize>) -> Vec<f32> {
        let mut rows = Vec::new();
        if let Some(targets) = &self.targets {
            for index in indices {
                targets.append(index, self.image(index), &mut rows);
            }
        }
        rows
    }

    /// Returns the variance of the targets about their means, averaged over the outputs, in the
    /// squared units of the targets; `None` if the targets are classes.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        Some(self.spread()?.variance())
    }

    /// Returns the spread of the targets; `None` if they are classes.
    fn spread(&self) -> Option<Spread> {
        let targets = self.targets.as_ref()?;
        let mut spread = Spread::new(targets.width());
        for index in 0..self.len() {
            spread.add(&self.targets_of([index]));
        }
        Some(spread)
    }

    /// Adds the targets to a fingerprint, if they are numbers. Those of an autoencoder follow from
    /// the images.
    fn hash_targets(&self, hasher: &mut Sha256) {
        match &self.targets {
            None => {}
            Some(Targets::Inputs { .. }) => hasher.update(b"inputs"),
            Some(Targets::Numbers { values, .. }) => {
                hasher.update(b"targets");
                values
                    .iter()
                    .for_each(|value| hasher.update(value.to_le_bytes()));
            }
        }
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
            targets: self.targets.as_ref().map(Targets::empty),
        };
        for i in indices {
            chosen.images.extend_from_slice(self.image(i));
            chosen.labels.push(self.labels[i]);
            if let (Some(chosen), Some(targets)) = (&mut chosen.targets, &self.targets) {
                chosen.push(targets, i);
            }
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
