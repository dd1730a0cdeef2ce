//! Batches that are made on a device: pixels are uploaded as bytes, once for a whole split or per
//! batch, and gathered and normalised there.
//!
//! Pixels become inputs through the same tables as on the host, so inputs have the same bits.

use std::sync::OnceLock;

use candle_core::{DType, Device, Result, Tensor};

use super::dataset::Split;
use crate::transfer::upload;

/// The maker of batches of one split on a device. Each part is uploaded when it is first needed.
#[derive(Debug)]
pub(super) struct Resident {
    device: Device,
    /// Whether the whole split is kept on the device.
    pub(super) is_whole: bool,
    lookup: OnceLock<Lookup>,
    set: OnceLock<Set>,
}

/// The tables from pixels to inputs.
#[derive(Debug)]
struct Lookup {
    /// The tables one after another, of 256 values each.
    table: Tensor,
    /// The index at which each channel's table starts, in u32: (1, channels, 1); `None` if there
    /// is one table.
    first: Option<Tensor>,
}

/// The images and targets of a split.
#[derive(Debug)]
struct Set {
    /// The pixels, in u8: (images, pixels).
    images: Tensor,
    /// The classes, in u32 (images), or targets that are numbers, in f32 (images, outputs).
    targets: Tensor,
}

/// Returns the value of `cell`, made by `make` at the first call.
fn once<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}

impl Resident {
    /// Creates a maker of batches on `device`, which keeps the whole split there if `is_whole`.
    pub(super) fn new(device: &Device, is_whole: bool) -> Self {
        Self {
            device: device.clone(),
            is_whole,
            lookup: OnceLock::new(),
            set: OnceLock::new(),
        }
    }

    /// Returns the split on the device.
    fn set(&self, split: &Split) -> Result<&Set> {
        once(&self.set, || {
            let shape = (split.len(), split.features());
            let targets = match split.targets() {
                Some(targets) => {
                    let values = split.targets_of(0..split.len());
                    upload(&values, (split.len(), targets.width()), &self.device)?
                }
                None => {
                    let classes: Vec<u32> = split.labels().iter().copied().map(u32::from).collect();
                    upload(&classes, classes.len(), &self.device)?
                }
            };
            Ok(Set {
                images: upload(split.images(), shape, &self.device)?,
                targets,
            })
        })
    }

    /// Returns the inputs of the images of `split` that `indices` (images) name, by `tables`.
    pub(super) fn inputs(
        &self,
        indices: &Tensor,
        split: &Split,
        tables: &[[f32; 256]],
    ) -> Result<Tensor> {
        let pixels = self.set(split)?.images.index_select(indices, 0)?;
        self.normalised(&pixels, tables)
    }

    /// Returns the inputs of `count` images of `split` from `first` on, by `tables`.
    pub(super) fn inputs_in_order(
        &self,
        [first, count]: [usize; 2],
        split: &Split,
        tables: &[[f32; 256]],
    ) -> Result<Tensor> {
        let pixels = self.set(split)?.images.narrow(0, first, count)?;
        self.normalised(&pixels, tables)
    }

    /// Returns the inputs of `count` images, stored consecutively in `pixels`, by `tables`.
    pub(super) fn inputs_of(
        &self,
        pixels: &[u8],
        count: usize,
        tables: &[[f32; 256]],
    ) -> Result<Tensor> {
        let shape = (count, pixels.len() / count.max(1));
        self.normalised(&upload(pixels, shape, &self.device)?, tables)
    }

    /// Returns the targets of the images of `split` that `indices` (images) name.
    pub(super) fn targets(&self, indices: &Tensor, split: &Split) -> Result<Tensor> {
        self.set(split)?.targets.index_select(indices, 0)
    }

    /// Returns the targets of `count` images of `split` from `first` on.
    pub(super) fn targets_in_order(
        &self,
        [first, count]: [usize; 2],
        split: &Split,
    ) -> Result<Tensor> {
        self.set(split)?.targets.narrow(0, first, count)
    }

    /// Returns the inputs of `pixels` in u8 (images, pixels).
    fn normalised(&self, pixels: &Tensor, tables: &[[f32; 256]]) -> Result<Tensor> {
        let Lookup { table, first } = once(&self.lookup, || self.lookup(tables))?;
        let (images, features) = pixels.dims2()?;
        // `index_select` treats the largest value of the index type as a gap, so 8-bit indices
        // would lose pixels of 255.
        let mut places = pixels.to_dtype(DType::U32)?;
        if let Some(first) = first {
            let channels = first.dim(1)?;
            places = places
                .reshape((images, channels, features / channels))?
                .broadcast_add(first)?;
        }
        table
            .index_select(&places.flatten_all()?, 0)?
            .reshape((images, features))
    }

    /// Uploads the tables.
    fn lookup(&self, tables: &[[f32; 256]]) -> Result<Lookup> {
        let table = tables.as_flattened();
        let first = (tables.len() > 1).then(|| {
            let first: Vec<u32> = (0..tables.len() as u32).map(|at| 256 * at).collect();
            upload(&first, (1, first.len(), 1), &self.device)
        });
        Ok(Lookup {
            table: upload(table, table.len(), &self.device)?,
            first: first.transpose()?,
        })
    }
}
