//! Runs networks that were written as C on an emulated Cortex-M4, and counts their instructions.

use std::fs;

use rarefy_format::{Model, NetworkSpec};
use rarefy_trainer::deploy::emit;

use super::tools::{DIGITS, M4, container, emulate, expected, folder, gcc, ready, root, run};

/// Compiles the network of a committed container as C and runs it on the digits. Checks every logit
/// and returns the mean number of instructions of a classification.
fn instructions(name: &str) -> f64 {
    let bytes = container(name);
    let network = NetworkSpec::from_model(&Model::parse(&bytes).unwrap());
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| work.path().join(name);
    let source = emit::c(&network, "network", name, 0).unwrap();
    fs::write(at("network.h"), source).unwrap();
    let digits = root().join(DIGITS.0);
    let inputs = format!(
        ".section .rodata.inputs, \"a\"\n.global inputs\n.global inputs_end\ninputs:\n.incbin {digits:?}, {}\ninputs_end:\n",
        DIGITS.1
    );
    fs::write(at("inputs.S"), inputs).unwrap();
    let example = folder().join("example");
    let mut compile = gcc(M4);
    compile.arg("-O2").arg("-I").arg(work.path());
    compile
        .arg(folder().join("tests/straight.c"))
        .arg(at("inputs.S"));
    compile
        .arg(example.join("startup.c"))
        .arg(example.join("console.c"));
    compile
        .arg(folder().join("tests/memory.c"))
        .args(["-lgcc", "-o"])
        .arg(at("straight"));
    run(&mut compile);
    let printed = emulate(M4, &at("straight"));
    let (mut lines, mut ticks) = (Vec::new(), 0);
    for line in printed.lines() {
        let (line, count) = line.rsplit_once(' ').unwrap();
        lines.push(line);
        ticks += count.parse::<u64>().unwrap();
    }
    assert_eq!(lines, expected(&bytes), "{name}");
    // SysTick has 25 MHz, and an instruction takes 128 nanoseconds.
    ticks as f64 / 3.2 / lines.len() as f64
}

/// Returns the instructions of the same network as Rust, which `cargo xtask bench kernels` counts.
fn in_rust(name: &str) -> f64 {
    let table = fs::read_to_string(root().join("tests/networks/kernels.csv")).unwrap();
    let start = format!("instructions as code,{name},{},", M4.name);
    let line = table.lines().find_map(|line| line.strip_prefix(&start));
    line.and_then(|line| line.split(',').next())
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn c_is_as_fast_as_rust() {
    if !ready(M4) {
        return;
    }
    for name in ["lenet-300-100-100x-code-m4", "lenet-300-100-300x-code-m4"] {
        let (c, rust) = (instructions(name), in_rust(name));
        eprintln!("{name}: {rust} instructions in Rust, {c} in C");
        assert!(c <= 1.1 * rust, "{name}: {c} is more than 1.1 x {rust}");
    }
}

#[test]
fn networks_with_maps_compute_the_same_as_c() {
    if !ready(M4) {
        return;
    }
    let count = instructions("residual-5x-speed-m4");
    eprintln!("residual-5x-speed-m4: {count} instructions in C");
    assert!(count > 0.0);
}
