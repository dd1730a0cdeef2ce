//! The plug-in for QEMU: builds it when it is needed, and composes the option that loads it.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};

use super::super::boards::Board;
use super::super::options::MeasureOptions;
use super::super::process::{self, End, Flow, Limits};
use super::program::Program;

/// Returns the plug-in, built from the sources in the firmware's folder `plugin`. Cargo builds it
/// only if it is missing or its sources have changed.
///
/// # Errors
///
/// Returns why there is none.
pub(super) fn build(board: &Board, options: &MeasureOptions<'_>) -> Result<PathBuf, String> {
    if !cfg!(unix) {
        return Err("the plug-in that counts them needs Linux or macOS".to_owned());
    }
    let machine = &options.machine;
    let cargo = machine.find("cargo").ok_or("cargo is not on the PATH")?;
    let sources = board.firmware.join("plugin").join("Cargo.toml");
    let target = match &options.target_folder {
        Some(folder) => folder.join("plugin"),
        None => board.firmware.join("target-plugin"),
    };
    let mut command = machine.command(cargo);
    command
        .current_dir(&board.firmware)
        .args(["build", "--release", "--locked", "--color", "never"])
        .arg("--manifest-path")
        .arg(&sources)
        .arg("--target-dir")
        .arg(&target);
    let limits = Limits {
        timeout: None,
        stop: options.stop,
    };
    let mut output = Vec::new();
    let end = process::run(command, limits, |chunk| {
        output.extend_from_slice(chunk.bytes());
        Flow::Continue
    });
    match end {
        Ok(End::Exit(status)) if status.success() => {}
        Ok(_) => return Err(format!("the plug-in cannot be built: {}", error(&output))),
        Err(error) => return Err(format!("the plug-in cannot be built: {error}")),
    }
    let name = format!("{DLL_PREFIX}rarefy_plugin{DLL_SUFFIX}");
    Ok(target.join("release").join(name))
}

/// Selects the line of a failed build's output that states the cause.
fn error(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let mut lines = text.lines();
    let found = lines.find(|line| line.starts_with("error"));
    found.unwrap_or("cargo failed").to_owned()
}

/// Returns the value of QEMU's option `-plugin` that counts what `program` executes and writes the
/// counts to `out`. `layers` is the number of layers to tell apart, or 0.
pub(super) fn option(plugin: &Path, program: &Program, layers: usize, out: &Path) -> String {
    // A comma ends an argument of QEMU unless it is doubled.
    let path = |path: &Path| path.display().to_string().replace(',', ",,");
    let (start, stop) = (program.start.address, program.stop.address);
    let mut option = format!(
        "{},start={start},stop={stop},log={},out={}",
        path(plugin),
        program.log,
        path(out)
    );
    if let Some(records) = program.records.filter(|_| layers > 0) {
        option += &format!(",records={records},layers={layers}");
    }
    option
}
