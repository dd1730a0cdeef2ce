//! `cargo xtask c-library TARGET`: builds the engine as a static library for C.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{self, Outcome, root};
use crate::device;

/// Features of the library with every encoding and layer.
pub(crate) const ALL: &str = "dense,csr,words,columns,rice,csr-f32,maps,residual,units";

/// How the chore is called.
const USAGE: &str = "usage: cargo xtask c-library TARGET [--features LIST] [--checked] [--out FOLDER], \
                     such as cargo xtask c-library thumbv7em-none-eabihf --features words";

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    target: String,
    features: String,
    /// The profile: a release, with or without checks of pointers.
    profile: &'static str,
    out: PathBuf,
}

/// Builds the library and puts it into a folder, beside the header and the CMake function.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let order = order(arguments)?;
    let folder = root().join("firmware/target-c");
    let library = build(&order.target, &order.features, order.profile, &folder)?;
    let c = root().join("firmware/c");
    let out = &order.out;
    fs::create_dir_all(out).map_err(|e| format!("cannot create {}: {e}", out.display()))?;
    for file in [
        library,
        c.join("include/rarefy.h"),
        c.join("cmake/rarefy.cmake"),
    ] {
        let name = file.file_name().unwrap_or_default();
        let copied = fs::copy(&file, out.join(name));
        copied.map_err(|e| format!("cannot copy {}: {e}", file.display()))?;
    }
    println!("{}: librarefy.a, rarefy.h, rarefy.cmake", out.display());
    Ok(())
}

/// Reads the arguments.
fn order(arguments: &[String]) -> Result<Order, String> {
    let (mut target, mut features, mut out) = (None, None, None);
    let mut profile = "release";
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let slot = match argument.as_str() {
            "--features" => &mut features,
            "--out" => &mut out,
            "--checked" => {
                profile = "checked";
                continue;
            }
            option if option.starts_with('-') => {
                return Err(format!("unknown option {option}; {USAGE}"));
            }
            _ => {
                if target.replace(argument.clone()).is_some() {
                    return Err(format!("more than one target; {USAGE}"));
                }
                continue;
            }
        };
        let value = rest
            .next()
            .ok_or_else(|| format!("{argument} needs a value; {USAGE}"))?;
        *slot = Some(value.clone());
    }
    let target = target.ok_or_else(|| USAGE.to_owned())?;
    let folder = root().join("target/c-library").join(&target);
    Ok(Order {
        target,
        features: features.unwrap_or_else(|| ALL.to_owned()),
        profile,
        out: out.map_or(folder, PathBuf::from),
    })
}

/// Builds the library with `features` for `target` in `folder` and returns its path.
pub(crate) fn build(
    target: &str,
    features: &str,
    profile: &str,
    folder: &Path,
) -> Result<PathBuf, String> {
    let mut build = device::build(target)?;
    build.args(["--package", "rarefy-c", "--profile", profile]);
    build.args(["--no-default-features", "--features", features]);
    build.arg("--target-dir").arg(folder);
    command::run(&format!("the library for C for {target}"), &mut build)?;
    Ok(folder.join(target).join(profile).join("librarefy.a"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_in_any_order_and_mistakes_explained() {
        let read = |line: &str| {
            let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            order(&arguments)
        };
        let expected = Order {
            target: "thumbv6m-none-eabi".into(),
            features: "words,rice".into(),
            profile: "checked",
            out: "lib".into(),
        };
        let found = read("--features words,rice thumbv6m-none-eabi --checked --out lib");
        assert_eq!(found.as_ref(), Ok(&expected));
        let plain = read("thumbv6m-none-eabi").unwrap();
        assert_eq!((&*plain.features, plain.profile), (ALL, "release"));
        assert!(plain.out.ends_with("target/c-library/thumbv6m-none-eabi"));
        for (line, words) in [
            ("", "usage: "),
            ("a b", "more than one target; usage: "),
            ("a --out", "--out needs a value; usage: "),
            ("a --fast", "unknown option --fast; usage: "),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.starts_with(words), "{line}: {error}");
        }
    }
}
