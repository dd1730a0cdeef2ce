//! Formats what networks need on chips, and where the figures of their stacks come from.

use crate::device::{Fit, STACK_RESERVE};
use crate::numbers::thousands;

/// Headings of [`cells`].
pub(super) const HEADS: [&str; 6] = ["chip", "core", "flash", "needed", "RAM", "needed"];

/// Formats a chip's memories, and what a network needs of them.
pub(super) fn cells(fit: &Fit) -> [String; 6] {
    [
        fit.chip.name.to_owned(),
        fit.chip.core.name().to_owned(),
        thousands(fit.chip.flash.length),
        thousands(fit.flash_used),
        thousands(fit.chip.ram.length),
        ram(fit),
    ]
}

/// Formats the RAM that a network needs on a chip, marked if a part of it is a reserve.
fn ram(fit: &Fit) -> String {
    let mark = match fit.stack.measured_on {
        Some(_) => "",
        None => "~",
    };
    format!("{mark}{}", thousands(fit.ram_used))
}

/// Describes where the stacks of `fits` come from.
pub(super) fn stacks<'a>(fits: impl Iterator<Item = &'a Fit>) -> String {
    let (measured, reserved): (Vec<&Fit>, Vec<&Fit>) =
        fits.partition(|fit| fit.stack.measured_on.is_some());
    let mut boards: Vec<&str> = (measured.iter())
        .filter_map(|fit| fit.stack.measured_on.as_deref())
        .collect();
    boards.sort_unstable();
    boards.dedup();
    let reserve = format!(
        "{} bytes are reserved for the stack, which no emulated core measured",
        thousands(STACK_RESERVE)
    );
    match (boards.is_empty(), reserved.is_empty()) {
        (true, _) => reserve,
        (false, true) => format!(
            "the stack is measured in the emulator, on {}",
            boards.join(", ")
        ),
        (false, false) => format!(
            "the stack is measured in the emulator, on {}; where ~ precedes the RAM, {reserve}",
            boards.join(", ")
        ),
    }
}
