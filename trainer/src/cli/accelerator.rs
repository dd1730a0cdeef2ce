//! The compute device (`--device`): the CPU, or a GPU if this program was built with CUDA.

use anyhow::{Result, anyhow};
use candle_core::Device;
use clap::ValueEnum;

use crate::training::DeviceKind;

/// Devices to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DeviceChoice {
    /// CPU
    Cpu,
    /// First NVIDIA GPU
    Cuda,
}

impl DeviceChoice {
    /// Returns the kind of device that a run records.
    pub(super) fn kind(self) -> DeviceKind {
        match self {
            Self::Cpu => DeviceKind::Cpu,
            Self::Cuda => DeviceKind::Cuda,
        }
    }

    /// Opens the device.
    ///
    /// # Errors
    /// Returns an error if this program has no CUDA support or no GPU can be used.
    pub(super) fn open(self) -> Result<Device> {
        match self {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Cuda if cfg!(feature = "cuda") => Device::new_cuda(0).map_err(|e| {
                anyhow!("--device cuda: no NVIDIA GPU can be used ({e}); use --device cpu")
            }),
            DeviceChoice::Cuda => Err(anyhow!(
                "--device cuda: this rarefy was built without CUDA; install CUDA and build with `--features cuda`, or use --device cpu"
            )),
        }
    }
}
