//! Containers for other readers, on which engine and interpreter agree.

use std::path::Path;
use std::{fs, io};

use rarefy_test_support::hexadecimal;

/// A container with some inputs and the logits that all implementations agree on.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// The container.
    pub(crate) container: Vec<u8>,
    /// Inputs and logits.
    pub(crate) answers: Vec<(Vec<u8>, Vec<i32>)>,
}

impl Kept {
    /// Writes `NAME.rfy` and `NAME.txt` to `folder`, in the format of `format/tests/golden`.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        fs::write(folder.join(format!("{name}.rfy")), &self.container)?;
        let line = |(input, logits): &(Vec<u8>, Vec<i32>)| {
            let logits = logits.iter().map(|logit| format!(" {logit}"));
            hexadecimal(input) + &logits.collect::<String>() + "\n"
        };
        let lines: String = self.answers.iter().map(line).collect();
        fs::write(folder.join(format!("{name}.txt")), lines)
    }
}
