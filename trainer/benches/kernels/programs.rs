//! What the engine costs in flash: the text of programs that are nothing but parser and engine.

use std::fs;
use std::path::Path;

use object::Endianness;
use object::elf::SHF_EXECINSTR;
use object::read::elf::{ElfFile32, FileHeader, SectionHeader};
use rarefy_trainer::deploy::costs::Core;
use rarefy_trainer::device::{Machine, Toolchain};

use super::table::{self, Table};
use super::{Bench, Outcome};

/// The programs of `firmware/bare`: their name, and the figure's.
const PROGRAMS: [(&str, &str); 2] = [
    ("size", "packed words, checked"),
    ("size-verified", "packed words, verified"),
];

/// Builds both for the Cortex-M4 with packed words as the only encoding.
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
        let text = text(&built).map_err(|e| format!("{}: {e}", built.display()))?;
        eprintln!("{name}: {text} bytes");
        table.put(table::TEXT, name, &board.name, text as f64);
    }
    Ok(())
}

/// Bytes of the code in an ELF file.
fn text(path: &Path) -> Result<u64, Box<dyn std::error::Error>> {
    let bytes = fs::read(path)?;
    let file = ElfFile32::<Endianness>::parse(&*bytes)?;
    let endian = file.endian();
    let sections = file.elf_header().sections(endian, &*bytes)?;
    let code = sections
        .iter()
        .filter(|section| section.sh_flags(endian) & SHF_EXECINSTR != 0);
    Ok(code.map(|section| u64::from(section.sh_size(endian))).sum())
}
