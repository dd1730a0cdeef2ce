//! Where to compute: the processor, or a GPU where this program was built for one.

use anyhow::{Result, anyhow};
use candle_core::Device;
use clap::ValueEnum;

use crate::training::DeviceKind;

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DeviceChoice {
    /// The processor
    Cpu,
    /// The first NVIDIA GPU
    Cuda,
}

impl DeviceChoice {
    /// What a run records of it.
    pub(super) fn kind(self) -> DeviceKind {
        match self {
            Self::Cpu => DeviceKind::Cpu,
            Self::Cuda => DeviceKind::Cuda,
        }
    }

    /// The device.
    pub(super) fn open(self) -> Result<Device> {
        match self {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Cuda if cfg!(feature = "cuda") => Device::new_cuda(0).map_err(|e| {
                anyhow!("--device cuda: no NVIDIA GPU can be used ({e}); use --device cpu")
            }),
            DeviceChoice::Cuda => Err(anyhow!(
                "--device cuda: this rarefy was built without it; build with `--features cuda` where CUDA is installed, or use --device cpu"
            )),
        }
    }
}
