//! Generates what a program embeds (model, samples, self-test) and the board's linker scripts.
//!
//! Reads `RAREFY_BOARD` (a folder of `boards/`, or the path of another folder with the same files),
//! `RAREFY_MODEL` (a .rfy container; by default the first golden container of the format) and
//! `RAREFY_SAMPLES` (consecutive inputs; by default one input of zeros). `RAREFY_FLASH_SPARE`
//! (bytes, default 0) enlarges the board's flash, so that an image that does not fit still links
//! and can be measured; the caller must check whether it fits. Fails if the board is unknown, the
//! container does not parse, or the samples have the wrong length.

mod selftest;

use std::path::{Path, PathBuf};
use std::{env, fs};

use rarefy_format::Model;

/// Linker script for RISC-V that drops the tables for unwinding, which riscv-rt's keeps.
const NO_UNWINDING: &str = "
SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame_hdr); } }
";

/// Regions that riscv-rt's linker script uses, in terms of a board's FLASH and RAM.
const RISCV_REGIONS: &str = "
REGION_ALIAS(\"REGION_TEXT\", FLASH);
REGION_ALIAS(\"REGION_RODATA\", FLASH);
REGION_ALIAS(\"REGION_DATA\", RAM);
REGION_ALIAS(\"REGION_BSS\", RAM);
REGION_ALIAS(\"REGION_HEAP\", RAM);
REGION_ALIAS(\"REGION_STACK\", RAM);
";

/// Linker script that puts model and samples into sections of their own, so that the ELF file
/// states their sizes apart from that of the code. The samples come last in flash: a product would
/// ship only what precedes them. LAST stands for the section that the samples follow.
const SECTIONS: &str = "\
SECTIONS
{
  .rarefy_model : ALIGN(4)
  {
    KEEP(*(.rarefy_model));
    . = ALIGN(4);
  } > FLASH
}
INSERT AFTER .rodata;

SECTIONS
{
  .rarefy_samples : ALIGN(4)
  {
    KEEP(*(.rarefy_samples));
    . = ALIGN(4);
  } > FLASH
}
INSERT AFTER LAST;
";

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));

    let board = board_folder(&root.join("boards"));
    watch(&board.join("board.toml"));
    watch(&board.join("memory.x"));
    let riscv = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "riscv32");
    let (runtime, last) = match riscv {
        true => (&["-Tmemory.x", "-Tlink.x"][..], ".stack"),
        false => (&["-Tlink.x"][..], ".gnu.sgstubs"),
    };
    write(
        &out.join("memory.x"),
        memory(&board.join("memory.x"), riscv).as_bytes(),
    );
    let mut sections = SECTIONS.replace("LAST", last);
    if riscv {
        sections.push_str(NO_UNWINDING);
    }
    write(&out.join("rarefy.x"), sections.as_bytes());
    println!(
        "cargo:rustc-cfg=rarefy_counter=\"{}\"",
        counter(&board.join("board.toml"))
    );

    // Cores of ARMv6-M and the baseline of ARMv8-M have no cycle counter.
    let target = env::var("TARGET").expect("cargo sets it");
    if target.starts_with("thumbv6m") || target.starts_with("thumbv8m.base") {
        println!("cargo:rustc-cfg=armv6m");
    }

    watch(&root.join("build"));
    println!("cargo:rustc-link-search={}", out.display());
    let arguments = [&["--nmagic"], runtime, &["-Tdefmt.x", "-Trarefy.x"]].concat();
    for argument in arguments {
        println!("cargo:rustc-link-arg-bins={argument}");
    }

    let golden = root.join("../format/tests/golden");
    watch(&golden);
    let containers = selftest::containers(&golden);
    let model = variable("RAREFY_MODEL").map_or_else(|| containers[0].clone(), PathBuf::from);
    let samples = variable("RAREFY_SAMPLES").map(PathBuf::from);
    write(
        &out.join("model.rs"),
        embed(&model, samples, &out).as_bytes(),
    );

    selftest::generate(&containers, &out);
}

/// Returns the folder of the board that `RAREFY_BOARD` names, or the folder whose path it is.
fn board_folder(boards: &Path) -> PathBuf {
    let mut known: Vec<String> = fs::read_dir(boards)
        .unwrap_or_else(|e| panic!("cannot list {}: {e}", boards.display()))
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    known.sort();
    match variable("RAREFY_BOARD") {
        Some(name) if known.contains(&name) => boards.join(name),
        Some(path) if Path::new(&path).join("board.toml").is_file() => path.into(),
        Some(name) => panic!(
            "RAREFY_BOARD={name} is not a board; the boards are {}",
            known.join(", ")
        ),
        None => panic!("set RAREFY_BOARD to one of: {}", known.join(", ")),
    }
}

/// Returns the board's memory.x, with its flash enlarged by `RAREFY_FLASH_SPARE` bytes and, if
/// `riscv`, with the regions that riscv-rt expects.
fn memory(path: &Path, riscv: bool) -> String {
    let text = String::from_utf8(read(path)).expect("memory.x is text");
    let spare = variable("RAREFY_FLASH_SPARE").unwrap_or_else(|| "0".into());
    let spare: u32 = spare
        .parse()
        .unwrap_or_else(|_| panic!("RAREFY_FLASH_SPARE={spare} is not a number of bytes"));
    let mut longer = String::new();
    for line in text.lines() {
        longer.push_str(line);
        if spare > 0 && line.trim_start().starts_with("FLASH") {
            longer.push_str(&format!(" + {spare}"));
        }
        longer.push('\n');
    }
    if riscv {
        longer.push_str(RISCV_REGIONS);
    }
    longer
}

/// Returns what the board's timer counts, as board.toml states: instructions or cycles.
fn counter(path: &Path) -> String {
    let text = String::from_utf8(read(path)).expect("board.toml is text");
    text.lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim() == "counter")
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
        .filter(|kind| kind == "instructions" || kind == "cycles")
        .unwrap_or_else(|| panic!("{}: counter must be instructions or cycles", path.display()))
}

/// Returns Rust source that embeds the model and the samples.
fn embed(model: &Path, samples: Option<PathBuf>, out: &Path) -> String {
    watch(model);
    let bytes = read(model);
    let parsed =
        Model::parse(&bytes).unwrap_or_else(|e| panic!("{} is not a model: {e}", model.display()));
    let inputs = parsed.inputs();
    let samples = samples.unwrap_or_else(|| {
        let zeros = out.join("zeros.bin");
        write(&zeros, &vec![0; inputs]);
        zeros
    });
    watch(&samples);
    let samples_bytes = read(&samples).len();
    assert!(
        samples_bytes.is_multiple_of(inputs),
        "{} has {samples_bytes} bytes, which is not a multiple of the model's {inputs} inputs",
        samples.display()
    );
    let model = path(model);
    let samples = path(&samples);
    format!(
        "/// Bytes of an input.\n\
         const INPUTS: usize = {inputs};\n\
         /// The bytes of the model, for constant evaluation.\n\
         const MODEL_BYTES: &[u8] = include_bytes!({model:?});\n\
         /// The model in flash.\n\
         #[unsafe(link_section = \".rarefy_model\")]\n\
         static MODEL: rarefy_format::Aligned<[u8; {bytes}]> =\n\
         \x20   rarefy_format::Aligned(*include_bytes!({model:?}));\n\
         /// The samples, consecutively.\n\
         #[unsafe(link_section = \".rarefy_samples\")]\n\
         static SAMPLES_BYTES: [u8; {samples_bytes}] = *include_bytes!({samples:?});\n\
         /// The samples as a slice in data, so that their number does not affect the code.\n\
         #[unsafe(link_section = \".rarefy_samples\")]\n\
         static SAMPLES: &[u8] = &SAMPLES_BYTES;\n",
        bytes = bytes.len(),
    )
}

/// Returns the absolute form of `path`, which `include_bytes!` needs.
fn path(path: &Path) -> String {
    let absolute = path
        .canonicalize()
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    absolute
        .to_str()
        .unwrap_or_else(|| panic!("{}: not UTF-8", path.display()))
        .to_owned()
}

/// Returns the value of an environment variable, and makes this build depend on it.
fn variable(name: &str) -> Option<String> {
    println!("cargo:rerun-if-env-changed={name}");
    env::var(name).ok()
}

/// Makes this build depend on `path`.
fn watch(path: &Path) {
    println!("cargo:rerun-if-changed={}", path.display());
}

/// Reads a file.
fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

/// Writes a file.
fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}
