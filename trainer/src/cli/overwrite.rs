//! Checks of output files: a command never writes to a file it reads or to a file of a run folder.
//!
//! A file that the user named is overwritten. A file that the command named itself (a default
//! name, or one derived from another) is overwritten only if the same kind of command wrote it
//! ([`check_unnamed`]).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use super::usage;
use crate::atomic;
use crate::data::catalogue::{Places, Published};
use crate::data::folder::ROLES;
use crate::training::folder::RunFolder;

/// Checks that the file `output`, given with `option`, is none of `inputs` and not part of a run
/// folder.
///
/// # Errors
/// Returns an error that names the option and the file.
pub(super) fn check<P: AsRef<Path>>(
    option: &str,
    output: &Path,
    inputs: impl IntoIterator<Item = P>,
) -> Result<()> {
    if RunFolder::owns(output) {
        return Err(usage::wrong(format!(
            "{option} {} is part of a run folder: give another name",
            output.display()
        )));
    }
    let Some(place) = place(output) else {
        return Ok(());
    };
    for input in inputs {
        let input = input.as_ref();
        // Also through a link, which would then point to the output.
        let real = input.canonicalize().unwrap_or_default();
        if self::place(input).as_ref() == Some(&place)
            || self::place(&real).as_ref() == Some(&place)
        {
            return Err(usage::wrong(format!(
                "{option} {} is read by this command: give another name",
                output.display()
            )));
        }
    }
    Ok(())
}

/// Checks that `output`, a name that the user did not give, is free or holds contents accepted by
/// `is_ours`; `advice` tells what to do otherwise.
///
/// # Errors
/// Returns an error that names the file.
pub(super) fn check_unnamed(
    output: &Path,
    is_ours: impl FnOnce(&[u8]) -> bool,
    advice: &str,
) -> Result<()> {
    if output.symlink_metadata().is_err() || atomic::read(output).is_ok_and(|it| is_ours(&it)) {
        return Ok(());
    }
    Err(anyhow!(
        "{} exists already and will not be overwritten: {advice}",
        output.display()
    ))
}

/// Checks that the file name `picture`, given with `option`, has the extension `.svg` or none.
///
/// # Errors
/// Returns an error of wrong usage that names the option and the file.
pub(super) fn check_svg(option: &str, picture: &Path) -> Result<()> {
    match picture.extension() {
        Some(ending) if !ending.eq_ignore_ascii_case("svg") => Err(usage::wrong(format!(
            "{option} {} would be an SVG file: give a name that ends in .svg",
            picture.display()
        ))),
        _ => Ok(()),
    }
}

/// Returns the folder of `path` with links resolved, and the file name. None if the folder does
/// not exist.
fn place(path: &Path) -> Option<(PathBuf, OsString)> {
    let name = path.file_name()?.to_owned();
    let folder = match path.parent()? {
        folder if folder.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    Some((folder.canonicalize().ok()?, name))
}

/// Returns the files that are read of the dataset given with `--data`.
pub(super) fn of_data(name: &str) -> Vec<PathBuf> {
    let folder = match Published::named(name) {
        Ok(set) => set
            .locate(&Places::from_environment())
            .map(|(folder, _)| folder),
        Err(_) => Ok(PathBuf::from(name)),
    };
    let folder = folder.into_iter().next();
    let names = ROLES.iter().flat_map(|role| role.names());
    folder
        .map(|folder| names.map(|name| folder.join(name)).collect())
        .unwrap_or_default()
}

/// Returns the file that the architecture given with `--arch` is read from, if it is a file.
pub(super) fn of_arch(arch: &str) -> Option<PathBuf> {
    Some(PathBuf::from(arch)).filter(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn inputs_are_known_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("in"), "").unwrap();
        let refused = |output: &str, input: &str| check("--out", &at(output), [at(input)]).is_err();
        assert!(refused("in", "in"));
        assert!(refused("sub/../in", "in") && refused("in", "./sub/../in"));
        assert!(!refused("out", "in") && !refused("sub/in", "in"));
        assert!(!refused("in", "missing") && !refused("nowhere/in", "in"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("in"), at("link")).unwrap();
            assert!(refused("in", "link") && refused("link", "link"));
            assert!(
                !refused("link", "in"),
                "the link is overwritten, not the file"
            );
        }
    }

    #[test]
    fn a_name_that_was_not_given_replaces_only_what_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let ours = |bytes: &[u8]| bytes.starts_with(b"ours");
        let check = |name: &str| check_unnamed(&at(name), ours, "name it");
        check("free").unwrap();
        fs::write(at("ours"), "ours, 1").unwrap();
        check("ours").unwrap();
        fs::write(at("other"), "mine").unwrap();
        fs::create_dir(at("folder")).unwrap();
        for name in ["other", "folder"] {
            let error = check(name).unwrap_err().to_string();
            assert!(error.ends_with("overwritten: name it"), "{error}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("nowhere"), at("link")).unwrap();
            assert!(check("link").is_err());
        }
    }

    #[test]
    fn the_files_of_a_run_are_not_written_by_other_commands() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let refused = |name: &str| check("-o", &at(name), [""; 0]).is_err();
        assert!(!refused("result.json"));
        fs::write(at("run.toml"), "").unwrap();
        for name in [
            "result.json",
            "run.toml",
            "run.lock",
            "SHA256SUMS",
            "arch.toml",
        ] {
            assert!(refused(name), "{name}");
        }
        assert!(!refused("model.rfy"));
    }
}
