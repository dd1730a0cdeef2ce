//! Tells the kernels which Cortex-M instructions the target has: `cortex_m = "v7e"` (ARMv7E-M, with
//! the DSP extension), `"v7"` (without it) or `"v6"` (the small cores); nothing elsewhere.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(cortex_m, values(none(), \"v6\", \"v7\", \"v7e\"))");
    let target = std::env::var("TARGET").expect("cargo sets it");
    let instructions = match target.split('-').next() {
        Some("thumbv7em") => "v7e",
        Some("thumbv7m" | "thumbv8m.main") => "v7",
        Some("thumbv6m" | "thumbv8m.base") => "v6",
        _ => return,
    };
    println!("cargo::rustc-cfg=cortex_m");
    println!("cargo::rustc-cfg=cortex_m=\"{instructions}\"");
}
