//! Emits the names of the classes of a network.

/// Returns source to append to a module that [`rust`](super::rust()) returned, for a network whose
/// classes are called `names`.
#[must_use]
pub fn names(names: &[String]) -> String {
    let lines: String = (names.iter())
        .map(|name| format!("    {name:?},\n"))
        .collect();
    format!("\n/// The names of the classes.\npub const CLASSES: [&str; OUTPUTS] = [\n{lines}];\n")
}

/// Returns source to append to a header that [`c`](super::c()) returned with this `prefix`, for a
/// network whose classes are called `names`.
#[must_use]
pub fn names_in_c(prefix: &str, names: &[String]) -> String {
    let upper = prefix.to_uppercase();
    let lines: String = (names.iter())
        .map(|name| format!("    {},\n", literal(name)))
        .collect();
    format!(
        "
#ifndef {upper}_CLASSES
/* The names of the classes, in UTF-8. */
#define {upper}_CLASSES {{ \\
{}}}
#endif
",
        lines.replace(",\n", ", \\\n")
    )
}

/// Returns a string literal of C with the bytes of `text`.
fn literal(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        // Two question marks would begin a trigraph.
        b'?' => "\\?".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    format!("\"{}\"", text.bytes().map(letter).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_c_contain_no_other_syntax() {
        let text = "a\"b\\??/\u{e9}\n1";
        assert_eq!(literal(text), r#""a\"b\\\?\?/\303\251\0121""#);
    }
}
