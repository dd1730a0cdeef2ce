//! The files of a run folder.
//!
//! | file | contents |
//! |---|---|
//! | `run.toml` | the recipe: everything needed to repeat the run |
//! | `arch.toml` | a copy of the architecture's file, unless it is a predefined one |
//! | `metrics.csv` | one line per epoch |
//! | `checkpoint.safetensors` | weights and moments before a step (removed at the end) |
//! | `dense.safetensors` | the dense network, if the pruner trains one |
//! | `rewind-STEP.safetensors` | the weights before step STEP, to which phases rewind |
//! | `masks-direct.safetensors` | the connections that the pruner or the given masks keep |
//! | `masks.safetensors` | the trained connections: the effective ones; all if nothing is pruned |
//! | `masks-direct-1.safetensors`, `masks-1.safetensors`, ... | those of earlier pruning phases |
//! | `weights.safetensors` | the trained weights, and the population statistics for deployment |
//! | `SHA256SUMS` | the SHA-256 checksum of each file of a finished run |
//! | `result.json` | the figures; written last, so a run with this file is finished |
//! | `refusal.txt` | why a run that has trained its dense network cannot be finished |
//! | `replaced-run` | a folder with the run that this one replaces, until this one is finished |
//! | `run.lock` | exists while a process uses the folder, see [`super::lock`] |

use std::fs;
use std::path::Path;

use super::lock::LOCK;
use super::metrics::METRICS;
use super::sums::SUMS;
use crate::atomic::{self, FileError};

/// The figures of a quickstart, stored in its run folder.
pub const FIGURES: &str = "quickstart.json";

/// The recipe.
pub const RECIPE: &str = "run.toml";

/// The copy of the architecture's file.
pub const ARCHITECTURE: &str = "arch.toml";

/// The figures.
pub(super) const RESULT: &str = "result.json";

/// Why the run cannot be finished.
pub(super) const REFUSAL: &str = "refusal.txt";

/// The folder of the run that is being replaced, within the run folder.
pub(super) const REPLACED: &str = "replaced-run";

/// The state of an interrupted run.
pub(super) const CHECKPOINT: &str = "checkpoint.safetensors";

/// The dense network.
pub const DENSE: &str = "dense.safetensors";

/// The connections that the pruner keeps.
pub const MASKS_DIRECT: &str = "masks-direct.safetensors";

/// The connections that are trained.
pub const MASKS: &str = "masks.safetensors";

/// The trained weights.
pub const WEIGHTS: &str = "weights.safetensors";

/// All files of a run, in the order in which they are removed: a folder without figures contains an
/// unfinished run, and one without a recipe contains no run.
pub(super) const FILES: [&str; 12] = [
    FIGURES,
    RESULT,
    SUMS,
    REFUSAL,
    CHECKPOINT,
    METRICS,
    WEIGHTS,
    MASKS,
    MASKS_DIRECT,
    DENSE,
    ARCHITECTURE,
    RECIPE,
];

/// The files that every finished run has.
pub(super) const NEEDED: [&str; 5] = [RECIPE, MASKS_DIRECT, MASKS, WEIGHTS, RESULT];

/// The prefixes of the names of numbered files: the masks of earlier phases, and the weights to
/// which phases rewind.
const NUMBERED: [&str; 3] = ["masks-direct-", "masks-", "rewind-"];

/// Returns the name of the file of the weights before `step`, to which phases rewind.
pub(super) fn rewind(step: usize) -> String {
    format!("rewind-{step}.safetensors")
}

/// Checks whether `name` is that of a file of a run: one of [`FILES`], or a numbered one.
pub(super) fn is_own(name: &str) -> bool {
    let mut prefixes = NUMBERED.iter();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_numbered = prefixes.any(|prefix| {
        let rest = name.strip_prefix(prefix);
        let number = rest.and_then(|rest| rest.strip_suffix(".safetensors"));
        number.is_some_and(is_number)
    });
    FILES.contains(&name) || is_numbered
}

/// Returns the names of the numbered files of the run in `folder`, in order.
pub(super) fn numbered(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| is_own(name) && !FILES.contains(&name.as_str()))
        .collect();
    names.sort_unstable();
    names
}

/// The content of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// No files, or only the lock and temporary files of a process that was killed.
    Nothing,
    /// A run.
    Run,
    /// Other files.
    Foreign,
}

/// Returns what kind of content `folder` has.
///
/// # Errors
/// Returns an error if the folder cannot be read.
pub(super) fn content(folder: &Path) -> Result<Content, FileError> {
    let failed = |e| FileError::new("open the run folder", folder, e);
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Content::Nothing),
        entries => entries.map_err(failed)?,
    };
    let mut content = Content::Nothing;
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        // A process may have been killed after it set a run aside and before it began the new one.
        let is_replaced = || name == REPLACED && folder.join(REPLACED).join(RECIPE).exists();
        if name == RECIPE || is_replaced() {
            return Ok(Content::Run);
        }
        if name != LOCK && !atomic::is_temporary(&name) {
            content = Content::Foreign;
        }
    }
    Ok(content)
}
