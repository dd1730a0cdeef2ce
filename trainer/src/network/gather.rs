//! Gathers the values that windows read, with a gradient that is a gather too.
//!
//! The gradient of candle's `index_select` adds to one position after another: on a GPU, a single
//! thread per channel loops over all of them. Here the gradient of a position is the sum of the
//! gradients of its readers, found through an inverse index: this is as parallel as the forward
//! pass, and sums in the same order in every run.
//!
//! The indices depend on the window and the input's size, not on the batch. They are built and
//! uploaded once per process and kept (at most a few megabytes for a network).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp2, DType, Device, Layout, MetalStorage};
use candle_core::{Result, Shape, Tensor};

use crate::graph::Window;
use crate::transfer::upload;

/// The index for which `index_select` returns 0.
const ZERO: u32 = u32::MAX;

/// The indices of a window over an input (height, width), on a device.
#[derive(Debug)]
pub(super) struct Wiring {
    /// The position that each tap of each output reads: (outputs · taps).
    sources: Tensor,
    /// The index in `sources` of the first reader of each position, then of the second and so on,
    /// or [`ZERO`] if the position has fewer: (lists, positions).
    readers: Tensor,
    /// The number of taps of each output that do not read padding, in f32: (outputs, 1).
    pub(super) counts: Tensor,
    /// The numbers of the taps, from 0, in f32: (1, taps, 1).
    pub(super) places: Tensor,
}

/// What a tap reads if it lies beyond the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Beyond {
    /// Zero.
    Zero,
    /// The position after the last one; the caller appends its value.
    Appended,
}

impl Wiring {
    /// Returns the indices of `window` over an `input` (height, width) on `device`, from the cache
    /// if they were built before.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn of(
        window: Window,
        input: [usize; 2],
        beyond: Beyond,
        device: &Device,
    ) -> Result<Arc<Self>> {
        type Cache = HashMap<(Window, [usize; 2], Beyond), Vec<Arc<Wiring>>>;
        static CACHE: Mutex<Option<Cache>> = Mutex::new(None);
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        let cache = cache.get_or_insert_default();
        let known = cache.entry((window, input, beyond)).or_default();
        let here = |wiring: &&Arc<Self>| wiring.sources.device().same_device(device);
        if let Some(wiring) = known.iter().find(here) {
            return Ok(wiring.clone());
        }
        let wiring = Arc::new(Self::new(window, input, beyond, device)?);
        known.push(wiring.clone());
        Ok(wiring)
    }

    /// Builds and uploads the indices.
    fn new(window: Window, input: [usize; 2], beyond: Beyond, device: &Device) -> Result<Self> {
        let sources = sources(window, input);
        let taps = window.taps();
        let counts = sources.chunks_exact(taps);
        let counts = counts.map(|taps| taps.iter().flatten().count() as f32);
        let counts: Vec<f32> = counts.collect();
        let area = input[0] * input[1];
        let padding = match beyond {
            Beyond::Zero => ZERO,
            Beyond::Appended => area as u32,
        };
        let positions = area + usize::from(beyond == Beyond::Appended);
        let readers = readers(&sources, positions);
        let lists = (readers.len(), positions);
        let sources: Vec<u32> = sources.iter().map(|at| at.unwrap_or(padding)).collect();
        let places: Vec<f32> = (0..taps).map(|tap| tap as f32).collect();
        Ok(Self {
            readers: upload(&readers.concat(), lists, device)?,
            counts: upload(&counts, (sources.len() / taps, 1), device)?,
            places: upload(&places, (1, taps, 1), device)?,
            sources: upload(&sources, sources.len(), device)?,
        })
    }
}

/// Returns the position (row · width + column) that each tap of each output reads, or `None` for
/// padding.
fn sources(window: Window, input: [usize; 2]) -> Vec<Option<u32>> {
    let outputs = window.outputs(input);
    // The position along an axis that a tap of an output reads.
    let reads = |axis: usize, output: usize, tap: usize| {
        let reading = window.reading(axis, tap, input[axis], outputs[axis]);
        reading
            .contains(&output)
            .then(|| window.position(axis, tap, output))
    };
    let mut sources = Vec::new();
    for (y, x) in (0..outputs[0]).flat_map(|y| (0..outputs[1]).map(move |x| (y, x))) {
        for i in 0..window.size[0] {
            let row = reads(0, y, i).map(|row| row * input[1]);
            for j in 0..window.size[1] {
                let position = row.zip(reads(1, x, j)).map(|(row, column)| row + column);
                sources.push(position.map(|position| position as u32));
            }
        }
    }
    sources
}

/// Returns the inverse of `sources` as lists: the first one contains, for each of `positions`, the
/// index in `sources` of its first reader, the second that of its second reader and so on, filled
/// up with [`ZERO`]. There is at least one list.
fn readers(sources: &[Option<u32>], positions: usize) -> Vec<Vec<u32>> {
    let mut counts = vec![0; positions];
    let mut readers = vec![vec![ZERO; positions]];
    for (reading, source) in sources.iter().enumerate() {
        if let Some(source) = source {
            let count = &mut counts[*source as usize];
            if *count == readers.len() {
                readers.push(vec![ZERO; positions]);
            }
            readers[*count][*source as usize] = reading as u32;
            *count += 1;
        }
    }
    readers
}

/// Returns the values that each tap of each output reads from `x` (batch, positions, channels):
/// (batch, outputs · taps, channels).
///
/// # Errors
/// Returns an error if `x` does not have the positions of `wiring`, or if the device fails.
pub(super) fn gather(x: &Tensor, wiring: &Arc<Wiring>) -> Result<Tensor> {
    let x = x.contiguous()?;
    x.apply_op2(&wiring.sources, Gather(wiring.clone()))
}

/// The gather as an operator on x and the sources.
struct Gather(Arc<Wiring>);

impl Gather {
    /// Selects the positions `sources` of the storage `x`, on any device.
    fn select<S: BackendStorage>(
        x: &S,
        x_layout: &Layout,
        sources: &S,
        layout: &Layout,
    ) -> Result<(S, Shape)> {
        let (batch, _, channels) = x_layout.shape().dims3()?;
        let shape = Shape::from((batch, layout.shape().elem_count(), channels));
        Ok((x.index_select(sources, x_layout, layout, 1)?, shape))
    }
}

impl CustomOp2 for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        sources: &CpuStorage,
        layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Self::select(x, x_layout, sources, layout)
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        sources: &CudaStorage,
        layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Self::select(x, x_layout, sources, layout)
    }

    fn metal_fwd(
        &self,
        x: &MetalStorage,
        x_layout: &Layout,
        sources: &MetalStorage,
        layout: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        Self::select(x, x_layout, sources, layout)
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let (lists, positions) = self.0.readers.dims2()?;
        // On GPUs, which compute in f32, the number of kernel launches dominates the time. Scores
        // in f64 are computed on the CPU, where sums over an axis cost more than additions.
        if gradient.dtype() == DType::F32 && lists > 1 {
            let all = gradient.index_select(&self.0.readers.flatten_all()?, 1)?;
            let (batch, _, channels) = all.dims3()?;
            let sum = all.reshape((batch, lists, positions, channels))?.sum(1)?;
            return Ok((Some(sum), None));
        }
        let mut sum = gradient.index_select(&self.0.readers.get(0)?, 1)?;
        for list in 1..lists {
            sum = (sum + gradient.index_select(&self.0.readers.get(list)?, 1)?)?;
        }
        Ok((Some(sum), None))
    }
}

/// Returns `x` (rows, in) times `weight` (out, in) transposed, without the gradient of `x`, which
/// candle's product would compute even if it is not needed.
///
/// # Errors
/// Returns an error if the shapes do not match or the device fails.
pub(super) fn product_of_input(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    weight.t()?.apply_op2(&x.contiguous()?, InputProduct)
}

/// The product as an operator on the transposed weight and x.
struct InputProduct;

impl InputProduct {
    /// Multiplies two storages on any device.
    fn multiply<S: BackendStorage>(
        weight: &S,
        weight_layout: &Layout,
        x: &S,
        x_layout: &Layout,
    ) -> Result<(S, Shape)> {
        let (rows, inputs) = x_layout.shape().dims2()?;
        let (expected, outputs) = weight_layout.shape().dims2()?;
        if expected != inputs {
            candle_core::bail!("the weights expect {expected} inputs, not {inputs}")
        }
        let sizes = (1, rows, outputs, inputs);
        let product = x.matmul(weight, sizes, x_layout, weight_layout)?;
        Ok((product, Shape::from((rows, outputs))))
    }
}

impl CustomOp2 for InputProduct {
    fn name(&self) -> &'static str {
        "input-product"
    }

    fn cpu_fwd(
        &self,
        weight: &CpuStorage,
        weight_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Self::multiply(weight, weight_layout, x, x_layout)
    }

    fn cuda_fwd(
        &self,
        weight: &CudaStorage,
        weight_layout: &Layout,
        x: &CudaStorage,
        x_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Self::multiply(weight, weight_layout, x, x_layout)
    }

    fn metal_fwd(
        &self,
        weight: &MetalStorage,
        weight_layout: &Layout,
        x: &MetalStorage,
        x_layout: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        Self::multiply(weight, weight_layout, x, x_layout)
    }

    fn bwd(
        &self,
        _: &Tensor,
        x: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(x.t()?.matmul(gradient)?), None))
    }
}
