//! Compares with golden results of the paper's published code; counts must be equal.
//!
//! A subset is committed in `tests/golden`; the README there says how it was made. The complete
//! collection is read from the folder named by `RAREFY_GOLDEN`, or from `shared/golden` beside the
//! workspace; without it, the tests that need it print a note and pass. Both have the same layout,
//! so the same checks read them.

mod bits;
mod direct_masks;
mod effective_masks;
mod layout;
mod quotas;
mod searches;
mod snip;
mod synflow;

use std::fs;
use std::path::{Path, PathBuf};

use rarefy_trainer::pruning::Masks;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Returns the folder of the committed subset.
fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Returns the folder of the complete collection, if it exists.
fn complete() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("RAREFY_GOLDEN") {
        let folder = PathBuf::from(folder);
        assert!(
            folder.is_dir(),
            "RAREFY_GOLDEN is not a folder: {}",
            folder.display()
        );
        return Some(folder);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no complete golden collection; set RAREFY_GOLDEN to its folder");
    None
}

/// Parses a JSON file.
fn read<T: DeserializeOwned>(file: &Path) -> T {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// A file of cases.
#[derive(Deserialize)]
struct Cases<T> {
    cases: Vec<T>,
}

/// Returns the number of weights kept per layer.
fn counts(masks: &Masks) -> Vec<usize> {
    masks.iter().map(|mask| mask.nonzeros()).collect()
}
