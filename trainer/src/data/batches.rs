//! Converts images and labels to batches of tensors.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use super::dataset::{Normalisation, Split};

/// Images per batch of [`Batches::in_order`].
pub const EVALUATION_ROWS: usize = 100;

/// Source of input and class tensors for the images of a split.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    split: &'a Split,
    /// The input values of pixels: one table for all channels, or one per channel.
    tables: Vec<[f32; 256]>,
    device: Device,
    /// The pixels that are read, if not all of them are.
    selected: Option<Arc<[u32]>>,
}

/// Images that are gathered together, so that both reads and writes are nearly contiguous.
const GATHERED: usize = 16;

impl<'a> Batches<'a> {
    /// Creates a source of normalised batches of `split` on `device`.
    pub fn new(split: &'a Split, normalisation: &Normalisation, device: &Device) -> Self {
        Self {
            split,
            tables: normalisation.tables(),
            device: device.clone(),
            selected: None,
        }
    }

    /// Returns the same batches with only the inputs `selected` of every image, as (inputs,
    /// images), if any are given: those that a sparse network reads. Others are not normalised.
    #[must_use]
    pub fn select(&self, selected: Option<&Arc<[u32]>>) -> Self {
        Self {
            selected: selected.cloned(),
            ..self.clone()
        }
    }

    /// Returns the split that the batches come from.
    pub fn split(&self) -> &'a Split {
        self.split
    }

    /// Returns the inputs of the images with the given indices, of shape (images, pixels), or
    /// (selected pixels, images).
    ///
    /// # Errors
    /// Returns an error if the tensor cannot be created on the device.
    pub fn inputs(&self, indices: &[u32]) -> Result<Tensor> {
        let images = indices.iter();
        self.tensor(images.map(|&index| self.split.image(index as usize)))
    }

    /// Returns the inputs of images like those of the split, stored consecutively in `pixels`, of
    /// shape (images, pixels).
    ///
    /// # Errors
    /// Returns an error if the tensor cannot be created on the device.
    pub fn inputs_of(&self, pixels: &[u8]) -> Result<Tensor> {
        self.tensor(pixels.chunks_exact(self.split.features()))
    }

    /// Returns the number of pixels of an image that a table holds for.
    fn area(&self) -> usize {
        self.split.features() / self.tables.len()
    }

    /// Returns the normalised `images`, of shape (images, pixels).
    fn tensor<'p>(&self, images: impl ExactSizeIterator<Item = &'p [u8]>) -> Result<Tensor> {
        if let Some(selected) = &self.selected {
            return self.selected(&images.collect::<Vec<_>>(), selected);
        }
        let shape = (images.len(), self.split.features());
        let mut values = Vec::with_capacity(shape.0 * shape.1);
        for image in images {
            for (plane, table) in image.chunks_exact(self.area()).zip(&self.tables) {
                values.extend(plane.iter().map(|&pixel| table[usize::from(pixel)]));
            }
        }
        Tensor::from_vec(values, shape, &self.device)
    }

    /// Returns the inputs `selected` of `images`, of shape (selected pixels, images).
    fn selected(&self, images: &[&[u8]], selected: &[u32]) -> Result<Tensor> {
        let count = images.len();
        let area = self.area();
        let table = |pixel: u32| &self.tables[pixel as usize / area];
        let mut values = vec![0.0; selected.len() * count];
        let mut first = 0;
        while let Some(gathered) = images[first..].first_chunk::<GATHERED>() {
            for (row, &pixel) in values.chunks_exact_mut(count).zip(selected) {
                let row = &mut row[first..first + GATHERED];
                let table = table(pixel);
                for (value, image) in row.iter_mut().zip(gathered) {
                    *value = table[usize::from(image[pixel as usize])];
                }
            }
            first += GATHERED;
        }
        for (row, &pixel) in values.chunks_exact_mut(count).zip(selected) {
            let table = table(pixel);
            for (value, image) in row[first..].iter_mut().zip(&images[first..]) {
                *value = table[usize::from(image[pixel as usize])];
            }
        }
        Tensor::from_vec(values, (selected.len(), images.len()), &self.device)
    }

    /// Returns the classes of the images with the given indices, of shape (images) and type u32.
    ///
    /// # Errors
    /// Returns an error if the tensor cannot be created on the device.
    pub fn classes(&self, indices: &[u32]) -> Result<Tensor> {
        let classes: Vec<u32> = indices
            .iter()
            .map(|&index| u32::from(self.split.label(index as usize)))
            .collect();
        Tensor::from_vec(classes, indices.len(), &self.device)
    }

    /// Returns the inputs of the first `limit` images, in order, in batches of
    /// [`EVALUATION_ROWS`].
    pub fn in_order(&self, limit: usize) -> impl Iterator<Item = Result<Tensor>> + '_ {
        let end = self.split.len().min(limit);
        (0..end).step_by(EVALUATION_ROWS).map(move |start| {
            let indices: Vec<u32> = (start..end.min(start + EVALUATION_ROWS))
                .map(|index| index as u32)
                .collect();
            self.inputs(&indices)
        })
    }
}
