//! Where the firmware's sources are: in a checkout, or inside the program.

use std::env;
use std::fs;
use std::path::{self, Path, PathBuf};

use super::boards::BoardError;
use super::sources;
use crate::data::catalogue::Places;

/// Value of `RAREFY_FIRMWARE` that selects the sources inside the program.
const BUILT_IN: &str = "built-in";

/// Returns the folder of the firmware workspace.
///
/// This is `$RAREFY_FIRMWARE` if set, otherwise the `firmware` folder of the checkout that
/// contains the current folder, otherwise that of the checkout from which this program was built,
/// otherwise the sources inside the program ([`super::embed_sources`]), unpacked into the user's
/// cache. `RAREFY_FIRMWARE=built-in` selects the latter.
///
/// # Errors
///
/// Returns an error if no firmware workspace is found, if `$RAREFY_FIRMWARE` is not one, or if the
/// sources cannot be unpacked.
pub fn firmware_folder() -> Result<PathBuf, BoardError> {
    if let Some(folder) = env::var_os("RAREFY_FIRMWARE").map(PathBuf::from) {
        return if is_firmware(&folder) {
            Ok(absolute(folder))
        } else if folder == Path::new(BUILT_IN) {
            built_in()
        } else {
            Err(BoardError::NotFirmware {
                path: folder.display().to_string(),
            })
        };
    }
    let current = env::current_dir().unwrap_or_default();
    current
        .ancestors()
        .map(|folder| folder.join("firmware"))
        .chain([Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware")])
        .find(|folder| is_firmware(folder))
        .map(absolute)
        .map_or_else(built_in, Ok)
}

/// Returns the firmware's folder in the unpacked sources of this program.
fn built_in() -> Result<PathBuf, BoardError> {
    let files = sources::embedded();
    let cache = Places::from_environment().cache;
    match (files, cache) {
        ([], _) => Err(BoardError::NoFirmware),
        (_, None) => Err(BoardError::NoCache),
        (files, Some(cache)) => Ok(sources::unpack(files, &cache)?.join("firmware")),
    }
}

/// Returns whether `folder` contains the firmware's package and its boards. The package's name is
/// checked because folders of other projects may be called `firmware` and `boards`, too.
fn is_firmware(folder: &Path) -> bool {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let manifest = toml::from_str::<toml::Table>(&manifest).unwrap_or_default();
    let package = manifest.get("package");
    let name = package.and_then(|package| package.get("name")?.as_str());
    name == Some("rarefy-firmware") && folder.join("boards").is_dir()
}

/// Returns `folder` as an absolute path, or unchanged if that fails.
fn absolute(folder: PathBuf) -> PathBuf {
    // On Windows `canonicalize` returns verbatim paths (`\\?\C:\...`), which linkers reject.
    let absolute = if cfg!(windows) {
        path::absolute(&folder)
    } else {
        folder.canonicalize()
    };
    absolute.unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_projects_firmware_is_not_taken_for_this_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("boards")).unwrap();
        for (package, expected) in [
            ("", false),
            ("[package]\nname = \"firmware\"\n", false),
            ("[package]\nname = \"rarefy-firmware\"\n", true),
        ] {
            fs::write(folder.path().join("Cargo.toml"), package).unwrap();
            assert_eq!(is_firmware(folder.path()), expected, "{package}");
        }
    }
}
