//! The core of a chip, and the code that it runs.

use serde::{Serialize, Serializer};

/// Core of a chip.
///
/// The registry states only the architecture. Where a floating-point unit or the DSP extension is
/// not certain, the chip gets the code that every core of its architecture runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChipCore {
    /// Cortex-M0, M0+ or M1.
    M0,
    /// Cortex-M3.
    M3,
    /// Cortex-M4 without a floating-point unit.
    M4,
    /// Cortex-M4 with a floating-point unit.
    M4F,
    /// Cortex-M7 with a floating-point unit.
    M7F,
    /// Cortex-M4 or M7 that may lack a floating-point unit.
    V7em,
    /// Cortex-M23.
    M23,
    /// Cortex-M33 with a floating-point unit and the DSP extension.
    M33,
    /// Cortex-M23, M33 or later.
    V8m,
    /// Any other core, for which chips get no programs: the registry does not state the extensions
    /// of a RISC-V core, and the firmware does not run on the rest.
    Other(&'static str),
}

impl ChipCore {
    /// Returns the core that the table calls `code`.
    pub(super) fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "m0" => Self::M0,
            "m3" => Self::M3,
            "m4" => Self::M4,
            "m4f" => Self::M4F,
            "m7f" => Self::M7F,
            "v7em" => Self::V7em,
            "m23" => Self::M23,
            "m33" => Self::M33,
            "v8m" => Self::V8m,
            "riscv" => Self::Other("RISC-V"),
            "riscv64" => Self::Other("64-bit RISC-V"),
            "xtensa" => Self::Other("Xtensa"),
            "v7a" => Self::Other("Cortex-A (ARMv7-A)"),
            "v7r" => Self::Other("Cortex-R (ARMv7-R)"),
            "v8a" => Self::Other("Cortex-A (ARMv8-A)"),
            _ => return None,
        })
    }

    /// Returns the name of the core, such as `Cortex-M4F`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::M0 => "Cortex-M0/M0+",
            Self::M3 => "Cortex-M3",
            Self::M4 => "Cortex-M4",
            Self::M4F => "Cortex-M4F",
            Self::M7F => "Cortex-M7F",
            Self::V7em => "Cortex-M4/M7",
            Self::M23 => "Cortex-M23",
            Self::M33 => "Cortex-M33",
            Self::V8m => "Cortex-M23/M33",
            Self::Other(name) => name,
        }
    }

    /// Returns the target triple of programs for the core; `None` if none is built for it.
    ///
    /// ARMv8-M includes all of ARMv6-M, so a core that may be a Cortex-M23 runs its programs.
    #[must_use]
    pub fn target(self) -> Option<&'static str> {
        match self {
            Self::M0 | Self::M23 | Self::V8m => Some("thumbv6m-none-eabi"),
            Self::M3 => Some("thumbv7m-none-eabi"),
            Self::M4 | Self::V7em => Some("thumbv7em-none-eabi"),
            Self::M4F | Self::M7F => Some("thumbv7em-none-eabihf"),
            Self::M33 => Some("thumbv8m.main-none-eabihf"),
            Self::Other(_) => None,
        }
    }
}

impl Serialize for ChipCore {
    /// Serializes the name.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
