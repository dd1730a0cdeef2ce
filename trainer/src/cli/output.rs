//! Which files a command may write: none that it reads, and none that a run folder is made of.
//!
//! A file that the user named is replaced. A file that a command names itself, a default or one beside
//! another, is not replaced unless a command of that kind wrote it ([`check_unnamed`]).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use super::usage;
use crate::atomic;
use crate::data::catalogue::{Places, Published};
use crate::data::folder::ROLES;
use crate::training::folder::RunFolder;

/// Checks that the file `output`, given after `option`, is none of the files `inputs` and no file
/// of a run folder.
///
/// # Errors
/// Naming the option and the file.
pub(super) fn check<P: AsRef<Path>>(
    option: &str,
    output: &Path,
    inputs: impl IntoIterator<Item = P>,
) -> Result<()> {
    if RunFolder::owns(output) {
        return Err(anyhow!(
            "{option} {} is a file that the run folder around it is made of: give another name",
            output.display()
        ));
    }
    let Some(place) = place(output) else {
        return Ok(());
    };
    for input in inputs {
        let input = input.as_ref();
        // Through a link, too: it would point to what was written.
        let real = input.canonicalize().unwrap_or_default();
        if self::place(input).as_ref() == Some(&place)
            || self::place(&real).as_ref() == Some(&place)
        {
            return Err(anyhow!(
                "{option} {} is read by this command: give another name",
                output.display()
            ));
        }
    }
    Ok(())
}

/// Checks that `output`, a name that the user did not give, replaces no file but one that `is_ours`
/// knows by its contents; `advice` says what to do about another.
///
/// # Errors
/// Naming the file.
pub(super) fn check_unnamed(
    output: &Path,
    is_ours: impl FnOnce(&[u8]) -> bool,
    advice: &str,
) -> Result<()> {
    if output.symlink_metadata().is_err() || atomic::read(output).is_ok_and(|it| is_ours(&it)) {
        return Ok(());
    }
    Err(anyhow!(
        "{} exists already and is not replaced unasked: {advice}",
        output.display()
    ))
}

/// Checks that the name `picture`, given after `option`, promises no other kind of file than SVG.
///
/// # Errors
/// Wrong usage, naming the option and the file.
pub(super) fn check_svg(option: &str, picture: &Path) -> Result<()> {
    match picture.extension() {
        Some(ending) if !ending.eq_ignore_ascii_case("svg") => Err(usage::wrong(format!(
            "{option} {} would hold SVG: give a name that ends in .svg",
            picture.display()
        ))),
        _ => Ok(()),
    }
}

/// The folder of `path`, whatever links lead there, and the name in it; none where there is no such
/// folder.
fn place(path: &Path) -> Option<(PathBuf, OsString)> {
    let name = path.file_name()?.to_owned();
    let folder = match path.parent()? {
        folder if folder.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    Some((folder.canonicalize().ok()?, name))
}

/// The files that are read of the dataset given after `--data`.
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

/// The file that the architecture given after `--arch` is read from, if it is one.
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
            assert!(!refused("link", "in"), "the link is replaced, not the file");
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
            assert!(error.ends_with("unasked: name it"), "{error}");
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
