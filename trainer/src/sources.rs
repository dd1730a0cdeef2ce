//! The firmware's sources, so that an installed `rarefy` builds programs without a checkout.
//!
//! They are part of the program alone, not of the library, which would otherwise be compiled again
//! after every change of the firmware.

use include_dir::{Dir, include_dir};
use rarefy_trainer::device::SourceFile;

/// The folders of a checkout that programs for boards are built from.
static FOLDERS: [(&str, Dir<'static>); 13] = [
    ("format", include_dir!("$CARGO_MANIFEST_DIR/../format")),
    ("runtime", include_dir!("$CARGO_MANIFEST_DIR/../runtime")),
    (
        "firmware/.cargo",
        include_dir!("$CARGO_MANIFEST_DIR/../firmware/.cargo"),
    ),
    (
        "firmware/bare",
        include_dir!("$CARGO_MANIFEST_DIR/../firmware/bare"),
    ),
    (
        "firmware/boards",
        include_dir!("$CARGO_MANIFEST_DIR/../firmware/boards"),
    ),
    (
        "firmware/build",
        include_dir!("$CARGO_MANIFEST_DIR/../firmware/build"),
    ),
    (
        "firmware/c/cmake",
        include_dir!("$CARGO_MANIFEST_DIR/../firmware/c/cmake"),
    ),
    (
        "firmware/c/include",
        include_dir!("$CARGO_MANIFEST_DIR/../firmware/c/include"),
    ),
    (
        "firmware/c/src",
        include_dir!("$CARGO_MANIFEST_DIR/../firmware/c/src"),
    ),
    (
        "firmware/code",
        include_dir!("$CARGO_MANIFEST_DIR/../firmware/code"),
    ),
    (
        "firmware/examples/classify",
        include_dir!("$CARGO_MANIFEST_DIR/../firmware/examples/classify"),
    ),
    (
        "firmware/plugin/src",
        include_dir!("$CARGO_MANIFEST_DIR/../firmware/plugin/src"),
    ),
    (
        "firmware/src",
        include_dir!("$CARGO_MANIFEST_DIR/../firmware/src"),
    ),
];

/// Embeds the files with these paths in a checkout.
macro_rules! files {
    ($($path:literal),*) => {
        [$(SourceFile {
            folder: "",
            path: $path,
            bytes: include_bytes!(concat!("../../", $path)),
        }),*]
    };
}

/// The other files.
static FILES: [SourceFile; 7] = files![
    "Cargo.toml",
    "firmware/Cargo.lock",
    "firmware/Cargo.toml",
    "firmware/c/Cargo.toml",
    "firmware/plugin/Cargo.lock",
    "firmware/plugin/Cargo.toml",
    "firmware/plugin/build.rs"
];

/// Returns all files.
pub(crate) fn all() -> Vec<SourceFile> {
    let mut files = FILES.to_vec();
    for (name, folder) in &FOLDERS {
        add(name, folder, &mut files);
    }
    files
}

/// Appends the files of `folder`, which is part of the folder `name` of a checkout, to `files`.
fn add(name: &'static str, folder: &Dir<'static>, files: &mut Vec<SourceFile>) {
    for file in folder.files() {
        files.push(SourceFile {
            folder: name,
            path: file.path().to_str().unwrap_or_default(),
            bytes: file.contents(),
        });
    }
    for inner in folder.dirs() {
        add(name, inner, files);
    }
}
