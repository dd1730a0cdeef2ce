//! Batches of images as tensors: pixels are bytes until here.

use candle_core::{Device, Result, Tensor};

use crate::data::{Normalisation, Split};

/// Rows of one evaluation batch.
pub const EVALUATION_ROWS: usize = 100;

/// Makes input tensors of a split's images.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    split: &'a Split,
    table: [f32; 256],
    device: Device,
}

impl<'a> Batches<'a> {
    /// Batches of `split`, normalised, on `device`.
    pub fn new(split: &'a Split, normalisation: &Normalisation, device: &Device) -> Self {
        Self {
            split,
            table: normalisation.table(),
            device: device.clone(),
        }
    }

    /// The split.
    pub fn split(&self) -> &'a Split {
        self.split
    }

    /// Inputs (rows, elements) of the images with the given indices.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn inputs(&self, indices: &[u32]) -> Result<Tensor> {
        let features = self.split.features();
        let mut values = Vec::with_capacity(indices.len() * features);
        for &index in indices {
            let pixels = self.split.image(index as usize).iter();
            values.extend(pixels.map(|&pixel| self.table[usize::from(pixel)]));
        }
        Tensor::from_vec(values, (indices.len(), features), &self.device)
    }

    /// Classes (rows) of the images with the given indices.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn classes(&self, indices: &[u32]) -> Result<Tensor> {
        let classes: Vec<u32> = indices
            .iter()
            .map(|&index| u32::from(self.split.label(index as usize)))
            .collect();
        Tensor::from_vec(classes, indices.len(), &self.device)
    }

    /// Inputs of the first `most` images, in order, some hundred rows at a time.
    pub fn in_order(&self, most: usize) -> impl Iterator<Item = Result<Tensor>> + '_ {
        let end = self.split.len().min(most);
        (0..end).step_by(EVALUATION_ROWS).map(move |start| {
            let indices: Vec<u32> = (start..end.min(start + EVALUATION_ROWS))
                .map(|index| index as u32)
                .collect();
            self.inputs(&indices)
        })
    }
}
