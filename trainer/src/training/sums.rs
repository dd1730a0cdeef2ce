//! What a finished run is bound by: the SHA-256 of each of its files, in `SHA256SUMS`.
//!
//! The file is laid out as `sha256sum` does it, so `sha256sum -c SHA256SUMS` checks a folder too.
//! Names are relative: a folder that is moved or copied stays what it was.

use std::collections::BTreeMap;
use std::path::{Path, is_separator};

use crate::atomic::{self, FileError};
use crate::digest;

/// The name of the file.
pub const SUMS: &str = "SHA256SUMS";

/// SHA-256, in hexadecimal, by the names of files in one folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums(BTreeMap<String, String>);

/// How a folder differs from its sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A file that is not there.
    Missing(String),
    /// A file that holds something else.
    Changed(String),
    /// A file that no sum is kept of.
    Unknown(String),
}

impl Sums {
    /// Computes the sums of those files called `names` in `folder` that are there.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub fn of(folder: &Path, names: &[&str]) -> Result<Self, FileError> {
        let mut sums = Self::default();
        for name in names {
            if folder.join(name).exists() {
                sums.insert(name, &atomic::read(&folder.join(name))?);
            }
        }
        Ok(sums)
    }

    /// Adds the sum of a file called `name` that holds `bytes`.
    pub fn insert(&mut self, name: &str, bytes: &[u8]) {
        self.0.insert(name.into(), digest::sha256(bytes));
    }

    /// Returns the names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the text of `SHA256SUMS`.
    pub fn text(&self) -> String {
        let line = |(name, sum): (&String, &String)| format!("{sum}  {name}\n");
        self.0.iter().map(line).collect()
    }

    /// Reads the text of `SHA256SUMS`; none when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let line = |line: &str| {
            let (sum, name) = line.split_once("  ")?;
            let whole = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
            let whole = whole && !name.contains(is_separator);
            whole.then(|| (name.to_owned(), sum.to_owned()))
        };
        text.lines().map(line).collect::<Option<_>>().map(Self)
    }

    /// Compares the files in `folder` with the sums: all of `needed` must be listed and be there,
    /// and whatever else is listed must be as it was, if it is there.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
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
    fn they_are_those_of_sha256sum_and_tell_what_differs() {
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
