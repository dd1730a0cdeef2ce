//! Passes the board's memories, `memory.x`, to the linker.

use std::path::Path;
use std::{env, fs};

/// The regions that riscv-rt's linker script uses; nothing unwinds the stack.
const RISCV: &str = "
REGION_ALIAS(\"REGION_TEXT\", FLASH);
REGION_ALIAS(\"REGION_RODATA\", FLASH);
REGION_ALIAS(\"REGION_DATA\", RAM);
REGION_ALIAS(\"REGION_BSS\", RAM);
REGION_ALIAS(\"REGION_HEAP\", RAM);
REGION_ALIAS(\"REGION_STACK\", RAM);
SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame_hdr); } }
";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory.x");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let write = |name, text| fs::write(Path::new(&out).join(name), text);
    let memory = fs::read_to_string("memory.x").expect("memory.x is beside build.rs");
    write("memory.x", memory.as_str()).expect("cargo created the folder");
    let mut arguments = vec!["--nmagic", "-Tlink.x", "-Tdefmt.x"];
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "riscv32") {
        write("regions.x", RISCV).expect("cargo created the folder");
        arguments.splice(1..1, ["-Tmemory.x", "-Tregions.x"]);
    }
    println!("cargo:rustc-link-search={out}");
    for argument in arguments {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
