//! Sets the `cfg` `cortex_m` to the instruction set of the target, since Rust has no stable `cfg`
//! for it: `"v6m"` (M0, M0+, M1), `"v7m"` (M3; also v8-M, whose DSP extension is optional) or
//! `"v7em"` (M4, M7). On other targets it is not set, and the portable kernels are used.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(cortex_m, values(none(), \"v6m\", \"v7m\", \"v7em\"))");
    let target = std::env::var("TARGET").unwrap_or_default();
    let core = match target.split('-').next() {
        Some("thumbv6m" | "thumbv8m.base") => "v6m",
        Some("thumbv7m" | "thumbv8m.main") => "v7m",
        Some("thumbv7em") => "v7em",
        _ => return,
    };
    println!("cargo::rustc-cfg=cortex_m");
    println!("cargo::rustc-cfg=cortex_m=\"{core}\"");
}
