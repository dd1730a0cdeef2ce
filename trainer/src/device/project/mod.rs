//! Writes a Cargo project that runs a network in the user's own firmware.
//!
//! The project is the firmware's example `classify` with the user's network and board: `edit` makes
//! its manifest and its program, `lock` its lock file with the versions that the tests use, and
//! `settings` configures cargo for the board; `engine` copies the crates that it depends on. The
//! folder appears whole or not at all.

mod edit;
mod engine;
mod lock;
mod name;
mod settings;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use rarefy_format::Model;

use self::edit::Edits;
use super::boards::{Board, Origin};
use super::chip_folder;
use super::features::engine_features;
use super::toolchain::Toolchain;
use crate::atomic::{self, FileError};

/// Bytes of RAM that must be left for the stack besides the arena. An inference needs less.
const STACK: u64 = 512;

/// A project to write.
#[derive(Clone, Copy, Debug)]
pub struct Project<'a> {
    /// The network.
    pub model: Model<'a>,
    /// The board or chip that the program is for.
    pub board: &'a Board,
    /// The input that the program classifies, one byte per value.
    pub input: &'a [u8],
    /// The names of the classes, one per output of the network; empty if they have none.
    pub labels: &'a [String],
    /// Whether the outputs are numbers, not the scores of classes; they have no labels then.
    pub numbers: bool,
    /// The companion of the container, to be written beside it, if there is one.
    pub companion: Option<&'a [u8]>,
    /// The compiler for the board, if it is known.
    pub toolchain: Option<&'a Toolchain>,
    /// Path or name of the program `rarefy`, with which `cargo run` starts the emulator.
    pub rarefy: &'a Path,
}

/// Why a project could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The folder exists.
    #[error("{folder} exists already and will not be overwritten; choose another name")]
    Exists {
        /// The folder.
        folder: String,
    },
    /// The path does not end in a name.
    #[error("{folder} is not the name of a folder; choose another name")]
    NoName {
        /// The path.
        folder: String,
    },
    /// The network needs more memory than the board has.
    #[error(
        "the network needs {needed} bytes of {memory} without the program, but {board} has {present}; compress the network further, or choose a larger board"
    )]
    TooLarge {
        /// Bytes that the network alone needs.
        needed: u64,
        /// "flash" or "RAM".
        memory: &'static str,
        /// Name of the board.
        board: String,
        /// Bytes that the board has.
        present: u64,
    },
    /// The input has the wrong length.
    #[error(
        "the input has {found} bytes, but the network takes {expected}; use data of the shape it was trained on"
    )]
    InputLength {
        /// Bytes of the input.
        found: usize,
        /// Inputs of the network.
        expected: usize,
    },
    /// The number of names differs from that of the classes.
    #[error("there are {found} names for {expected} classes; give a name for each output")]
    Labels {
        /// Number of names.
        found: usize,
        /// Number of outputs.
        expected: usize,
    },
    /// The example in the firmware's sources is not the one that this program knows.
    #[error(
        "{path} lacks `{text}`; use the firmware's sources of this version of Rarefy (RAREFY_FIRMWARE)"
    )]
    Template {
        /// The file.
        path: String,
        /// Text that is not there, or invalid.
        text: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Project<'_> {
    /// Writes the project to `folder`, which must not exist. Its parents are created.
    ///
    /// # Errors
    /// Returns an error if the folder exists, if the network cannot fit the board, if input or
    /// labels have the wrong length, or if a file cannot be read or written.
    pub fn write(&self, folder: &Path) -> Result<(), ProjectError> {
        let name = self.check(folder)?;
        let parent = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        atomic::create_folder(parent)?;
        let unfinished = unfinished(parent, &name)?;
        self.fill(unfinished.path(), &name::package(&name.to_string_lossy()))?;
        fs::rename(unfinished.path(), folder).map_err(|error| {
            match folder.symlink_metadata() {
                // Another process has created it meanwhile.
                Ok(_) => exists(folder),
                Err(_) => FileError::new("create the folder", folder, error).into(),
            }
        })
    }

    /// Checks everything that can be checked before a file is written. Returns the folder's name.
    fn check(&self, folder: &Path) -> Result<OsString, ProjectError> {
        let (model, board) = (&self.model, self.board);
        let name = folder.file_name().ok_or_else(|| ProjectError::NoName {
            folder: folder.display().to_string(),
        })?;
        if folder.symlink_metadata().is_ok() {
            return Err(exists(folder));
        }
        let flash = (model.bytes().len() + model.inputs()) as u64;
        let ram = model.arena_words() as u64 * 4 + STACK;
        for (memory, needed, present) in [
            ("flash", flash, board.flash.length),
            ("RAM", ram, board.ram.length),
        ] {
            if needed > present {
                return Err(ProjectError::TooLarge {
                    needed,
                    memory,
                    board: board.name.clone(),
                    present,
                });
            }
        }
        let (found, expected) = (self.input.len(), model.inputs());
        if found != expected {
            return Err(ProjectError::InputLength { found, expected });
        }
        let (found, expected) = (self.labels.len(), model.outputs());
        if found != expected && found > 0 {
            return Err(ProjectError::Labels { found, expected });
        }
        Ok(name.to_owned())
    }

    /// Writes all files of the project, whose package is called `name`, to `folder`.
    fn fill(&self, folder: &Path, name: &str) -> Result<(), ProjectError> {
        let firmware = &self.board.firmware;
        let example = firmware.join("examples/classify");
        let write = |path: &str, bytes: &[u8]| write(&folder.join(path), bytes);
        write("build.rs", &atomic::read(&example.join("build.rs"))?)?;
        let edits = Edits {
            name,
            features: &engine_features(Some(self.model)),
            labels: self.labels,
            numbers: self.numbers,
            emulated: self.board.emulated(),
            boot2: self.board.has_boot2(),
        };
        for (path, edit) in edit::EDITED {
            let file = example.join(path);
            let text = atomic::read(&file)?;
            let text = edit(&edits, &String::from_utf8_lossy(&text));
            let text = text.map_err(|text| template(&file, text))?;
            write(path, text.as_bytes())?;
        }
        if !self.labels.is_empty() {
            write("src/labels.rs", edits.label_file().as_bytes())?;
        }
        if self.board.has_boot2() {
            write(
                "src/board/boot2.rs",
                &atomic::read(&firmware.join("src/boot2.rs"))?,
            )?;
        }
        write("model.rfy", self.model.bytes())?;
        if let Some(companion) = self.companion {
            write("model.rfy.json", companion)?;
        }
        write("input.bin", self.input)?;
        write("memory.x", self.memory()?.as_bytes())?;
        write(".gitignore", b"/target\n")?;
        let settings = settings::cargo(self.board, self.toolchain, self.rarefy);
        write(".cargo/config.toml", settings.as_bytes())?;
        write("Cargo.lock", self.lock(name)?.as_bytes())?;
        engine::copy(firmware, &folder.join("rarefy"))
    }

    /// Returns the lock file of the project, whose package is called `name`.
    fn lock(&self, name: &str) -> Result<String, ProjectError> {
        let path = self.board.firmware.join("Cargo.lock");
        let text = atomic::read(&path)?;
        let more: &[&str] = match self.board.has_boot2() {
            true => &["rp2040-boot2"],
            false => &[],
        };
        let lock = lock::of_project(&String::from_utf8_lossy(&text), name, more);
        lock.map_err(|text| template(&path, text))
    }

    /// Returns the linker script with the board's memories.
    fn memory(&self) -> Result<String, FileError> {
        if let Some(memory) = chip_folder::memory(self.board) {
            return Ok(memory);
        }
        debug_assert_eq!(self.board.origin, Origin::Folder);
        let folder = self.board.firmware.join("boards").join(&self.board.name);
        let text = atomic::read(&folder.join("memory.x"))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Returns the error that `folder` exists.
fn exists(folder: &Path) -> ProjectError {
    ProjectError::Exists {
        folder: folder.display().to_string(),
    }
}

/// Returns the error that the file `path` of the firmware's sources lacks `text`.
fn template(path: &Path, text: String) -> ProjectError {
    ProjectError::Template {
        path: path.display().to_string(),
        text,
    }
}

/// Creates a folder in `parent` in which the project `name` is written, and which is deleted unless
/// it is renamed.
fn unfinished(parent: &Path, name: &OsString) -> Result<tempfile::TempDir, FileError> {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The system applies the user's umask.
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder
        .tempdir_in(parent)
        .map_err(|e| FileError::new("create a folder in", parent, e))
}

/// Writes `bytes` to `path`, whose folder is created.
fn write(path: &Path, bytes: &[u8]) -> Result<(), ProjectError> {
    if let Some(folder) = path.parent() {
        atomic::create_folder(folder)?;
    }
    Ok(fs::write(path, bytes).map_err(|e| FileError::new("write", path, e))?)
}

/// Lists the files below `folder`, as paths relative to it.
fn files(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        let whole = folder.join(&inner);
        for entry in fs::read_dir(&whole).map_err(|e| FileError::new("list", &whole, e))? {
            let entry = entry.map_err(|e| FileError::new("list", &whole, e))?;
            let path = inner.join(entry.file_name());
            match entry.path().is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    Ok(found)
}
