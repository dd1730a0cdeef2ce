//! Sets `cfg`s for the instruction set of the target, since Rust has no stable ones:
//!
//! - `cortex_m`: `"v6m"` (M0, M0+, M1, M23), `"v7m"` (M3; M33 and M55 if nothing says that they
//!   have the DSP extension) or `"v7em"` (M4, M7; M33 and M55 with the DSP extension);
//! - `armv8m`: ARMv8-M, beside `cortex_m`;
//! - `riscv`: 32-bit RISC-V with multiplication (extension M or Zmmul);
//! - `native`: one of these. On other targets the portable kernels are used.
//!
//! The DSP extension is optional on ARMv8-M. The flags of the compiler tell whether the core has
//! it: `-C target-cpu=cortex-m33` or `-C target-feature=+dsp`.

/// Cores of ARMv8-M that LLVM assumes to have the DSP extension.
const DSP: [&str; 5] = [
    "cortex-m33",
    "cortex-m35p",
    "cortex-m52",
    "cortex-m55",
    "cortex-m85",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(cortex_m, values(none(), \"v6m\", \"v7m\", \"v7em\"))");
    println!("cargo::rustc-check-cfg=cfg(armv8m)");
    println!("cargo::rustc-check-cfg=cfg(riscv)");
    println!("cargo::rustc-check-cfg=cfg(native)");
    let target = variable("TARGET");
    let core = match target.split('-').next() {
        Some("thumbv6m" | "thumbv8m.base") => Some("v6m"),
        Some("thumbv8m.main") if has_dsp(&variable("CARGO_ENCODED_RUSTFLAGS")) => Some("v7em"),
        Some("thumbv7m" | "thumbv8m.main") => Some("v7m"),
        Some("thumbv7em") => Some("v7em"),
        _ => None,
    };
    if let Some(core) = core {
        println!("cargo::rustc-cfg=cortex_m");
        println!("cargo::rustc-cfg=cortex_m=\"{core}\"");
    }
    if target.starts_with("thumbv8m") {
        println!("cargo::rustc-cfg=armv8m");
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
    variable("CARGO_CFG_TARGET_ARCH") == "riscv32"
        && variable("CARGO_CFG_TARGET_FEATURE")
            .split(',')
            .any(|feature| matches!(feature, "m" | "zmmul"))
}

/// Returns `true` if the compiler's `flags`, separated as cargo encodes them, name a core or a
/// feature with the DSP extension. A later flag overrides an earlier one.
fn has_dsp(flags: &str) -> bool {
    let mut dsp = false;
    for flag in flags.split('\x1f') {
        // `-C` and its value may be two arguments or one.
        let flag = flag.strip_prefix("-C").unwrap_or(flag).trim_start();
        if let Some(cpu) = flag.strip_prefix("target-cpu=") {
            dsp = DSP.contains(&cpu);
        } else if let Some(features) = flag.strip_prefix("target-feature=") {
            for feature in features.split(',') {
                match feature {
                    "+dsp" => dsp = true,
                    "-dsp" => dsp = false,
                    _ => {}
                }
            }
        }
    }
    dsp
}

/// Returns the value of an environment variable; empty if it is not set.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
