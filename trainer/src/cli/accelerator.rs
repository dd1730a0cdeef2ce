//! The compute device (`--device`): the CPU, or a GPU if this program was built for one.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use anyhow::{Result, anyhow};
use candle_core::{Device, Error};

use super::console::Console;
use crate::training::DeviceKind;

/// Devices to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceChoice {
    /// A GPU if this program can use one, otherwise the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU with the given number.
    Cuda(usize),
    /// The Apple GPU.
    Metal,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("cuda:")) {
            ("auto", _) => Ok(Self::Auto),
            ("cpu", _) => Ok(Self::Cpu),
            ("cuda", _) => Ok(Self::Cuda(0)),
            ("metal", _) => Ok(Self::Metal),
            (_, Some(number))
                if !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()) =>
            {
                let parsed = number.parse().map(Self::Cuda);
                parsed.map_err(|_| {
                    format!(
                        "{number} is too large for the number of a GPU; give one such as cuda:1"
                    )
                })
            }
            _ => Err("expected auto, cpu, cuda, cuda:N or metal".into()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl DeviceChoice {
    /// Returns the kind of device that a run records.
    pub(super) fn kind(self) -> DeviceKind {
        match self {
            Self::Auto => DeviceKind::of(&automatic().0),
            Self::Cpu => DeviceKind::Cpu,
            Self::Cuda(_) => DeviceKind::Cuda,
            Self::Metal => DeviceKind::Metal,
        }
    }

    /// Opens the device. Prints which one `auto` chose.
    ///
    /// # Errors
    /// Returns an error if this program was not built for the device or cannot use it.
    pub(super) fn open(self, console: &Console) -> Result<Device> {
        if self == Self::Auto {
            let (device, chosen) = automatic();
            console.note(chosen);
            return Ok(device.clone());
        }
        self.get()
            .map_err(|reason| anyhow!("--device {self}: {reason}, or use --device cpu"))
    }

    /// Opens the device.
    ///
    /// # Errors
    /// Returns the reason and what to do about it, as a part of a sentence.
    fn get(self) -> Result<Device, String> {
        let unusable = |what: &str| {
            let what = what.to_owned();
            move |error| {
                format!(
                    "{what} cannot be used ({}); check its driver",
                    reason(&error)
                )
            }
        };
        match self {
            Self::Auto => Ok(automatic().0.clone()),
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) if cfg!(feature = "cuda") => {
                Device::new_cuda(number).map_err(unusable(&format!("NVIDIA GPU {number}")))
            }
            Self::Cuda(_) => Err(
                "this rarefy was built without CUDA; install CUDA and build with `--features cuda`"
                    .into(),
            ),
            Self::Metal if cfg!(feature = "metal") => {
                Device::new_metal(0).map_err(unusable("the Apple GPU"))
            }
            Self::Metal => Err(
                "this rarefy was built without Metal; build it on macOS with `--features metal`"
                    .into(),
            ),
        }
    }
}

/// Returns the device that `auto` stands for in this process, and a line that names it.
fn automatic() -> &'static (Device, String) {
    static CHOSEN: OnceLock<(Device, String)> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let mut reasons = Vec::new();
        for (built, choice) in [
            (cfg!(feature = "cuda"), DeviceChoice::Cuda(0)),
            (cfg!(feature = "metal"), DeviceChoice::Metal),
        ] {
            match choice.get() {
                Ok(device) => return (device, format!("computing on --device {choice}")),
                Err(reason) if built => reasons.push(reason),
                Err(_) => {}
            }
        }
        let why = match reasons.is_empty() {
            true => "this rarefy was built without GPU support".into(),
            false => reasons.join("; "),
        };
        (Device::Cpu, format!("computing on the CPU: {why}"))
    })
}

/// Returns the message of `error` in one line, without the backtrace that candle adds to it if
/// `RUST_BACKTRACE` is set.
fn reason(error: &Error) -> String {
    match error {
        Error::WithBacktrace { inner, .. } => reason(inner),
        error => super::one_line(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::backtrace::Backtrace;

    use super::*;

    #[test]
    fn names_are_parsed_and_printed() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda", DeviceChoice::Cuda(0)),
            ("cuda:3", DeviceChoice::Cuda(3)),
            ("metal", DeviceChoice::Metal),
        ] {
            assert_eq!(text.parse(), Ok(choice));
            assert_eq!(choice.to_string(), text);
        }
        assert_eq!("cuda:0".parse(), Ok(DeviceChoice::Cuda(0)));
        for wrong in [
            "", "CPU", "gpu", "cuda0", "cuda:", "cuda:-1", "cuda:+1", "cuda:x",
        ] {
            assert!(wrong.parse::<DeviceChoice>().is_err(), "{wrong}");
        }
        let huge = format!("cuda:{}0", usize::MAX);
        assert!(huge.parse::<DeviceChoice>().unwrap_err().contains("cuda:1"));
    }

    #[test]
    fn reasons_have_no_backtrace() {
        let error = Error::WithBacktrace {
            inner: Box::new(Error::Msg("no device\nat all".into())),
            backtrace: Box::new(Backtrace::force_capture()),
        };
        assert!(error.to_string().lines().count() > 2);
        let reason = reason(&error);
        assert!(
            reason.starts_with("no device") && !reason.contains('\n'),
            "{reason}"
        );
        assert!(!reason.contains("0:"), "{reason}");
    }

    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    #[test]
    fn auto_is_the_cpu_in_a_build_without_gpu_support() {
        assert_eq!(DeviceChoice::Auto.kind(), DeviceKind::Cpu);
        let (device, line) = automatic();
        assert!(
            device.is_cpu() && line.contains("without GPU support"),
            "{line}"
        );
    }
}
