//! `cargo xtask house`: checks comments against the house style.
//!
//! - Comments end at column 100 at the latest.
//! - The summary of a function opens with a verb in the third person: *Returns*, *Checks*.

use std::fs;

use crate::command::{self, Outcome, root};

/// Last column of a comment.
const COLUMNS: usize = 100;

/// Words that end in `s` but are not the verb of a summary.
const NOT_VERBS: &[&str] = &[
    "across",
    "always",
    "as",
    "bits",
    "bytes",
    "columns",
    "cores",
    "encodings",
    "images",
    "inputs",
    "its",
    "less",
    "lines",
    "ours",
    "positions",
    "rows",
    "taps",
    "this",
    "units",
    "us",
    "was",
    "weights",
    "words",
];

/// Checks all Rust files under version control, and lists what violates the style.
pub(crate) fn run(_: &[String]) -> Outcome {
    let files = command::output(command::git().args(["ls-files", "*.rs"]))?;
    let mut faults = Vec::new();
    for file in files.lines() {
        let path = root().join(file);
        // The file was deleted, but its deletion is not committed.
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        faults.extend(check(&text).iter().map(|fault| format!("{file}:{fault}")));
    }
    if faults.is_empty() {
        return Ok(());
    }
    println!("{}", faults.join("\n"));
    Err(format!("{} comments violate the style", faults.len()))
}

/// Returns the faults of a file, each with its line number.
fn check(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let columns = line.chars().count();
        if columns > COLUMNS && has_comment(line) {
            faults.push(format!("{}: comment ends at column {columns}", index + 1));
        }
        if is_function(line)
            && let Some(at) = summary(&lines[..index])
        {
            let text = lines[at].trim().trim_start_matches('/').trim();
            if !opens_with_verb(text) {
                faults.push(format!("{}: no verb opens the summary `{text}`", at + 1));
            }
        }
    }
    faults
}

/// Returns `true` if `line` contains a comment: two slashes outside a string literal. Each line of
/// a multi-line literal counts as code, so comments in emitted code are found, too.
fn has_comment(line: &str) -> bool {
    let mut rest = line.as_bytes();
    let mut in_string = false;
    loop {
        rest = match rest {
            [] => return false,
            [b'/', b'/', ..] if !in_string => return true,
            [b'\'', b'"', b'\'', rest @ ..] if !in_string => rest,
            [b'\\', _, rest @ ..] if in_string => rest,
            [b'"', rest @ ..] => {
                in_string = !in_string;
                rest
            }
            [_, rest @ ..] => rest,
        };
    }
}

/// Returns `true` if `line` begins a function.
fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let qualifier = |word: &&str| {
        let word = *word;
        word.starts_with("pub") || matches!(word, "const" | "unsafe" | "extern" | "\"C\"" | "async")
    };
    words.find(|word| !qualifier(word)) == Some("fn")
}

/// Returns the index of the first line of the documentation that precedes an item, skipping
/// attributes. Returns `None` if there is no documentation, or if a macro's caller supplies it.
fn summary(before: &[&str]) -> Option<usize> {
    let is_doc = |line: &str| line.trim_start().starts_with("///");
    let mut in_attribute = false;
    let last = before.iter().rposition(|line| {
        let line = line.trim();
        let begins = line.starts_with("#[");
        let is_attribute = begins || in_attribute || !line.starts_with("//") && line.ends_with(']');
        in_attribute = is_attribute && !begins;
        !is_attribute
    })?;
    let docs = before[..=last].iter().rev().take_while(|line| is_doc(line));
    let first = last + 1 - docs.count();
    let is_continued = first > 0 && before[first - 1].trim_start().starts_with("$(#[");
    (first <= last && !is_continued).then_some(first)
}

/// Returns `true` if the first word of `summary` looks like a verb in the third person.
fn opens_with_verb(summary: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphabetic() || c == '-';
    let word = summary.split(|c| !letters(c)).next().unwrap_or_default();
    word.ends_with('s') && !NOT_VERBS.contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_need_a_verb_and_other_items_do_not() {
        let good = "/// Returns it.\n#[must_use]\npub(crate) const fn a() {}\n";
        assert_eq!(check(good), [""; 0]);
        let good = "/// A size.\nconst B: u8 = 1;\n";
        assert_eq!(check(good), [""; 0]);
        let bad = "/// The size of it,\n/// which Returns.\n#[test]\nfn a() {}\n";
        assert_eq!(
            check(bad),
            ["1: no verb opens the summary `The size of it,`"]
        );
        assert_eq!(check("/// Weights of it.\nunsafe fn a() {}\n").len(), 1);
        assert_eq!(check("fn undocumented() {}\n"), [""; 0]);
        let expected = "/// The a.\n#[expect(\n    b,\n    reason = \"c\"\n)]\nfn a() {}\n";
        assert_eq!(check(expected).len(), 1);
        let of_caller = "$(#[$doc])*\n///\n/// # Safety\nunsafe fn $name() {}\n";
        assert_eq!(check(of_caller), [""; 0]);
    }

    #[test]
    fn wide_comments_are_reported_and_wide_code_is_not() {
        let comment = format!("// {}\n", "x".repeat(COLUMNS - 3));
        assert_eq!(check(&comment), [""; 0]);
        let wide = format!("\n//! {}\n", "ü".repeat(COLUMNS - 3));
        assert_eq!(check(&wide), ["2: comment ends at column 101"]);
        let code = format!("let a = (\"\\\"//{}\", '\"');\n", "x".repeat(COLUMNS));
        assert_eq!(check(&code), [""; 0]);
        let both = format!("let a = (\"\\\"{}\", '\"'); // b\n", "x".repeat(COLUMNS));
        assert_eq!(check(&both).len(), 1);
    }
}
