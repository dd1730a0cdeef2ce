//! The core of a chip: the registry knows only the architecture.
//!
//! Floating-point and DSP units decide which code a core runs, and the registry does not state
//! them. [`SERIES`] lists those of well-known series, from their data sheets. A chip that is not
//! listed gets the code that every core of its architecture runs.

use super::registry::Chip;

/// Prefixes of chip names, each with the code (as in the table) of the core that all chips with
/// the prefix have, from the manufacturers' data sheets. The longest matching prefix applies.
const SERIES: &[(&str, &str)] = &[
    // STMicroelectronics. The STM32WL has no floating-point unit.
    ("STM32F3", "m4f"),
    ("STM32F4", "m4f"),
    ("STM32G4", "m4f"),
    ("STM32L4", "m4f"),
    ("STM32WB1", "m4f"),
    ("STM32WB3", "m4f"),
    ("STM32WB5", "m4f"),
    ("STM32WL", "m4"),
    ("STM32F7", "m7f"),
    ("STM32H7", "m7f"),
    ("STM32H5", "m33"),
    ("STM32L5", "m33"),
    ("STM32U3", "m33"),
    ("STM32U5", "m33"),
    ("STM32WBA", "m33"),
    // Nordic Semiconductor. The small nRF52 have a Cortex-M4 without a floating-point unit.
    ("nRF52805", "m4"),
    ("nRF52810", "m4"),
    ("nRF52811", "m4"),
    ("nRF52820", "m4"),
    ("nRF52832", "m4f"),
    ("nRF52833", "m4f"),
    ("nRF52840", "m4f"),
    ("nRF5340", "m33"),
    ("nRF9160", "m33"),
    ("nRF54L", "m33"),
    // Raspberry Pi.
    ("RP235", "m33"),
    // Microchip.
    ("ATSAMD51", "m4f"),
    ("ATSAME51", "m4f"),
    ("ATSAME53", "m4f"),
    ("ATSAME54", "m4f"),
    ("ATSAME70", "m7f"),
    ("ATSAMV71", "m7f"),
    // Renesas.
    ("R7FA0", "m23"),
    ("R7FA2", "m23"),
    ("R7FA4M1", "m4f"),
    ("R7FA4W1", "m4f"),
    ("R7FA6M1", "m4f"),
    ("R7FA6M2", "m4f"),
    ("R7FA6M3", "m4f"),
    ("R7FA4M2", "m33"),
    ("R7FA4M3", "m33"),
    ("R7FA6M4", "m33"),
    ("R7FA6M5", "m33"),
    // Texas Instruments, NXP, GigaDevice.
    ("TM4C", "m4f"),
    ("LPC546", "m4f"),
    ("LPC55S69", "m33"),
    ("MIMXRT10", "m7f"),
    ("GD32E23", "m23"),
];

/// Returns the code of the core of `chip`.
pub(super) fn core(chip: &Chip) -> Result<&'static str, String> {
    let begins = |&&(start, _): &&(&str, &str)| {
        let beginning = chip.name.get(..start.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(start))
    };
    let listed = SERIES
        .iter()
        .filter(begins)
        .max_by_key(|(start, _)| start.len());
    let architecture = chip.cores[0].1.as_str();
    let (fallback, cores): (&'static str, &[&str]) = match architecture {
        "armv6m" => ("m0", &[]),
        "armv7m" => ("m3", &[]),
        "armv7em" => ("v7em", &["m4", "m4f", "m7f"]),
        "armv8m" => ("v8m", &["m23", "m33"]),
        "riscv" => ("riscv", &[]),
        "riscv64" => ("riscv64", &[]),
        "xtensa" => ("xtensa", &[]),
        "armv7a" => ("v7a", &[]),
        "armv7r" => ("v7r", &[]),
        "armv8a" => ("v8a", &[]),
        _ => {
            return Err(format!(
                "{} has the unknown core {architecture:?}",
                chip.name
            ));
        }
    };
    Ok(match listed {
        Some(&(_, core)) if cores.contains(&core) => core,
        _ => fallback,
    })
}
