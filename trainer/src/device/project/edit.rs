//! Makes the user's program from the text of the example.
//!
//! Each change replaces a text that must be in the example, so that a change of the example cannot
//! go unnoticed.

use std::fmt::Write;

/// The line of the example's program that logs the class.
const LOG: &str = "defmt::info!(\"class {}, logits {}\", argmax(logits), logits);";

/// The same with the name of the class.
const LOG_NAME: &str =
    "defmt::info!(\"class {}, logits {}\", labels::LABELS[argmax(logits)], logits);";

/// What differs in the program of a network whose outputs are numbers, besides what it logs: how it
/// is described, and what it imports.
const NUMBERS: [(&str, &str); 2] = [
    (
        "//! Classifies `input.bin` with the neural network in `model.rfy`, and logs the class.",
        "//! Runs the neural network in `model.rfy` on `input.bin`, and logs its outputs.",
    ),
    ("{Arena, Engine, argmax}", "{Arena, Engine}"),
];

/// The line that logs logits alone.
const LOG_LOGITS: &str = "defmt::info!(\"logits {}\", logits);";

/// The lines that log outputs in their own units.
const LOG_UNITS: &str = "\
for (index, output) in defmt::unwrap!(engine.dequantize(logits)).enumerate() {
        defmt::info!(\"output {}: {}\", index, output);
    }";

/// The crates in the example, and in a project.
const PATHS: [(&str, &str); 2] = [
    ("\"../../../format\"", "\"rarefy/format\""),
    ("\"../../../runtime\"", "\"rarefy/runtime\""),
];

/// What a project's manifest has besides the example's: a workspace of its own, and profiles.
const PROFILES: &str = r#"
# The program is a workspace of its own, wherever its folder is; the crates in rarefy are not part of it.
[workspace]
exclude = ["rarefy"]

# Everything is optimized for size, the engine for speed.
[profile.dev]
opt-level = "s"
panic = "abort"

[profile.dev.package.rarefy-runtime]
opt-level = 3

[profile.release]
opt-level = "s"
lto = "fat"
codegen-units = 1
panic = "abort"
debug = true # stays in the ELF file, never in flash

[profile.release.package.rarefy-runtime]
opt-level = 3
"#;

/// What a project has instead of the example's own.
pub(super) struct Edits<'a> {
    /// Name of the package.
    pub(super) name: &'a str,
    /// Features of the engine that the network needs.
    pub(super) features: &'a [&'static str],
    /// Names of the classes; may be empty.
    pub(super) labels: &'a [String],
    /// Whether outputs are numbers, not the scores of classes.
    pub(super) numbers: bool,
    /// Whether the board is emulated.
    pub(super) emulated: bool,
    /// Whether flash begins with the second boot stage of an RP2040.
    pub(super) boot2: bool,
}

/// Changes the text of a file. Fails with the text that is not there.
type Edit = fn(&Edits<'_>, &str) -> Result<String, String>;

/// The files of the example that are changed, and how.
pub(super) const EDITED: [(&str, Edit); 4] = [
    ("Cargo.toml", |edits, text| edits.manifest(text)),
    ("README.md", |edits, text| edits.page(text)),
    ("src/main.rs", |edits, text| edits.program(text)),
    ("src/board.rs", |edits, text| Ok(edits.board(text))),
];

impl Edits<'_> {
    /// Returns the manifest.
    fn manifest(&self, text: &str) -> Result<String, String> {
        let features: String = self.features.iter().map(|it| format!(", {it:?}")).collect();
        let mut text = replaced(text, "\"classify\"", &format!("{:?}", self.name))?;
        text = replaced(
            &text,
            "[\"defmt\", \"words\"]",
            &format!("[\"defmt\"{features}]"),
        )?;
        for (example, project) in PATHS {
            text = replaced(&text, example, project)?;
        }
        if !self.emulated {
            text = replaced(&text, "default = [\"emulator\"]", "default = [\"probe\"]")?;
        }
        if self.boot2 {
            let last = "static_cell = \"2.1\"\n";
            text = replaced(&text, last, &format!("rp2040-boot2 = \"0.3\"\n{last}"))?;
        }
        Ok(text + PROFILES)
    }

    /// Returns the page that describes the project.
    fn page(&self, text: &str) -> Result<String, String> {
        replaced(text, "# classify\n", &format!("# {}\n", self.name))
    }

    /// Returns the program.
    fn program(&self, text: &str) -> Result<String, String> {
        if self.numbers {
            let log = match self.features.contains(&"units") {
                true => LOG_UNITS,
                false => LOG_LOGITS,
            };
            let mut text = replaced(text, LOG, log)?;
            for (example, project) in NUMBERS {
                text = replaced(&text, example, project)?;
            }
            return Ok(text);
        }
        if self.labels.is_empty() {
            return Ok(text.to_owned());
        }
        let text = replaced(text, "mod board;\n", "mod board;\nmod labels;\n")?;
        replaced(&text, LOG, LOG_NAME)
    }

    /// Returns the part of the program that concerns the board.
    fn board(&self, text: &str) -> String {
        let boot2 = if self.boot2 { "\nmod boot2;\n" } else { "" };
        text.to_owned() + boot2
    }

    /// Returns the file with the names of the classes.
    pub(super) fn label_file(&self) -> String {
        let mut text = "//! The names of the network's classes.\n\n\
             /// The name of each class, in the order of the logits.\n\
             pub const LABELS: [&str; crate::MODEL.outputs()] = [\n"
            .to_owned();
        for label in self.labels {
            // Writing to a string does not fail.
            let _ = writeln!(text, "    {label:?},");
        }
        text + "];\n"
    }
}

/// Returns `text` with all occurrences of `old` replaced by `new`, or `old` if there are none.
fn replaced(text: &str, old: &str, new: &str) -> Result<String, String> {
    match text.contains(old) {
        true => Ok(text.replace(old, new)),
        false => Err(old.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a file of the example.
    fn example(path: &str) -> String {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware/examples/classify");
        std::fs::read_to_string(format!("{folder}/{path}")).unwrap()
    }

    #[test]
    fn the_example_is_the_program_that_users_get() {
        let mut edits = Edits {
            name: "my-app",
            features: &["rice", "maps"],
            labels: &[],
            numbers: false,
            emulated: true,
            boot2: false,
        };
        let main = example("src/main.rs");
        assert_eq!(edits.program(&main).unwrap(), main);
        assert_eq!(
            edits.board(&example("src/board.rs")),
            example("src/board.rs")
        );
        let lines = main.lines().count();
        assert!(lines < 25 && !main.contains("unsafe"), "{lines} lines");

        edits.numbers = true;
        let raw = edits.program(&main).unwrap();
        edits.features = &["rice", "units"];
        let numbers = edits.program(&main).unwrap();
        assert!(numbers.contains("dequantize(logits)") && !raw.contains("dequantize"));
        for text in [raw, numbers] {
            assert!(
                !text.contains("argmax") && !text.contains("class"),
                "{text}"
            );
        }
        edits.numbers = false;

        let labels = ["still".to_owned(), "a \"walk\"".to_owned()];
        edits.labels = &labels;
        let named = edits.program(&main).unwrap();
        assert_eq!(named.lines().count(), lines + 1);
        assert!(
            edits
                .label_file()
                .ends_with("= [\n    \"still\",\n    \"a \\\"walk\\\"\",\n];\n")
        );
    }

    #[test]
    fn the_manifest_names_what_the_network_and_the_board_need() {
        let edits = Edits {
            name: "my-app",
            features: &["rice", "maps"],
            labels: &[],
            numbers: false,
            emulated: false,
            boot2: true,
        };
        let text = edits.manifest(&example("Cargo.toml")).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("my-app"));
        let engine = &manifest["dependencies"]["rarefy-runtime"];
        let features: Vec<_> = engine["features"].as_array().unwrap().iter().collect();
        assert_eq!(features, [&"defmt".into(), &"rice".into(), &"maps".into()]);
        assert_eq!(engine["path"].as_str(), Some("rarefy/runtime"));
        assert_eq!(manifest["features"]["default"], vec!["probe"].into());
        assert!(manifest["dependencies"].get("rp2040-boot2").is_some());
        assert_eq!(edits.manifest("").unwrap_err(), "\"classify\"");
    }
}
