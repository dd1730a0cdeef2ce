//! Checks whether the memory of a GPU is enough for a run.

use candle_core::{Device, Error};

use super::error::TrainError;
use super::recipe::stages::Stage;
use crate::data::{Dataset, Split, Targets};
use crate::graph::Graph;
use crate::network::footprint::least_bytes;

/// Checks that training the `stages` on `device`, with all images of `data` kept there, can fit in
/// the device's free memory. Passes if the amount is unknown.
///
/// # Errors
/// Returns an error that names the batch size if training cannot fit.
pub(super) fn check(
    stages: &[Stage],
    graph: &Graph,
    data: &Dataset,
    device: &Device,
) -> Result<(), TrainError> {
    match free_bytes(device) {
        Some(free) => fits(stages, graph, data, free),
        None => Ok(()),
    }
}

/// Checks that training each of the `stages`, with the images of `data`, can fit in `free` bytes.
fn fits(stages: &[Stage], graph: &Graph, data: &Dataset, free: usize) -> Result<(), TrainError> {
    let targets = |split: &Split| 4 * split.len() * split.targets().map_or(0, Targets::width);
    let bytes = |split: &Split| split.images().len() + targets(split);
    let images = bytes(&data.train) + bytes(&data.test);
    for stage in stages.iter().filter(|stage| stage.epochs > 0) {
        let batch = stage.hyperparameters.batch;
        let moments = stage.hyperparameters.optimizer.moments().len();
        let needed = least_bytes(graph, batch, moments).saturating_add(images);
        if needed > free {
            return Err(TrainError::DeviceMemory {
                arch: graph.name().into(),
                batch,
                needed,
                free,
            });
        }
    }
    Ok(())
}

/// Returns the free memory of `device` in bytes; `None` for the CPU and if candle cannot query it.
#[cfg(feature = "cuda")]
fn free_bytes(device: &Device) -> Option<usize> {
    let cuda = device.as_cuda_device().ok()?;
    let (free, _) = cuda.cuda_stream().context().mem_get_info().ok()?;
    Some(free)
}

/// Returns the free memory of `device` in bytes; `None` for the CPU and if candle cannot query it.
#[cfg(not(feature = "cuda"))]
fn free_bytes(_: &Device) -> Option<usize> {
    None
}

/// Returns the error to report when a run on `device`, in batches of up to `batch` images, fails
/// with `error`: [`TrainError::DeviceExhausted`] if an allocation on a GPU failed, and `error`
/// itself otherwise.
pub(super) fn explained(error: TrainError, device: &Device, batch: usize) -> TrainError {
    match error {
        TrainError::Tensor(inner) if !device.is_cpu() && is_exhaustion(&inner) => {
            TrainError::DeviceExhausted { batch }
        }
        error => error,
    }
}

/// Checks whether `error` means that an allocation failed. candle reports only the driver's
/// message, so the check searches its text.
fn is_exhaustion(error: &Error) -> bool {
    match error {
        Error::WithBacktrace { inner, .. } => is_exhaustion(inner),
        error => {
            let text = error.to_string().to_lowercase().replace('_', " ");
            text.contains("out of memory") || text.contains("alloc failed")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;
    use crate::graph::architecture;
    use crate::training::recipe::Recipe;
    use crate::training::recipe::stages::stages;

    #[test]
    fn a_gpu_that_is_too_small_is_refused_with_the_batch_size() {
        let graph = architecture::by_name("lenet-5-28").unwrap();
        let data = digits::load();
        let stages = stages(&Recipe::new(&graph, &data)).unwrap();
        let needed = least_bytes(&graph, 100, 1) + 10_000 * 784;
        fits(&stages, &graph, &data, needed).unwrap();
        let error = fits(&stages, &graph, &data, needed - 1).unwrap_err();
        let text = error.to_string();
        for part in [
            "lenet-5-28",
            "batches of 100 images",
            "MiB",
            "smaller batches",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(check(&stages, &graph, &data, &Device::Cpu).is_ok());
    }

    #[test]
    fn a_failed_allocation_is_recognised_by_the_drivers_words() {
        for text in [
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
            "CublasError(CUBLAS_STATUS_ALLOC_FAILED)",
        ] {
            assert!(is_exhaustion(&Error::Msg(text.into())), "{text}");
        }
        assert!(!is_exhaustion(&Error::Msg("invalid device ordinal".into())));
        // On the CPU, the error is passed on unchanged.
        let error = || TrainError::Tensor(Error::Msg("out of memory".into()));
        assert!(matches!(
            explained(error(), &Device::Cpu, 8),
            TrainError::Tensor(_)
        ));
        let text = TrainError::DeviceExhausted { batch: 8 }.to_string();
        assert!(text.contains("batches of 8 images"), "{text}");
    }
}
