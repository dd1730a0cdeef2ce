//! `--labels`: the names of a network's classes.

use std::path::Path;

use anyhow::{Result, anyhow};

use super::usage;

/// Returns the names that `given`, the value of --labels, gives the `outputs` classes of a network:
/// names separated by commas, or a file with a name per line.
///
/// # Errors
/// Returns an error if the file cannot be read or is not text, or if there are not as many names as
/// classes.
pub(super) fn read(given: &str, outputs: usize) -> Result<Vec<String>> {
    let path = Path::new(given);
    let text = match path.is_file() {
        true => crate::atomic::read(path)?,
        false => given.replace(',', "\n").into_bytes(),
    };
    let text = String::from_utf8(text)
        .map_err(|_| anyhow!("--labels {given} is not text; give a name per line"))?;
    let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(str::to_owned).collect();
    if names.len() != outputs {
        return Err(usage::wrong(format!(
            "--labels {given} has {} names, but the network has {outputs} classes: give as many, separated by commas, or a file with a name per line",
            names.len()
        )));
    }
    Ok(names)
}
