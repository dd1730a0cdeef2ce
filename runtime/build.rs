//! Sets `cfg`s for the instruction set of the target, since Rust has no stable ones:
//!
//! - `cortex_m`: `"v6m"` (M0, M0+, M1), `"v7m"` (M3; also v8-M, whose DSP extension is optional) or
//!   `"v7em"` (M4, M7);
//! - `riscv`: 32-bit RISC-V with multiplication (extension M or Zmmul);
//! - `native`: one of these. On other targets the portable kernels are used.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(cortex_m, values(none(), \"v6m\", \"v7m\", \"v7em\"))");
    println!("cargo::rustc-check-cfg=cfg(riscv)");
    println!("cargo::rustc-check-cfg=cfg(native)");
    let target = std::env::var("TARGET").unwrap_or_default();
    let core = match target.split('-').next() {
        Some("thumbv6m" | "thumbv8m.base") => Some("v6m"),
        Some("thumbv7m" | "thumbv8m.main") => Some("v7m"),
        Some("thumbv7em") => Some("v7em"),
        _ => None,
    };
    if let Some(core) = core {
        println!("cargo::rustc-cfg=cortex_m");
        println!("cargo::rustc-cfg=cortex_m=\"{core}\"");
    }
    let riscv = multiplies();
    if riscv {
        println!("cargo::rustc-cfg=riscv");
    }
    if core.is_some() || riscv {
        println!("cargo::rustc-cfg=native");
    }
}

/// Returns whether the target is a 32-bit RISC-V that multiplies in hardware.
fn multiplies() -> bool {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let features = std::env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    arch == "riscv32"
        && features
            .split(',')
            .any(|feature| matches!(feature, "m" | "zmmul"))
}
