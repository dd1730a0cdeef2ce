//! Checks output files before anything is computed.
//!
//! A command never writes to a file that it reads or to a file of a run folder, and creates no
//! folder for a file. An existing file is overwritten only if it is empty or holds the same
//! [`Kind`] of output. A file with a default name is not overwritten at all ([`check_free`]).

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use safetensors::{Dtype, SafeTensors};

use super::{network, usage};
use crate::atomic;
use crate::data::catalogue::{Places, Published};
use crate::data::folder::ROLES;
use crate::data::tables::Tables;
use crate::deploy::emit::Language;
use crate::plot;
use crate::pruning::curve;
use crate::training::folder::RunFolder;

/// What a command writes to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Masks in a safetensors file.
    Masks,
    /// An SVG picture.
    Picture,
    /// The numbers of curves as CSV.
    Numbers,
    /// A container.
    Container,
    /// A network as code.
    Code(Language),
}

impl Kind {
    /// Returns what such a file is called in messages.
    fn name(self) -> &'static str {
        match self {
            Self::Masks => "masks",
            Self::Picture => "a picture drawn by rarefy",
            Self::Numbers => "the CSV file of a curve",
            Self::Container => "a container",
            Self::Code(Language::Rust) => "a network as Rust code",
            Self::Code(Language::C) => "a network as C code",
        }
    }

    /// Returns whether `file` is empty or holds this kind of output.
    fn is_in(self, file: &[u8]) -> bool {
        let is_mask = |dtype| matches!(dtype, Dtype::U8 | Dtype::BOOL);
        file.is_empty()
            || match self {
                Self::Masks => SafeTensors::deserialize(file)
                    .is_ok_and(|it| it.iter().all(|(_, tensor)| is_mask(tensor.dtype()))),
                Self::Picture => plot::is_ours(file),
                Self::Numbers => file.starts_with(curve::HEADER.as_bytes()),
                Self::Container => file.starts_with(&rarefy_format::MAGIC),
                Self::Code(language) => language.is_in(file),
            }
    }
}

/// Checks that output of this `kind` can be written to the file `output`, given with `option`: it
/// is none of `inputs`, not part of a run folder, lies in a folder that exists, and replaces
/// nothing but output of the same kind.
///
/// # Errors
/// Returns an error that names the option and the file.
pub(super) fn check<P: AsRef<Path>>(
    option: &str,
    output: &Path,
    kind: Kind,
    inputs: impl IntoIterator<Item = P>,
) -> Result<()> {
    let shown = output.display();
    if RunFolder::owns(output) {
        return Err(usage::wrong(format!(
            "{option} {shown} is part of a run folder: give another name"
        )));
    }
    let Some(place) = place(output) else {
        return Err(match output.file_name() {
            None => usage::wrong(format!(
                "{option} {shown} is not the name of a file: give one"
            )),
            Some(_) => anyhow!(
                "{option} {shown}: there is no folder {}; create it, or give another name",
                folder(output).display()
            ),
        });
    };
    for input in inputs {
        let input = input.as_ref();
        // The input may also be a link to the output.
        let real = input.canonicalize().unwrap_or_default();
        if self::place(input).as_ref() == Some(&place)
            || self::place(&real).as_ref() == Some(&place)
        {
            return Err(usage::wrong(format!(
                "{option} {shown} is read by this command: give another name"
            )));
        }
    }
    match fs::metadata(output) {
        Ok(found) if found.is_dir() => Err(anyhow!(
            "{option} {shown} is a folder: give the name of a file"
        )),
        // Anything else, such as a device, cannot be replaced; writing reports that.
        Ok(found) if found.is_file() && !atomic::read(output).is_ok_and(|it| kind.is_in(&it)) => {
            Err(anyhow!(
                "{option} {shown} exists and does not hold {}: move it, or give another name",
                kind.name()
            ))
        }
        _ => Ok(()),
    }
}

/// Checks that `output`, a name that the user did not give, is free; `advice` tells what to do
/// otherwise.
///
/// # Errors
/// Returns an error that names the file.
pub(super) fn check_free(output: &Path, advice: &str) -> Result<()> {
    match output.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(_) => Err(anyhow!(
            "{} exists already and will not be overwritten: {advice}",
            output.display()
        )),
    }
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

/// Returns the folder of `path` with links resolved, and the file name. Returns `None` if the
/// folder does not exist.
fn place(path: &Path) -> Option<(PathBuf, OsString)> {
    let name = path.file_name()?.to_owned();
    let folder = folder(path).canonicalize().ok()?;
    folder.is_dir().then_some((folder, name))
}

/// Returns the folder of `path`.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Returns the files that are read for the dataset given with `--data`.
pub(super) fn of_data(name: &str) -> Vec<PathBuf> {
    let folder = match Published::named(name) {
        Ok(set) => set
            .locate(&Places::from_environment())
            .map(|(folder, _)| folder),
        Err(_) => Ok(PathBuf::from(name)),
    };
    let Ok(place) = folder else {
        return Vec::new();
    };
    let names = ROLES.iter().flat_map(|role| role.names());
    let mut files: Vec<PathBuf> = names.map(|name| place.join(name)).collect();
    files.extend(Tables::files(&place));
    files
}

/// Returns the file of the architecture given with `--arch`, if it is read from a file.
pub(super) fn of_arch(arch: &str) -> Option<PathBuf> {
    Some(PathBuf::from(network::arch(arch).into_owned())).filter(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::deploy::emit;

    /// Checks whether a picture can be written to `output` in `folder` by a command that reads
    /// `input`.
    fn check_at(folder: &Path, output: &str, input: &str) -> Result<()> {
        let input = folder.join(input);
        check("--out", &folder.join(output), Kind::Picture, [input])
    }

    #[test]
    fn inputs_are_known_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("in"), "").unwrap();
        let refused = |output: &str, input: &str| check_at(folder.path(), output, input).is_err();
        assert!(refused("in", "in"));
        assert!(refused("sub/../in", "in") && refused("in", "./sub/../in"));
        assert!(!refused("out", "in") && !refused("sub/in", "in"));
        assert!(!refused("in", "missing"));
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
    fn no_folder_is_created_for_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_at(folder.path(), "a/b/out.svg", "in").unwrap_err();
        let error = error.to_string();
        assert!(error.contains("out.svg: there is no folder "), "{error}");
        assert!(error.contains("a/b; create it"), "{error}");
        check_at(folder.path(), "out.svg", "in").unwrap();
        check("--out", Path::new("out.svg"), Kind::Picture, [""; 0]).unwrap();
        check_at(folder.path(), "..", "in").unwrap_err();
    }

    #[test]
    fn only_output_of_the_same_kind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let data = [0_u8; 4];
        let tensor = |dtype, shape: &[usize]| {
            let view = safetensors::tensor::TensorView::new(dtype, shape.to_vec(), &data);
            safetensors::serialize([("w", view.unwrap())], None).unwrap()
        };
        let network = rarefy_format::NetworkSpec {
            input: rarefy_format::Shape::flat(1),
            layers: vec![rarefy_format::LayerSpec::dense(
                rarefy_format::Encoding::Csr,
                0,
                vec![0],
                vec![Vec::new()],
            )],
        };
        let rust = emit::rust(&network, "a", 0).unwrap();
        let c = emit::c(&network, "a", "a", 0).unwrap();
        let outputs = [
            (Kind::Masks, tensor(Dtype::U8, &[4])),
            (
                Kind::Picture,
                plot::curves::svg("a", &[]).unwrap().into_bytes(),
            ),
            (Kind::Numbers, curve::csv(&[]).into_bytes()),
            (Kind::Container, b"RFY\x05".to_vec()),
            (Kind::Code(Language::Rust), rust.into_bytes()),
            (Kind::Code(Language::C), c.into_bytes()),
        ];
        let others = [
            b"mine".to_vec(),
            tensor(Dtype::F32, &[1]),
            b"<svg>\n<g/>".to_vec(),
        ];
        for (kind, _) in &outputs {
            let accepted = |bytes: &[u8]| {
                fs::write(&file, bytes).unwrap();
                check("-o", &file, *kind, [""; 0]).is_ok()
            };
            assert!(accepted(b""), "{kind:?}");
            for (other, bytes) in &outputs {
                assert_eq!(accepted(bytes), other == kind, "{other:?} for {kind:?}");
            }
            assert!(!others.iter().any(|bytes| accepted(bytes)), "{kind:?}");
        }
        check_at(folder.path(), ".", "in").unwrap_err();
    }

    #[test]
    fn a_name_that_was_not_given_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let check = |name: &str| check_free(&at(name), "name it");
        check("free").unwrap();
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
        let refused = |name: &str| check_at(folder.path(), name, "in").is_err();
        assert!(!refused("result.json"));
        fs::write(folder.path().join("run.toml"), "").unwrap();
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
