//! The last line of a command's text output: `Next: rarefy …`, a command ready to paste.
//!
//! | after | next | or none because |
//! |---|---|---|
//! | `quickstart` | `inspect` its container | |
//! | `data list` | `train` on an available dataset | |
//! | `data fetch` | `train` on it | |
//! | `arch` | `arch NAME`, or `quotas` of that architecture | |
//! | `import` | `export` for the given dataset, or `arch` of its folder | |
//! | `quotas` | `train` with the quota, or `prune` if no dataset fits | [`Why::NoPath`] |
//! | `prune` | the same command with `-o`, or `effective` of the masks | |
//! | `effective` | the same command with `--out` | [`Why::Masks`], [`Why::Picture`] |
//! | `train` | `export` the run | [`Why::Limit`] |
//! | `export` | `measure` on the target board (`--build-only` without a probe) | [`Why::Code`] |
//! | `inspect` | `eval` the container, or `measure` it without labels | [`Why::Data`] |
//! | `eval` | `measure` the container | |
//! | `boards` | `setup --dry-run` | |
//! | `chips` | `measure --build-only` for the first chip | [`Why::NoCore`] |
//! | `fits` | `measure --build-only` for the smallest chip | [`Why::NoChip`] |
//! | `fits` of a run | `export` for the smallest chip | [`Why::NoChip`] |
//! | `setup` | `setup` if tools are missing, otherwise `quickstart` | |
//! | `new` | `cargo run` in the project, or `setup` if tools are missing | |
//! | `measure` | `new`, for the same board | [`Why::Built`], [`Why::Unstarted`], [`Why::Misfit`] |
//! | `measure --all` | `export` the most accurate container that fits | |
//!
//! The command works in the current folder and in any POSIX shell, and overwrites no file: paths
//! are quoted as given, and output files get unused names.

use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// What the user can run after a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// This command.
    Run(Line),
    /// No command.
    Nothing(Why),
}

/// Why no command is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The program has run.
    Arrived,
    /// The program is built, but not run.
    Built,
    /// The program is built for a chip that may not start it.
    Unstarted,
    /// The network does not fit the board.
    Misfit,
    /// The code belongs in the user's own program.
    Code,
    /// No further command reads masks.
    Masks,
    /// The result is a picture.
    Picture,
    /// The data that the container was made for is unknown.
    Data,
    /// No built-in architecture reads samples of this shape.
    Shape,
    /// The requested compression leaves no path from input to output.
    NoPath,
    /// The network exceeds a limit of the container format.
    Limit,
    /// The firmware does not run on the chip's core.
    NoCore,
    /// The network fits none of the chips.
    NoChip,
    /// A path is not valid Unicode or contains control characters, so it cannot be pasted.
    Path,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arrived => "the network runs on its board",
            Self::Built => "the program was built, not run; leave out --build-only to run it",
            Self::Unstarted => {
                "the program was built to see whether the network fits; this chip may not start it"
            }
            Self::Misfit => "the network does not fit the board",
            Self::Shape => {
                "`rarefy train` needs --arch with an architecture file for samples of this shape"
            }
            Self::Code => "add the code to your own program",
            Self::Masks => "use the masks in your own training",
            Self::Picture => "open the picture",
            Self::Data => "`rarefy eval` needs --data with the dataset the container was made for",
            Self::NoPath => "this compression leaves no path from input to output",
            Self::Limit => "the network cannot be exported",
            Self::NoCore => "chips by name get programs for Cortex-M only",
            Self::NoChip => "compress the network further, or name larger chips with --chip",
            Self::Path => "a path contains characters that cannot be pasted",
        })
    }
}

/// A command line as a list of words, most often one of `rarefy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Folder in which the command runs, if it is not the current one.
    folder: Option<String>,
    words: Vec<String>,
    /// Whether every word can be printed exactly.
    exact: bool,
}

impl Line {
    /// Creates a command line: `rarefy` and these words.
    pub(super) fn new(words: &[&str]) -> Self {
        let words = ["rarefy"].iter().chain(words).map(|&word| word.into());
        Self {
            folder: None,
            words: words.collect(),
            exact: true,
        }
    }

    /// Creates the command line of these `words` in `folder`.
    pub(super) fn inside(folder: &Path, words: &[&str]) -> Self {
        let Self {
            words: named,
            exact,
            ..
        } = Self::new(&[]).path(folder);
        Self {
            folder: named.into_iter().next_back(),
            words: words.iter().map(|&word| word.into()).collect(),
            exact,
        }
    }

    /// Returns the command line of this process with more words appended.
    pub(super) fn again(words: &[&str]) -> Self {
        let mut line = Self::new(&[]);
        for word in env::args_os().skip(1) {
            line.exact &= is_printable(&word);
            line.words.push(word.to_string_lossy().into_owned());
        }
        line.words.extend(words.iter().map(|&word| word.into()));
        line
    }

    /// Appends `word` unchanged.
    pub(super) fn word(mut self, word: &str) -> Self {
        self.words.push(word.into());
        self
    }

    /// Appends those of the `options` that have a value.
    pub(super) fn given<const N: usize>(
        self,
        options: [(&'static str, Option<String>); N],
    ) -> Self {
        let add = |line: Self, (option, value): (&str, Option<String>)| match value {
            Some(value) => line.word(option).word(&value),
            None => line,
        };
        options.into_iter().fold(self, add)
    }

    /// Appends a path or name, with `./` in front if it looks like an option.
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

    /// Appends the option `name` with the path or name `value`.
    pub(super) fn option(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.words.push(name.into());
        self.path(value)
    }
}

/// Returns whether `word` is Unicode without control characters.
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
        if let Some(folder) = &self.folder {
            write!(f, "cd {} && ", quoted(folder))?;
        }
        for (index, word) in self.words.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{}", quoted(word))?;
        }
        Ok(())
    }
}

/// Quotes `word` for a POSIX shell if it contains anything but letters, digits and punctuation
/// that a shell does not interpret.
pub(super) fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

/// Returns the first of `name`, `stem-2.ending`, `stem-3.ending` and so on that does not exist. A
/// name without an ending gets none.
pub(super) fn free(name: &str) -> PathBuf {
    let (stem, ending) = name.split_at(name.rfind('.').unwrap_or(name.len()));
    let names = (2..).map(|number| PathBuf::from(format!("{stem}-{number}{ending}")));
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
    fn a_command_in_another_folder_goes_there_first() {
        let line = Line::inside(Path::new("my app"), &["X=1", "cargo", "run"]);
        assert_eq!(line.to_string(), "cd 'my app' && X=1 cargo run");
        let line = Line::inside(Path::new("-a"), &["cargo", "run"]);
        assert_eq!(line.to_string(), "cd ./-a && cargo run");
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
