//! `cargo xtask chips`: writes the table of chips from probe-rs' registry of targets.
//!
//! The crates `probe-rs` and `probe-rs-espressif` contain the registry as YAML files. Cargo
//! downloads both; the table is committed, so that neither building nor running Rarefy needs them.
//! `--check` only compares the committed table with the registry, and `--link` only links a
//! network for every well-known chip.
//!
//! The table has a line per core and pair of memories: the core, flash and RAM as origin and length
//! in hexadecimal, and the names of the chips, each with the endings of its packages.

mod cores;
mod registry;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{self, Outcome, cargo, root};
use registry::{Chip, Region};

/// Version of the crates with the registry.
const VERSION: &str = "0.32.0";
/// The crates with the registry.
const CRATES: [&str; 2] = ["probe-rs", "probe-rs-espressif"];
/// The table, relative to the root of the workspace.
const TABLE: &str = "trainer/src/device/chips/table.txt";

/// Writes the table. With `--check`, compares it with the committed one instead; with `--link`,
/// links programs.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    if arguments.iter().any(|argument| argument == "--link") {
        return link();
    }
    let mut chips = Vec::new();
    for folder in folders()? {
        for path in definitions(&folder)? {
            let text = fs::read_to_string(&path);
            let text = text.map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            chips.extend(registry::read(&text).map_err(|e| format!("{}: {e}", path.display()))?);
        }
    }
    let table = table(&chips)?;
    let path = root().join(TABLE);
    if arguments.iter().any(|argument| argument == "--check") {
        return match fs::read_to_string(&path) {
            Ok(committed) if committed == table => Ok(()),
            _ => Err(format!(
                "{TABLE} differs from the registry: run `cargo xtask chips`"
            )),
        };
    }
    fs::write(&path, &table).map_err(|e| format!("cannot write {TABLE}: {e}"))?;
    eprintln!("{TABLE}: {} chips, {} bytes", chips.len(), table.len());
    Ok(())
}

/// Links a pruned LeNet-300-100 for every well-known chip: a test that `cargo xtask test` leaves
/// out, because it takes minutes.
fn link() -> Outcome {
    let mut test = cargo();
    test.args([
        "test",
        "--release",
        "--package",
        "rarefy-trainer",
        "--test",
        "device",
        "--",
    ])
    .args([
        "--ignored",
        "--nocapture",
        "a_lenet_links_for_every_well_known_chip",
    ])
    .env("RAREFY_REQUIRE_DEVICE", "1");
    command::run("programs for all well-known chips", &mut test)
}

/// Returns the folders of the crates, which cargo downloads for a project that depends on them.
fn folders() -> Result<Vec<PathBuf>, String> {
    let project = root().join("target").join("chips");
    let source = project.join("src");
    let mut manifest = "[workspace]\n[package]\nname = \"chips\"\nedition = \"2021\"\n\
                        [dependencies]\n"
        .to_owned();
    for name in CRATES {
        manifest += &format!("{name} = {{ version = \"={VERSION}\", default-features = false }}\n");
    }
    fs::create_dir_all(&source)
        .and_then(|()| fs::write(source.join("lib.rs"), ""))
        .and_then(|()| fs::write(project.join("Cargo.toml"), manifest))
        .map_err(|e| format!("cannot write {}: {e}", project.display()))?;
    let mut metadata = cargo();
    metadata
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(project.join("Cargo.toml"));
    let metadata = command::output(&mut metadata)?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).map_err(|e| format!("cargo's metadata: {e}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let of = |name: &str| {
        let mut packages = packages.clone();
        let package = packages.find(|package| package["name"] == name)?;
        let manifest = Path::new(package["manifest_path"].as_str()?);
        Some(manifest.parent()?.join("targets"))
    };
    let folder = |name| of(name).ok_or_else(|| format!("cargo did not resolve {name}"));
    CRATES.map(folder).into_iter().collect()
}

/// Returns the YAML files in `folder`, sorted.
fn definitions(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder);
    let entries = entries.map_err(|e| format!("cannot list {}: {e}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
    });
    paths.sort();
    Ok(paths)
}

/// Formats the table.
fn table(chips: &[Chip]) -> Result<String, String> {
    let mut lines: BTreeMap<(&str, Region, Region), Vec<String>> = BTreeMap::new();
    for chip in chips {
        let (Some(flash), Some(ram)) = (registry::flash(chip), registry::ram(chip)) else {
            continue; // A chip without flash or RAM of its own runs no program of ours.
        };
        let mut name = chip.name.clone();
        let endings = chip.packages.iter().map(|package| {
            let ending = package.strip_prefix(&chip.name);
            ending.ok_or_else(|| format!("{package} does not begin with {}", chip.name))
        });
        let endings: Vec<&str> = endings.collect::<Result<_, String>>()?;
        if !endings.is_empty() {
            name += &format!(":{}", endings.join(","));
        }
        if name.contains([' ', '\n']) {
            return Err(format!("the name {name:?} contains white space"));
        }
        let core = cores::core(chip)?;
        lines.entry((core, flash, ram)).or_default().push(name);
    }
    let mut table = format!(
        "# Chips, from the registry of probe-rs {VERSION} (https://probe.rs; MIT or Apache-2.0).\n\
         # Written by `cargo xtask chips`.\n"
    );
    for ((core, flash, ram), mut names) in lines {
        names.sort();
        table += &format!("{core} {flash} {ram} {}\n", names.join(" "));
    }
    Ok(table)
}
