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
    table: [f32; 256],
    device: Device,
    /// Indices of the pixels that are read; `None` for all.
    selected: Option<Arc<[u32]>>,
}

/// Number of images gathered at a time, so that both reads and writes are nearly contiguous.
const GATHERED: usize = 16;

impl<'a> Batches<'a> {
    /// Creates a source of normalised batches of `split` on `device`.
    pub fn new(split: &'a Split, normalisation: &Normalisation, device: &Device) -> Self {
        Self {
            split,
            table: normalisation.table(),
            device: device.clone(),
            selected: None,
        }
    }

    /// Returns a source that reads only the pixels `selected` of the same images, those that a
    /// sparse network uses. Its inputs have shape (selected pixels, images). `None` selects all
    /// pixels, in shape (images, pixels).
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

    /// Returns the inputs of the images with the given indices. Their shape is (images, pixels),
    /// or (selected pixels, images) after [`select`](Self::select).
    ///
    /// # Errors
    /// Returns an error if the tensor cannot be created on the device.
    pub fn inputs(&self, indices: &[u32]) -> Result<Tensor> {
        let images = indices.iter();
        self.tensor(images.map(|&index| self.split.image(index as usize)))
    }

    /// Returns the inputs of other images, stored consecutively in `pixels`, that have the same
    /// size as those of the split. The tensor has the shape that [`inputs`](Self::inputs)
    /// documents.
    ///
    /// # Errors
    /// Returns an error if the tensor cannot be created on the device.
    pub fn inputs_of(&self, pixels: &[u8]) -> Result<Tensor> {
        self.tensor(pixels.chunks_exact(self.split.features()))
    }

    /// Returns the normalised `images`, in the shape that [`inputs`](Self::inputs) documents.
    fn tensor<'p>(&self, images: impl ExactSizeIterator<Item = &'p [u8]>) -> Result<Tensor> {
        if let Some(selected) = &self.selected {
            return self.selected(&images.collect::<Vec<_>>(), selected);
        }
        let shape = (images.len(), self.split.features());
        let mut values = Vec::with_capacity(shape.0 * shape.1);
        for image in images {
            values.extend(image.iter().map(|&pixel| self.table[usize::from(pixel)]));
        }
        Tensor::from_vec(values, shape, &self.device)
    }

    /// Returns the normalised pixels `selected` of `images`, in shape (selected pixels, images).
    fn selected(&self, images: &[&[u8]], selected: &[u32]) -> Result<Tensor> {
        let count = images.len();
        let mut values = vec![0.0; selected.len() * count];
        let mut first = 0;
        while let Some(gathered) = images[first..].first_chunk::<GATHERED>() {
            for (row, &pixel) in values.chunks_exact_mut(count).zip(selected) {
                let row = &mut row[first..first + GATHERED];
                for (value, image) in row.iter_mut().zip(gathered) {
                    *value = self.table[usize::from(image[pixel as usize])];
                }
            }
            first += GATHERED;
        }
        for (row, &pixel) in values.chunks_exact_mut(count).zip(selected) {
            for (value, image) in row[first..].iter_mut().zip(&images[first..]) {
                *value = self.table[usize::from(image[pixel as usize])];
            }
        }
        Tensor::from_vec(values, (selected.len(), images.len()), &self.device)
    }

    /// Returns the classes of the images with the given indices, as a tensor of shape (images) and
    /// type u32.
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
