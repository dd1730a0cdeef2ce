//! What comes next: the line `Next: rarefy …` that ends what a command prints, to be pasted.
//!
//! | after | next | or nothing |
//! |---|---|---|
//! | `quickstart` | `inspect` its container | |
//! | `data list` | `train` on a set that is here | |
//! | `data fetch` | `train` on it | |
//! | `arch` | `arch` of one, `quotas` of that one | |
//! | `quotas` | `train` by the quota, or `prune` where no set fits | [`Why::NoPath`] |
//! | `prune` | the same with `-o`, then `effective` of the masks | |
//! | `effective` | the same with `--out` | [`Why::Masks`], [`Why::Picture`] |
//! | `train` | `export` the run | [`Why::Limit`] |
//! | `export` | `measure` the container on the board it is for, `--build-only` without its probe | [`Why::Code`] |
//! | `inspect` | `eval` the container | [`Why::Data`] |
//! | `eval` | `measure` the container | |
//! | `boards` | `setup --dry-run` | |
//! | `setup` | `setup` where something is missing, else `quickstart` | |
//! | `measure` | | [`Why::Arrived`] |
//!
//! A line works where the user stands, in any POSIX shell, and replaces no file: paths are those
//! that were given, quoted, and names of new files are free.

use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// What a user may do after a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Run this.
    Run(Line),
    /// There is nothing to run.
    Nothing(Why),
}

/// Why nothing is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The network is on its board: the way ends here.
    Arrived,
    /// The code goes into a program of the user's own.
    Code,
    /// No command takes masks but those that made and counted them.
    Masks,
    /// A picture is to be looked at.
    Picture,
    /// Which data the container is for is not known.
    Data,
    /// What was asked for leaves no path from input to output.
    NoPath,
    /// The network exceeds a limit of the container.
    Limit,
    /// A path that is not Unicode or holds control characters cannot be printed so that it can be
    /// pasted.
    Path,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arrived => "the network is on its board",
            Self::Code => "the code goes into a program of your own",
            Self::Masks => "the masks go wherever you train by them",
            Self::Picture => "look at the picture",
            Self::Data => "`eval` needs --data with the data that the container was made for",
            Self::NoPath => "this compression leaves no path from input to output",
            Self::Limit => "the network cannot be exported as it stands",
            Self::Path => "a path in it cannot be printed so that it can be pasted",
        })
    }
}

/// A command line of `rarefy`, word by word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    words: Vec<String>,
    /// Whether every word is what was meant.
    exact: bool,
}

impl Line {
    /// `rarefy` with these words.
    pub(super) fn new(words: &[&str]) -> Self {
        let words = ["rarefy"].iter().chain(words).map(|&word| word.into());
        Self {
            words: words.collect(),
            exact: true,
        }
    }

    /// The command line of this process, with these words more.
    pub(super) fn again(words: &[&str]) -> Self {
        let mut line = Self::new(&[]);
        for word in env::args_os().skip(1) {
            line.exact &= is_printable(&word);
            line.words.push(word.to_string_lossy().into_owned());
        }
        line.words.extend(words.iter().map(|&word| word.into()));
        line
    }

    /// Adds `word` as it is.
    pub(super) fn word(mut self, word: &str) -> Self {
        self.words.push(word.into());
        self
    }

    /// Adds a path, or a name that is none: `./` comes before one that would pass for an option.
    pub(super) fn path(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        self.exact &= is_printable(path.as_os_str());
        let text = path.to_string_lossy();
        self.words.push(match text.starts_with('-') {
            true => format!("./{text}"),
            false => text.into_owned(),
        });
        self
    }

    /// Adds the option `name` with the path or name `value`.
    pub(super) fn option(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.words.push(name.into());
        self.path(value)
    }
}

/// Whether `word` can be printed as it is.
fn is_printable(word: &OsStr) -> bool {
    word.to_str()
        .is_some_and(|word| !word.contains(char::is_control))
}

impl From<Line> for Next {
    fn from(line: Line) -> Self {
        match line.exact {
            true => Self::Run(line),
            false => Self::Nothing(Why::Path),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{}", quoted(word))?;
        }
        Ok(())
    }
}

/// `word` as a POSIX shell reads it back: in single quotes where it holds more than letters, digits
/// and marks that mean nothing to a shell.
pub(super) fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

/// `name`, or the first of `stem-2.ending`, `stem-3.ending` and so on that does not exist.
pub(super) fn free(name: &str) -> PathBuf {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let names = (2..).map(|number| PathBuf::from(format!("{stem}-{number}.{ending}")));
    std::iter::once(PathBuf::from(name))
        .chain(names)
        .find(|path| path.symlink_metadata().is_err())
        .unwrap_or_else(|| name.into())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_shell_reads_back_what_was_quoted() {
        let words = [
            "plain/path-1.rfy",
            "a b",
            "läufe/a b",
            "it's",
            "''",
            "",
            "$HOME `id` \"x\" \\ * ? [a] {b} ~ # ! & ; | < > ( )",
            "~",
            "#",
            "a=b",
            "tab\tand\nline",
        ];
        let line: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        let script = format!("printf '%s\\0' {}", line.join(" "));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let read = String::from_utf8(output.stdout).unwrap();
        let read: Vec<&str> = read.split_terminator('\0').collect();
        assert_eq!(read, words);
        assert_eq!(quoted(words[0]), words[0]);
        assert_eq!(quoted("läufe/a b"), "'läufe/a b'");
    }

    #[test]
    fn a_path_that_looks_like_an_option_is_made_a_path() {
        let line = Line::new(&["export"]).path("-a b").option("-o", "m.rfy");
        assert_eq!(line.to_string(), "rarefy export './-a b' -o m.rfy");
    }

    #[test]
    #[cfg(unix)]
    fn a_path_that_is_no_text_makes_no_line() {
        use std::os::unix::ffi::OsStrExt;
        for bytes in [&b"\xff.rfy"[..], b"\x1b[2J.rfy", b"a\nNext: b"] {
            let path = Path::new(OsStr::from_bytes(bytes));
            let next: Next = Line::new(&["inspect"]).path(path).into();
            assert_eq!(next, Next::Nothing(Why::Path));
        }
    }
}
