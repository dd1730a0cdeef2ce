//! Copies the crates that a project depends on: the container format and the engine.
//!
//! In the checkout they inherit settings from its workspace. A copy gets them written out, without
//! what concerns tests, as `cargo package` does.

use std::path::Path;

use toml::{Table, Value};

use super::{ProjectError, files, template, write};
use crate::atomic;

/// The folders of the crates, beside `firmware` and in the copy.
const CRATES: [&str; 2] = ["format", "runtime"];

/// What is copied of a crate, if it is there.
const PARTS: [&str; 5] = [
    "src",
    "build.rs",
    "README.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];

/// Keys of a manifest that concern tests, lints and publishing.
const DROPPED: [&str; 7] = [
    "dev-dependencies",
    "lints",
    "test",
    "bench",
    "example",
    "bin",
    "workspace",
];

/// The first line of a copied manifest.
const NOTE: &str = "Written by `rarefy new` from the manifest in Rarefy's sources.";

/// Copies the crates beside the workspace `firmware` to `folder`.
pub(super) fn copy(firmware: &Path, folder: &Path) -> Result<(), ProjectError> {
    let checkout = firmware.parent().unwrap_or(firmware);
    let workspace = checkout.join("Cargo.toml");
    let inherited = manifest(&workspace)?;
    for name in CRATES {
        let (from, to) = (checkout.join(name), folder.join(name));
        let path = from.join("Cargo.toml");
        let own = manifest(&path)?;
        let whole = written_out(own, &inherited)
            .map_err(|key| template(&workspace, format!("workspace.{key}")))?;
        let text = format!("# {NOTE}\n\n{whole}");
        write(&to.join("Cargo.toml"), text.as_bytes())?;
        for part in PARTS {
            let source = from.join(part);
            if source.is_dir() {
                for file in files(&source)? {
                    write(
                        &to.join(part).join(&file),
                        &atomic::read(&source.join(&file))?,
                    )?;
                }
            } else if source.is_file() {
                write(&to.join(part), &atomic::read(&source)?)?;
            }
        }
    }
    Ok(())
}

/// Reads a manifest.
fn manifest(path: &Path) -> Result<Table, ProjectError> {
    let bytes = atomic::read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    text.parse()
        .map_err(|_| template(path, "[package]".to_owned()))
}

/// Returns `manifest` with everything that it inherits from the `workspace` written out, and
/// without what concerns tests.
///
/// # Errors
/// Returns the key that the workspace lacks.
fn written_out(mut manifest: Table, workspace: &Table) -> Result<Table, String> {
    for key in DROPPED {
        manifest.remove(key);
    }
    let shared = |group: &str, key: &str| {
        let found = workspace
            .get("workspace")
            .and_then(|it| it.get(group)?.get(key));
        found.cloned().ok_or_else(|| format!("{group}.{key}"))
    };
    if let Some(Value::Table(package)) = manifest.get_mut("package") {
        package.remove("metadata");
        package.remove("include");
        for (key, value) in package.iter_mut().filter(|(_, value)| inherits(value)) {
            *value = shared("package", key)?;
        }
    }
    if let Some(Value::Table(dependencies)) = manifest.get_mut("dependencies") {
        for (name, value) in dependencies.iter_mut().filter(|(_, value)| inherits(value)) {
            let mut whole = shared("dependencies", name)?;
            // The workspace's crates lie side by side.
            if let Some(Value::String(path)) = whole.get_mut("path") {
                path.insert_str(0, "../");
            }
            *value = whole;
        }
    }
    Ok(manifest)
}

/// Returns whether `value` stands for that of the workspace.
fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inherited_settings_are_written_out_and_tests_left_out() {
        let workspace = r#"
            [workspace.package]
            version = "1.2.3"
            [workspace.dependencies]
            own = { path = "own", version = "1", default-features = false }
        "#;
        let manifest = r#"
            [package]
            name = "a"
            version.workspace = true
            [dependencies]
            own.workspace = true
            other = "2"
            [dev-dependencies]
            tests.workspace = true
            [[test]]
            name = "t"
            [lints]
            workspace = true
        "#;
        let expected = r#"
            [package]
            name = "a"
            version = "1.2.3"
            [dependencies]
            own = { path = "../own", version = "1", default-features = false }
            other = "2"
        "#;
        let table = |text: &str| text.parse::<Table>().unwrap();
        let whole = written_out(table(manifest), &table(workspace));
        assert_eq!(whole.unwrap(), table(expected));
        let nothing = written_out(table(manifest), &Table::new());
        assert_eq!(nothing.unwrap_err(), "package.version");
    }
}
