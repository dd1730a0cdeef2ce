//! The name of a project's package.

/// Names that cargo rejects: keywords, and crates that the program uses.
const TAKEN: &[&str] = &[
    "as",
    "async",
    "await",
    "bool",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "fn",
    "for",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "match",
    "mod",
    "move",
    "mut",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "type",
    "unsafe",
    "use",
    "where",
    "while",
    "yield",
    "alloc",
    "std",
    "build",
    "deps",
    "examples",
    "incremental",
    "cortex-m",
    "cortex-m-rt",
    "defmt",
    "defmt-rtt",
    "defmt-semihosting",
    "portable-atomic",
    "rarefy-format",
    "rarefy-runtime",
    "riscv",
    "riscv-rt",
    "semihosting",
    "static_cell",
];

/// Returns the name of the package in the folder called `folder`: its letters, digits, `-` and `_`,
/// with `-` for everything else, and preceded by `app-` if cargo would reject it.
pub(super) fn package(folder: &str) -> String {
    let plain = |c: char| match c.is_ascii_alphanumeric() || c == '_' {
        true => c.to_ascii_lowercase(),
        false => '-',
    };
    let name: String = folder.chars().map(plain).collect();
    let name = name.trim_matches('-');
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    match name {
        "" => "app".to_owned(),
        _ if !starts || TAKEN.contains(&name) => format!("app-{name}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_has_a_package_name() {
        for (folder, expected) in [
            ("my-app", "my-app"),
            ("My App", "my-app"),
            ("läufe", "l-ufe"),
            ("3 axes", "app-3-axes"),
            ("_x", "app-_x"),
            ("test", "app-test"),
            ("defmt", "app-defmt"),
            ("手", "app"),
            ("-", "app"),
        ] {
            assert_eq!(package(folder), expected, "{folder}");
        }
    }
}
