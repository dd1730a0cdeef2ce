//! The settings of cargo for a project: target, runner and log level.

use std::path::Path;

use toml::Value;

use super::super::boards::{Board, Runner};
use super::super::toolchain::{Compiler, Toolchain};

/// Returns `.cargo/config.toml` for `board`. `rarefy` is the program that starts the emulator.
pub(super) fn cargo(board: &Board, toolchain: Option<&Toolchain>, rarefy: &Path) -> String {
    let target = &board.target;
    let (what, words) = match &board.runner {
        Runner::Emulator { .. } => (
            format!(
                "`cargo run` runs the program on {} in the emulator.",
                board.name
            ),
            vec![
                rarefy.display().to_string(),
                "run".into(),
                "--board".into(),
                board.name.clone(),
            ],
        ),
        Runner::Probe { chip } => (
            format!("`cargo run` flashes and starts the {chip} through a debug probe."),
            ["probe-rs", "run", "--chip", chip]
                .map(String::from)
                .to_vec(),
        ),
    };
    let mut build = format!("[build]\ntarget = {}\n", text(target));
    // Cargo ignores a quoted target; one with a dot becomes a table in a table, which it finds.
    let mut own = format!(
        "[target.{target}]
# {what}
runner = {}
",
        list(&words)
    );
    if target == "thumbv8m.main-none-eabihf" {
        own += "# Cores with a floating-point unit have the DSP extension, too.\n";
        own += "rustflags = [\"-C\", \"target-cpu=cortex-m33\"]\n";
    }
    let mut unstable = "";
    if let Some(Compiler::Debian { rustc, linker }) = toolchain.map(|found| &found.compiler) {
        build += "# Debian's compiler, which builds `core` first; needs RUSTC_BOOTSTRAP=1.\n";
        build += &format!("rustc = {}\n", text(&rustc.display().to_string()));
        own += &format!("linker = {}\n", text(&linker.display().to_string()));
        unstable = "\n[unstable]\nbuild-std = [\"core\"]\n";
    }
    format!(
        "{build}\n{own}\n[env]\n# Log lines below this level are left out of the program.\nDEFMT_LOG = \"info\"\n{unstable}"
    )
}

/// Returns `text` as a string of TOML.
fn text(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns `words` as an array of TOML.
fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| text(word)).collect();
    format!("[{}]", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::super::boards::Boards;
    use super::super::super::firmware::firmware_folder;
    use super::*;

    /// Returns the settings for the board `name`, as TOML.
    fn of(name: &str, toolchain: Option<&Toolchain>) -> toml::Table {
        let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
        let text = cargo(
            boards.get(name).unwrap(),
            toolchain,
            Path::new("a b/rarefy"),
        );
        text.parse().unwrap()
    }

    #[test]
    fn cargo_runs_the_emulator_or_the_probe() {
        let emulated = of("mps2-an505", None);
        let target = &emulated["target"]["thumbv8m"]["main-none-eabihf"];
        let words = ["a b/rarefy", "run", "--board", "mps2-an505"];
        assert_eq!(target["runner"], words.to_vec().into());
        assert!(target.get("rustflags").is_some());
        assert!(emulated.get("unstable").is_none());
        let real = of("nrf52840-dk", None);
        let words = ["probe-rs", "run", "--chip", "nRF52840_xxAA"];
        let target = real["build"]["target"].as_str().unwrap();
        assert_eq!(real["target"][target]["runner"], words.to_vec().into());
    }

    #[test]
    fn debians_compiler_builds_core_first() {
        let toolchain = Toolchain {
            target: "thumbv7m-none-eabi".into(),
            cargo: "cargo".into(),
            compiler: Compiler::Debian {
                rustc: "/usr/bin/rustc".into(),
                linker: "/lib/rust-lld".into(),
            },
            build: String::new(),
        };
        let settings = of("mps2-an385", Some(&toolchain));
        assert_eq!(settings["build"]["rustc"].as_str(), Some("/usr/bin/rustc"));
        assert_eq!(settings["unstable"]["build-std"], vec!["core"].into());
        let target = &settings["target"]["thumbv7m-none-eabi"];
        assert_eq!(target["linker"].as_str(), Some("/lib/rust-lld"));
    }
}
