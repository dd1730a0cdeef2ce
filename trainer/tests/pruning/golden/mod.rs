//! Results of the paper's own published code, to the very count.
//!
//! A small cut of them is committed in `tests/golden`; the README there says how it was made. The
//! whole collection is read from the folder `RAREFY_GOLDEN`, or `shared/golden` beside the
//! workspace, and where there is none the test says so and passes. Both have the same layout, so
//! that one check reads both.

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

/// The cut that is committed.
fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The whole collection, if it is here.
fn whole() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("RAREFY_GOLDEN") {
        let folder = PathBuf::from(folder);
        assert!(
            folder.is_dir(),
            "RAREFY_GOLDEN names no folder: {}",
            folder.display()
        );
        return Some(folder);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: the whole golden collection is not here; RAREFY_GOLDEN can name its folder"
    );
    None
}

fn read<T: DeserializeOwned>(file: &Path) -> T {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// A file of cases.
#[derive(Deserialize)]
struct Cases<T> {
    cases: Vec<T>,
}

fn counts(masks: &Masks) -> Vec<usize> {
    masks.iter().map(|mask| mask.nonzeros()).collect()
}
