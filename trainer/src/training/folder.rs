//! The run folder: plain files that tell a run's whole story and let it resume.
//!
//! | file | holds |
//! |---|---|
//! | `run.toml` | the recipe: everything needed to repeat the run |
//! | `arch.toml` | a copy of the architecture, where it is not one of the named |
//! | `metrics.csv` | one line per epoch |
//! | `checkpoint.safetensors` | weights and velocities after the last whole epoch (removed at the end) |
//! | `dense.safetensors` | the dense network, where the pruner trains one |
//! | `masks-direct.safetensors`, `masks.safetensors` | what the pruner keeps; what of it is trained: what is effective, or all where nothing is pruned |
//! | `weights.safetensors` | the trained weights with the statistics they are deployed with |
//! | `SHA256SUMS` | the SHA-256 of the files of a finished run, by which they belong together |
//! | `result.json` | the figures; written last, so its presence says that the run is whole |
//! | `run.lock` | there while a process uses the folder, see [`super::lock`] |
//!
//! A run that is killed leaves a folder from which the same command resumes, whatever the moment:
//! each file appears whole or not at all, a checkpoint names the files it goes with, and whatever
//! was made after it is made again, bit for bit.

use std::fs;
use std::path::{Path, PathBuf};

use super::checkpoint::{Checkpoint, Expected};
use super::lock::{LOCK, Lock};
use super::metrics::{self, METRICS};
use super::sums::{Difference, SUMS, Sums};
use super::{Recipe, TrainError};
use crate::atomic::{self, FileError};
use crate::graph::{self, Graph};

pub use super::metrics::Metrics;
pub use super::report::{Accuracy, Compressions, TrainReport, WeightCounts};

/// The figures of a quickstart, which keeps them beside its run.
pub const FIGURES: &str = "quickstart.json";

/// The recipe.
const RECIPE: &str = "run.toml";

/// The copy of an architecture of the user's own.
const ARCHITECTURE: &str = "arch.toml";

/// The figures.
const RESULT: &str = "result.json";

/// Where an interrupted run stands.
const CHECKPOINT: &str = "checkpoint.safetensors";

/// The dense network.
pub const DENSE: &str = "dense.safetensors";

/// What the pruner keeps.
pub const MASKS_DIRECT: &str = "masks-direct.safetensors";

/// What of it is trained.
pub const MASKS: &str = "masks.safetensors";

/// The trained weights.
pub const WEIGHTS: &str = "weights.safetensors";

/// The files that are made, in the order in which [`RunFolder::clear`] removes them: a folder
/// without figures is of a run that is not finished, and one without a recipe is a stranger's.
const FILES: [&str; 11] = [
    FIGURES,
    RESULT,
    SUMS,
    CHECKPOINT,
    METRICS,
    WEIGHTS,
    MASKS,
    MASKS_DIRECT,
    DENSE,
    ARCHITECTURE,
    RECIPE,
];

/// Files that a finished run cannot do without.
const NEEDED: [&str; 5] = [RECIPE, MASKS_DIRECT, MASKS, WEIGHTS, RESULT];

/// A folder that holds one run, locked.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    lock: Lock,
    /// Whether it was not there before.
    is_new: bool,
}

/// What a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Nothing but what a process that was killed at once leaves, if it is there at all.
    Nothing,
    /// A recipe: a run.
    Run,
    /// Files of somebody else.
    Strangers,
}

impl RunFolder {
    /// Opens `path` for `recipe`: new or empty, or holding the same recipe's run. With `fresh`
    /// an earlier run there is removed first. Other processes are kept out for as long as the
    /// result lives.
    ///
    /// # Errors
    /// When another process uses the folder, when it holds another run or something else, or when
    /// it cannot be written.
    pub fn open(path: &Path, recipe: &Recipe, fresh: bool) -> Result<Self, TrainError> {
        // First without a lock: nothing is written into a stranger's folder.
        check_own(path)?;
        let is_new = !path.exists();
        atomic::create_folder(path)?;
        let lock = Lock::alone(path)?.ok_or_else(|| in_use(path))?;
        let folder = Self {
            path: path.to_path_buf(),
            lock,
            is_new,
        };
        match check_own(path)? {
            Content::Run if !fresh => folder.check_same(recipe)?,
            Content::Run => folder.clear()?,
            _ => folder.remove_leftovers(),
        }
        if fresh || !folder.file(RECIPE).exists() {
            let text = toml::to_string(recipe).expect("a recipe is plain values");
            let text = format!(
                "# What this run was made with: `rarefy train` with these options repeats it.\n{text}"
            );
            atomic::write(&folder.file(RECIPE), text.as_bytes())?;
        }
        folder.remove_leftovers();
        Ok(folder)
    }

    /// Opens the folder of a run made before, to be read; nobody trains in it for as long as the
    /// result lives.
    ///
    /// # Errors
    /// When there is none at `path`, or a process trains in it.
    pub fn existing(path: &Path) -> Result<(Self, Recipe), TrainError> {
        if !path.join(RECIPE).exists() {
            return Err(refuse(
                path,
                "holds no run: give a folder made by `rarefy train`",
            ));
        }
        let lock = Lock::shared(path)?.ok_or_else(|| in_use(path))?;
        let folder = Self {
            path: path.to_path_buf(),
            lock,
            is_new: false,
        };
        let recipe = folder.recipe()?;
        Ok((folder, recipe))
    }

    /// Whether `path` is, or would be, a file that the run folder around it is made of.
    pub fn owns(path: &Path) -> bool {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return false;
        };
        (FILES.contains(&name) || name == LOCK) && path.with_file_name(RECIPE).exists()
    }

    /// Whether `path` holds a run of `recipe`, whole or not.
    pub fn holds(path: &Path, recipe: &Recipe) -> bool {
        Self::existing(path).is_ok_and(|(_, found)| recipe.difference(&found).is_none())
    }

    /// The path of the file called `name` in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a copy of `file`, which `graph` was read from.
    ///
    /// # Errors
    /// When the copy that is there describes another architecture, or a file cannot be read or
    /// written.
    pub fn keep_architecture(&self, file: &Path, graph: &Graph) -> Result<(), TrainError> {
        let copy = self.file(ARCHITECTURE);
        if !copy.exists() {
            atomic::write(&copy, &atomic::read(file)?)?;
        } else if graph::load(&copy.to_string_lossy())? != *graph {
            return Err(self.changed(ARCHITECTURE));
        }
        Ok(())
    }

    /// Returns the architecture of the run of `recipe` here.
    ///
    /// # Errors
    /// When it is not known or not the one that the run was made with, or the folder's copy cannot
    /// be read.
    pub fn architecture(&self, recipe: &Recipe) -> Result<Graph, TrainError> {
        let copy = self.file(ARCHITECTURE);
        let is_own = copy.exists();
        let graph = if is_own {
            graph::load(&copy.to_string_lossy())?
        } else {
            graph::load(&recipe.arch)?
        };
        if graph.fingerprint() == recipe.arch_fingerprint {
            return Ok(graph);
        }
        Err(if is_own {
            self.changed(ARCHITECTURE)
        } else {
            self.refuse(format!(
                "holds a run of another {} than this rarefy knows: export it with the rarefy that trained it, or repeat the run with --force",
                recipe.arch
            ))
        })
    }

    /// Checks that the run here is of `recipe`.
    fn check_same(&self, recipe: &Recipe) -> Result<(), TrainError> {
        let Some((option, ours, theirs)) = recipe.difference(&self.recipe()?) else {
            return Ok(());
        };
        let advice = "choose another -o, or --force to replace it";
        Err(self.refuse(match &recipe.arch_file {
            Some(file) if option == Recipe::ARCHITECTURE => format!(
                "holds a run of another architecture than {} describes: {advice}",
                file.display()
            ),
            _ => format!("holds a run with {option} {theirs}, not {ours}: {advice}"),
        }))
    }

    /// Removes the files of the run here but its recipe, which is to be replaced, and the figures
    /// of a quickstart, which would be another run's; anything else stays.
    fn clear(&self) -> Result<(), TrainError> {
        let mut names = FILES.iter().filter(|&&name| name != RECIPE);
        names.try_for_each(|name| self.remove(name))?;
        atomic::sync_folder(&self.path);
        Ok(())
    }

    /// Removes the run here if nothing of it has been trained, and the folder with it if this
    /// process made it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn discard_untrained(&self) -> Result<(), TrainError> {
        if [CHECKPOINT, DENSE]
            .iter()
            .any(|name| self.file(name).exists())
        {
            return Ok(());
        }
        self.clear()?;
        self.remove(RECIPE)?;
        self.lock.remove();
        if self.is_new {
            // Not empty where somebody else has written there since.
            let _ = fs::remove_dir(&self.path);
        }
        Ok(())
    }

    /// Removes what processes that were killed left half-written.
    fn remove_leftovers(&self) {
        atomic::remove_all_leftovers(&self.path);
    }

    /// The refusal of this folder for `reason`.
    fn refuse(&self, reason: impl Into<String>) -> TrainError {
        refuse(&self.path, reason)
    }

    /// The refusal of a file called `name` that is not the run's any more.
    fn changed(&self, name: &str) -> TrainError {
        self.refuse(format!(
            "holds a {name} that was changed since the run made it: bring the original back, or give its command again with --force"
        ))
    }

    /// Removes the file called `name`, if it is there.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(&self, name: &str) -> Result<(), TrainError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::new("remove", &path, e).into())
            }
            _ => Ok(()),
        }
    }

    /// Reads `run.toml`.
    fn recipe(&self) -> Result<Recipe, TrainError> {
        let text = String::from_utf8_lossy(&atomic::read(&self.file(RECIPE))?).into_owned();
        let recipe: Recipe = toml::from_str(&text).map_err(|e| {
            let reason = e.message().replace('\n', " ");
            self.refuse(format!(
                "holds a run.toml that cannot be read ({reason}; another version of rarefy may have written it): repeat the run with --force"
            ))
        })?;
        recipe.check_numbers().map_err(|reason| {
            self.refuse(format!(
                "holds a run.toml that no run can be made with ({reason}): repeat the run with --force"
            ))
        })?;
        Ok(recipe)
    }

    /// Returns the figures of the run of `recipe` here, if it is whole.
    ///
    /// # Errors
    /// When they are there but cannot be read, or a file is not the one that the run ended with.
    pub fn result(&self, recipe: &Recipe) -> Result<Option<TrainReport>, TrainError> {
        let path = self.file(RESULT);
        if !path.exists() {
            return Ok(None);
        }
        let report: TrainReport = serde_json::from_slice(&atomic::read(&path)?).map_err(|e| {
            self.refuse(format!(
                "holds a result.json that cannot be read ({e}): repeat the run with --force"
            ))
        })?;
        self.check_sums()?;
        let found = (&report.arch, &report.dataset, &report.pruner, report.seed);
        if found != (&recipe.arch, &recipe.data, &recipe.pruner, recipe.seed) {
            return Err(self.refuse(
                "holds a result.json of another run than its run.toml: repeat the run with --force",
            ));
        }
        // Where the run is now: folders are moved.
        let run = self.path.display().to_string();
        Ok(Some(TrainReport { run, ..report }))
    }

    /// Checks that the files of the finished run here are those it ended with.
    fn check_sums(&self) -> Result<(), TrainError> {
        let text = atomic::read(&self.file(SUMS))?;
        let Some(sums) = str::from_utf8(&text).ok().and_then(Sums::parse) else {
            return Err(self.changed(SUMS));
        };
        match sums.difference(&self.path, &NEEDED)? {
            None => Ok(()),
            Some(Difference::Changed(name)) => Err(self.changed(&name)),
            Some(Difference::Missing(name)) => Err(self.refuse(format!(
                "lacks {name}, which its run ended with: bring it back, or repeat the run with --force"
            ))),
            Some(Difference::Unknown(_)) => Err(self.changed(SUMS)),
        }
    }

    /// Writes the figures: the run is whole.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(&self, report: &TrainReport) -> Result<(), TrainError> {
        let text = serde_json::to_string_pretty(report).expect("a report is plain values") + "\n";
        let kept = FILES.iter().filter(|&&name| {
            // Those of another life of the folder: before the run ended, and after.
            ![FIGURES, RESULT, SUMS, CHECKPOINT].contains(&name)
        });
        let mut sums = Sums::of(&self.path, &kept.copied().collect::<Vec<_>>())?;
        sums.insert(RESULT, text.as_bytes());
        atomic::write(&self.file(SUMS), sums.text().as_bytes())?;
        atomic::write(&self.file(RESULT), text.as_bytes())?;
        self.remove(CHECKPOINT)
    }

    /// Writes where the run stands.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        Ok(checkpoint.save(&self.file(CHECKPOINT))?)
    }

    /// Removes the checkpoint, if there is one: of no use once the run is whole.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove_checkpoint(&self) -> Result<(), TrainError> {
        self.remove(CHECKPOINT)
    }

    /// Returns the files that checkpoints of the phase called `phase` go with: those made before it.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn before(&self, phase: &str) -> Result<Sums, TrainError> {
        let masks = [RECIPE, ARCHITECTURE, DENSE, MASKS_DIRECT, MASKS];
        let names = if phase == "pruned" {
            &masks[..]
        } else {
            &masks[..2]
        };
        Ok(Sums::of(&self.path, names)?)
    }

    /// Returns where the run stands, if it was interrupted.
    ///
    /// # Errors
    /// When there is a checkpoint that is none of a run as `expected`, or one of its files or a
    /// line of the metrics is not there.
    pub fn checkpoint(&self, expected: &Expected<'_>) -> Result<Option<Checkpoint>, TrainError> {
        let path = self.file(CHECKPOINT);
        if !path.exists() {
            return Ok(None);
        }
        let checkpoint = Checkpoint::load(&path, expected).map_err(|e| self.unusable(&e))?;
        let mut needed = vec![RECIPE];
        if checkpoint.phase == "pruned" {
            needed.extend([MASKS_DIRECT, MASKS]);
            needed.extend(expected.phases.contains(&"dense").then_some(DENSE));
        }
        match checkpoint.files.difference(&self.path, &needed)? {
            None => {}
            Some(Difference::Changed(name)) => {
                return Err(self.unusable(&format!("{name} is not the one it was saved with")));
            }
            Some(Difference::Missing(name)) => {
                return Err(self.unusable(&format!("{name} is missing")));
            }
            Some(Difference::Unknown(name)) => {
                return Err(self.unusable(&format!("it has no fingerprint of {name}")));
            }
        }
        self.check_metrics(&checkpoint, expected)?;
        Ok(Some(checkpoint))
    }

    /// The refusal of the checkpoint here for `reason`.
    pub fn unusable(&self, reason: &str) -> TrainError {
        self.refuse(format!(
            "holds a {CHECKPOINT} that the run cannot resume from ({reason}): start over with --force"
        ))
    }

    /// Checks that `metrics.csv` has the lines of all epochs up to `checkpoint`.
    fn check_metrics(
        &self,
        checkpoint: &Checkpoint,
        expected: &Expected<'_>,
    ) -> Result<(), TrainError> {
        let done = |phase: &&str| *phase != checkpoint.phase;
        let before = expected.phases.iter().copied().take_while(done);
        let before = before.map(|phase| (phase, expected.epochs));
        let now = (checkpoint.phase.as_str(), checkpoint.epochs);
        let phases = before.chain([now]);
        match metrics::missing(&self.file(METRICS), phases)? {
            Some((phase, epoch)) => Err(self.unusable(&format!(
                "{METRICS} lacks the line of epoch {epoch} of the {phase} phase"
            ))),
            None => Ok(()),
        }
    }

    /// Adds a line to `metrics.csv`, after dropping lines of epochs that are being repeated.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn add_metrics(&self, row: &Metrics) -> Result<(), TrainError> {
        Ok(row.add_to(&self.file(METRICS))?)
    }
}

/// The refusal of `folder` for `reason`.
fn refuse(folder: &Path, reason: impl Into<String>) -> TrainError {
    TrainError::Folder {
        folder: folder.display().to_string(),
        reason: reason.into(),
    }
}

/// The refusal of a folder that another process has locked.
fn in_use(folder: &Path) -> TrainError {
    refuse(
        folder,
        "is in use by another process of rarefy: wait until that has ended, or choose another folder",
    )
}

/// Checks that `folder` holds a run or nothing.
fn check_own(folder: &Path) -> Result<Content, TrainError> {
    match content(folder)? {
        Content::Strangers => Err(refuse(
            folder,
            "is not empty and holds no run.toml: choose another -o",
        )),
        content => Ok(content),
    }
}

/// Looks at what `folder` holds.
fn content(folder: &Path) -> Result<Content, FileError> {
    let failed = |e| FileError::new("open the run folder", folder, e);
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Content::Nothing),
        entries => entries.map_err(failed)?,
    };
    let mut content = Content::Nothing;
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if name == RECIPE {
            return Ok(Content::Run);
        }
        if name != LOCK && !atomic::is_temporary(&name) {
            content = Content::Strangers;
        }
    }
    Ok(content)
}
