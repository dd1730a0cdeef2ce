//! Generates this crate from the Rust file that `RAREFY_CODE` names, by default from `example.rs`,
//! which is the first golden container of the format as code.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-env-changed=RAREFY_CODE");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let code = env::var("RAREFY_CODE").unwrap_or_else(|_| format!("{root}/example.rs"));
    println!("cargo:rerun-if-changed={code}");
    let text = fs::read_to_string(&code).unwrap_or_else(|e| panic!("cannot read {code}: {e}"));
    // `include!` accepts neither inner attributes nor inner documentation.
    let inner = |line: &&str| !line.starts_with("//!") && !line.starts_with("#![");
    let lines: Vec<&str> = text.lines().filter(inner).collect();
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("network.rs");
    fs::write(&out, lines.join("\n")).unwrap_or_else(|e| panic!("{}: {e}", out.display()));
}
