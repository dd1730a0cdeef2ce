//! Sets the `cfg` `cortex_m` to the instruction set of the target, since Rust has no stable `cfg`
//! for it: `"v6m"` (M0, M0+, M1, M23), `"v7m"` (M3; M33 and M55 if nothing says that they have the
//! DSP extension) or `"v7em"` (M4, M7; M33 and M55 with the DSP extension). On other targets it is
//! not set, and the portable kernels are used.
//!
//! The DSP extension is optional on ARMv8-M. The flags of the compiler tell whether the core has
//! it: `-C target-cpu=cortex-m33` or `-C target-feature=+dsp`. On ARMv8-M, the `cfg` `armv8m` is
//! set, too.

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
    let target = variable("TARGET");
    let core = match target.split('-').next() {
        Some("thumbv6m" | "thumbv8m.base") => "v6m",
        Some("thumbv8m.main") if has_dsp(&variable("CARGO_ENCODED_RUSTFLAGS")) => "v7em",
        Some("thumbv7m" | "thumbv8m.main") => "v7m",
        Some("thumbv7em") => "v7em",
        _ => return,
    };
    if target.starts_with("thumbv8m") {
        println!("cargo::rustc-cfg=armv8m");
    }
    println!("cargo::rustc-cfg=cortex_m");
    println!("cargo::rustc-cfg=cortex_m=\"{core}\"");
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
