//! Control characters in the output of commands.
//!
//! Names of files, tensors and layers may contain control characters: [`printable`] escapes them.
//! Line breaks are escaped only in the names that the user gave; all other text may have several
//! lines.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::sync::LazyLock;

/// The names with line breaks that the user gave as arguments, or in environment variables that
/// name folders.
static BROKEN_NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let variables = ["RAREFY_DATA", "RAREFY_FIRMWARE", "XDG_CACHE_HOME"];
    let variables = variables.into_iter().filter_map(env::var_os);
    broken_names(env::args_os().skip(1).chain(variables))
});

/// Returns the components of `paths` that contain line breaks. An extension without line breaks is
/// removed, because output files may have another one.
fn broken_names(paths: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let mut names = Vec::new();
    for path in paths {
        for part in Path::new(&path) {
            let stem = Path::new(part).file_stem().unwrap_or(part);
            let stem = stem.to_string_lossy();
            let name = match stem.contains('\n') {
                true => stem,
                false => part.to_string_lossy(),
            };
            // A name that consists of line breaks alone cannot be told from line breaks of the
            // text.
            if name.contains('\n') && !name.trim().is_empty() {
                names.push(name.into_owned());
            }
        }
    }
    names
}

/// Returns `text` with the line breaks of `names` escaped.
fn unbroken<'a>(text: &'a str, names: &[String]) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for name in names {
        if text.contains(name) {
            text = Cow::Owned(text.replace(name, &name.replace('\n', "\\n")));
        }
    }
    text
}

/// Returns `text` as one line, with every control character escaped.
pub(super) fn one_line(text: &str) -> String {
    let text = unbroken(text, &BROKEN_NAMES);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    printable(&lines.collect::<Vec<_>>().join(" ")).into_owned()
}

/// Returns `text` with every control character escaped, as in `\u{1b}`, except the newlines that
/// are not part of a given name.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let text = unbroken(text, &BROKEN_NAMES);
    if !text.chars().any(is_escaped) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_escaped(c) {
            true => escaped.extend(c.escape_default()),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Returns the JSON `text` with all control characters escaped; JSON allows some of them in
/// strings.
pub(super) fn printable_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match is_escaped(c) {
            true => escaped += &format!("\\u{:04x}", u32::from(c)),
            false => escaped.push(c),
        }
    }
    escaped
}

/// Returns whether `c` must be escaped: a control character other than a newline.
fn is_escaped(c: char) -> bool {
    c.is_control() && c != '\n'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_of_given_names_are_escaped() {
        let names =
            broken_names(["a\nb/c.svg", "in/d\ne.svg", "plain", "\n", "f.\n"].map(Into::into));
        assert_eq!(names, ["a\nb", "d\ne", "f.\n"]);
        let text = "a\nb/c.svg\nand d\ne.csv: f.\n\n";
        assert_eq!(
            unbroken(text, &names),
            "a\\nb/c.svg\nand d\\ne.csv: f.\\n\n"
        );
        assert_eq!(one_line("a  b\n\n   c\td"), r"a  b c\td");
    }

    #[test]
    fn only_control_characters_are_escaped() {
        assert_eq!(printable("läufe/it's\nmine"), "läufe/it's\nmine");
        let raw = "a\x1b[31mb\u{9b}0m\x07\r\t\x7f";
        let shown = r"a\u{1b}[31mb\u{9b}0m\u{7}\r\t\u{7f}";
        assert_eq!(printable(raw), shown);
        let json = printable_json(&serde_json::to_string(raw).unwrap());
        assert!(!json.contains(char::is_control), "{json:?}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), raw);
    }
}
