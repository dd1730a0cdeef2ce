//! The SHA-256 checksum of each file of a finished run: `SHA256SUMS`.
//!
//! The file has the format of `sha256sum`, so `sha256sum -c SHA256SUMS` checks a folder too. Names
//! are relative, so a folder can be moved or copied.

use std::collections::BTreeMap;
use std::path::{Path, is_separator};

use crate::atomic::{self, FileError};
use crate::digest;

/// The name of the file.
pub const SUMS: &str = "SHA256SUMS";

/// The SHA-256 checksums of files in one folder, in hexadecimal, by file name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums(BTreeMap<String, String>);

/// How a folder differs from its checksums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A needed file is missing.
    Missing(String),
    /// A file has changed.
    Changed(String),
    /// A needed file has no checksum.
    Unknown(String),
}

impl Sums {
    /// Computes the checksums of those files in `names` that exist in `folder`.
    ///
    /// # Errors
    /// Returns an error if a file exists but cannot be read.
    pub fn of(folder: &Path, names: &[&str]) -> Result<Self, FileError> {
        let mut sums = Self::default();
        for name in names {
            if folder.join(name).exists() {
                sums.insert(name, &atomic::read(&folder.join(name))?);
            }
        }
        Ok(sums)
    }

    /// Adds the checksum of a file called `name` with the content `bytes`.
    pub fn insert(&mut self, name: &str, bytes: &[u8]) {
        self.0.insert(name.into(), digest::sha256(bytes));
    }

    /// Adds the checksum of the file `path`, which is called `name`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub fn add(&mut self, path: &Path, name: &str) -> Result<(), FileError> {
        self.insert(name, &atomic::read(path)?);
        Ok(())
    }

    /// Adds all checksums of `other`, replacing those of the same names.
    pub fn extend(&mut self, other: &Self) {
        let others = other.0.iter();
        self.0
            .extend(others.map(|(name, sum)| (name.clone(), sum.clone())));
    }

    /// Returns the names of the files, in ascending order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the text of `SHA256SUMS`.
    pub fn text(&self) -> String {
        let line = |(name, sum): (&String, &String)| format!("{sum}  {name}\n");
        self.0.iter().map(line).collect()
    }

    /// Parses the text of `SHA256SUMS`; returns `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let line = |line: &str| {
            let (sum, name) = line.split_once("  ")?;
            let is_sum = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
            (is_sum && !name.contains(is_separator)).then(|| (name.to_owned(), sum.to_owned()))
        };
        text.lines().map(line).collect::<Option<_>>().map(Self)
    }

    /// Compares the files in `folder` with the checksums, and returns the first difference. The
    /// files in `needed` must exist and have a checksum; other files with a checksum may be
    /// missing.
    ///
    /// # Errors
    /// Returns an error if a file exists but cannot be read.
    pub fn difference(
        &self,
        folder: &Path,
        needed: &[&str],
    ) -> Result<Option<Difference>, FileError> {
        if let Some(name) = needed.iter().find(|name| !self.0.contains_key(**name)) {
            return Ok(Some(Difference::Unknown((*name).into())));
        }
        for (name, sum) in &self.0 {
            let path = folder.join(name);
            if !path.exists() {
                if needed.contains(&name.as_str()) {
                    return Ok(Some(Difference::Missing(name.clone())));
                }
                continue;
            }
            if digest::sha256(atomic::read(&path)?) != *sum {
                return Ok(Some(Difference::Changed(name.clone())));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn checksums_equal_those_of_sha256sum_and_show_differences() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("a"), "abc").unwrap();
        fs::write(folder.join("b"), "").unwrap();
        let sums = Sums::of(folder, &["a", "b", "c"]).unwrap();
        // FIPS 180-4's example, and the empty message.
        assert_eq!(
            sums.text(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n"
        );
        assert_eq!(Sums::parse(&sums.text()).as_ref(), Some(&sums));
        assert_eq!(Sums::parse("abc  a\n"), None);
        assert_eq!(Sums::parse("no sums"), None);
        assert_eq!(Sums::parse(&sums.text().replace("  a", "  /a")), None);
        let difference = |needed: &[&str]| sums.difference(folder, needed).unwrap();
        assert_eq!(difference(&["a"]), None);
        assert_eq!(difference(&["c"]), Some(Difference::Unknown("c".into())));
        fs::remove_file(folder.join("b")).unwrap();
        assert_eq!(difference(&["a"]), None);
        assert_eq!(difference(&["b"]), Some(Difference::Missing("b".into())));
        fs::write(folder.join("a"), "abd").unwrap();
        assert_eq!(difference(&["a"]), Some(Difference::Changed("a".into())));
    }
}
