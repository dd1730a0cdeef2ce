//! `cargo xtask examples`: lints and links the example programs for boards. The tests of `rarefy
//! new` run `classify`; `embassy` is a workspace of its own, with dependencies that nothing else
//! has.

use crate::command::{self, Outcome, cargo, root};

/// The target of both examples.
pub(crate) const TARGET: &str = "thumbv7em-none-eabihf";

/// Lints both examples and links that on embassy.
pub(crate) fn run(_: &[String]) -> Outcome {
    if !crate::device::installed(TARGET) {
        return Err(format!(
            "rustup lacks the target: run `rustup target add {TARGET}`"
        ));
    }
    classify()?;
    for (step, lints) in [("clippy", &["--", "-D", "warnings"][..]), ("build", &[])] {
        let mut cargo = cargo();
        cargo
            .current_dir(root().join("firmware/examples/embassy"))
            .args([step, "--release", "--locked", "--target-dir"])
            .arg(root().join("firmware/target-embassy"))
            .args(lints);
        command::run(&format!("{step} of the example embassy"), &mut cargo)?;
    }
    Ok(())
}

/// Lints the example `classify`.
pub(crate) fn classify() -> Outcome {
    let mut lints = cargo();
    lints
        .args(["clippy", "--release", "--locked", "--target", TARGET])
        .args(["--package", "classify", "--", "-D", "warnings"])
        .current_dir(root().join("firmware"));
    command::run("lints of the example classify", &mut lints)
}
