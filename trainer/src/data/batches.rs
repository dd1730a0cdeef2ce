//! Converts images and labels to batches of tensors.
//!
//! On the CPU, batches are gathered and normalised as they are needed. For other devices, pixels
//! are uploaded as bytes, per batch or once for the whole split, and become inputs there.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Error, Result, Tensor};

use super::dataset::Split;
use super::normalisation::Normalisation;
use super::resident::Resident;
use crate::transfer::upload;

/// Images per batch of [`Batches::in_order`].
pub const EVALUATION_ROWS: usize = 100;

/// Source of input and target tensors for the images of a split.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    split: &'a Split,
    /// The input values of pixels: one table for all channels, or one per channel.
    tables: Vec<[f32; 256]>,
    device: Device,
    /// Indices of the pixels that are read; `None` for all.
    selected: Option<Arc<[u32]>>,
    /// The maker of batches on the device; `None` if they are made on the host.
    resident: Option<Arc<Resident>>,
}

impl<'a> Batches<'a> {
    /// Creates a source of normalised batches of `split` on `device`.
    pub fn new(split: &'a Split, normalisation: &Normalisation, device: &Device) -> Self {
        Self {
            split,
            tables: normalisation.tables(),
            device: device.clone(),
            selected: None,
            resident: (!device.is_cpu()).then(|| Arc::new(Resident::new(device, false))),
        }
    }

    /// Returns the same batches, gathered on the device from a copy of the whole split, which is
    /// uploaded when it is first needed.
    #[must_use]
    pub fn kept_on_device(self) -> Self {
        Self {
            resident: Some(Arc::new(Resident::new(&self.device, true))),
            ..self
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
        if let Some(resident) = self.whole() {
            let indices = upload(indices, indices.len(), &self.device)?;
            return resident.inputs(&indices, self.split, &self.tables);
        }
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

    /// Returns the number of pixels of an image that one table converts.
    fn area(&self) -> usize {
        self.split.features() / self.tables.len()
    }

    /// Returns the maker of batches on the device, if the whole split is kept there.
    fn whole(&self) -> Option<&Resident> {
        self.resident
            .as_deref()
            .filter(|resident| resident.is_whole)
    }

    /// Uploads the `order` of an epoch, if the split is kept on the device: batches are then taken
    /// from it by [`inputs_at`](Self::inputs_at) and [`targets_at`](Self::targets_at), and nothing
    /// is uploaded per batch.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn order(&self, order: &[u32]) -> Result<Option<Tensor>> {
        let uploaded = self
            .whole()
            .map(|_| upload(order, order.len(), &self.device));
        uploaded.transpose()
    }

    /// Returns the inputs of the images that `indices` (images) on the device name, of shape
    /// (images, pixels).
    ///
    /// # Errors
    /// Returns an error if the split is not kept on the device, or if that fails.
    pub fn inputs_at(&self, indices: &Tensor) -> Result<Tensor> {
        self.kept()?.inputs(indices, self.split, &self.tables)
    }

    /// Returns the targets of the images that `indices` (images) on the device name.
    ///
    /// # Errors
    /// Returns an error if the split is not kept on the device, or if that fails.
    pub fn targets_at(&self, indices: &Tensor) -> Result<Tensor> {
        self.kept()?.targets(indices, self.split)
    }

    /// Returns the maker of batches on the device, where the whole split must be kept.
    fn kept(&self) -> Result<&Resident> {
        let kept = self.whole();
        kept.ok_or_else(|| Error::Msg("the images are not kept on the device".into()))
    }

    /// Returns the inputs of `images`, in the shape that [`inputs`](Self::inputs) documents.
    fn tensor<'p>(&self, images: impl ExactSizeIterator<Item = &'p [u8]>) -> Result<Tensor> {
        if let Some(selected) = &self.selected {
            return self.selected(&images.collect::<Vec<_>>(), selected);
        }
        if let Some(resident) = &self.resident {
            let count = images.len();
            let pixels: Vec<u8> = images.flatten().copied().collect();
            return resident.inputs_of(&pixels, count, &self.tables);
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

    /// Returns the normalised pixels `selected` of `images`, in shape (selected pixels, images).
    fn selected(&self, images: &[&[u8]], selected: &[u32]) -> Result<Tensor> {
        // Copying the images together reads each of them sequentially, and afterwards a pixel of
        // every image is found without looking up the address of each image.
        let pixels = images.concat();
        let mut values = Vec::with_capacity(selected.len() * images.len());
        for &pixel in selected {
            let images = pixels.chunks_exact(self.split.features());
            let table = &self.tables[pixel as usize / self.area()];
            values.extend(images.map(|image| table[usize::from(image[pixel as usize])]));
        }
        Tensor::from_vec(values, (selected.len(), images.len()), &self.device)
    }

    /// Returns the targets of the images with the given indices: their classes, of shape (images)
    /// and type u32, or numbers, of shape (images, outputs) and type f32.
    ///
    /// # Errors
    /// Returns an error if the tensor cannot be created on the device.
    pub fn targets(&self, indices: &[u32]) -> Result<Tensor> {
        if let Some(resident) = self.whole() {
            let indices = upload(indices, indices.len(), &self.device)?;
            return resident.targets(&indices, self.split);
        }
        if let Some(targets) = self.split.targets() {
            let images = indices.iter().map(|&index| index as usize);
            let values = self.split.targets_of(images);
            return upload(&values, (indices.len(), targets.width()), &self.device);
        }
        let classes: Vec<u32> = indices
            .iter()
            .map(|&index| u32::from(self.split.label(index as usize)))
            .collect();
        upload(&classes, indices.len(), &self.device)
    }

    /// Returns the inputs of the first `limit` images, in order, in batches of
    /// [`EVALUATION_ROWS`].
    pub fn in_order(&self, limit: usize) -> impl Iterator<Item = Result<Tensor>> + '_ {
        let ranges = self.ranges(limit).into_iter();
        ranges.map(|range| self.inputs_in(range))
    }

    /// Returns the batches of [`in_order`](Self::in_order), as ranges of images.
    pub fn ranges(&self, limit: usize) -> Vec<Range<usize>> {
        let end = self.split.len().min(limit);
        let starts = (0..end).step_by(EVALUATION_ROWS);
        starts
            .map(|start| start..end.min(start + EVALUATION_ROWS))
            .collect()
    }

    /// Returns the inputs of the images in `range`, as [`inputs`](Self::inputs) does.
    ///
    /// # Errors
    /// Returns an error if the tensor cannot be created on the device.
    pub fn inputs_in(&self, range: Range<usize>) -> Result<Tensor> {
        if let Some(resident) = self.whole() {
            let rows = [range.start, range.len()];
            return resident.inputs_in_order(rows, self.split, &self.tables);
        }
        self.tensor(range.map(|index| self.split.image(index)))
    }

    /// Returns the targets of `count` images from `first` on, as [`targets`](Self::targets) does.
    ///
    /// # Errors
    /// Returns an error if the tensor cannot be created on the device.
    pub fn targets_in_order(&self, first: usize, count: usize) -> Result<Tensor> {
        if let Some(resident) = self.whole() {
            return resident.targets_in_order([first, count], self.split);
        }
        let indices: Vec<u32> = (first..first + count).map(|index| index as u32).collect();
        self.targets(&indices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selected_inputs_are_columns_of_whole_images() {
        let pixels = (0..30 * 12_u32).map(|at| (at * 37 % 256) as u8).collect();
        let split = Split::new(pixels, vec![0; 30], [1, 3, 4]);
        let batches = Batches::new(&split, &Normalisation::published(0.5, 0.25), &Device::Cpu);
        for selected in [vec![], vec![3], vec![0, 1, 5, 11]] {
            let read = batches.select(Some(&Arc::from(selected.as_slice())));
            for indices in [vec![4], vec![29, 0, 7], (0..30).rev().collect()] {
                let whole = batches.inputs(&indices).unwrap().to_vec2::<f32>().unwrap();
                let found = read.inputs(&indices).unwrap();
                assert_eq!(found.dims(), [selected.len(), indices.len()]);
                let expected: Vec<Vec<f32>> = (selected.iter())
                    .map(|&at| whole.iter().map(|image| image[at as usize]).collect())
                    .collect();
                assert_eq!(found.to_vec2::<f32>().unwrap(), expected);
            }
        }
    }
}
