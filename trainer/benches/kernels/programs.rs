//! Measures the code size of the engine: that of programs that contain little else.

use std::fs;

use rarefy_trainer::deploy::costs::Core;
use rarefy_trainer::device::{Machine, Toolchain, code_size};

use super::table::{self, Table};
use super::{Bench, Outcome};

/// Programs of `firmware/bare`, and the subjects of their figures.
const PROGRAMS: [(&str, &str); 2] = [
    ("size", "packed words, checked"),
    ("size-verified", "packed words, verified"),
];

/// Builds the programs for the Cortex-M4 with packed words as the only encoding, and adds their
/// text sizes to `table`.
pub(super) fn measure(bench: &Bench, table: &mut Table) -> Outcome<()> {
    let (machine, board) = (Machine::default(), bench.board(Core::M4)?);
    let toolchain = Toolchain::find(&machine, &board.target).map_err(|e| e.to_string())?;
    for (program, name) in PROGRAMS {
        let folder = board.firmware.join(toolchain.target_folder());
        let mut build = toolchain.build(&machine);
        build.current_dir(&board.firmware).args([
            "--release",
            "--locked",
            "--quiet",
            "--package",
            "rarefy-bare",
            "--features",
            "words",
            "--bin",
            program,
        ]);
        let status = build.arg("--target-dir").arg(&folder).status();
        if !status.is_ok_and(|status| status.success()) {
            return Err(format!("building the program {program} failed, see above"));
        }
        let built = folder.join(&board.target).join("release").join(program);
        let elf = fs::read(&built).map_err(|e| format!("{}: {e}", built.display()))?;
        let text = code_size(&elf).map_err(|e| format!("{}: {e}", built.display()))?;
        eprintln!("{name}: {text} bytes");
        table.put(table::TEXT, name, &board.name, text as f64);
    }
    Ok(())
}
